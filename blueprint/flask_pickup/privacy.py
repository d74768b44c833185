"""What is held on a caller: disclosed, forgotten, and purged after its retention. ``docs/privacy.md`` explains the duties."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from time import monotonic, sleep
from typing import Any

import orjson
from sqlalchemy import Connection, Engine, and_, delete, exists, func, insert, or_, select
from sqlalchemy.orm import aliased

from flask_pickup.catalog import Catalog
from flask_pickup.ledger.spool import Spool
from flask_pickup.ledger.store import Store
from flask_pickup.ledger.tombstones import erase_calls, mark
from flask_pickup.models import Assignment, Call, Forgotten, Outcome, Transcript
from flask_pickup.options import Options
from flask_pickup.waits import LONGEST_SPOOL

Counts = Counter[str]
"""Table to how many of its rows."""

_BATCH = 100
"""Calls that one transaction deletes, with a thousand other rows: few enough that no call's commit waits for theirs."""

MARKS_LAST = timedelta(days=7)
"""How long late rows of a forgotten caller are dropped: as long as a host's spool may have to wait."""

_CALL_ID = re.compile(r'"call_id":("(?:[^"\\]|\\.)*")')
_MOST = 100_000
_PAUSE = 0.05


# --- disclosing -------------------------------------------------------------------------------------------------------


def disclose(engine: Engine, options: Options, keys: Sequence[str]) -> dict[str, Any]:
    """Return all that is held on the caller who has ``keys``, as plain values for them to read.

    :raises SpoolUnavailable: if the spool cannot be read.
    """
    with engine.connect() as connection:
        calls = connection.execute(select(Call.__table__).where(Call.caller_key.in_(keys)).order_by(Call.decided_at))
        recorded = [{**call, **_rows_of(connection, call["call_id"])} for call in calls.mappings().all()]
    spooled = Spool(options.spool).find(keys)
    return {
        "caller_keys": list(keys),
        "calls": recorded,
        "waiting": list(map(_readable, spooled["spool"])),
        "dead_letters": list(map(_readable, spooled["dead_letter"])),
    }


def _rows_of(connection: Connection, call_id: str) -> dict[str, Any]:
    """Return the rows of a call beside its own, by table."""
    found = {}
    for table in (Assignment, Outcome, Transcript):
        rows = connection.execute(select(table.__table__).where(table.call_id == call_id)).mappings()
        found[table.__tablename__.removeprefix("pickup_")] = [dict(row) for row in rows]
    return found


def _readable(text: str) -> Any:
    """Return a spooled entry's fields; one that another version wrote may be a text."""
    try:
        return orjson.loads(text)[1]
    except (ValueError, LookupError):
        return text


# --- forgetting -------------------------------------------------------------------------------------------------------


@dataclass
class Erasure:
    """What was erased, and what could not be.

    :param rows: those of the tables.
    :param spooled: rows of this host's spool, dead letters too.
    :param wal_left: whether SQLite's write-ahead log could not be emptied, because another program is reading.
    """

    rows: Counts = field(default_factory=Counter)
    spooled: int = 0
    wal_left: bool = False


def forget(engine: Engine, options: Options, keys: Sequence[str], now: datetime) -> Erasure:
    """Erase all that is held on the caller who has ``keys``.

    Tombstones keep rows that arrive late from being written: from this host's memory, from other hosts' spools, from
    retries of the same request and from reports of calls that are going on.

    :param now: by the clock that says when calls are decided.
    :raises sqlalchemy.exc.SQLAlchemyError: if the database does not answer. Then try again; erasing twice does no harm.
    :raises SpoolUnavailable: if the spool cannot be written; likewise.
    """
    store, spool, erasure = Store(engine), Spool(options.spool), Erasure()
    with store.transaction() as connection:
        _mark(connection, keys, now)
    _erase(store, spool, keys, now, erasure)
    # Until a row that was decided just before the marks is in the table or in the spool.
    sleep(options.commit_wait + LONGEST_SPOOL)
    _erase(store, spool, keys, now, erasure)
    erasure.wal_left |= not _empty_wal(engine)
    return erasure


