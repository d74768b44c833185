"""The platform's payloads, of all three generations of key names: each becomes the same neutral event."""

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

from conftest import CALLER, CALLER_SECRET, FLIREO, LINE, MakePhone
from flask_pickup.caller import new_call_id
from flask_pickup.platforms import (
    CallEnded,
    Delivery,
    Event,
    IncomingCall,
    StatusChanged,
    ToolCall,
    ToolCalls,
)
from flask_pickup.platforms.flireo import AssistantRequestPayloadSchema

PAYLOADS = Path(__file__).parent / "payloads"
CALL = "5c4d030f-43e3-4e65-899e-8148521e660f"


def sample(name: str) -> bytes:
    return (PAYLOADS / f"{name}.json").read_bytes()


def load(body: bytes | Mapping[str, Any]) -> Event:
    return FLIREO.parse(Delivery({}, body if isinstance(body, bytes) else json.dumps(body).encode()))


def request(**message: Any) -> Event:
    return load({"message": {"type": "assistant-request", "call": {"id": "a-call"}, **message}})


def report(**message: Any) -> CallEnded:
    found = load({"message": {"type": "end-of-call-report", "call": {"id": "a-call"}, **message}})
    assert isinstance(found, CallEnded)
    return found


def facts_in(event: Event, *without: str) -> dict[str, Any]:
    """Every field of an event but its body, which keeps what else the platform sent; all of it is read."""
    assert not event.unread
    hidden = {"body", "unread", "platform_call_id", *without}
    return {field.name: getattr(event, field.name) for field in fields(event) if field.name not in hidden}


COMMON = {
    "call_id": CALL,
    "call_type": "inbound_phone_call",
    "caller_number": CALLER,
    "line_number": LINE,
    "line_name": "Flireo Demo",
}


def at(minute: int, second: int = 0) -> datetime:
    return datetime(2025, 12, 13, 12, minute, second, tzinfo=UTC)


# --- the current generation -------------------------------------------------------------------------------------------


def test_current_samples_are_read() -> None:
    """A call that rings, one that ended with an error, and a tool call, whose arguments keep their own names."""
    ringing, ended, tools = (load(sample(name)) for name in ("assistant-request", "status-update", "tool-calls"))
    assert (type(ringing), type(ended)) == (IncomingCall, StatusChanged)
    assert facts_in(ringing) == {**COMMON, "timestamp": at(0)}
    status = {"status": "ended-with-error", "has_ended": True, "end_reason": None}
    assert facts_in(ended) == {**COMMON, "timestamp": at(5), **status}
    assert isinstance(tools, ToolCalls)
    assert tools.tool_calls == (ToolCall(id="tool_abc123", name="lookup_customer", arguments={"phone": CALLER}),)


def test_schema_of_the_platforms_page_loads_a_request() -> None:
    """The schema that the platform's page names gives the same event as the webhook."""
    name = "assistant-request"
    assert AssistantRequestPayloadSchema().load(json.loads(sample(name))) == load(sample(name))


def test_end_of_call_report() -> None:
    """The report of a call that is over."""
    event = load(sample("end-of-call-report"))
    assert isinstance(event, CallEnded)
    assert facts_in(event, "transcript", "analysis_fields", "applied", "metadata") == {
        **COMMON,
        "timestamp": at(5, 30),
        "is_whole": True,
        "status": "ended",
        "ended_at": None,
        "duration_seconds": 84,
        "end_reason": "user_hangup",
        "ending": "caller",
        "user_messages": 1,
        "summary": "De beller vroeg naar de openingstijden en maakte een afspraak.",
        "analysis": {"intent": "afspraak", "sentiment": "positive", "appointment_booked": True, "score": 8},
    }
    assert [said["role"] for said in event.transcript or ()] == ["assistant", "user"]


# --- the generation before --------------------------------------------------------------------------------------------


def camel(name: str) -> str:
    return re.sub("_([a-z])", lambda match: match[1].upper(), name)


def camel_keys(value: Any) -> Any:
    """A payload as the generation before spelled it: its keys, and not those that customers named."""
    if isinstance(value, dict):
        own = {"analysis", "metadata", "arguments", "schema"}
        return {camel(key): child if key in own else camel_keys(child) for key, child in value.items()}
    return [camel_keys(item) for item in value] if isinstance(value, list) else value


