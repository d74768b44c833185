"""What a page tells beside the results: who had called before."""

from __future__ import annotations

from datetime import timedelta

from sqlalchemy import Engine

from flask_pickup.results.assembling import ResultOptions, analysis
from flask_pickup.results.details import details_of
from result_rows import START, Rows, body

DAY = timedelta(days=1)
METRICS = {"booked": {"outcome": "analysis.booked"}}


def test_who_had_called_before_is_told_apart(engine: Engine) -> None:
    """Callers who had been answered before they drew an arm, and those who had not, each with their own mean."""
    rows = Rows()
    rows.call("ann", START, None, {})
    rows.call("ann", START + 30 * DAY, "warm", {"analysis.booked": 1.0})
    rows.call("bob", START + 30 * DAY, "warm", {"analysis.booked": 0.0})
    rows.call("bob", START + 31 * DAY, "warm", {"analysis.booked": 0.0})
    # These two heard nothing before.
    rows.call("cas", START, None, decision="closed")
    rows.call("cas", START, None, call_id="pickup-rehearsal-cas")
    rows.call("cas", START + 30 * DAY, "warm", {"analysis.booked": 1.0})
    rows.call("dirk", START, "control", {"analysis.booked": 1.0}, definition="old")
    rows.call("eva", START + 30 * DAY, "control", {})
    rows.write(engine, [("old", body(METRICS, files={"warm": "old"})), ("d", body(METRICS))])
    with analysis(engine, "opening", body(METRICS), ResultOptions(now=START + 60 * DAY)) as read:
        since = read.results().since
        assert since
        before = details_of(read, since).before
    assert before == {"control": ((1, 0.0), (0, None)), "warm": ((2, 0.5), (1, 1.0))}