def _mark(connection: Connection, names: Collection[str], now: datetime) -> None:
    marks = [mark(name) for name in names]
    connection.execute(
        delete(Forgotten).where(or_(Forgotten.mark.in_(marks), Forgotten.forgotten_at < now - MARKS_LAST))
    )
    if marks:
        connection.execute(insert(Forgotten), [{"mark": one, "forgotten_at": now} for one in marks])


def _erase(store: Store, spool: Spool, keys: Sequence[str], now: datetime, erasure: Erasure) -> None:
    texts = [text for found in spool.find(keys).values() for text in found]
    spooled = {found for text in texts for found in _CALL_ID.findall(text)}
    erasure.spooled += len(texts)
    with store.transaction() as connection:
        _mark(connection, [orjson.loads(found) for found in spooled], now)
    recorded = _erase_recorded(store, keys, now, erasure.rows)
    # A spooled report may hold the call's id and no key of the caller.
    of_calls = [f'"call_id":{found}' for found in spooled | {orjson.dumps(call_id).decode() for call_id in recorded}]
    erasure.wal_left = not spool.erase([*keys, *of_calls])


def _erase_recorded(store: Store, keys: Collection[str], now: datetime, rows: Counts) -> set[str]:
    """Erase a caller's calls, count the rows, and return the calls' ids."""
    theirs = select(Call.call_id).where(Call.caller_key.in_(keys)).order_by(Call.call_id).limit(_BATCH)
    erased: set[str] = set()
    while True:
        with store.transaction() as connection:
            if connection.dialect.name == "sqlite":
                # Deleted rows are overwritten.
                connection.exec_driver_sql("PRAGMA secure_delete = ON")
            calls = connection.execute(theirs.with_for_update()).scalars().all()
            if not calls:
                return erased
            # A report of a call that is going on may bring neither number nor metadata, so the ids are marked too.
            _mark(connection, calls, now)
            rows.update(erase_calls(connection, calls))
        erased.update(calls)


def _empty_wal(engine: Engine) -> bool:
    """Write SQLite's write-ahead log into its database and empty it; return whether that could be done."""
    if engine.dialect.name != "sqlite":
        return True
    with engine.connect() as connection:
        busy = connection.execution_options(isolation_level="AUTOCOMMIT").exec_driver_sql(
            "PRAGMA wal_checkpoint(TRUNCATE)"
        )
        return not busy.scalar()


# --- retention --------------------------------------------------------------------------------------------------------


def purge(engine: Engine, catalog: Catalog, before: datetime, now: datetime) -> Counts:
    """Delete calls from before a moment with all that belongs to them, in small batches, and expired tombstones.

    Callers in an experiment that is not concluded keep their calls, because its result needs all of them.

    :raises sqlalchemy.exc.SQLAlchemyError: if the database does not answer; what is deleted by then stays deleted.
    """
    store, due = Store(engine), _due(catalog, before)
    rows: Counts = Counter()
    with store.transaction() as connection:
        _mark(connection, (), now)
    while True:
        with engine.connect() as connection:
            calls = connection.execute(due).scalars().all()
        if not calls:
            return rows
        for first in range(0, len(calls), _BATCH):
            began = monotonic()
            with store.transaction() as connection:
                rows.update(erase_calls(connection, calls[first : first + _BATCH]))
            # Half of the time at least is left to the calls.
            sleep(max(_PAUSE, monotonic() - began))


def _due(catalog: Catalog, before: datetime) -> Any:
    """Return a query of the ids of old calls whose callers no open experiment counts.

    In the order of time, in which the rows were written: a batch then changes a hundred pages of the tables instead of a
    thousand, which the database would write to its log whole.
    """
    # An experiment that does not load today may be running tomorrow.
    unfinished = [each.name for each in catalog.experiments if each.status != "concluded"]
    counted = Assignment.experiment.in_([*unfinished, *catalog.left_out])
    of_caller = aliased(Call)
    callers = select(of_caller.call_id).join(Assignment, Assignment.call_id == of_caller.call_id)
    ended = func.coalesce(Call.reported_at, Call.ended_at)
    return (
        select(Call.call_id)
        .where(or_(Call.decided_at < before, and_(Call.decided_at.is_(None), ended < before)))
        .where(~exists().where(Assignment.call_id == Call.call_id, counted))
        .where(~callers.where(of_caller.caller_key == Call.caller_key, counted).exists())
        .order_by(Call.decided_at, Call.call_id)
        .limit(_MOST)
    )
