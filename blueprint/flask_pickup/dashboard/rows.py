"""What the pages read of the tables: few rows, by key, under a time limit."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Engine, Select, Table, and_, or_, select

from flask_pickup.models import Assignment, Call, Definition, Outcome, Transcript
from flask_pickup.results.reading import reading

PATIENCE = 3.0
"""Seconds that a page's query may take."""

PAGE = 50

TABLES: Mapping[str, Table] = {
    model.__tablename__.removeprefix("pickup_"): model.__table__  # type: ignore[misc]
    for model in (Call, Assignment, Outcome, Definition, Transcript)
}
"""What can be downloaded, by the name in the address."""

_CHUNK = 1_000


@dataclass(frozen=True)
class CallRow:
    """A call with what belongs to it."""

    call: Mapping[str, Any]
    assignments: Sequence[Mapping[str, Any]]
    outcomes: Mapping[str, float]


@dataclass(frozen=True)
class Place:
    """Where a page of calls ends: the next one goes on behind it, whatever has come in meanwhile."""

    decided_at: datetime
    call_id: str

    def __str__(self) -> str:
        return f"{self.decided_at.isoformat()}~{self.call_id}"

    @classmethod
    def read(cls, written: str) -> Place | None:
        """Return the place that stands in an address; None if it is none."""
        moment, _, call_id = written.partition("~")
        try:
            return cls(datetime.fromisoformat(moment), call_id)
        except ValueError:
            return None


def latest_calls(engine: Engine, before: Place | None = None) -> tuple[list[CallRow], Place | None]:
    """Return a page of calls, the latest first, and the place where the next page begins; None at the end."""
    query = select(Call.__table__).where(Call.decided_at.is_not(None))
    if before:
        earlier = and_(Call.decided_at == before.decided_at, Call.call_id < before.call_id)
        query = query.where(Call.decided_at <= before.decided_at, or_(Call.decided_at < before.decided_at, earlier))
    query = query.order_by(Call.decided_at.desc(), Call.call_id.desc()).limit(PAGE + 1)
    with reading(engine, PATIENCE) as connection:
        calls = [dict(row) for row in connection.execute(query).mappings()]
        rows = _with_what_belongs(connection, calls[:PAGE])
    last = calls[PAGE - 1] if len(calls) > PAGE else None
    return rows, Place(last["decided_at"], last["call_id"]) if last else None


def one_call(engine: Engine, call_id: str) -> tuple[CallRow, Mapping[str, Any] | None] | None:
    """Return a call and its transcript; None if there is no such call."""
    with reading(engine, PATIENCE) as connection:
        found = connection.execute(select(Call.__table__).where(Call.call_id == call_id)).mappings().first()
        if found is None:
            return None
        said = select(Transcript.__table__).where(Transcript.call_id == call_id)
        transcript = connection.execute(said).mappings().first()
        [row] = _with_what_belongs(connection, [dict(found)])
        return row, dict(transcript) if transcript else None


def definition(engine: Engine, fingerprint: str) -> Mapping[str, Any] | None:
    """Return an experiment as it once stood."""
    with reading(engine, PATIENCE) as connection:
        query = select(Definition.__table__).where(Definition.fingerprint == fingerprint)
        found = connection.execute(query).mappings().first()
        return dict(found) if found else None


def definitions(engine: Engine, experiment: str) -> list[Mapping[str, Any]]:
    """Return how an experiment has stood, the latest first."""
    query = select(Definition.__table__).where(Definition.experiment == experiment)
    with reading(engine, PATIENCE) as connection:
        rows = connection.execute(query.order_by(Definition.first_seen_at.desc()).limit(PAGE)).mappings()
        return [dict(row) for row in rows]


def table_rows(engine: Engine, table: Table) -> Iterator[Sequence[Any]]:
    """Yield the names of a table's columns, then each row, a piece at a time."""
    yield [column.name for column in table.columns]
    last: tuple[Any, ...] | None = None
    keys = list(table.primary_key.columns)
    while True:
        with reading(engine, PATIENCE) as connection:
            rows = connection.execute(_behind(select(table).order_by(*keys).limit(_CHUNK), keys, last)).all()
        yield from rows
        if len(rows) < _CHUNK:
            return
        last = tuple(getattr(rows[-1], key.name) for key in keys)


def _behind(query: Select[Any], keys: Sequence[Any], last: tuple[Any, ...] | None) -> Select[Any]:
    if last is None:
        return query
    first, *rest = keys
    if not rest:
        return query.where(first > last[0])
    return query.where(or_(first > last[0], and_(first == last[0], rest[0] > last[1])))


def _with_what_belongs(connection: Connection, calls: Sequence[Mapping[str, Any]]) -> list[CallRow]:
    ids = [call["call_id"] for call in calls]
    assigned = select(Assignment.__table__).where(Assignment.call_id.in_(ids)).order_by(Assignment.experiment)
    came = select(Outcome.__table__).where(Outcome.call_id.in_(ids)).order_by(Outcome.name)
    assignments: dict[str, list[Mapping[str, Any]]] = {}
    outcomes: dict[str, dict[str, float]] = {}
    for row in connection.execute(assigned).mappings():
        assignments.setdefault(row["call_id"], []).append(dict(row))
    for row in connection.execute(came).mappings():
        outcomes.setdefault(row["call_id"], {})[row["name"]] = row["value"]
    return [CallRow(call, assignments.get(call["call_id"], []), outcomes.get(call["call_id"], {})) for call in calls]
