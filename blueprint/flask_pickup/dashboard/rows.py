"""What the pages read of the tables: few rows, by key, under a time limit."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Engine, RowMapping, Table, select, tuple_

from flask_pickup.models import Assignment, Call, Definition, Outcome, Transcript
from flask_pickup.results.reading import reading

STATEMENT_TIMEOUT = 3.0
"""Seconds that a page's query may take."""

PAGE = 50
_CHUNK = 1_000

TABLES: Mapping[str, Table] = {
    model.__tablename__.removeprefix("pickup_"): model.__table__  # type: ignore[misc]
    for model in (Call, Assignment, Outcome, Definition, Transcript)
}
"""What can be downloaded, by the name in the address."""


@dataclass(frozen=True)
class CallRow:
    """A call with its assignments and outcomes."""

    call: RowMapping
    assignments: Sequence[RowMapping]
    outcomes: Mapping[str, float]


@dataclass(frozen=True)
class Cursor:
    """The last call of a page: the next page goes on behind it, whatever has come in meanwhile."""

    decided_at: datetime
    call_id: str

    def __str__(self) -> str:
        return f"{self.decided_at.isoformat()}~{self.call_id}"

    @classmethod
    def parse(cls, written: str) -> Cursor | None:
        """Return the cursor in an address; None if it is invalid."""
        moment, _, call_id = written.partition("~")
        try:
            return cls(datetime.fromisoformat(moment), call_id)
        except ValueError:
            return None


def latest_calls(engine: Engine, before: Cursor | None = None) -> tuple[list[CallRow], Cursor | None]:
    """Return a page of calls, the latest first, and the cursor of the next page; None at the end."""
    query = select(Call.__table__).where(Call.decided_at.is_not(None))
    if before:
        query = query.where(tuple_(Call.decided_at, Call.call_id) < (before.decided_at, before.call_id))
    query = query.order_by(Call.decided_at.desc(), Call.call_id.desc()).limit(PAGE + 1)
    with reading(engine, STATEMENT_TIMEOUT) as connection:
        calls = connection.execute(query).mappings().all()
        rows = _call_rows(connection, calls[:PAGE])
    last = calls[PAGE - 1] if len(calls) > PAGE else None
    return rows, Cursor(last["decided_at"], last["call_id"]) if last else None


def one_call(engine: Engine, call_id: str) -> tuple[CallRow, RowMapping | None] | None:
    """Return a call and its transcript; None if there is no such call."""
    with reading(engine, STATEMENT_TIMEOUT) as connection:
        calls = connection.execute(select(Call.__table__).where(Call.call_id == call_id)).mappings().all()
        if not calls:
            return None
        transcript = connection.execute(select(Transcript.__table__).where(Transcript.call_id == call_id))
        return _call_rows(connection, calls)[0], transcript.mappings().first()


def definition(engine: Engine, fingerprint: str) -> RowMapping | None:
    """Return a definition of an experiment."""
    with reading(engine, STATEMENT_TIMEOUT) as connection:
        query = select(Definition.__table__).where(Definition.fingerprint == fingerprint)
        return connection.execute(query).mappings().first()


def definitions(engine: Engine, experiment: str) -> Sequence[RowMapping]:
    """Return the definitions of an experiment, the latest first."""
    query = select(Definition.__table__).where(Definition.experiment == experiment)
    with reading(engine, STATEMENT_TIMEOUT) as connection:
        return connection.execute(query.order_by(Definition.first_seen_at.desc()).limit(PAGE)).mappings().all()


def table_rows(engine: Engine, table: Table) -> Iterator[Sequence[Any]]:
    """Yield the rows of a table, read in chunks."""
    keys = list(table.primary_key.columns)
    query = select(table).order_by(*keys).limit(_CHUNK)
    chunk_query = query
    while True:
        with reading(engine, STATEMENT_TIMEOUT) as connection:
            chunk = connection.execute(chunk_query).all()
        yield from chunk
        if len(chunk) < _CHUNK:
            return
        last = tuple(getattr(chunk[-1], key.name) for key in keys)
        chunk_query = query.where(tuple_(*keys) > last)


def _call_rows(connection: Connection, calls: Sequence[RowMapping]) -> list[CallRow]:
    ids = [call["call_id"] for call in calls]
    assignments: dict[str, list[RowMapping]] = {call_id: [] for call_id in ids}
    outcomes: dict[str, dict[str, float]] = {call_id: {} for call_id in ids}
    query = select(Assignment.__table__).where(Assignment.call_id.in_(ids)).order_by(Assignment.experiment)
    for row in connection.execute(query).mappings():
        assignments[row["call_id"]].append(row)
    query = select(Outcome.__table__).where(Outcome.call_id.in_(ids)).order_by(Outcome.name)
    for row in connection.execute(query).mappings():
        outcomes[row["call_id"]][row["name"]] = row["value"]
    return [CallRow(call, assignments[call["call_id"]], outcomes[call["call_id"]]) for call in calls]
