"""The platform's events: each becomes a neutral one, whatever is missing or damaged in it."""

from __future__ import annotations

import json
from base64 import b64encode
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from conftest import CALLER, LINE
from flask_pickup import ConfigurationError
from flask_pickup.options import ConfigReader
from flask_pickup.platforms import (
    CallEnded,
    Delivery,
    Event,
    IncomingCall,
    OtherEvent,
    Platform,
    SampleCall,
    StatusChanged,
    enabled_platforms,
)

AT = "2026-01-01T00:00:58.500000Z"
MOMENT = datetime(2026, 1, 1, 0, 0, 58, 500_000, UTC)
NAMES = {"insight-1": "analysis", "insight-2": "mood", "insight-3": "summary", "insight-4": "happy"}


def telnyx(**config: Any) -> Platform:
    key = b64encode(bytes(32)).decode()
    return enabled_platforms(ConfigReader({"PICKUP_TELNYX_PUBLIC_KEY": key, **config}))["telnyx"]


TELNYX = telnyx(PICKUP_TELNYX_INSIGHTS=NAMES)


def load(body: Any) -> Event:
    return TELNYX.parse(Delivery({}, json.dumps(body).encode()))


def event(kind: str, **payload: Any) -> Event:
    common = {"call_control_id": "v3:example", "from": CALLER, "to": LINE}
    data = {"record_type": "event", "event_type": kind, "id": "1", "occurred_at": AT, "payload": {**common, **payload}}
    return load({"data": data})


def request(**payload: Any) -> Event:
    ends = {"telnyx_agent_target": LINE, "telnyx_end_user_target": CALLER, "telnyx_end_user_target_verified": False}
    return event("assistant.initialization", **ends, **payload)


def part(kind: str, **payload: Any) -> CallEnded:
    found = event(kind, **payload)
    assert isinstance(found, CallEnded)
    assert not found.is_whole
    return found


def insights(*results: Any) -> CallEnded:
    sent = [{"insight_id": key, "result": result} for key, result in results]
    return part("call.conversation_insights.generated", insight_group_id="group", results=sent)


# --- requests ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("channel", "kind"), [(None, IncomingCall), ("web_call", IncomingCall), ("sms_chat", OtherEvent), ("x", OtherEvent)]
)
def test_only_voices_are_calls(channel: str | None, kind: type[Event]) -> None:
    """A conversation by text gets the assistant's default values; a voice from the web is answered as a call is."""
    assert type(request(telnyx_conversation_channel=channel)) is kind


def test_call_from_the_web_needs_no_id() -> None:
    """A call without an id is a call; its time tells it from others."""
    found = request(telnyx_conversation_channel="web_call", call_control_id=None)
    assert isinstance(found, IncomingCall)
    assert (found.call_id, found.timestamp) == ("", MOMENT)


# --- parts of a report ------------------------------------------------------------------------------------------------


def test_end_of_the_conversation_has_the_duration_and_the_words() -> None:
    """What was said counts the caller's messages; who ended the call is another part's."""
    said = [
        {"role": "assistant", "content": "Hello.", "timestamp": AT},
        {"role": "user", "content": "Hello."},
        {"role": "tool", "content": "{}"},
        {"role": "user", "content": "Bye."},
    ]
    found = part("call.conversation.ended", duration_sec=53, reason="assistant_hangup", messages=said)
    assert (found.duration_seconds, found.user_messages, found.ending) == (53, 2, None)
    assert (found.end_reason, found.ended_at, found.timestamp) == ("assistant_hangup", MOMENT, MOMENT)
    assert (found.metadata, found.applied, dict(found.unread)) == ({}, None, {})


def test_end_of_the_conversation_may_come_without_words() -> None:
    """Without a transcript it is unknown how often the caller spoke."""
    found = part("call.conversation.ended", duration_sec=53, reason=None)
    assert (found.user_messages, found.transcript, found.end_reason) == (None, None, None)


def test_insights_flatten_under_their_names() -> None:
    """The insight named analysis gives its keys, others their names; objects in them are taken apart."""
    found = insights(
        ("insight-1", {"booked": True, "score": 7, "mood": 1, "deep": {"a": {"b": 2}}}),
        ("insight-2", '{"sentiment": {"score": -0.5, "label": "sad"}}'),
        ("insight-3", "Somebody booked."),
        ("insight-4", "true"),
    )
    assert found.analysis == {
        "booked": True,
        "score": 7,
        "mood": 1,
        "deep.a.b": 2,
        "mood.sentiment.score": -0.5,
        "mood.sentiment.label": "sad",
        "happy": True,
    }
    assert (found.summary, dict(found.unread)) == ("Somebody booked.", {})


