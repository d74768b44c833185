"""docs/sql.md: each query runs on both databases, and the last ones give our numbers."""

from __future__ import annotations

import random
import re
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection, Engine

from flask_pickup.results.assembling import ResultOptions, results
from flask_pickup.results.model import Results
from result_rows import START, Rows, body

PAGE = Path(__file__).parents[2] / "docs/sql.md"
VIEW, *QUERIES = re.findall(r"```sql\n(.*?)```", PAGE.read_text("utf-8"), re.DOTALL)
AS_IT_STANDS = {"no_parameters": True}
"""A percent sign is a percent sign."""
NOW = START + timedelta(days=60)
METRICS = {
    "booked": {"outcome": "analysis.appointment_booked"},
    "seconds": {"outcome": "duration_seconds", "per": "call", "missing": "leave out"},
}


def made_up() -> Rows:
    chance, rows = random.Random(3), Rows()
    for caller in range(120):
        arm = chance.choice(["control", "warm"])
        at = START + timedelta(days=chance.uniform(0, 40))
        for call in range(chance.choice([1, 1, 2, 4])):
            told = {"duration_seconds": chance.expovariate(1 / 80), "user_messages": float(chance.randrange(3))}
            if chance.random() < 0.7:
                told["analysis.appointment_booked"] = float(chance.random() < 0.4)
            language = chance.choice(["nl", "en"])
            reasons = None if call < 2 else {"opening": chance.choice(["audience", "layer", "traffic"])}
            days = timedelta(days=call)
            rows.call(
                f"caller-{caller}", at + days, arm if call < 2 else None, told, language=language, reasons=reasons
            )
    rows.call("team", START, "warm", {"duration_seconds": 9999.0}, source="pin")
    rows.call("caller-2", START + timedelta(days=41), "warm", {"duration_seconds": 9999.0}, source="pin")
    rows.call("caller-2", START + timedelta(days=42), "warm", {"duration_seconds": 9999.0})
    rows.call("caller-3", START + timedelta(days=51), None, {}, decision="fallback", reasons={"_faults": []})
    rows.call("test", START, "warm", {"duration_seconds": 9999.0}, call_id="pickup-rehearsal-x")
    rows.call("caller-1", START + timedelta(days=50), None, decision="closed")
    rows.call("lost", START + timedelta(days=20), "warm", {"duration_seconds": 50.0}, language=None)
    rows.calls[-1] |= {"decided_at": None, "decision": None, "line": None}
    return rows


@pytest.fixture
def asked(engine: Engine) -> Iterator[tuple[Connection, Results]]:
    """A session in which the view was made, and what ``flask pickup results`` shows of the same rows."""
    made_up().write(engine, [("d", body(METRICS))])
    # Pooled, without the weekly looks: the figures are the same.
    found = results(engine, "opening", options=ResultOptions(now=NOW, pool=True))
    with engine.connect() as connection:
        connection.exec_driver_sql(VIEW.replace("warm-opening", "opening"), execution_options=AS_IT_STANDS)
        yield connection, found


def rows(connection: Connection, query: str) -> list[Any]:
    return list(connection.exec_driver_sql(query, execution_options=AS_IT_STANDS).mappings())


def test_every_query_says_something_of_both_arms(asked: tuple[Connection, Results]) -> None:
    """Each query of the page runs, and its rows are about both arms."""
    for query in QUERIES:
        assert {row["arm"] for row in rows(asked[0], query)} == {"control", "warm"}, query


def test_slices_add_up_to_the_arms(asked: tuple[Connection, Results]) -> None:
    """By day, language and line the calls are those of the arms: nobody else's, and none is lost."""
    connection, found = asked
    expected = {arm.arm: arm.calls for arm in found.arms}
    for column in ("DATE(decided_at)", "language", "line"):
        calls: dict[str, int] = {}
        for row in rows(connection, QUERIES[0].replace("DATE(decided_at)", column)):
            calls[row["arm"]] = calls.get(row["arm"], 0) + row["calls"]
        assert calls == expected, column


def test_definitions_are_listed(asked: tuple[Connection, Results]) -> None:
    """The query within a sentence runs too: it shows each definition with its calls."""
    connection, found = asked
    [query] = re.findall(r"`(SELECT [^`]+)`", PAGE.read_text("utf-8"))
    [row] = rows(connection, query)
    assert list(row.values())[::2] == ["d", sum(arm.calls for arm in found.arms)]


@pytest.mark.parametrize(("metric", "place"), [("booked", -2), ("seconds", -1)])
def test_query_reproduces_our_numbers(asked: tuple[Connection, Results], metric: str, place: int) -> None:
    """Mean and standard error of a metric are those that anybody gets from the tables, to nine digits."""
    connection, found = asked
    shown = found.metric(metric)
    assert shown is not None
    for row in rows(connection, QUERIES[place]):
        arm = shown.arm(row["arm"])
        assert arm.standard_error is not None
        assert arm.callers == row["callers"]
        assert arm.mean == pytest.approx(row["mean"], rel=1e-9)
        assert arm.standard_error**2 == pytest.approx(row["squared_error"], rel=1e-9)
