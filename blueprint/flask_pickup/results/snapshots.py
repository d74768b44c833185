"""The latest results of each experiment, computed behind the pages and shared by all processes.

A page shows what is in ``pickup_snapshots``, however old. Where newer results are due, a thread computes them, in the one
process that takes the lease. A process that dies leaves a lease that runs out. Where nothing can be written, each
process keeps what it computed for itself.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from threading import Event, Lock, Thread
from time import monotonic
from typing import Any

from sqlalchemy import Engine, and_, delete, or_, select, update
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.exc import SQLAlchemyError

from flask_pickup.engines import reading
from flask_pickup.models import Snapshot
from flask_pickup.processes import PerProcess

log = logging.getLogger("flask_pickup")

VERSION = 3
"""The version of bodies. Raise it when their keys change: results of another version count as none."""
FRESH = timedelta(seconds=60)
"""The age below which results are not computed anew."""
SHARE = 0.05
"""The part of the time that computing what a page shows may take."""
OLD = timedelta(hours=1)
"""The age from which they are computed anew whatever that takes."""
LEASE = timedelta(seconds=120)
"""How long a process that died while it computed keeps others from it, and how long a statement may take."""
_WAIT = 0.1
"""Seconds that a page without any results waits: few calls are computed in less."""
_PATIENCE = 3.0
_NEVER = datetime.min.replace(tzinfo=UTC)

_Body = Mapping[str, Any]


@dataclass(frozen=True)
class Latest:
    """What there is of an experiment's results.

    :param at: when they were computed; None while there are none.
    :param body: plain values of no language; ``{"failed": …}`` with an exception's type if they could not be computed;
        None while there are none.
    :param is_updating: whether they are being computed anew.
    """

    at: datetime | None = None
    body: _Body | None = None
    is_updating: bool = False


@dataclass(frozen=True)
class _Stored:
    """A row of the table, whose body may be of another version."""

    at: datetime | None = None
    leased_until: datetime | None = None
    body: _Body | None = None

    @property
    def is_current(self) -> bool:
        return self.body is not None and self.body.get("version") == VERSION

    @property
    def seconds(self) -> float:
        """What computing them took."""
        return float(self.body["seconds"]) if self.body and self.is_current else 0.0

    @property
    def has_results(self) -> bool:
        return self.body is not None and self.is_current and "failed" not in self.body

    def is_leased(self, now: datetime) -> bool:
        return self.leased_until is not None and self.leased_until > now


@dataclass
class _Process:
    """What a process has: a thread for each experiment that it computes, and what it could not write.

    :param turn: held by the thread that computes; the others wait.
    """

    lock: Lock = field(default_factory=Lock)
    turn: Lock = field(default_factory=Lock)
    threads: dict[str, Thread] = field(default_factory=dict)
    kept: dict[str, _Stored] = field(default_factory=dict)


class Snapshots:
    """Gives pages the latest results, and keeps them up to date.

    :param engine: gives the database.
    :param compute: gives the body of an experiment's results.
    :param now: gives the time, aware.
    """

    def __init__(
        self, engine: Callable[[], Engine], compute: Callable[[str], _Body], now: Callable[[], datetime]
    ) -> None:
        self._engine = engine
        self._compute = compute
        self._now = now
        self._processes = PerProcess(_Process)

    def latest(self, names: Collection[str], fresh: timedelta = FRESH) -> dict[str, Latest]:
        """Return the latest results of each experiment, perhaps of a while ago; newer ones are then being computed.

        It does not wait for them, except for a tenth of a second where there are none at all.

        :param fresh: the age below which they are not computed anew.
        """
        found = self._read(names)
        due = self._due(found, fresh)
        threads = [self._thread(name, stored) for name, stored in found.items() if name in due]
        if threads and not any(stored.is_current for stored in found.values()):
            end = monotonic() + _WAIT
            for thread in threads:
                thread.join(max(0.0, end - monotonic()))
            found = self._read(names)
            due = self._due(found, fresh)
        return self._shown(found, due)

    def stored(self, names: Collection[str]) -> dict[str, Latest]:
        """Return the latest results of each experiment as they are kept; none are computed."""
        return self._shown(self._read(names))

    def renewed(self, names: Collection[str]) -> dict[str, Latest]:
        """Return the latest results of each experiment; those that are due are computed first, in this thread."""
        found = self._read(names)
        for name in self._due(found, FRESH):
            self._renew(name, found[name])
        return self.stored(names)

    def drop(self, names: Collection[str]) -> None:
        """Delete results that rows no longer support; who shows them next computes them. What is being computed is lost."""
        with suppress(SQLAlchemyError), self._engine().begin() as connection:
            connection.execute(delete(Snapshot).where(Snapshot.experiment.in_(names)))

    def _shown(self, found: Mapping[str, _Stored], due: Collection[str] = ()) -> dict[str, Latest]:
        now = self._now()
        return {
            name: Latest(
                stored.at if stored.is_current else None,
                stored.body if stored.is_current else None,
                name in due or stored.is_leased(now),
            )
            for name, stored in found.items()
        }

    def _read(self, names: Collection[str]) -> dict[str, _Stored]:
        kept = self._processes().kept
        found = {name: kept.get(name, _Stored()) for name in names}
        statement = select(Snapshot.__table__).where(Snapshot.experiment.in_(names))
        with suppress(SQLAlchemyError), reading(self._engine(), _PATIENCE) as connection:
            for row in connection.execute(statement):
                stored = _Stored(row.computed_at, row.computing_until, row.body)
                found[row.experiment] = max(stored, found[row.experiment], key=lambda one: one.at or _NEVER)
        return found

    def _due(self, found: Mapping[str, _Stored], fresh: timedelta) -> set[str]:
        """Return the names of the experiments whose results should be computed anew, and nobody does.

        The age from which they should grows with the seconds that all of them take.
        """
        now, seconds = self._now(), sum(stored.seconds for stored in found.values())

        def is_fresh(stored: _Stored) -> bool:
            if not (stored.is_current and stored.at):
                return False
            # What failed may succeed in a minute.
            return now - stored.at < _rest(seconds, fresh if stored.has_results else FRESH)

        return {name for name, stored in found.items() if not (is_fresh(stored) or stored.is_leased(now))}

    def _thread(self, name: str, seen: _Stored) -> Thread:
        """Return the thread of this process that computes an experiment's results, begun if there is none.

        :param seen: what should be replaced.
        """
        process = self._processes()
        with process.lock:
            thread = process.threads.get(name)
            if not (thread and thread.is_alive()):
                thread = Thread(target=self._renew, args=(name, seen), name="pickup-results", daemon=True)
                process.threads[name] = thread
                thread.start()
        return thread

    def _renew(self, name: str, seen: _Stored) -> None:
        with self._processes().turn:
            try:
                is_mine = is_kept = self.lease(name, seen.at)
            except Exception:  # noqa: BLE001 (a database that takes no lease may still be read)
                kept = self._processes().kept.get(name, _Stored())
                is_mine, is_kept = (kept.at or _NEVER) <= (seen.at or _NEVER), False
            if not is_mine:
                return
            done = Event()
            if is_kept:
                Thread(target=self._hold, args=(name, done), name="pickup-lease", daemon=True).start()
            stored = self._computed(name, seen)
            done.set()
            if not (is_kept and self._write(name, stored)):
                self._processes().kept[name] = stored

    def _computed(self, name: str, seen: _Stored) -> _Stored:
        """Return new results; where they could not be computed, the earlier ones for a while."""
        began = monotonic()
        try:
            body = self._compute(name)
        except Exception as error:  # noqa: BLE001 (a page says so; the message may quote a row)
            log.error("The results of %s could not be computed: %s.", name, type(error).__name__)
            body = {"failed": type(error).__name__}
        seconds = round(monotonic() - began, 3)
        if "failed" in body and seen.has_results:
            return replace(seen, leased_until=self._now() + _rest(seconds))
        return _Stored(self._now(), None, {"version": VERSION, "seconds": seconds, **body})

    def _hold(self, name: str, done: Event) -> None:
        """Renew the lease until the results are there: of a year of calls the first ones take minutes."""
        while not done.wait(LEASE.total_seconds() / 2):
            held = update(Snapshot).where(Snapshot.experiment == name, Snapshot.computing_until.is_not(None))
            with suppress(SQLAlchemyError), self._engine().begin() as connection:
                connection.execute(held.values(computing_until=self._now() + LEASE))

    def lease(self, name: str, seen: datetime | None) -> bool:
        """Take the lease of a row for this process; return whether it got it, and nobody has written the row meanwhile.

        :param seen: when the row was written that this process has read; None where there is none.
        :raises sqlalchemy.exc.SQLAlchemyError: if the database does not take it, as one that is read-only.
        """
        engine, now = self._engine(), self._now()
        insert = (postgresql if engine.dialect.name == "postgresql" else sqlite).insert(Snapshot)
        statement = insert.values(experiment=name, computing_until=now + LEASE).on_conflict_do_update(
            index_elements=[Snapshot.experiment],
            set_={"computing_until": now + LEASE},
            where=and_(
                or_(Snapshot.computing_until.is_(None), Snapshot.computing_until <= now),
                Snapshot.computed_at.is_not_distinct_from(seen),
            ),
        )
        with engine.begin() as connection:
            return connection.execute(statement.returning(Snapshot.experiment)).first() is not None

    def write(self, name: str, **values: Any) -> None:
        """Change columns of a row, and give its lease back.

        :raises sqlalchemy.exc.SQLAlchemyError: if the database does not take it.
        """
        statement = update(Snapshot).where(Snapshot.experiment == name)
        with self._engine().begin() as connection:
            connection.execute(statement.values({"computing_until": None, **values}))

    def _write(self, name: str, stored: _Stored) -> bool:
        try:
            self.write(name, computed_at=stored.at, computing_until=stored.leased_until, body=stored.body)
        except SQLAlchemyError as error:
            log.warning("The results of %s could not be kept: %s.", name, type(error).__name__)
            return False
        return True


def _rest(seconds: float, fresh: timedelta = FRESH) -> timedelta:
    """Return how long nothing is computed after what took so many seconds."""
    return min(max(fresh, timedelta(seconds=seconds / SHARE)), OLD)