def test_named_insight_wins_over_a_key_of_the_root() -> None:
    """Whichever comes first."""
    for results in ([("insight-1", {"mood": 1}), ("insight-2", 2)], [("insight-2", 2), ("insight-1", {"mood": 1})]):
        assert insights(*results).analysis == {"mood": 2}


def test_insights_without_a_name_are_left_out_and_counted() -> None:
    """The platform adds some of its own."""
    found = insights(("unknown", '{"booked": true}'), (None, "A summary."), ("insight-2", 3))
    assert (found.analysis, found.summary, dict(found.unread)) == ({"mood": 3}, None, {"text": 2})


def test_insights_to_their_groups_webhook() -> None:
    """They stand without data around them, and the call in the conversation's metadata, which may bring ours back."""
    metadata = {
        "call_control_id": "v3:example",
        "telnyx_conversation_channel": "phone_call",
        "from": CALLER,
        "to": LINE,
        "telnyx_end_user_target": CALLER,
        "telnyx_agent_target": LINE,
        "pickup": '{"v": 1, "call": "v3:example"}',
    }
    results = [{"insight_id": "insight-1", "result": '{"booked": false}'}]
    payload = {"conversation_id": "1", "status": "completed", "metadata": metadata, "results": results}
    body = {"record_type": "event", "event_type": "conversation_insight_result", "payload": payload}
    found = load(body)
    assert isinstance(found, CallEnded)
    assert (found.call_id, found.caller_number, found.line_number) == ("v3:example", CALLER, LINE)
    assert (found.analysis, found.timestamp) == ({"booked": False}, None)
    assert found.metadata == {"v": 1, "call": "v3:example"}
    metadata["telnyx_conversation_channel"] = "sms_chat"
    assert type(load(body)) is OtherEvent


@pytest.mark.parametrize("kind", ["call.hangup", "call.conversation.ended", "call.conversation_insights.generated"])
def test_outgoing_calls_are_not_reported(kind: str) -> None:
    """Where an event says that the call went out, it is acknowledged and ignored."""
    assert type(event(kind, direction="outgoing")) is OtherEvent
    assert type(event(kind, direction="incoming")) is CallEnded


# --- damages ----------------------------------------------------------------------------------------------------------

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=8),
    lambda child: st.lists(child, max_size=3) | st.dictionaries(st.text(max_size=8), child, max_size=3),
    max_leaves=6,
)


@given(st.lists(st.fixed_dictionaries({"insight_id": st.sampled_from([*NAMES, "x"]), "result": JSON}) | JSON))
def test_any_insights_are_read(results: list[Any]) -> None:
    """Whatever an insight found becomes an analysis, or nothing."""
    found = part("call.conversation_insights.generated", results=results)
    assert all(isinstance(key, str) for key in found.analysis)


# --- options and samples ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "given",
    [
        {"insight-2": "mood", "insight-1": "analysis"},
        "insight-2=mood,insight-1=analysis",
        " insight-2 = mood , insight-1 = analysis ",
    ],
)
def test_insights_are_named_in_code_or_in_the_environment(given: Any) -> None:
    """A mapping, or a text of pairs."""
    platform = telnyx(PICKUP_TELNYX_INSIGHTS=given)
    call = SampleCall("call-1", CALLER, LINE, MOMENT)
    body = platform.payload(CallEnded, call, {"results": [{"insight_id": "insight-2", "result": 3}]})
    found = platform.parse(Delivery({}, body))
    assert isinstance(found, CallEnded)
    assert found.analysis == {"mood": 3}


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ("insight-1", "has an invalid entry insight-1=;"),
        ("insight-1=,insight-2=mood", "has an invalid entry insight-1=;"),
        ("=mood", "has an invalid entry =mood;"),
        ("insight-1=my mood", "has an invalid entry insight-1=my mood;"),
        ("insight-1=a.b", "has an invalid entry insight-1=a.b;"),
        ({"insight-1": 5}, "has an invalid entry insight-1=5;"),
        (["insight-1=mood"], "has an invalid entry"),
        ("insight-1=mood,insight-2=mood", "has insight-2=mood, and the id or the name a second time"),
        ("insight-1=mood,insight-1=other", "has insight-1=other, and the id or the name a second time"),
    ],
)
def test_odd_insights_stop_the_app(given: Any, words: str) -> None:
    """A name that an outcome cannot have, or that two insights would share, is refused at start."""
    with pytest.raises(ConfigurationError) as caught:
        telnyx(PICKUP_TELNYX_INSIGHTS=given)
    assert str(caught.value).startswith(f"'PICKUP_TELNYX_INSIGHTS' {words}")


def test_platform_sends_no_status() -> None:
    """A made-up event that the platform never sends is a mistake of the test."""
    with pytest.raises(ValueError, match="Telnyx sends no status-update"):
        TELNYX.payload(StatusChanged, SampleCall("call-1", CALLER, LINE, MOMENT))
