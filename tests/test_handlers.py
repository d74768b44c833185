"""``@pickup.on``: the host's own handlers of the platform's other events."""

from __future__ import annotations

import json
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import date
from decimal import Decimal
from pathlib import Path
from threading import Event
from typing import Any, NoReturn

import pytest
from flask import current_app, got_request_exception, request

from conftest import CALLER, NOW, MakePhone, Phone
from faulty import Server, eventually, migrate, report_message
from flask_pickup import ConfigurationError, Pickup
from flask_pickup.handlers import Handlers
from flask_pickup.ledger.writer import Writer
from flask_pickup.platforms import CallEnded, StatusChanged, ToolCalls

Handle = Callable[..., Phone]


@pytest.fixture
def handle(make_phone: MakePhone) -> Handle:
    """Make an app whose events a function handles."""

    def make(handler: Callable[[Any], Any], *events: str) -> Phone:
        pickup = Pickup(clock=lambda: NOW)
        for event in events or ("tool-calls",):
            pickup.on(event)(handler)
        return make_phone(pickup=pickup)

    return make


SLOW = """\
@pickup.on("end-of-call-report")
@pickup.on("tool-calls")
def handle(message):
    while not os.path.exists("enough"):
        time.sleep(0.05)
    return {"result": "done"}
"""
REFUSED = ("error", "Too many tools are running.")


def use_tool(phone: Phone) -> Any:
    return phone.client.post_tool_call("lookup", {"phone": CALLER}).get_json()


def test_handler_gets_the_message_and_gives_the_body(handle: Handle) -> None:
    """A tool's handler gets the normalised message; what it returns is the answer, in the app's own JSON."""
    seen: list[ToolCalls] = []

    def lookup(message: ToolCalls) -> dict[str, Any]:
        seen.append(message)
        return {"results": [{"tool_call_id": "tool-1", "result": {"born": date(1990, 1, 2), "owes": Decimal("1.50")}}]}

    answer = use_tool(handle(lookup))
    assert answer["results"][0]["result"] == {"born": "Tue, 02 Jan 1990 00:00:00 GMT", "owes": "1.50"}
    [call] = seen[0].tool_calls
    assert (call.name, call.arguments) == ("lookup", {"phone": CALLER})
    with pytest.raises(AttributeError):
        seen[0].call_id = "other"  # type: ignore[misc]


def test_handler_runs_in_the_hosts_contexts(handle: Handle) -> None:
    """A handler sees the app and the request with its body, as a view of the host's does; it may be asynchronous."""

    async def lookup(_: ToolCalls) -> dict[str, Any]:
        event = json.loads(request.get_data())["message"]["type"]
        return {"result": [current_app.name, request.path, event]}

    pytest.importorskip("asgiref")
    assert use_tool(handle(lookup)) == {"result": ["conftest", "/pickup/webhook", "tool-calls"]}


def test_each_event_has_its_handler(handle: Handle) -> None:
    """Reports and status updates are recorded, then handed on; without a handler the answer is empty."""
    seen: list[Any] = []
    phone = handle(seen.append, "status-update", "end-of-call-report")
    phone.client.post_call()
    assert use_tool(phone) == {}
    phone.client.post_status("ended")
    phone.client.post_report()
    assert [type(message) for message in seen] == [StatusChanged, CallEnded]
    assert phone.rows("SELECT status FROM pickup_calls") == [("ended",)]


def test_one_handler_a_type() -> None:
    """A second handler of an event, one of Pickup's own event, and one of an unknown event are refused."""
    pickup = Pickup()
    pickup.on("tool-calls")(dict)
    for event, match in [("tool-calls", "already"), ("assistant-request", "cannot"), ("hang-up", "cannot")]:
        with pytest.raises(ConfigurationError, match=match):
            pickup.on(event)


@pytest.mark.parametrize(
    "result",
    [
        [1, 2], "text", object(), {"a": object()}, {"a": float("nan")}, {"a": "x" * 2_000_000}, {"a": "\ud800"},
        ValueError(f"no customer {CALLER}"), RecursionError(), TimeoutError(), SystemExit(3), KeyboardInterrupt(),
    ],
    ids=lambda value: type(value).__name__,
)  # fmt: skip
def test_failed_handler_is_answered(handle: Handle, result: Any, caplog: pytest.LogCaptureFixture) -> None:
    """For a handler that raises or returns no JSON object, the agent learns that the tool failed; the log has the reason."""

    def fail(_: Any) -> Any:
        if isinstance(result, BaseException):
            raise result
        return result

    phone = handle(fail, "tool-calls", "status-update")
    assert use_tool(phone) == {"error": "The tool failed."}
    assert phone.client.post_status("ended", "call-1").get_json() == {}
    assert "The handler of 'tool-calls' failed" in caplog.text
    assert CALLER not in caplog.text


def test_hosts_error_tracker_sees_the_exception(handle: Handle) -> None:
    """A handler's exception reaches the host's error tracker, and a tracker that fails does no harm."""
    seen: list[BaseException] = []

    def track(_: Any, exception: BaseException, **__: Any) -> None:
        seen.append(exception)
        raise RuntimeError

    phone = handle(lambda _: 1 / 0)
    with got_request_exception.connected_to(track, phone.app):
        assert use_tool(phone) == {"error": "The tool failed."}
    assert [type(error) for error in seen] == [ZeroDivisionError]


@pytest.mark.slow
def test_slow_handlers_leave_threads_to_calls(tmp_path: Path) -> None:
    """Eight slow tools at once do not make a call wait, in the shipped configuration with one worker."""
    url = f"sqlite:///{tmp_path / 'pickup.db'}"
    migrate(url)
    server = Server(tmp_path, url, more=SLOW)
    server.environment["GUNICORN_CMD_ARGS"] = "--workers 1"
    with server, ThreadPoolExecutor(8) as pool:
        tool = {"type": "tool-calls", "call": {"id": "call"}, "tool_call_list": []}
        tools = [pool.submit(server.post, tool) for _ in range(8)]
        eventually(lambda: sum(tool.done() for tool in tools) == 6)
        assert server.ring("call").seconds < 1
        assert server.post(report_message("call")).status == 503
        (tmp_path / "enough").touch()
        assert sorted(tool.result().json.popitem() for tool in tools) == [REFUSED] * 6 + [("result", "done")] * 2
        assert server.post(report_message("call")).json == {"result": "done"}


def test_slots_are_released(handle: Handle, monkeypatch: pytest.MonkeyPatch) -> None:
    """Handlers that hang, exit or find no thread hold no slot once they are answered."""
    monkeypatch.setattr(Handlers, "deadline", 0.1)
    over = Event()
    phone = handle(lambda _: {"waited": over.wait(30)})
    try:
        for _ in range(Handlers.threads):
            assert use_tool(phone) == {"error": "The tool took too long."}
        assert use_tool(phone) == {"error": "Too many tools are running."}
        assert phone.ring().get_json()["assistant"]
    finally:
        over.set()
    eventually(lambda: use_tool(phone) == {"waited": True})


def test_unrecorded_report_is_not_handed_on(handle: Handle, monkeypatch: pytest.MonkeyPatch) -> None:
    """A report that could not be kept is sent again by the platform, so the handler gets it then."""
    seen: list[Any] = []
    phone = handle(seen.append, "end-of-call-report")

    def refuse(*_: object) -> NoReturn:
        raise OSError

    with monkeypatch.context() as patch:
        patch.setattr(Writer, "submit", refuse)
        assert phone.report().status_code == 503
    assert seen == []
    assert phone.report().status_code == 200
    assert len(seen) == 1
