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
    return sorted(tables.rows("SELECT arm, outcome, callers, calls, mean FROM pickup_results"), key=str)


Spec = tuple[str, str, int, str | None, str, float | None]

CASES: dict[str, tuple[list[Spec], list[tuple[Any, ...]]]] = {
    # call, caller, hour, arm, source and whether it was booked; and the view
    "A caller counts once, with all their calls.": (
        [("1", "ann", 9, "warm", "hash", 1), ("2", "ann", 10, "warm", "hash", 0), ("3", "ann", 11, "warm", "hash", 0),
         ("4", "bob", 9, "warm", "hash", 1)],
        [("warm", "booked", 2, 4, 0.5)],
    ),
    "A caller of two arms counts in the first alone.": (
        [("1", "ann", 9, "warm", "hash", 0), ("2", "ann", 10, "control", "hash", 1)], [("warm", "booked", 1, 2, 0.5)],
    ),
    "Calls before the first assignment do not count, later ones without an arm do.": (
        [("1", "ann", 8, None, "", 1), ("2", "ann", 9, "warm", "hash", 1), ("3", "ann", 10, None, "", 1)],
        [("warm", "booked", 1, 2, 1)],
    ),
    "A pinned call does not count.": ([("1", "ann", 9, "warm", "pin", 1)], []),
    "A call without a number does not count.": ([("1", "ann", 9, "warm", "unidentified", 1)], []),
    "A caller who was pinned first counts from the draw on.": (
        [("1", "ann", 9, "warm", "pin", 1), ("2", "ann", 10, "control", "hash", 0)], [("control", "booked", 1, 1, 0)],
    ),
    "A call without outcomes has a row of its own.": (
        [("1", "ann", 9, "warm", "hash", 1), ("2", "bob", 9, "warm", "hash", None)],
        [("warm", "booked", 1, 1, 1), ("warm", None, 1, 1, None)],
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", CASES)
def test_view_counts_callers(tables: Phone, case: str) -> None:
    """The view counts callers in their first arm, from their first assignment by the hash on."""
    specs, expected = CASES[case]
    fill(
        tables,
        [call(call_id, caller, hour) for call_id, caller, hour, *_ in specs],
        [assigned(call_id, who, hour, arm, source) for call_id, who, hour, arm, source, _ in specs if arm],
        [booked(call_id, value) for call_id, *_, value in specs if value is not None],
    )
    assert results(tables) == expected


def test_assignment_that_the_report_brought_counts_with_its_own_call(tables: Phone) -> None:
    """A report may bring the assignment before the call's own row comes: the row is younger, and the call counts."""
    fill(tables, [call("1", "ann", 9)], [assigned("1", "ann", 12, "warm")], [booked("1", 1)])
    assert results(tables) == [("warm", "booked", 1, 1, 1)]


def test_report_without_its_call_is_not_in_the_view(tables: Phone) -> None:
    """A report whose call never came makes a row that results ignore."""
    tables.report("without-call", analysis={"booked": True})
    assert tables.rows("SELECT COUNT(*) FROM pickup_outcomes WHERE call_id = 'without-call'") == [(2,)]
    assert results(tables) == []


def test_rehearsals_are_in_the_view(phone: Phone) -> None:
    """A rehearsed call is stored and seen in the view, so that a first try shows something."""
    phone.ring("pickup-rehearsal-abc", caller=CALLER)
    assert phone.rows("SELECT outcome, callers, calls FROM pickup_results") == [(None, 1, 1)]
