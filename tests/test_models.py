"""``pickup_results``, the view that a person with ``psql`` reads first: who counts in which arm, with which calls."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import pytest
from sqlalchemy import insert

from conftest import CALLER, MakePhone, Phone
from flask_pickup.models import Assignment, Call, Outcome

Row = dict[str, Any]


@pytest.fixture
def tables(make_phone: MakePhone, database_url: str) -> Phone:
    """Empty tables, without any content."""
    return make_phone({}, url=database_url)


def at(hour: int) -> datetime:
    return datetime(2026, 3, 2, hour, tzinfo=UTC)


def call(call_id: str, caller: str | None, hour: int) -> Row:
    return {"call_id": call_id, "caller_key": caller, "decided_at": at(hour), "decision": "arm"}


def assigned(call_id: str, caller: str | None, hour: int, arm: str, source: str = "hash") -> Row:
    fixed = {"experiment": "opening", "definition": "d", "source": source, "assigned_at": at(hour)}
    return {"call_id": call_id, "caller_key": caller, "arm": arm, **fixed}


def booked(call_id: str, value: float) -> Row:
    return {"call_id": call_id, "name": "booked", "value": value, "reported_at": at(20)}


def fill(tables: Phone, calls: Sequence[Row], assignments: Sequence[Row], outcomes: Sequence[Row] = ()) -> None:
    with tables.app.extensions["pickup"].engine.begin() as connection:
        for model, rows in ((Call, calls), (Assignment, assignments), (Outcome, outcomes)):
            if rows:
                connection.execute(insert(model), list(rows))


def results(tables: Phone) -> list[tuple[Any, ...]]:
    return sorted(tables.rows("SELECT arm, outcome, callers, calls, mean FROM pickup_results"))


def test_caller_counts_once_with_all_their_calls(tables: Phone) -> None:
    """Two callers of an arm, one of whom rang three times, are two callers and four calls."""
    calls = [call("1", "ann", 9), call("2", "ann", 10), call("3", "ann", 11), call("4", "bob", 9)]
    fill(
        tables,
        calls,
        [assigned(row["call_id"], row["caller_key"], 9, "warm") for row in calls],
        [booked("1", 1), booked("2", 0), booked("3", 0), booked("4", 1)],
    )
    assert results(tables) == [("warm", "booked", 2, 4, 0.5)]


def test_caller_of_two_arms_counts_in_the_first(tables: Phone) -> None:
    """Whoever hears another arm later, after the weights were changed, still counts in their first one alone."""
    fill(
        tables,
        [call("1", "ann", 9), call("2", "ann", 10)],
        [assigned("2", "ann", 10, "control"), assigned("1", "ann", 9, "warm")],
        [booked("1", 0), booked("2", 1)],
    )
    assert results(tables) == [("warm", "booked", 1, 2, 0.5)]


def test_calls_before_the_first_assignment_do_not_count(tables: Phone) -> None:
    """What a caller did before the experiment is not its doing; what they did in it without an arm, when paused, is."""
    calls = [call("before", "ann", 8), call("first", "ann", 9), call("paused", "ann", 10)]
    fill(tables, calls, [assigned("first", "ann", 9, "warm")], [booked(row["call_id"], 1) for row in calls])
    assert results(tables) == [("warm", "booked", 1, 2, 1)]


@pytest.mark.parametrize("source", ["pin", "unidentified"])
def test_only_the_hash_counts(tables: Phone, source: str) -> None:
    """The team's own calls and callers without a number prove nothing, and are not in the view."""
    fill(tables, [call("1", "ann", 9)], [assigned("1", "ann", 9, "warm", source)], [booked("1", 1)])
    assert results(tables) == []


def test_pin_before_the_hash_does_not_decide_the_arm(tables: Phone) -> None:
    """A caller who was pinned first and drawn later counts from the draw on."""
    fill(
        tables,
        [call("1", "ann", 9), call("2", "ann", 10)],
        [assigned("1", "ann", 9, "warm", "pin"), assigned("2", "ann", 10, "control")],
        [booked("1", 1), booked("2", 0)],
    )
    assert results(tables) == [("control", "booked", 1, 1, 0)]


def test_calls_without_outcome_stand_apart(tables: Phone) -> None:
    """A call of which nothing is known yet stands in the row without an outcome, and waters down no mean."""
    calls = [call("1", "ann", 9), call("2", "bob", 9)]
    fill(tables, calls, [assigned(row["call_id"], row["caller_key"], 9, "warm") for row in calls], [booked("1", 1)])
    assert tables.rows("SELECT callers, calls, mean FROM pickup_results WHERE outcome IS NULL") == [(1, 1, None)]
    assert tables.rows("SELECT callers, calls, mean FROM pickup_results WHERE outcome = 'booked'") == [(1, 1, 1.0)]


def test_assignment_that_the_report_brought_counts_with_its_own_call(tables: Phone) -> None:
    """A report may bring the assignment before the call's own row comes: the row is younger, and the call counts."""
    fill(tables, [call("1", "ann", 9)], [assigned("1", "ann", 12, "warm")], [booked("1", 1)])
    assert results(tables) == [("warm", "booked", 1, 1, 1)]


def test_report_without_its_call_is_not_in_the_view(tables: Phone) -> None:
    """A report whose call never came makes a row that results ignore."""
    tables.report("nobody-rang", analysis={"booked": True})
    assert tables.rows("SELECT COUNT(*) FROM pickup_outcomes WHERE call_id = 'nobody-rang'") == [(2,)]
    assert results(tables) == []


def test_rehearsals_are_in_the_view(phone: Phone) -> None:
    """A rehearsed call is stored and seen in the view, so that a first try shows something."""
    phone.ring("pickup-rehearsal-abc", caller=CALLER)
    assert phone.rows("SELECT outcome, callers, calls FROM pickup_results") == [(None, 1, 1)]
