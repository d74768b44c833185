"""What is held on a caller: disclosed, forgotten, and purged after its retention. ``docs/privacy.md`` explains the duties."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import partial
from time import monotonic, sleep
from typing import Any

import orjson
from sqlalchemy import ColumnElement, Connection, Engine, and_, delete, func, insert, or_, select, true, update

from flask_pickup.caller import caller_key, e164
from flask_pickup.catalog import Catalog
from flask_pickup.ledger import Ledger
from flask_pickup.ledger.entries import CallEntry, DefinitionEntry, Entry, ReportEntry, from_json, to_json
from flask_pickup.ledger.spool import Spool
from flask_pickup.ledger.store import Store
from flask_pickup.ledger.tombstones import erase_calls, mark
from flask_pickup.models import Assignment, Call, Definition, Forgotten, Outcome, Transcript
from flask_pickup.options import Options

Counts = Counter[str]
"""Table to how many of its rows."""

_BATCH = 100
"""Calls that one transaction deletes, with a thousand other rows: few enough that no call's commit waits for theirs."""

MARKS_LAST = timedelta(days=7)
"""How long late rows of a forgotten caller are dropped: as long as a host's spool may have to wait."""

_A_LONG_CALL = timedelta(days=1)
_PAUSE = 0.05


def keys_of(number: str, options: Options) -> tuple[str, ...]:
    """Return a caller's keys, one per caller secret.

    :raises ValueError: if ``number`` is not a phone number; the message does not repeat it.
    """
    found = e164(number, options.region)
    if found is None:
        raise ValueError("That is not a phone number. Write it with its country, such as +31612345678.")
    return tuple(caller_key(secret, found) for secret in options.caller_secrets)


# --- disclosing -------------------------------------------------------------------------------------------------------


def disclose(engine: Engine, options: Options, number: str) -> dict[str, Any]:
    """Return all that is held on a caller, as plain values for them to read.

    :raises ValueError: if ``number`` is not a phone number.
    """
    keys = keys_of(number, options)
    with engine.connect() as connection:
        calls = connection.execute(select(Call.__table__).where(Call.caller_key.in_(keys)).order_by(Call.decided_at))
        recorded = [_with_its_rows(connection, dict(call)) for call in calls.mappings().all()]
        pinned = sorted({experiment for _, experiment, _ in _pinned(connection, keys)})
    spooled = Spool(options.spool).find(keys)
    return {
        "caller_keys": list(keys),
        "calls": recorded,
        "waiting": _disclosed(spooled["spool"]),
        "dead_letters": _disclosed(spooled["dead_letter"]),
        "pinned": pinned,
    }


def _with_its_rows(connection: Connection, call: dict[str, Any]) -> dict[str, Any]:
    def rows(table: Any) -> list[dict[str, Any]]:
        found = connection.execute(select(table.__table__).where(table.call_id == call["call_id"])).mappings()
        return [{name: value for name, value in row.items() if name != "call_id"} for row in found]

    return {
        **call,
        "assignments": rows(Assignment),
        "outcomes": {row["name"]: row["value"] for row in rows(Outcome)},
        "transcript": next(iter(rows(Transcript)), None),
    }


def _disclosed(texts: Sequence[str]) -> list[Any]:
    """Return spooled entries as JSON; definitions are the authors', and one that another version wrote is a text."""
    entries = {text: _entry(text) for text in texts}
    return [
        orjson.loads(text) if entry else text
        for text, entry in entries.items()
        if not isinstance(entry, DefinitionEntry)
    ]


def _entry(text: str) -> Entry | None:
    try:
        return from_json(text)
    except ValueError:
        return None


# --- forgetting -------------------------------------------------------------------------------------------------------


@dataclass
class Erasure:
    """What was erased, and what could not be.

    :param pinned: experiments whose definitions named the caller; their folders still do.
    :param wal_left: whether SQLite's write-ahead log could not be emptied, because another program is reading.
    """

    rows: Counts = field(default_factory=Counter)
    pinned: list[str] = field(default_factory=list)
    wal_left: bool = False


