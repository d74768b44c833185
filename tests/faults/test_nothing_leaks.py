"""No full number, secret, body or traceback is in an answer, a table, the spool or a log line, under any fault.

Every server of the fault tests logs at DEBUG, and has its output looked through when it stops. Here is what only these
tests provoke, and the tables and the spool besides.
"""

from __future__ import annotations

import json
import logging
import socket
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import create_engine

import flask_pickup.webhook
from conftest import CALLER, CALLER_SECRET, NOW, MakePhone
from faulty import (
    ROOT,
    PostgreSQL,
    Server,
    assert_nothing_leaks,
    eventually,
    migrate,
    number,
    report_message,
    request_message,
    rows,
    signed,
)
from flask_pickup import Pickup
from flask_pickup.caller import caller_key

pytestmark = pytest.mark.slow

HOST = """\
@pickup.customer
def customer(caller):
    raise LookupError(f"nobody has {caller.number}")

@pickup.on("tool-calls")
def tool_calls(message):
    raise ValueError(message.caller_number)

@pickup.on("status-update")
def status(message):
    return {"when": object()}
"""

TABLES = ("calls", "assignments", "outcomes", "definitions", "transcripts")


def tell_all(server: Server, name: str) -> str:
    """Send everything that could leak; return all that was answered."""
    call = {"id": f"{name}-31612345000-7", "type": "inbound_phone_call", "status": "ended"}
    customer = {"customer": {"number": number(0)}}
    function = {"name": "look_up", "arguments": {"number": number(0), "says": "Somebody asked something"}}
    messages: list[dict[str, Any]] = [
        request_message(f"{name}-plain"),
        request_message(call["id"]),
        report_message(call["id"], **customer, messages=[{"role": "user", "content": number(0)}]),
        report_message(f"{name}-plain", analysis={"intent": f"Somebody asked something of {number(0)}"}),
        {"type": "tool-calls", "call": call, **customer, "tool_call_list": [{"id": "1", "function": function}]},
        {"type": "status-update", "call": call, **customer, "error": f"Somebody asked something of {number(0)}"},
        {"type": "something-else", "call": call, **customer},
    ]
    answers = [server.post(message) for message in messages]
    assert {heard.status for heard in answers} == {200}
    return "".join(heard.data.decode() for heard in answers) + "".join(send_broken(server))


def send_broken(server: Server) -> list[str]:
    body, headers = signed(request_message("broken"))
    lines = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
    head = f"POST /pickup/webhook HTTP/1.1\r\nHost: x\r\n{lines}Content-Length: "
    broken = [
        head.encode() + b"20\r\n\r\n" + body,
        head.encode() + b"2000\r\n\r\n" + body,
        head.replace("Signature: ", "Signature: 0").encode()
        + f"{len(body)}\r\nConnection: close\r\n\r\n".encode()
        + body,
    ]
    # Gunicorn's answer to a header that it cannot parse quotes it to its sender; what counts is the log.
    send_raw(
        server.port,
        head.replace("Content-Length: ", f"X-Caller {number(0)}: 1\r\nContent-Length: ").encode() + b"0\r\n\r\n",
    )
    return [send_raw(server.port, data) for data in broken]


def send_raw(port: int, data: bytes) -> str:
    with socket.create_connection(("127.0.0.1", port), timeout=3) as connection:
        connection.sendall(data)
        connection.shutdown(socket.SHUT_WR)
        answer = b""
        while chunk := connection.recv(65536):
            answer += chunk
    return answer.decode("latin-1")


def test_nothing_leaks(faulty_postgresql: PostgreSQL, tmp_path: Path) -> None:
    """Host code that raises with numbers in its words, broken requests, a killed database: none of it shows anywhere."""
    url = faulty_postgresql.new_database()
    with Server(tmp_path, url, more=HOST) as server:
        answered = tell_all(server, "no-tables")
        migrate(url)
        eventually(lambda: rows(url, "SELECT * FROM pickup_calls"))
        answered += tell_all(server, "well")
        faulty_postgresql.kill()
        answered += tell_all(server, "killed")
        spooled = server.spooled().decode("latin-1")
        assert "killed-plain" in spooled
        faulty_postgresql.start()
        eventually(lambda: rows(url, "SELECT * FROM pickup_calls WHERE call_id = 'killed-plain'"))
        assert caller_key(CALLER_SECRET, number(0)) not in server.output
    tables = json.dumps([rows(url, f"SELECT * FROM pickup_{table}") for table in TABLES], default=str)
    for text in (answered, spooled, tables, server.output):
        assert_nothing_leaks(text)
    assert "ValueError in" in server.output
    assert "flask_pickup" in server.output