@pytest.mark.parametrize("name", ["assistant-request", "status-update", "tool-calls", "end-of-call-report"])
def test_every_event_may_be_camel_case(name: str) -> None:
    """Each current payload, spelled in camelCase down to its values, is the same event."""
    current = json.loads(sample(name))
    spelled = camel_keys(current)
    spelled["message"]["call"]["type"] = "inboundPhoneCall"
    assert facts_in(load(spelled)) == facts_in(load(current))
    spelled["message"]["type"] = camel(name.replace("-", "_"))
    assert facts_in(load(spelled)) == facts_in(load(current))


own_names = st.dictionaries(
    st.text("aBc_", min_size=1, max_size=6), st.booleans() | st.text("aB_", max_size=3), max_size=4
)


@given(own_names, st.booleans())
def test_customers_own_names_are_never_respelled(own: dict[str, Any], is_camel: bool) -> None:  # noqa: FBT001
    """Customers name the keys in an analysis, in metadata and in a tool's arguments; they stay as they are."""
    body = {"analysis": own, "assistant": {"first_message": "x", "metadata": {"pickup": own}}}
    event = report(**(camel_keys(body) if is_camel else body))
    assert (event.analysis, event.metadata) == (own, own)
    tool = {"id": "t", "function": {"name": "n", "arguments": own}}
    key = "toolCallList" if is_camel else "tool_call_list"
    calls = load({"message": {"type": "tool-calls", "call": {"id": "x"}, key: [tool]}})
    assert isinstance(calls, ToolCalls)
    assert calls.tool_calls[0].arguments == own


# --- the first generation ---------------------------------------------------------------------------------------------


def test_flat_report() -> None:
    """The first generation's report has its own names and an id of its own; its transcript is a text, which is not read."""
    own = {"callLengthSeconds": 12.5, "summaryText": "Short.", "transcriptText": "User: Hello?"}
    event = load({"eventType": "end-of-call-report", "callId": "c-1", **own})
    assert isinstance(event, CallEnded)
    assert (event.call_id, event.duration_seconds, event.summary) == ("c-1", 12.5, "Short.")
    assert (event.user_messages, event.unread) == (None, {"messages": 1})


def test_id_of_a_call_without_one() -> None:
    """It is the platform's name and a keyed hash: the same at each delivery, another for another call."""

    def new(secret: str, body: bytes, signed_at: float | None, *, has_time: bool = False) -> str:
        return new_call_id(secret, "flireo", body, signed_at, has_time=has_time)

    parts: list[tuple[bytes, float | None]] = [(b"{}", 1.0), (b"{}", 1.0), (b"{}", 2.0), (b"{ }", 1.0), (b"{}", None)]
    one, again, *others = (new(CALLER_SECRET, *part) for part in parts)
    assert re.fullmatch("flireo-[0-9a-f]{32}", one)
    assert one == again
    assert len({one, *others, new("other", b"{}", 1.0), new(CALLER_SECRET, b"{}", None)}) == 6
    assert new(CALLER_SECRET, b"{}", 1.0, has_time=True) == new(CALLER_SECRET, b"{}", 2.0, has_time=True)


# --- damage -----------------------------------------------------------------------------------------------------------


MOMENT = datetime(2025, 12, 13, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("field", "values"),
    [
        ("timestamp", {"2025-12-13T12:00:00.000Z": MOMENT, "2025-12-13T13:00:00+01:00": MOMENT, "2025-12-13T12:00:00": MOMENT}),
        ("timestamp", {1765627200: MOMENT, 1765627200000: MOMENT}),
        ("timestamp", dict.fromkeys(("9999-12-31T23:59:59-23:59", "yesterday", True, -1e300, 1e300))),
        ("duration_seconds", {84: 84.0, 12.5: 12.5, 0: 0.0, "67": 67.0, " 67.5 ": 67.5, "1e2": 100.0}),
        ("duration_seconds", dict.fromkeys((-1, True, "-1", "67,5", "1:07", "PT67S", "nan", "1e999", 1e200))),
    ],
)  # fmt: skip
def test_invalid_values_are_unknown(field: str, values: dict[Any, Any]) -> None:
    """A time is read in any zone or as Unix time, and a duration from 0 as a number or a text; another value is unknown, and counted."""
    for value, expected in values.items():
        event = report(**{field: value})
        assert getattr(event, field) == expected
        assert event.unread == ({} if expected is not None else {"times": 1})


@pytest.mark.parametrize("value", [None, float("nan"), 10**400])
def test_null_is_missing(value: Any) -> None:
    """Null is missing, not unread, and so is a number that no JSON reader has."""
    event = report(duration_seconds=value, messages=None, analysis=None, end_reason=None)
    assert (event.duration_seconds, event.unread) == (None, {})


