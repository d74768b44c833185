"""Writing rows so that none is lost, and no call waits for it longer than it may."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import TimeoutError as FutureTimeoutError
from datetime import UTC, datetime
from pathlib import Path
from time import monotonic
from typing import Any

from sqlalchemy import Engine
from sqlalchemy.exc import SQLAlchemyError

from flask_pickup.assignment import Recorded
from flask_pickup.errors import NotRecorded
from flask_pickup.ledger.entries import DefinitionEntry, Entry, from_frame, to_frame
from flask_pickup.ledger.spool import Spool
from flask_pickup.ledger.store import PERMANENT, Store
from flask_pickup.ledger.writer import Overloaded, Writer

log = logging.getLogger("flask_pickup")


class Ledger:
    """Commits entries in groups; what the database does not take in time waits in the spool.

    After a failure no call waits for the database until a replay has reached it again.

    :param wait: seconds that a call waits for the commit.
    :param definitions: written once per process, before anything that refers to them.
    """

    spool_wait = 0.5
    look_every = 10.0

    def __init__(
        self,
        engine: Callable[[], Engine],
        folder: Path,
        *,
        wait: float,
        definitions: Sequence[DefinitionEntry] = (),
    ) -> None:
        self._engine = engine
        self._store: Store | None = None
        self._wait = wait
        self._definitions = definitions
        self._unwritten = list(definitions)
        self._spool = Spool(folder)
        self._committer = Writer[Entry, Recorded | None]("pickup-commit", self._commit, chores=self._heal)
        self._spooler = Writer[bytes, None]("pickup-spool", self._append)
        self._skipping = False
        self._look_at = 0.0
        self.last_commit: datetime | None = None
        self.faults: Counter[str] = Counter()

    def start(self) -> None:
        """Take the spool's space and start the threads, in this process; otherwise the first call does."""
        try:
            self._spool.open()
        except OSError as error:
            self._fault("spool", error)
        self._committer.start()
        self._spooler.start()

    def close(self) -> None:
        """Write what waits and end the threads; what the database does not take now stays in the spool."""
        self._committer.close()
        self._spooler.close()
        self._spool.close()

    def record(self, entry: Entry) -> Recorded | None:
        """Make ``entry`` durable: committed, or else fsynced to the spool.

        :returns: what the tables say, where the call had been decided before.
        :raises NotRecorded: if neither took it in time.
        """
        if not self._skipping:
            try:
                return self._in_time(entry)
            except PERMANENT as error:
                self._fault("refused", error)
                raise NotRecorded("the database refuses the row") from error
            except (SQLAlchemyError, FutureTimeoutError, Overloaded, OSError) as error:
                self._fault("database", error)
                self._skipping = True
        self._keep(entry)
        return None

    def health(self) -> dict[str, Any]:
        """Return what an operator wants to know, of this process."""
        return {
            "database": "skipped" if self._skipping else "ok",
            "last_commit": self.last_commit.isoformat() if self.last_commit else None,
            "waiting": {"memory": self._committer.waiting + self._spooler.waiting, "spool": self._spool.rows},
            "put_aside": self._spool.aside,
            "faults": dict(self.faults),
        }

    def _in_time(self, entry: Entry) -> Recorded | None:
        future = self._committer.submit(entry)
        try:
            return future.result(self._wait)
        finally:
            future.cancel()

    def _keep(self, entry: Entry) -> None:
        try:
            self._spooler.submit(to_frame(entry)).result(self.spool_wait)
        except (OSError, FutureTimeoutError, Overloaded) as error:
            self._fault("spool", error)
            raise NotRecorded("neither the database nor the spool took the row") from error

    def _append(self, frames: Sequence[bytes]) -> list[None]:
        if self._spool.is_empty and self._definitions:
            # Whoever replays this may have other content by then.
            self._spool.append([to_frame(definition) for definition in self._definitions])
        return self._spool.append(frames)

    def _commit(self, entries: Sequence[Entry]) -> list[Recorded | None]:
        if self._store is None:
            self._store = Store(self._engine())
        results = self._store.write([*self._unwritten, *entries])[len(self._unwritten) :]
        self._unwritten = []
        self.last_commit = datetime.now(UTC)
        return results

    def _heal(self) -> None:
        """Replay what waits; once that has gone well the database is back."""
        if not self._skipping and self._spool.is_empty and monotonic() < self._look_at:
            return
        try:
            self._spool.replay(self._replay)
            self._commit([])
        except (SQLAlchemyError, OSError):
            return
        if self._skipping:
            log.warning("The database is back; what waited in the spool is written.")
        self._skipping = False
        self._look_at = monotonic() + self.look_every

    def _replay(self, frames: Sequence[bytes]) -> Sequence[bytes]:
        try:
            self._commit([from_frame(frame) for frame in frames])
        except PERMANENT:
            return list(frames) if len(frames) == 1 else [bad for frame in frames for bad in self._replay([frame])]
        return []

    def _fault(self, kind: str, error: BaseException) -> None:
        self.faults[kind] += 1
        # A database's message quotes the row: its kind has to do.
        log.error("A row was not taken by the %s: %s.", kind, type(error).__name__)
