"""All of the platform's generations: each message comes out in one normal form, whichever spelled it."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import fields
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from conftest import CALLER, CALLER_SECRET, LINE, MakePhone, Phone
from flask_pickup import BadWebhook
from flask_pickup.caller import flat_call_id
from flask_pickup.flireo import AssistantRequest, EndOfCallReport, Message, StatusUpdate, ToolCall, ToolCalls, read

PAYLOADS = Path(__file__).parent / "payloads"
CALL = "5c4d030f-43e3-4e65-899e-8148521e660f"


def sample(name: str) -> bytes:
    return (PAYLOADS / f"{name}.json").read_bytes()


def load(body: bytes | Mapping[str, Any]) -> Message:
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    return read(raw, flat_call_id=lambda: "flat-1")


def normal(message: Message, *without: str) -> dict[str, Any]:
    """Every field of a message but its body, which keeps what else the platform sent."""
    return {
        field.name: getattr(message, field.name) for field in fields(message) if field.name not in {"body", *without}
    }


COMMON = {
    "call_id": CALL,
    "call_type": "inbound_phone_call",
    "customer_number": CALLER,
    "line_number": LINE,
    "line_name": "Flireo Demo",
}


def at(minute: int, second: int = 0) -> datetime:
    return datetime(2025, 12, 13, 12, minute, second, tzinfo=UTC)


# --- the current one --------------------------------------------------------------------------------------------------


def test_assistant_request() -> None:
    """A call rings."""
    message = load(sample("assistant-request"))
    assert type(message) is AssistantRequest
    assert normal(message) == {**COMMON, "type": "assistant-request", "timestamp": at(0), "call_status": "ringing"}


def test_status_update() -> None:
    """A call has come to another status."""
    message = load(sample("status-update"))
    assert type(message) is StatusUpdate
    assert normal(message) == {
        **COMMON,
        "type": "status-update",
        "timestamp": at(5),
        "call_status": "ended-with-error",
        "error": "STT connection failed",
        "end_reason": None,
    }


def test_tool_calls() -> None:
    """The agent wants tools to be used; what it hands over keeps its own names."""
    message = load(sample("tool-calls"))
    assert type(message) is ToolCalls
    assert message.tool_calls == (ToolCall(id="tool_abc123", name="lookup_customer", arguments={"phone": CALLER}),)
    assert (message.timestamp, message.call_status) == (at(1), "in-progress")


def test_end_of_call_report() -> None:
    """A call is over."""
    message = load(sample("end-of-call-report"))
    assert type(message) is EndOfCallReport
    found = normal(message, "messages", "assistant")
    assert found == {
        **COMMON,
        "type": "end-of-call-report",
        "timestamp": at(5, 30),
        "call_status": "ended",
        "duration_seconds": 84,
        "end_reason": "user_hangup",
        "summary": "De beller vroeg naar de openingstijden en maakte een afspraak.",
        "analysis": {"intent": "afspraak", "sentiment": "positive", "appointment_booked": True, "score": 8},
        "started_at": None,
        "ended_at": None,
    }
    assert [said["role"] for said in message.messages or ()] == ["assistant", "user"]
    assert message.metadata == {}


# --- the one before ---------------------------------------------------------------------------------------------------


def test_camel_request_is_the_current_one() -> None:
    """``phoneNumber`` and ``inboundPhoneCall`` say the same."""
    assert normal(load(sample("assistant-request.camel"))) == normal(load(sample("assistant-request")))


def test_camel_report_is_the_current_one() -> None:
    """``durationSeconds`` is a duration, and the names in an analysis stay as the customer's own schema has them."""
    camel, current = load(sample("end-of-call-report.camel")), load(sample("end-of-call-report"))
    differing = ("summary", "analysis", "messages", "assistant", "end_reason")
    assert normal(camel, *differing) == normal(current, *differing)
    assert isinstance(camel, EndOfCallReport)
    assert camel.analysis == {"sentiment": 8, "vraag_beantwoord": True, "gesprek_kwaliteit": "Goed"}


def camel(name: str) -> str:
    return re.sub("_([a-z])", lambda match: match[1].upper(), name)