def forget(engine: Engine, options: Options, number: str, now: datetime) -> Erasure:
    """Erase all that is held on a caller, under every caller secret.

    Tombstones keep rows that arrive late from being written: from this host's memory, from other hosts' spools, from
    retries of the same request and from reports of calls that are going on.

    :param now: by the clock that says when calls are decided.
    :raises ValueError: if ``number`` is not a phone number.
    :raises sqlalchemy.exc.SQLAlchemyError: if the database does not answer. Then try again; erasing twice does no harm.
    :raises SpoolUnavailable: if the spool cannot be written; likewise.
    """
    keys = keys_of(number, options)
    store, spool = Store(engine), Spool(options.spool)
    with store.transaction() as connection:
        _mark(connection, keys, now)
    erasure = Erasure(pinned=_unpin(store, keys))
    _erase(store, spool, keys, now, erasure)
    # Until a row that was decided just before the marks is in the table or in the spool.
    sleep(_settling(options))
    _erase(store, spool, keys, now, erasure)
    erasure.wal_left |= not _empty_wal(engine)
    return erasure


def _settling(options: Options) -> float:
    return options.commit_wait + Ledger.spool_wait


def _mark(connection: Connection, names: Collection[str], now: datetime) -> None:
    marks = [mark(name) for name in names]
    connection.execute(
        delete(Forgotten).where(or_(Forgotten.mark.in_(marks), Forgotten.forgotten_at < now - MARKS_LAST))
    )
    if marks:
        connection.execute(insert(Forgotten), [{"mark": one, "forgotten_at": now} for one in marks])


def _erase(store: Store, spool: Spool, keys: Sequence[str], now: datetime, erasure: Erasure) -> None:
    spooled = [entry for texts in spool.find(keys).values() for entry in map(_entry, texts)]
    call_ids = {entry.call["call_id"] for entry in spooled if isinstance(entry, CallEntry | ReportEntry)}
    with store.transaction() as connection:
        _mark(connection, call_ids, now)
    call_ids |= _erase_recorded(store, keys, now, erasure.rows)
    # A spooled report may hold the call's id and no key of the caller.
    of_calls = [f'"call_id":{orjson.dumps(call_id).decode()}' for call_id in call_ids]
    erasure.wal_left = not spool.redact([*keys, *of_calls], partial(_redacted, keys))


def _erase_recorded(store: Store, keys: Collection[str], now: datetime, rows: Counts) -> set[str]:
    """Erase a caller's calls, count the rows, and return the ids of calls that may be going on."""
    theirs = select(Call.call_id, Call.decided_at).where(Call.caller_key.in_(keys)).order_by(Call.call_id).limit(_BATCH)
    going_on: set[str] = set()
    while True:
        with store.transaction() as connection:
            _overwrite_what_is_deleted(connection)
            calls = connection.execute(theirs.with_for_update()).all()
            if not calls:
                return going_on
            # A report may bring neither number nor metadata, so its call's id is marked too.
            recent = {call_id for call_id, at in calls if at is None or at > now - _A_LONG_CALL}
            _mark(connection, recent, now)
            rows.update(erase_calls(connection, [call_id for call_id, _ in calls]))
        going_on |= recent


def _redacted(keys: Collection[str], text: str) -> str | None:
    """Return a spooled definition without the caller's pins; None for any other entry, which goes as a whole."""
    entry = _entry(text)
    if not isinstance(entry, DefinitionEntry):
        return None
    return to_json(DefinitionEntry({**entry.definition, "body": _without_pins(entry.definition["body"], keys)}))


def _overwrite_what_is_deleted(connection: Connection) -> None:
    if connection.dialect.name == "sqlite":
        connection.exec_driver_sql("PRAGMA secure_delete = ON")


def _empty_wal(engine: Engine) -> bool:
    """Write SQLite's write-ahead log into its database and empty it; return whether that could be done."""
    if engine.dialect.name != "sqlite":
        return True
    with engine.connect() as connection:
        busy = connection.execution_options(isolation_level="AUTOCOMMIT").exec_driver_sql(
            "PRAGMA wal_checkpoint(TRUNCATE)"
        )
        return not busy.scalar()


