"""What is held on a caller: told, forgotten, and removed when its time is up. ``docs/privacy.md`` explains the duties."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from time import monotonic, sleep
from typing import Any

from sqlalchemy import ColumnElement, Connection, Engine, and_, delete, func, insert, or_, select, true, update

from flask_pickup.caller import caller_key, e164
from flask_pickup.catalog import Catalog
from flask_pickup.ledger import Ledger
from flask_pickup.ledger.entries import CallEntry, OutcomeEntry, ReportEntry, from_frame
from flask_pickup.ledger.spool import find_frames
from flask_pickup.ledger.store import Store
from flask_pickup.ledger.tombstones import erase, mark
from flask_pickup.models import Assignment, Call, Definition, Forgotten, Outcome, Transcript
from flask_pickup.options import Options

Counts = Counter[str]
"""Table to how many of its rows."""

BATCH = 100
"""Calls that one transaction deletes, with a thousand other rows: few enough that no call's commit waits for theirs."""

MARKS_LAST = timedelta(days=7)
"""How long what comes late about somebody who was forgotten is dropped: as long as a spool may have to wait."""

_A_LONG_CALL = timedelta(days=1)
_PATIENCE = 30.0
_PAUSE = 0.05


def keys_of(number: str, options: Options) -> tuple[str, ...]:
    """Return a caller's keys, one for each caller secret there is.

    :raises ValueError: if ``number`` is no phone number; the message does not repeat it.
    """
    found = e164(number, options.region)
    if found is None:
        raise ValueError("That is no phone number. Write it with its country, such as +31612345678.")
    return tuple(caller_key(secret, found) for secret in options.caller_secrets)


# --- disclosing -------------------------------------------------------------------------------------------------------


def disclose(engine: Engine, options: Options, number: str) -> dict[str, Any]:
    """Return all that is held on a caller, for them to read.

    :raises ValueError: if ``number`` is no phone number.
    """
    keys = keys_of(number, options)
    with engine.connect() as connection:
        calls = connection.execute(select(Call.__table__).where(Call.caller_key.in_(keys)).order_by(Call.decided_at))
        told = [_told(connection, dict(call)) for call in calls.mappings().all()]
        pinned = sorted({experiment for _, experiment, _ in _pinned(connection, keys)})
    return {
        "caller_keys": list(keys),
        "calls": told,
        "waiting": [_as_json(frame) for path in _spool_files(options.spool) for frame in _frames(path, keys)],
        "pinned": pinned,
    }


def _told(connection: Connection, call: dict[str, Any]) -> dict[str, Any]:
    def rows(table: Any) -> list[dict[str, Any]]:
        found = connection.execute(select(table.__table__).where(table.call_id == call["call_id"])).mappings()
        return [{name: value for name, value in row.items() if name != "call_id"} for row in found]

    return {
        **call,
        "assignments": rows(Assignment),
        "outcomes": {row["name"]: row["value"] for row in rows(Outcome)},
        "transcript": next(iter(rows(Transcript)), None),
    }


def _as_json(frame: bytes) -> Any:
    entry = from_frame(frame)
    if isinstance(entry, OutcomeEntry):
        return {"outcomes": {entry.name: entry.value}, "reported_at": entry.reported_at}
    assert isinstance(entry, CallEntry | ReportEntry)
    return {"call": dict(entry.call), "assignments": [dict(row) for row in entry.assignments]}


# --- forgetting -------------------------------------------------------------------------------------------------------


@dataclass
class Forgot:
    """What was erased, and what could not be.

    :param pinned: experiments whose definitions named the caller; what their folders say stays.
    :param waiting: files in which rows still wait, because a process does not reach the database.
    :param log_ahead: whether SQLite's log could not be emptied, because somebody is reading.
    """

    rows: Counts = field(default_factory=Counter)
    pinned: list[str] = field(default_factory=list)
    waiting: list[Path] = field(default_factory=list)
    log_ahead: bool = False


def forget(engine: Engine, ledger: Ledger, options: Options, number: str, now: datetime) -> Forgot:
    """Erase all that is held on a caller, under every caller secret.

    Marks keep what arrives late about them from being written: from spools, also of other hosts, and from reports of
    calls that are going on. What this host's processes hold is waited for.

    :param now: by the clock that says when calls are decided.
    :raises ValueError: if ``number`` is no phone number.
    :raises sqlalchemy.exc.SQLAlchemyError: if the database does not answer. Then try again; erasing twice does no harm.
    """
    keys = keys_of(number, options)
    store = Store(engine)
    with store.transaction() as connection:
        _mark(connection, keys, now)
    forgot = Forgot(pinned=_unpin(store, keys))
    forgot.rows += _erase_calls(store, keys, now)
    # Until a row that was decided just before the marks is in the table or in a spool.
    sleep(_settling(options, ledger))
    forgot.waiting = _wait_for_spools(ledger, options.spool, keys)
    forgot.rows += _erase_calls(store, keys, now)
    forgot.log_ahead = not _empty_log(engine)
    return forgot


def _settling(options: Options, ledger: Ledger) -> float:
    return options.commit_wait + ledger.spool_wait


