"""Statements that insert rows and may be repeated: the part of SQL that each database spells in its own way."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from operator import le, lt
from typing import Any

from sqlalchemy import Connection, and_
from sqlalchemy.dialects import postgresql, sqlite

from flask_pickup.models import DECIDED, Base, Call, Outcome

Rows = Sequence[Mapping[str, Any]]


class Inserts:
    """Inserts rows into a database of one dialect. The statements are built once: building costs more than executing."""

    def __init__(self, dialect: str) -> None:
        insert: Any = (postgresql if dialect == "postgresql" else sqlite).insert
        call, outcome = insert(Call), insert(Outcome)
        self._call = call.on_conflict_do_update(
            index_elements=[Call.call_id],
            set_={column: call.excluded[column] for column in DECIDED},
            where=and_(Call.decision.is_(None), Call.platform == call.excluded.platform),
        ).returning(Call.call_id)
        self._outcomes = {
            is_corrected: outcome.on_conflict_do_update(
                index_elements=[Outcome.call_id, Outcome.name],
                set_={"value": outcome.excluded.value, "reported_at": outcome.excluded.reported_at},
                where=is_older(Outcome.reported_at, outcome.excluded.reported_at),
            )
            for is_corrected, is_older in ((False, lt), (True, le))
        }
        self._new = {table: insert(table).on_conflict_do_nothing() for table in Base.metadata.sorted_tables}

    def new(self, connection: Connection, table: Any, rows: Rows) -> int:
        """Insert the rows whose keys are not there; return how many that were."""
        if not rows:
            return 0
        return connection.execute(self._new[table], rows, execution_options={"preserve_rowcount": True}).rowcount

    def calls(self, connection: Connection, rows: Rows) -> set[str]:
        """Insert decided calls, or fill in those that only a report of their platform has made; return the ids of both."""
        return set(connection.execute(self._call, rows).scalars())

    def outcomes(self, connection: Connection, rows: Rows, *, are_corrected: bool = False) -> None:
        """Insert outcomes; of two with one name of one call the later stands.

        :param are_corrected: whether the new one stands of two with one time.
        """
        if rows:
            ordered = sorted(rows, key=lambda row: (row["call_id"], row["name"]))
            connection.execute(self._outcomes[are_corrected], ordered)