def camel_keys(value: Any) -> Any:
    """A message as the generation before spelled it: its keys, and not those that customers named."""
    if isinstance(value, dict):
        own = {"analysis", "metadata", "arguments", "schema"}
        return {camel(key): child if key in own else camel_keys(child) for key, child in value.items()}
    return [camel_keys(item) for item in value] if isinstance(value, list) else value


@pytest.mark.parametrize("name", ["assistant-request", "status-update", "tool-calls", "end-of-call-report"])
def test_every_message_may_be_camel(name: str) -> None:
    """Each current message, spelled in camelCase down to its values, comes out as the same."""
    current = json.loads(sample(name))
    spelled = camel_keys(current)
    spelled["message"]["call"]["type"] = "inboundPhoneCall"
    assert normal(load(spelled)) == normal(load(current))
    spelled["message"]["type"] = camel(name.replace("-", "_"))
    assert normal(load(spelled)) == normal(load(current))


own_names = st.dictionaries(
    st.text("aBc_", min_size=1, max_size=6), st.booleans() | st.text("aB_", max_size=3), max_size=4
)


@given(own_names, st.sampled_from([False, True]))
def test_customers_own_names_are_never_respelled(own: dict[str, Any], is_camel: bool) -> None:  # noqa: FBT001
    """What stands in ``analysis``, ``metadata`` and a tool's ``arguments`` is named by customers, and stays as it is."""
    body = {
        "type": "end-of-call-report",
        "call": {"id": "x"},
        "analysis": own,
        "assistant": {"first_message": "x", "metadata": {"theirOwn": own}},
    }
    message = load({"message": camel_keys(body) if is_camel else body})
    assert isinstance(message, EndOfCallReport)
    assert message.analysis == own
    assert message.metadata == {"theirOwn": own}
    tool = {"id": "t", "function": {"name": "n", "arguments": own}}
    calls = load(
        {
            "message": {
                "type": "tool-calls",
                "call": {"id": "x"},
                "toolCallList" if is_camel else "tool_call_list": [tool],
            }
        }
    )
    assert isinstance(calls, ToolCalls)
    assert calls.tool_calls[0].arguments == own


@pytest.mark.parametrize("there", [("phone_number", "phoneNumber"), ("phoneNumber", "phone_number")])
def test_two_spellings_with_two_values_are_refused(there: tuple[str, str]) -> None:
    """A message with one key in two spellings must not mean what the later of them says."""
    message = {"type": "assistant-request", "call": {"id": "x"}}
    one, other = there
    with pytest.raises(BadWebhook) as caught:
        load({"message": {**message, one: {"number": "+31850835037"}, other: {"number": "+31850123456"}}})
    assert caught.value.field == "phone_number"
    both = load({"message": {**message, one: {"number": LINE}, other: {"number": LINE}}})
    assert both.line_number == LINE


# --- the first one ----------------------------------------------------------------------------------------------------


def test_flat_request() -> None:
    """The first generation has no call id and no time; its two numbers are caller and line."""
    message = load(sample("assistant-request.flat"))
    assert type(message) is AssistantRequest
    assert normal(message) == {
        "type": "assistant-request",
        "timestamp": None,
        "call_id": "flat-1",
        "call_type": None,
        "call_status": None,
        "customer_number": "+31601234567",
        "line_number": "+31850123456",
        "line_name": None,
    }


def test_flat_request_is_the_current_one() -> None:
    """What both generations say of a call is the same in both."""
    flat = load({"eventType": "assistant-request", "fromCaller": CALLER, "toAssistant": LINE})
    missing = ("timestamp", "call_id", "call_type", "call_status", "line_name")
    assert normal(flat, *missing) == normal(load(sample("assistant-request")), *missing)


def test_flat_report() -> None:
    """The first generation's report has its own names for duration and summary, and an id of its own."""
    message = load(
        {"eventType": "end-of-call-report", "callId": "c-1", "callLengthSeconds": 12.5, "summaryText": "Short."}
    )
    assert isinstance(message, EndOfCallReport)
    assert (message.call_id, message.duration_seconds, message.summary) == ("c-1", 12.5, "Short.")


def test_flat_call_id_follows_from_time_and_body() -> None:
    """A flat call's id is ``flat-`` and a keyed hash: the same at each delivery, another for another call."""
    one = flat_call_id(CALLER_SECRET, b"1", b"{}")
    assert re.fullmatch("flat-[0-9a-f]{32}", one)
    assert one == flat_call_id(CALLER_SECRET, b"1", b"{}")
    others = [
        flat_call_id(CALLER_SECRET, b"2", b"{}"),
        flat_call_id(CALLER_SECRET, b"1", b"{ }"),
        flat_call_id("x", b"1", b"{}"),
    ]
    assert len({one, *others}) == 4


