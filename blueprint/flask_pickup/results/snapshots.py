"""The latest results of each experiment, computed behind the pages and shared by all processes.

A page shows what is in ``pickup_snapshots``. Where that is older than a minute, a thread computes it anew, in the one
process that takes the lease. A process that dies leaves a lease that runs out. Where nothing can be written, each
process keeps what it computed for itself.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from threading import Lock, Thread
from time import monotonic
from typing import Any

from sqlalchemy import Engine, and_, or_, select, update
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.exc import SQLAlchemyError

from flask_pickup.engines import reading
from flask_pickup.models import Snapshot
from flask_pickup.processes import PerProcess

log = logging.getLogger("flask_pickup")

FRESH = timedelta(seconds=60)
"""The age from which results are computed anew."""
LEASE = timedelta(seconds=120)
"""How long a process may take to compute them; then another one does."""
OLD = timedelta(hours=1)
"""The age from which a page waits for newer results, as it does where there are none."""
WAIT = 1.5
"""Seconds that it waits."""
_PATIENCE = 3.0
_NEVER = datetime.min.replace(tzinfo=UTC)

_Body = Mapping[str, Any]


@dataclass(frozen=True)
class Latest:
    """What there is of an experiment's results.

    :param at: when they were computed; None while there are none yet.
    :param leased_until: when the lease of the process that computes them anew runs out.
    :param body: plain values of no language; ``{"failed": …}`` with an exception's type if they could not be computed.
    """

    at: datetime | None = None
    leased_until: datetime | None = None
    body: _Body | None = None

    def is_due(self, now: datetime) -> bool:
        """Return whether the results should be computed anew, and nobody does."""
        is_fresh = self.at is not None and now - self.at < FRESH
        return not is_fresh and (self.leased_until is None or self.leased_until <= now)


@dataclass
class _Process:
    """What a process has: a thread for each experiment that it computes, and what it could not write.

    :param turn: held by the thread that computes; the others wait.
    """

    lock: Lock = field(default_factory=Lock)
    turn: Lock = field(default_factory=Lock)
    threads: dict[str, Thread] = field(default_factory=dict)
    kept: dict[str, Latest] = field(default_factory=dict)


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

    def latest(self, names: Collection[str], wait: float = WAIT) -> dict[str, _Body]:
        """Return the latest results of experiments, perhaps of a while ago; those without any yet are absent.

        :param wait: seconds to wait where there are none, or only old ones.
        """
        found, now = self._read(names), self._now()
        latest = {name: found.get(name, Latest()) for name in names}
        threads = {name: self._thread(name, is_due=one.is_due(now)) for name, one in latest.items()}
        waited = [thread for name, thread in threads.items() if thread and now - (latest[name].at or _NEVER) > OLD]
        end = monotonic() + wait
        for thread in waited:
            thread.join(max(0.0, end - monotonic()))
        found = self._read(names) if waited else found
        return {name: one.body for name, one in found.items() if one.body is not None}

    def _read(self, names: Collection[str]) -> dict[str, Latest]:
        found = {name: latest for name, latest in self._processes().kept.items() if name in names}
        statement = select(Snapshot.__table__).where(Snapshot.experiment.in_(names))
        with suppress(SQLAlchemyError), reading(self._engine(), _PATIENCE) as connection:
            for row in connection.execute(statement):
                latest = Latest(row.computed_at, row.computing_until, row.body)
                found[row.experiment] = max(latest, found.get(row.experiment, latest), key=lambda one: one.at or _NEVER)
        return found

    def _thread(self, name: str, *, is_due: bool) -> Thread | None:
        """Return the thread of this process that computes an experiment's results, begun if they are due."""
        process = self._processes()
        with process.lock:
            thread = process.threads.get(name)
            if is_due and not (thread and thread.is_alive()):
                thread = Thread(target=self._renew, args=(name,), name="pickup-results", daemon=True)
                process.threads[name] = thread
                thread.start()
        return thread

    def _renew(self, name: str) -> None:
        with self._processes().turn:
            try:
                is_mine = is_kept = self._lease(name)
            except Exception:  # noqa: BLE001 (a database that takes no lease may still be read)
                is_mine, is_kept = True, False
            if not is_mine:
                return
            try:
                body = self._compute(name)
            except Exception as error:  # noqa: BLE001 (a page says so; the message may quote a row)
                log.error("The results of %s could not be computed: %s.", name, type(error).__name__)
                body = {"failed": type(error).__name__}
            latest = Latest(self._now(), None, body)
            if not (is_kept and self._write(name, latest)):
                self._processes().kept[name] = latest

    def _lease(self, name: str) -> bool:
        """Take the lease for this process; return whether the results are still due, and it got the lease.

        :raises sqlalchemy.exc.SQLAlchemyError: if the database does not take it, as one that is read-only.
        """
        engine, now = self._engine(), self._now()
        insert = (postgresql if engine.dialect.name == "postgresql" else sqlite).insert(Snapshot)
        statement = insert.values(experiment=name, computing_until=now + LEASE).on_conflict_do_update(
            index_elements=[Snapshot.experiment],
            set_={"computing_until": now + LEASE},
            where=and_(
                or_(Snapshot.computing_until.is_(None), Snapshot.computing_until <= now),
                or_(Snapshot.computed_at.is_(None), Snapshot.computed_at <= now - FRESH),
            ),
        )
        with engine.begin() as connection:
            return connection.execute(statement.returning(Snapshot.experiment)).first() is not None

    def _write(self, name: str, latest: Latest) -> bool:
        statement = update(Snapshot).where(Snapshot.experiment == name)
        try:
            with self._engine().begin() as connection:
                connection.execute(statement.values(computed_at=latest.at, computing_until=None, body=latest.body))
        except SQLAlchemyError as error:
            log.warning("The results of %s could not be kept: %s.", name, type(error).__name__)
            return False
        return True
