"""A rehearsal: what is sent, and how replies are judged."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from conftest import FLIREO, WEBHOOK_SECRET
from flask_pickup.caller import REHEARSAL
from flask_pickup.errors import BadSignature
from flask_pickup.platforms import CallEnded, IncomingCall, SampleCall
from flask_pickup.platforms.flireo import Flireo
from flask_pickup.rehearsal import CALLER, LINE, OTHER_CALLER, WITHHELD, Expected, Reply, Step, all_steps, judge

CALL = SampleCall(f"{REHEARSAL}abc", CALLER, LINE, datetime.now(UTC))


def steps() -> list[Step]:
    return all_steps(lambda clock: Flireo((WEBHOOK_SECRET,), clock=clock), CALL)


def assigned(arm: str, key: str | None = "k") -> dict[str, Any]:
    assignments = {"opening": {"arm": arm, "definition": "d", "source": "hash"}}
    pickup = {"v": 1, "call": "c", "caller_key": key, "language": "en", "assignments": assignments, "sent": ""}
    return {"assistant": {"first_message": "Hello.", "metadata": {"pickup": pickup}}}


def test_every_call_is_a_rehearsals() -> None:
    """Every delivery about a call has an id by which results exclude it."""
    events = [FLIREO.parse(step.make(None)) for step in steps() if step.call_id]
    assert all(event.call_id.startswith(f"{REHEARSAL}abc") for event in events)
    without = [step.title for step in steps() if not step.call_id]
    assert without == [
        "a call without id",
        "an event of an unknown type",
        "a report that is not JSON",
        "GET instead of POST",
    ]


def test_numbers_are_reserved() -> None:
    """Every number that is sent is from a range reserved for examples, or withheld."""
    events = [FLIREO.parse(step.make(None)) for step in steps() if step.call_id]
    assert {event.caller_number for event in events} <= {CALLER, OTHER_CALLER, *WITHHELD.values()}
    assert {event.line_number for event in events} <= {LINE, None}


def test_forgeries_are_not_verified() -> None:
    """Each delivery that has to be refused fails the platform's own verification, all others pass it."""
    now = Flireo((WEBHOOK_SECRET,))
    played = steps()
    for step in played:
        if step.expected is Expected.UNSIGNED:
            with pytest.raises(BadSignature):
                now.verify(step.make(None))
        else:
            assert now.verify(step.make(None)), step.title
    assert sum(step.expected is Expected.UNSIGNED for step in played) >= 6


def test_report_brings_the_answer_back() -> None:
    """The report on a call has what the call was answered with."""
    [step] = [step for step in steps() if step.after == IncomingCall.name]
    event = FLIREO.parse(step.make(assigned("warm")))
    assert isinstance(event, CallEnded)
    assert event.metadata["assignments"]["opening"]["arm"] == "warm"


@pytest.mark.parametrize(
    ("expected", "status", "body", "wrong"),
    [
        (Expected.ANSWER, 200, {}, ""),
        (Expected.ANSWER, 201, {"assistant": {"first_message": "Hello."}}, ""),
        (Expected.ANSWER, 500, {}, "not 2xx"),
        (Expected.ANSWER, 200, "Hello.", "not a JSON object"),
        (Expected.ANSWER, 200, {"max_duration_seconds": "300"}, "invalid: max_duration_seconds"),
        (Expected.ACCEPTED, 204, "", ""),
        (Expected.ACCEPTED, 401, {}, "not 2xx"),
        (Expected.UNSIGNED, 401, {"detail": "…"}, ""),
        (Expected.UNSIGNED, 200, {}, "not 401"),
        (Expected.UNREADABLE, 400, "", ""),
        (Expected.NO_POST, 404, "", "not 405"),
        (Expected.NOBODYS, 200, {}, ""),
        (Expected.NOBODYS, 200, assigned("warm", None), ""),
        (Expected.NOBODYS, 200, assigned("warm"), "identified as a caller"),
        (Expected.SAME_ANSWER, 200, assigned("warm"), ""),
        (Expected.SAME_ANSWER, 200, assigned("brisk"), "another arm"),
    ],
)
def test_reply_is_judged(expected: Expected, status: int, body: Any, wrong: str) -> None:
    """A reply that is not as expected is described in a few words."""
    reply = Reply(status, body, 0.01)
    same = Reply(200, assigned("warm"), 0.01) if expected is Expected.SAME_ANSWER else reply
    assert judge(FLIREO, expected, reply, same) == wrong


def test_late_answer_is_none() -> None:
    """After five seconds the platform goes on without the answer; a report may take longer."""
    late = Reply(200, {}, 5.1)
    assert judge(FLIREO, Expected.ANSWER, late, late) == "later than 5 s"
    assert judge(FLIREO, Expected.ACCEPTED, late, late) == ""
