"""The platform's bodies: each becomes a neutral event, also where something is missing, new or damaged."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from conftest import CALLER, LINE, NOW
from elevens import REPORT, SID, platform, read, read_report, read_request, report
from flask_pickup.platforms import Answer, CallEnded, OtherEvent, Words
from flask_pickup.reports import Reading, outcomes_of

STARTED = datetime.fromtimestamp(NOW + 2, UTC)


def outcomes(**data: Any) -> dict[str, float]:
    return outcomes_of(read_report(**data), Reading(None))[0]


# --- the request before a call ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("ids", "call_id"),
    [
        ({"call_sid": SID}, SID),
        ({"call_id": "sip-1"}, "sip-1"),
        ({"call_sid": None, "call_id": "sip-1"}, "sip-1"),
        ({"call_sid": 7.5}, ""),
        ({}, ""),
    ],
)
def test_id_of_a_call(ids: dict[str, Any], call_id: str) -> None:
    """A call by a SIP trunk has a ``call_id`` instead of a ``call_sid``, or neither."""
    assert read_request(ids).call_id == call_id


# --- the report -------------------------------------------------------------------------------------------------------


def test_report_is_read() -> None:
    """What the platform tells of a call that is over."""
    event = read(REPORT)
    assert isinstance(event, CallEnded)
    assert (event.call_id, event.platform_call_id, event.call_type) == (SID, "conv_1", "twilio")
    assert (event.caller_number, event.line_number) == (CALLER, LINE)
    assert event.timestamp == datetime.fromtimestamp(NOW + 95, UTC)
    assert (event.status, event.duration_seconds, event.ended_at) == ("done", 84, STARTED + timedelta(seconds=84))
    assert (event.end_reason, event.ending) == ("Call ended by remote party", "caller")
    assert [said["role"] for said in event.transcript or ()] == ["agent", "user"]
    assert (event.user_messages, event.summary) == (1, "The caller made an appointment.")
    assert (event.is_whole, event.metadata, event.applied, event.unread) == (True, {}, None, {})


def test_analysis_becomes_outcomes() -> None:
    """Criteria are 1 or 0, collected values follow their JSON schemas, and what is unknown or free text is missing."""
    found = {name: value for name, value in outcomes().items() if name.startswith("analysis.")}
    assert found == {
        "analysis.elevenlabs.call_successful": 1,
        "analysis.polite": 1,
        "analysis.short": 0,
        "analysis.booked": 1,
        "analysis.score": 8,
        "analysis.intent.book": 1,
        "analysis.intent.cancel": 0,
    }


@pytest.mark.parametrize(("result", "value"), [("success", 1), ("failure", 0), ("unknown", None), (None, None)])
def test_success_of_a_call(result: str | None, value: float | None) -> None:
    """Whether a call was successful has a name that no identifier of an author's can have."""
    analysis = {"call_successful": result, "data_collection_results": {"call_successful": {"value": 0.5}}}
    found = outcomes(analysis=analysis)
    assert (found.get("analysis.elevenlabs.call_successful"), found["analysis.call_successful"]) == (value, 0.5)


def test_collected_value_wins_over_a_criterion_of_its_name() -> None:
    """Of two findings with one name the collected value stands, unless it is null."""
    both = {"evaluation_criteria_results": {"booked": {"result": "failure"}}}
    assert outcomes(analysis=both)["analysis.booked"] == 1
    null = {**both, "data_collection_results": {"booked": {"value": None}}}
    assert outcomes(analysis=null)["analysis.booked"] == 0


@pytest.mark.parametrize(
    "analysis",
    [
        {"evaluation_criteria_results": {"polite": {"result": "maybe"}}},
        {"evaluation_criteria_results": {"polite": {"result": ["success"]}}},
        {"evaluation_criteria_results": "success"},
        {"data_collection_results": {"booked": "yes"}},
        {"call_successful": 1},
    ],
)
def test_unknown_findings_are_counted(analysis: dict[str, Any]) -> None:
    """A finding in another form makes no outcome and is counted, so that an operator sees it."""
    assert read_report(analysis=analysis).unread == {"analysis": 1}


def test_empty_reason_is_none() -> None:
    """An empty reason is no reason, and not unread."""
    empty = read_report(metadata={"termination_reason": ""})
    assert (empty.end_reason, empty.ending, empty.unread) == (None, None, {})


@pytest.mark.parametrize(("count", "expected"), [(3, 3), (0, 0), (-1, None), ("two", None), (None, None)])
def test_report_without_a_transcript(count: Any, expected: int | None) -> None:
    """An account may leave the transcript out; then the platform's own count of messages stands."""
    event = read_report(transcript=None, user_message_count=count)
    assert (event.transcript, event.user_messages) == (None, expected)


# --- what the platform brings back of our answer ----------------------------------------------------------------------


def returned(words: Words, metadata: dict[str, Any] | None) -> CallEnded:
    """Return the report on a call that was answered with words, as the platform shows them."""
    return read_report(conversation_initiation_client_data=platform().answer(Answer(words, "en", {}, metadata)))


def test_answer_is_recognised() -> None:
    """A field that was not overridden is null, which is unknown, and so are words without our metadata."""
    ours = {"v": 1}
    assert returned(Words("Hi.", "Be kind."), ours).applied == Words("Hi.", "Be kind.")
    assert returned(Words("Hi."), ours).applied == Words("Hi.")
    assert returned(Words(), ours).applied is None
    assert returned(Words("Hi."), None).applied is None


# --- which reports are ours -------------------------------------------------------------------------------------------


def test_visitor_of_the_web_cannot_report_a_call() -> None:
    """In a conversation that is no phone call a visitor may set our variable: it is ignored."""
    sent = platform().answer(Answer(Words("Hi."), "en", {}, {"v": 1, "call": "elevenlabs-0a"}))
    fields = {"metadata": {"phone_call": None}, "conversation_initiation_client_data": sent}
    assert type(read(report(**fields))) is OtherEvent