AGENT = {"role": "assistant", "content": "Good day."}
WORDLESS: tuple[Any, ...] = (
    None,
    "",
    " ",
    [],
    {},
    [" "],
    [{"type": "text", "text": ""}],
    [{"type": "input_audio", "transcript": None}],
)
PARTS = [{"type": "image_url", "image_url": {"url": "x"}}, {"type": "input_audio", "transcript": "When are you open?"}]


@pytest.mark.parametrize("role", ["user", "User", "USER", "customer", "Human", "caller", "end_user", "endUser"])
@pytest.mark.parametrize(
    "words",
    [
        {"content": "When are you open?"},
        {"message": "When are you open?", "content": None},
        {"text": "When are you open?", "content": ""},
        {"content": [{"type": "text", "text": "When are"}, "you open?"]},
        {"content": {"type": "text", "text": {"value": "When are you open?"}}},
        {"content": PARTS},
    ],
)
def test_what_the_caller_said_is_read(role: str, words: dict[str, Any]) -> None:
    """A transcript is read in each shape that platforms and models use; uses of tools do not count."""
    others = [
        {"role": "tool", "content": {"a": 1}},
        {"role": "human_agent", **words},
    ]
    event = report(messages=[AGENT, *others, {"role": role, "words": [{"start": 0.1}], **words}])
    assert (event.user_messages, event.unread) == (1, {})
    assert {"role": "user", "content": "When are you open?"} in (event.transcript or ())


@pytest.mark.parametrize(
    "messages",
    [
        "AI: Good day. User: When are you open?", {"user": "When are you open?"}, [AGENT, "When are you open?"],
        [AGENT, {"role": "user", "utterance": "When are you open?"}], [AGENT, {"role": "user", "content": [{"audio": "x"}]}],
        [AGENT, {"role": "user", "content": 7}], [AGENT, {"role": "beller", "content": "Hallo?"}],
        [AGENT, {"speaker": "user", "content": "When are you open?"}], [AGENT, {"role": ["user"], "content": "Hello?"}],
        [AGENT, {"role": "user"}], *([AGENT, {"role": "user", "content": nothing}] for nothing in WORDLESS),
        [AGENT, {"role": "user", "content": "When are you open?"}, {"role": "user", "content": None}],
    ],
)  # fmt: skip
def test_unreadable_transcript_is_unknown(messages: Any) -> None:
    """Where a message cannot be read, how often the caller spoke is unknown, and the message is counted."""
    event = report(messages=messages)
    assert (event.user_messages, event.unread) == (None, {"messages": 1})


def tool_calls(calls: Any) -> ToolCalls:
    found = load({"message": {"type": "tool-calls", "call": {"id": "x"}, "tool_call_list": calls}})
    assert isinstance(found, ToolCalls)
    return found


@pytest.mark.parametrize(
    ("arguments", "expected", "unread"),
    [
        ({"order": "1042"}, {"order": "1042"}, 0),
        ('{"order": "1042"}', {"order": "1042"}, 0),
        (' {"order": {"id": 1042}, "at": NaN} ', {"order": {"id": 1042}, "at": None}, 0),
        *((nothing, {}, 0) for nothing in (None, "", " ", "{}", "null")),
        *((damaged, {}, 1) for damaged in ('{"order": "10', "order 1042", "[1042]", '"1042"', "1042", 1042, ["1042"])),
    ],
)
def test_arguments_may_be_a_json_text(arguments: Any, expected: dict[str, Any], unread: int) -> None:
    """A tool's arguments are an object, or a text that holds one; anything else is empty, and counted."""
    event = tool_calls([{"function": {"name": "look_up", "arguments": arguments}}, {"function": {"name": "other"}}])
    assert [call.arguments for call in event.tool_calls] == [expected, {}]
    assert event.unread == ({"tool calls": unread} if unread else {})
    assert event.body["tool_call_list"][0]["function"]["arguments"] == arguments


READABLE = {"id": "t", "function": {"name": "look_up"}}
NAMELESS: tuple[Any, ...] = (
    None, "look_up", ["look_up"], {}, {"arguments": {}}, {"name": 7, "arguments": "damaged"},
    *({"name": name, "arguments": {}} for name in (None, "", " ", ["look_up"])),
)  # fmt: skip
NO_CALLS: tuple[Any, ...] = (None, "look_up", 7, [READABLE])


