"""Calls into PostgreSQL by one statement, which is a transaction of its own and saves three round trips."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import orjson
from sqlalchemy import Engine, Text, bindparam, cast, exists, func, literal_column, select
from sqlalchemy.dialects.postgresql import JSON, insert
from sqlalchemy.exc import DBAPIError

from flask_pickup.ledger.entries import CallEntry, Row
from flask_pickup.ledger.tombstones import mark, names_of
from flask_pickup.models import DECIDED, Assignment, Call, Forgotten


class SingleStatementInsert:
    """Inserts calls that are not there yet, with their assignments."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine.execution_options(isolation_level="AUTOCOMMIT")
        self._statement = _statement()

    def add(self, calls: Sequence[CallEntry]) -> list[CallEntry]:
        """Insert what can be inserted so, and return the other calls, which need a transaction that also reads.

        Those are all calls if a tombstone covers one, and after an error, which that transaction meets again if it lasts.
        """
        # Sorted, so that two processes cannot wait for each other in a circle. A second delivery of a call is returned,
        # because no statement may touch a row twice.
        distinct = {entry.call["call_id"]: entry for entry in sorted(calls, key=_call_id)}
        values = {
            Call.__tablename__: _json([entry.call for entry in distinct.values()]),
            Assignment.__tablename__: _json([row for entry in distinct.values() for row in entry.assignments]),
            Forgotten.__tablename__: _json([mark(name) for entry in distinct.values() for name in names_of(entry)]),
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


def _json(values: Sequence[Row | str]) -> str:
    return orjson.dumps(values).decode()


def _statement() -> Any:
    """Return a statement that gives the id of each new call, and how many of its assignments were new."""
    given = _given(Call, ("call_id", *DECIDED))
    marks = func.json_array_elements_text(cast(bindparam(Forgotten.__tablename__, type_=Text), JSON))
    is_marked = exists().where(Forgotten.mark.in_(select(marks.column_valued("given_marks"))))
    add = insert(Call).from_select(given.columns.keys(), select(given).where(~is_marked))
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
    """Return the rows of a table that are in the JSON text of the parameter with the table's name."""
    name = model.__tablename__
    text = cast(bindparam(name, type_=Text), JSON)
    rows = func.json_populate_recordset(literal_column(f"NULL::{name}"), text)
    return rows.table_valued(*columns).alias(f"given_{name}")