# --- over HTTP --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("generation", ["assistant-request", "assistant-request.camel", "assistant-request.flat"])
def test_every_generation_is_answered_in_snake_case(phone: Phone, generation: str) -> None:
    """Each generation's request is answered with keys of the current one, and carries its assignment."""
    answer = phone.post(sample(generation)).get_json()
    assert answer["assistant"]["llm_config"]["messages"][0]["role"] == "system"
    assert answer["assistant"]["metadata"]["pickup"]["assignments"].keys() == {"warm-opening"}
    [(call_id, kind)] = phone.rows("SELECT call_id, decision FROM pickup_calls")
    assert (answer["assistant"]["metadata"]["pickup"]["call"], kind) == (call_id, "arm")


@pytest.mark.parametrize("report", ["end-of-call-report", "end-of-call-report.camel"])
@pytest.mark.parametrize("request_of", ["assistant-request", "assistant-request.camel"])
def test_generations_may_change_between_call_and_report(phone: Phone, request_of: str, report: str) -> None:
    """A call that rings in one generation and ends in another is one call."""
    phone.post(sample(request_of))
    phone.post(sample(report))
    assert phone.rows("SELECT call_id, decision, status FROM pickup_calls") == [(CALL, "arm", "ended")]
    assert phone.rows("SELECT mean FROM pickup_results WHERE outcome = 'duration_seconds'") == [(84.0,)]


@pytest.mark.parametrize("path", sorted(PAYLOADS.glob("*.json")), ids=lambda path: path.stem)
def test_every_sample_is_accepted(make_phone: MakePhone, path: Path) -> None:
    """Each message that the platform documents, of each generation, is a 2xx."""
    assert make_phone().post(path.read_bytes()).status_code == 200


@pytest.mark.parametrize("body", [b"", b"nonsense", b"[]", b"null", b"\xff"])
def test_what_is_no_json_object_is_refused(make_phone: MakePhone, body: bytes) -> None:
    """A signed body that is no JSON object is a 400 without a field to blame, and no row."""
    phone = make_phone()
    response = phone.post(body)
    assert (response.status_code, response.get_json().keys()) == (400, {"detail"})
    assert phone.rows("SELECT COUNT(*) FROM pickup_calls") == [(0,)]


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({}, "message"),
        ({"message": None}, "message"),
        ({"message": "text"}, "message"),
        ({"message": []}, "message"),
        ({"message": {}}, "message.type"),
        ({"message": {"type": ""}}, "message.type"),
        ({"message": {"type": 7, "call": {"id": "x"}}}, "message.type"),
        ({"message": {"type": "x" * 300, "call": {"id": "x"}}}, "message.type"),
        ({"message": {"type": "assistant-request"}}, "message.call.id"),
        ({"message": {"type": "assistant-request", "call": None}}, "message.call.id"),
        ({"message": {"type": "assistant-request", "call": {"id": ""}}}, "message.call.id"),
        ({"message": {"type": "assistant-request", "call": {"id": 7}}}, "message.call.id"),
        ({"message": {"type": "assistantRequest", "call": {"id": "x" * 300}}}, "message.call.id"),
        ({"message": {"type": "end-of-call-report", "call": {}}}, "message.call.id"),
        ({"message": {"type": "status-update", "call": []}}, "message.call.id"),
        ({"message": {"type": "tool-calls", "call": "x"}}, "message.call.id"),
        ({"eventType": ""}, "eventType"),
        ({"eventType": None}, "eventType"),
        ({"eventType": ["assistant-request"]}, "eventType"),
    ],
)
def test_what_is_no_call_names_its_field(make_phone: MakePhone, body: dict[str, Any], field: str) -> None:
    """Without its type, or its call's id where that matters, a message is a 400 that names the field, and no row."""
    phone = make_phone()
    response = phone.post(json.dumps(body).encode())
    assert (response.status_code, response.get_json()["field"]) == (400, field)
    assert phone.rows("SELECT COUNT(*) FROM pickup_calls") == [(0,)]