@pytest.mark.parametrize(
    ("calls", "names"),
    [
        *(([READABLE, {"id": "u", "function": function}], ["look_up", ""]) for function in NAMELESS),
        *(([call, READABLE], ["look_up"]) for call in NO_CALLS),
        ("look_up", []),
    ],
)
def test_tool_call_that_cannot_be_read_is_counted(calls: Any, names: list[str]) -> None:
    """A tool call without a readable name is counted once, whatever else is wrong with it; the others are as they were."""
    event = tool_calls(calls)
    assert [call.name for call in event.tool_calls] == names
    assert event.unread == {"tool calls": 1}


def test_analysis_may_be_a_json_text() -> None:
    """An analysis in a text is read, and one that is no object is counted."""
    assert report(analysis='{"booked": true}').analysis == {"booked": True}
    assert report(analysis="booked").unread == {"analysis": 1}


def test_long_number_is_unknown() -> None:
    """A number that is too long is unknown: cut short it would be another person's."""
    assert request(customer={"number": "+31612345678" + "0" * 300}).caller_number is None


def test_nothing_private_is_printed() -> None:
    """An event that ends in a log line shows no number, no words and no id that may hold a number."""
    event = report(
        call={"id": "call-31612345678"},
        customer={"number": "+31612345678"},
        summary="Somebody said 31612345678",
        messages=[{"role": "user", "content": "31612345678"}],
        analysis={"number": "31612345678"},
    )
    assert "612345678" not in repr(event)


# --- over HTTP --------------------------------------------------------------------------------------------------------

WORDS = [{"word": "hello", "start": 0.1 * index, "end": 0.1, "isFinal": True} for index in range(1200)]


@pytest.mark.parametrize(
    "other",
    [
        json.dumps(WORDS).encode(),
        json.dumps({f"key{index}": index for index in range(50_000)}).encode(),
        b'"' + b"x" * 1_000_000 + b'"',
        b"[" * 900 + b"]" * 900,
        b'{"aB": ' * 900 + b"1" + b"}" * 900,
        b"-" + b"9" * 5000,
        b'"caf\xe9 \xf0\x9f"',
        b'"line\nfeed\ttab\x00"',
    ],
    ids=["words", "keys", "text", "lists", "objects", "number", "not UTF-8", "control characters"],
)
@pytest.mark.parametrize("place", [b'"other": %b', b'"messages": [{"role": "user", "content": "Hello?", "other": %b}]'])
def test_report_is_recorded_whatever_else_it_has(make_phone: MakePhone, other: bytes, place: bytes) -> None:
    """Below PICKUP_MAX_BODY no report is refused for its size, or for parts that are not read."""
    phone = make_phone(PICKUP_TRANSCRIPTS=True)
    body = b'{"message": {"type": "end-of-call-report", "call": {"id": "a"}, "duration_seconds": 67, %b}}' % (
        place % other
    )
    assert phone.post(body).status_code == 200
    assert phone.rows("SELECT value FROM pickup_outcomes WHERE name = 'duration_seconds'") == [(67,)]


@pytest.mark.parametrize(
    ("request_of", "report_of"),
    [
        ("assistant-request", "end-of-call-report.camel"),
        ("assistant-request.camel", "end-of-call-report"),
        ("assistant-request.flat", None),
    ],
)
def test_every_generation_is_answered_in_snake_case(
    make_phone: MakePhone, request_of: str, report_of: str | None
) -> None:
    """Each generation gets keys of the current one and its assignment; a report may come in another generation."""
    phone = make_phone()
    answer = phone.post(sample(request_of)).get_json()["assistant"]
    assert answer["llm_config"]["messages"][0]["role"] == "system"
    assert answer["metadata"]["pickup"]["assignments"].keys() == {"warm-opening"}
    if report_of:
        phone.post(sample(report_of))
    ended = ("ended", 84.0) if report_of else (None, None)
    assert phone.rows(
        "SELECT c.call_id, decision, platform, status, value FROM pickup_calls c"
        " LEFT JOIN pickup_outcomes o ON o.call_id = c.call_id AND name = 'duration_seconds'"
    ) == [(answer["metadata"]["pickup"]["call"], "arm", "flireo", *ended)]


@pytest.mark.parametrize("call", [None, {"id": ""}, {"id": 7.5}, {"id": "x" * 300}])
def test_unreadable_call_gets_the_default(make_phone: MakePhone, call: Any) -> None:
    """A call that waits for the answer is never refused: the platform uses the saved agent."""
    phone = make_phone()
    response = phone.post(json.dumps({"message": {"type": "assistantRequest", "call": call}}).encode())
    assert (response.status_code, response.get_json()) == (200, {})
    assert phone.post(b"nonsense", X_Webhook_Event="assistant-request").get_json() == {}
