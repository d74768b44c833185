"""Rows of an experiment, made up and written as they are; and what an independent reader makes of them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import Engine, insert

from flask_pickup.models import Assignment, Call, Definition, Outcome

START = datetime(2026, 3, 2, 9, tzinfo=UTC)
"""A Monday."""

BOOKED = {"outcome": "analysis.booked", "goal": "increase", "smallest": 0.05}
HANG_UP = {"outcome": "early_hang_up", "goal": "decrease", "guardrail": True, "margin": 0.05}
PLAIN = {
    "goal": "increase", "guardrail": False, "margin": 0, "smallest": None, "per": "caller", "missing": "zero",
    "within": None, "cap": None,
}  # fmt: skip


def body(metrics: Mapping[str, Mapping[str, Any]], **changed: Any) -> dict[str, Any]:
    """Return a definition; the first metric is the primary one."""
    decision = {"minimum_days": 14, "maximum_weeks": 26, **changed.pop("decision", {})}
    return {
        "experiment": "opening",
        "status": "running",
        "arms": {"control": 1, "warm": 1},
        "metrics": {name: {**PLAIN, **metric} for name, metric in metrics.items()},
        "primary": next(iter(metrics), ""),
        "decision": decision,
        "audience": "",
        "seed": "opening",
        "callers": "mark",
        "files": {},
        "traffic": 1.0,
        **changed,
    }


@dataclass
class Rows:
    """Rows that are written into the tables at once."""

    calls: list[dict[str, Any]] = field(default_factory=list)
    assignments: list[dict[str, Any]] = field(default_factory=list)
    outcomes: list[dict[str, Any]] = field(default_factory=list)

    def call(
        self,
        caller: str | None,
        at: datetime,
        arm: str | None = None,
        outcomes: Mapping[str, float] | None = None,
        **options: Any,
    ) -> str:
        """Add a call, with its assignment if ``arm`` is given, and its report unless ``outcomes`` is None."""
        call_id: str = options.pop("call_id", f"call-{len(self.calls)}")
        call = {
            "call_id": call_id,
            "platform": options.pop("platform", "flireo"),
            "caller_key": caller,
            "line": options.pop("line", "+31850835037"),
            "country": options.pop("country", None),
            "language": options.pop("language", "en"),
            "decided_at": at,
            "decision": options.pop("decision", "arm" if arm else "base"),
            "reasons": options.pop("reasons", None),
            "reported_at": None if outcomes is None else at + timedelta(minutes=1),
        }
        self.calls.append(call)
        if arm:
            assigned = {"source": "hash", "definition": "d", "delivered": True, "experiment": "opening", **options}
            self.assignments.append(
                {"call_id": call_id, "arm": arm, "caller_key": caller, "assigned_at": at, **assigned}
            )
        for name, value in (outcomes or {}).items():
            self.outcome(call_id, name, value, at + timedelta(minutes=1))
        return call_id

    def outcome(self, call_id: str, name: str, value: float, at: datetime) -> None:
        """Add an outcome of a call."""
        self.outcomes.append({"call_id": call_id, "name": name, "value": value, "reported_at": at})

    def write(self, engine: Engine, definitions: Iterable[tuple[str, Mapping[str, Any]]] = ()) -> None:
        """Write all rows."""
        tables = ((Call, self.calls), (Assignment, self.assignments), (Outcome, self.outcomes))
        with engine.begin() as connection:
            for table, rows in tables:
                if rows:
                    connection.execute(insert(table), rows)
            for index, (fingerprint, definition) in enumerate(definitions):
                seen = START + timedelta(minutes=index)
                values = {"fingerprint": fingerprint, "experiment": "opening", "body": dict(definition)}
                connection.execute(insert(Definition).values(first_seen_at=seen, **values))


def callers(  # noqa: PLR0913 (each is said somewhere)
    rows: Rows, arm: str, number: int, booked: float, hang_up: float = 0.1, *, last: float = 55, **options: Any
) -> None:
    """Add callers of an arm over ``last`` days, a share of whom booked, and a share of whom hung up early."""
    known = len(rows.calls)
    for caller in range(number):
        told = {
            "analysis.booked": float(caller < round(booked * number)),
            "early_hang_up": float(number - caller <= round(hang_up * number)),
        }
        # Spread so that those who booked came at all times.
        at = START + timedelta(days=last * ((caller * 0.618) % 1))
        rows.call(f"{arm}-{known}-{caller}", at, arm, told, **options)