def _mark(connection: Connection, names: Collection[str], now: datetime) -> None:
    marks = [mark(name) for name in names]
    connection.execute(
        delete(Forgotten).where(or_(Forgotten.mark.in_(marks), Forgotten.forgotten_at < now - MARKS_LAST))
    )
    if marks:
        connection.execute(insert(Forgotten), [{"mark": one, "forgotten_at": now} for one in marks])


def _erase_calls(store: Store, keys: Collection[str], now: datetime) -> Counts:
    rows: Counts = Counter()
    theirs = select(Call.call_id, Call.decided_at).where(Call.caller_key.in_(keys)).order_by(Call.call_id).limit(BATCH)
    while True:
        with store.transaction() as connection:
            _overwrite_what_is_deleted(connection)
            calls = connection.execute(theirs.with_for_update()).all()
            if not calls:
                return rows
            # A report may bring neither number nor metadata: of calls that may be going on the id is marked too.
            going_on = (at is None or at > now - _A_LONG_CALL for _, at in calls)
            _mark(connection, [call_id for (call_id, _), on in zip(calls, going_on, strict=True) if on], now)
            rows.update(erase(connection, [call_id for call_id, _ in calls]))


def _overwrite_what_is_deleted(connection: Connection) -> None:
    if connection.dialect.name == "sqlite":
        connection.exec_driver_sql("PRAGMA secure_delete = ON")


def _empty_log(engine: Engine) -> bool:
    """Write SQLite's log into its database and empty it; return whether that could be done."""
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
            rest = {key: arm for key, arm in body["pins"].items() if key not in keys}
            changed = update(Definition).where(Definition.fingerprint == fingerprint)
            connection.execute(changed.values(body={**body, "pins": rest}))
    return sorted({experiment for _, experiment, _ in pinned})


# --- the spool --------------------------------------------------------------------------------------------------------


def _wait_for_spools(ledger: Ledger, folder: Path, keys: Sequence[str]) -> list[Path]:
    """Return the files in which rows of the caller still wait once all processes had time to replay theirs."""
    _blot_out(folder, keys)
    deadline = monotonic() + _PATIENCE
    if _mentioning(folder, keys):
        # Those of dead processes are nobody's; this one takes them over.
        ledger.start()
        while _mentioning(folder, keys) and monotonic() < deadline:
            sleep(_PAUSE)
        ledger.close()
        _blot_out(folder, keys)
    return _mentioning(folder, keys)


def _spool_files(folder: Path) -> list[Path]:
    return sorted(path for path in folder.glob("*") if path.is_file())


def _mentioning(folder: Path, keys: Sequence[str]) -> list[Path]:
    return [path for path in _spool_files(folder) if any(key.encode() in _content(path) for key in keys)]


def _content(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except FileNotFoundError:
        return b""


def _frames(path: Path, keys: Sequence[str]) -> Iterator[bytes]:
    for frame, is_whole, _ in find_frames(_content(path)):
        if is_whole and any(key.encode() in frame for key in keys):
            yield frame


def _blot_out(folder: Path, keys: Sequence[str]) -> None:
    """Overwrite what was put aside, line by line in its place: other processes may be appending to the file."""
    path = folder / "aside.jsonl"
    start = 0
    for line in _content(path).splitlines(keepends=True):
        if any(key.encode() in line for key in keys):
            with path.open("r+b") as aside:
                aside.seek(start)
                aside.write(b" " * (len(line) - 1))
                aside.flush()
                os.fsync(aside.fileno())
        start += len(line)


# --- retention --------------------------------------------------------------------------------------------------------


def purge(
    engine: Engine, catalog: Catalog, before: datetime, *, progress: Callable[[Counts], None] = lambda _: None
) -> Counts:
    """Delete calls of before a moment with all that belongs to them, in small batches.

    Callers whom an experiment counts that is not concluded keep their calls: a result stands on all of them.

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
                rows.update(erase(connection, due))
        progress(rows)
        # At least half of the time is the calls'.
        sleep(max(_PAUSE, monotonic() - began))
    return rows


def _open_experiments(catalog: Catalog) -> list[str]:
    unfinished = (experiment.name for experiment in catalog.experiments if experiment.status != "concluded")
    # One that does not load may be running again tomorrow.
    return [*unfinished, *catalog.left_out]


def _old_calls(engine: Engine, before: datetime) -> Iterator[Sequence[tuple[str, str | None]]]:
    """Yield ids and callers of old calls, a batch at a time: the decided ones, then those of which only a report came.

    In the order of time, in which the rows were written: a batch then changes a hundred pages of the tables, and not a
    thousand that the database would have to write to its log whole.
    """
    yield from _batches(engine, Call.decided_at, Call.decided_at < before)
    told = func.coalesce(Call.reported_at, Call.ended_at)
    yield from _batches(engine, told, and_(Call.decided_at.is_(None), told < before))


def _batches(engine: Engine, at: Any, is_old: ColumnElement[bool]) -> Iterator[Sequence[tuple[str, str | None]]]:
    behind: ColumnElement[bool] = true()
    while True:
        found = select(Call.call_id, Call.caller_key, at.label("at")).where(is_old, behind)
        with engine.connect() as connection:
            calls = connection.execute(found.order_by(at, Call.call_id).limit(BATCH)).all()
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
