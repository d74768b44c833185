"""Calls into PostgreSQL by one statement, which is a transaction of its own and saves three round trips."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import orjson
from sqlalchemy import Engine, text
from sqlalchemy.exc import DBAPIError

from flask_pickup.ledger.entries import CallEntry
from flask_pickup.ledger.tombstones import mark, names_of
from flask_pickup.models import DECIDED, Assignment

_ASSIGNMENT = tuple(Assignment.__table__.columns.keys())
# Returns each new call, and how many of its assignments were new.
_STATEMENT = text(f"""
    WITH new_calls AS (
        INSERT INTO pickup_calls (call_id, {", ".join(DECIDED)})
        SELECT call_id, {", ".join(DECIDED)} FROM json_populate_recordset(NULL::pickup_calls, CAST(:calls AS json))
        WHERE NOT EXISTS (
            SELECT 1 FROM pickup_forgotten WHERE mark IN (SELECT json_array_elements_text(CAST(:marks AS json)))
        )
        ON CONFLICT (call_id) DO UPDATE SET {", ".join(f"{name} = excluded.{name}" for name in DECIDED)}
        WHERE pickup_calls.decision IS NULL AND pickup_calls.platform = excluded.platform
        RETURNING call_id
    ), new_assignments AS (
        INSERT INTO pickup_assignments ({", ".join(_ASSIGNMENT)})
        SELECT {", ".join(f"given.{name}" for name in _ASSIGNMENT)}
        FROM json_populate_recordset(NULL::pickup_assignments, CAST(:assignments AS json)) AS given
        JOIN new_calls USING (call_id)
        ON CONFLICT DO NOTHING
        RETURNING call_id
    )
    SELECT call_id, COUNT(new_assignments.call_id)
    FROM new_calls LEFT JOIN new_assignments USING (call_id) GROUP BY call_id
""")  # noqa: S608 (the names of our own columns)


def insert_new_calls(autocommit: Engine, calls: Sequence[CallEntry]) -> list[CallEntry]:
    """Insert calls that are not there yet, and return the others, which need a transaction that also reads.

    Those are all calls if a tombstone covers one, and after an error, which that transaction meets again if it lasts.

    :param autocommit: an engine at that isolation level.
    """
    # Sorted, so that two processes cannot wait for each other in a circle. A second delivery of a call is returned,
    # because no statement may touch a row twice.
    distinct = {entry.call["call_id"]: entry for entry in sorted(calls, key=lambda entry: str(entry.call["call_id"]))}
    given: dict[str, list[Any]] = {
        "calls": [entry.call for entry in distinct.values()],
        "assignments": [row for entry in distinct.values() for row in entry.assignments],
        "marks": [mark(name) for entry in distinct.values() for name in names_of(entry)],
    }
    texts = {name: orjson.dumps(values).decode() for name, values in given.items()}
    try:
        with autocommit.begin() as connection:
            added: dict[str, int] = dict(connection.execute(_STATEMENT, texts).all())
    except DBAPIError:
        return list(calls)
    return [
        entry
        for entry in calls
        if distinct[call_id := entry.call["call_id"]] is not entry or added.get(call_id) != len(entry.assignments)
    ]
