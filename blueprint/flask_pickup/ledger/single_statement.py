"""Calls into PostgreSQL by one statement, which is a transaction of its own.

Each word to the database and back takes longer than what it is about: to begin, to add calls, to add their assignments
and to commit are four.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import orjson
from sqlalchemy import Engine, Text, bindparam, cast, func, literal_column, select
from sqlalchemy.dialects.postgresql import JSON, insert
from sqlalchemy.exc import DBAPIError

from flask_pickup.ledger.entries import CallEntry, Row
from flask_pickup.models import DECIDED, Assignment, Call


class SingleStatementInsert:
    """Adds calls that are not there yet, with their assignments."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine.execution_options(isolation_level="AUTOCOMMIT")
        self._statement = _statement()

    def add(self, calls: Sequence[CallEntry]) -> list[CallEntry]:
        """Add all of ``calls`` that can be added so, and return the others, which need a transaction that also reads.

        Whatever goes wrong goes wrong in that transaction again, or not: here it is no error.
        """
        # In one order everywhere, so that two processes cannot wait for each other in a circle. One of two deliveries of
        # a call is left: no statement may touch a row twice.
        distinct = {entry.call["call_id"]: entry for entry in sorted(calls, key=_call_id)}
        values = {
            Call.__tablename__: _json([entry.call for entry in distinct.values()]),
            Assignment.__tablename__: _json([row for entry in distinct.values() for row in entry.assignments]),
        }
        try:
            with self._engine.begin() as connection:
                added = dict(connection.execute(self._statement, values).all())
        except DBAPIError:
            return list(calls)
        return [
            entry
            for entry in calls
            if distinct[call_id := _call_id(entry)] is not entry or added.get(call_id) != len(entry.assignments)
        ]


def _call_id(entry: CallEntry) -> str:
    return str(entry.call["call_id"])


def _json(rows: Sequence[Row]) -> str:
    return orjson.dumps(rows).decode()


def _statement() -> Any:
    """Return a statement that gives the id of each call that was new, and how many of its assignments were."""
    given = _given(Call, ("call_id", *DECIDED))
    add = insert(Call).from_select(given.columns.keys(), select(given))
    decided = {name: add.excluded[name] for name in DECIDED}
    add = add.on_conflict_do_update(index_elements=[Call.call_id], set_=decided, where=Call.decision.is_(None))
    call = add.returning(Call.call_id).cte("new_calls")

    given = _given(Assignment, Assignment.__table__.columns.keys())
    of_new_calls = select(given).join(call, call.c.call_id == given.columns.call_id)
    assign = insert(Assignment).from_select(given.columns.keys(), of_new_calls).on_conflict_do_nothing()
    assigned = assign.returning(Assignment.call_id).cte("new_assignments")

    how_many = func.count(assigned.c.call_id)
    of_call = assigned.c.call_id == call.c.call_id
    return select(call.c.call_id, how_many).outerjoin(assigned, of_call).group_by(call.c.call_id)


def _given(model: type[Call | Assignment], columns: Sequence[str]) -> Any:
    """Return the rows of a table that are in the JSON text of the parameter called like it."""
    name = model.__tablename__
    text = cast(bindparam(name, type_=Text), JSON)
    rows = func.json_populate_recordset(literal_column(f"NULL::{name}"), text)
    return rows.table_valued(*columns).alias(f"given_{name}")