def test_own_engine_quotes_no_row(tmp_path: Path) -> None:
    """An exception of Pickup's own engine does not repeat a statement's parameters, to whoever prints it."""
    from flask_pickup.engines import make_engine  # noqa: PLC0415

    engine = make_engine(f"sqlite:///{tmp_path / 'none.db'}")
    with engine.connect() as connection, pytest.raises(Exception, match="no such table") as caught:
        connection.exec_driver_sql("SELECT * FROM nowhere WHERE number = ?", (CALLER,))
    assert CALLER not in str(caught.value)
    engine.dispose()


def broken(*_: Any, **__: Any) -> Any:
    raise ZeroDivisionError(CALLER)


@pytest.mark.parametrize("name", ["decide", "call_of", "call_entry"])
def test_own_fault_costs_no_call(
    name: str, make_phone: MakePhone, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Whatever is wrong in Pickup itself, a call is answered 2xx with JSON, and the log says where without quoting."""
    caplog.set_level(logging.DEBUG)
    phone = make_phone(pickup=Pickup(clock=lambda: NOW))
    monkeypatch.setattr(flask_pickup.webhook, name, broken)
    body = json.dumps({"message": request_message("call", CALLER)}).encode()
    answer = phone.post(body)
    assert (answer.status_code, answer.mimetype, answer.get_json()) == (200, "application/json", {})
    assert "612345678" not in caplog.text
    assert "ZeroDivisionError in" in caplog.text
    health = phone.client.get("/pickup/health").get_json()
    assert (health["own_faults"], health["calls"]) == (1, {"fallback": 1})


def test_own_fault_with_another_event_is_json(make_phone: MakePhone, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is wrong in Pickup itself is told to other events in JSON, so that the platform may send them again."""
    phone = make_phone()
    monkeypatch.setattr(flask_pickup.webhook, "call_of", broken)
    answer = phone.report()
    assert (answer.status_code, list(answer.get_json())) == (500, ["detail"])
    assert "612345678" not in answer.get_data(as_text=True)


def test_one_clock_for_all(make_phone: MakePhone) -> None:
    """Every time that is stored or shown comes from the one clock that the host can set."""
    phone = make_phone(pickup=Pickup(clock=lambda: NOW))
    phone.ring()
    told = [phone.client.get("/pickup/health").get_json()["last_commit"]]
    told += [str(value) for row in phone.rows("SELECT decided_at FROM pickup_calls") for value in row]
    told += [str(value) for row in phone.rows("SELECT assigned_at FROM pickup_assignments") for value in row]
    told += [str(value) for row in phone.rows("SELECT first_seen_at FROM pickup_definitions") for value in row]
    assert {moment[:10] for moment in told} == {"2025-12-13"}


def test_first_delivery_reads_nothing(make_phone: MakePhone, database_url: str) -> None:
    """The first delivery of a call only inserts, apart from a look for tombstones."""
    from sqlalchemy import event  # noqa: PLC0415

    engine = create_engine(database_url)
    statements: list[str] = []
    event.listen(engine, "before_cursor_execute", lambda *arguments: statements.append(arguments[2]))
    phone = make_phone(url=database_url, migrate=False, pickup=Pickup(engine=engine, clock=lambda: NOW))
    for index in range(3):
        phone.ring(f"call-{index}")
    phone.app.extensions["pickup"].close()
    assert any("INSERT INTO pickup_assignments" in statement for statement in statements)
    reads = [statement for statement in statements if statement.lstrip().startswith("SELECT")]
    assert not [statement for statement in reads if "FROM pickup_forgotten" not in statement]
    engine.dispose()


def spoilt(value: Any, kept: str | None = None) -> Any:
    """Return a payload whose texts end in control characters; the value of the key ``kept`` is left as it is."""
    if isinstance(value, dict):
        return {key: each if key == kept else spoilt(each, kept) for key, each in value.items()}
    if isinstance(value, list):
        return [spoilt(each, kept) for each in value]
    return f"{value}\r\n\x1b[31m\x9b\u2028" if isinstance(value, str) else value


def test_no_control_character_is_logged(make_phone: MakePhone, caplog: pytest.LogCaptureFixture) -> None:
    """Whatever an event's texts hold, each message in the log is one line of printable characters."""
    caplog.set_level(logging.DEBUG)
    phone = make_phone(PICKUP_TRANSCRIPTS=True)
    for path in sorted((ROOT / "tests/platforms/flireo/payloads").glob("*.json")):
        for kept in ("type", None):
            phone.post(json.dumps(spoilt(json.loads(path.read_bytes()), kept)).encode())
    assert any(record.getMessage().startswith("Call ") for record in caplog.records)
    assert [record for record in caplog.records if not record.getMessage().isprintable()] == []