def _pinned(connection: Connection, keys: Collection[str]) -> list[tuple[str, str, dict[str, Any]]]:
    rows = connection.execute(select(Definition.fingerprint, Definition.experiment, Definition.body))
    return [tuple(row) for row in rows if not set(keys).isdisjoint(row.body.get("pins") or ())]


def _unpin(store: Store, keys: Collection[str]) -> list[str]:
    with store.transaction() as connection:
        pinned = _pinned(connection, keys)
        for fingerprint, _, body in pinned:
            changed = update(Definition).where(Definition.fingerprint == fingerprint)
            connection.execute(changed.values(body=_without_pins(body, keys)))
    return sorted({experiment for _, experiment, _ in pinned})


def _without_pins(body: Mapping[str, Any], keys: Collection[str]) -> dict[str, Any]:
    return {**body, "pins": {key: arm for key, arm in (body.get("pins") or {}).items() if key not in keys}}


# --- retention --------------------------------------------------------------------------------------------------------


def purge(
    engine: Engine, catalog: Catalog, before: datetime, *, progress: Callable[[Counts], None] = lambda _: None
) -> Counts:
    """Delete calls from before a moment with all that belongs to them, in small batches.

    Callers in an experiment that is not concluded keep their calls, because its result needs all of them.

    :raises sqlalchemy.exc.SQLAlchemyError: if the database does not answer; what is deleted by then stays deleted.
    """
    store = Store(engine)
    rows: Counts = Counter()
    for calls in _old_calls(engine, before):
        began = monotonic()
        with store.transaction() as connection:
            spared = _spared(connection, calls, _open_experiments(catalog))
            due = [call_id for call_id, _ in calls if call_id not in spared]
            if due:
                rows.update(erase_calls(connection, due))
        progress(rows)
        # Half of the time at least is left to the calls.
        sleep(max(_PAUSE, monotonic() - began))
    return rows


def _open_experiments(catalog: Catalog) -> list[str]:
    unfinished = (experiment.name for experiment in catalog.experiments if experiment.status != "concluded")
    # One that does not load today may be running tomorrow.
    return [*unfinished, *catalog.left_out]


def _old_calls(engine: Engine, before: datetime) -> Iterator[Sequence[tuple[str, str | None]]]:
    """Yield ids and callers of old calls by batches: the decided ones, then those of which only a report came.

    In the order of time, in which the rows were written: a batch then changes a hundred pages of the tables instead of a
    thousand, which the database would write to its log whole.
    """
    yield from _batches(engine, Call.decided_at, Call.decided_at < before)
    ended = func.coalesce(Call.reported_at, Call.ended_at)
    yield from _batches(engine, ended, and_(Call.decided_at.is_(None), ended < before))


def _batches(engine: Engine, at: Any, is_old: ColumnElement[bool]) -> Iterator[Sequence[tuple[str, str | None]]]:
    behind: ColumnElement[bool] = true()
    while True:
        found = select(Call.call_id, Call.caller_key, at.label("at")).where(is_old, behind)
        with engine.connect() as connection:
            calls = connection.execute(found.order_by(at, Call.call_id).limit(_BATCH)).all()
        if not calls:
            return
        yield [(call_id, key) for call_id, key, _ in calls]
        last, _, moment = calls[-1]
        behind = and_(at >= moment, or_(at > moment, Call.call_id > last))


def _spared(connection: Connection, calls: Sequence[Any], experiments: Collection[str]) -> set[str]:
    keys = {key for _, key in calls if key}
    counted = (
        select(Call.caller_key)
        .join(Assignment, Assignment.call_id == Call.call_id)
        .where(Call.caller_key.in_(keys), Assignment.experiment.in_(experiments))
    )
    callers = set(connection.execute(counted).scalars())
    without_key = select(Assignment.call_id).where(
        Assignment.call_id.in_([call_id for call_id, key in calls if not key]), Assignment.experiment.in_(experiments)
    )
    alone = set(connection.execute(without_key).scalars())
    return {call_id for call_id, key in calls if key in callers} | alone
