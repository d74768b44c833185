"""Durable writes: the group commit with the spool behind it, and a bound on how long a call waits for them."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from contextlib import AbstractContextManager, suppress
from datetime import UTC, datetime
from pathlib import Path
from time import monotonic, time
from typing import Any, TypeVar

from sqlalchemy import Engine, select

from flask_pickup.assignment import Recorded
from flask_pickup.engines import reading
from flask_pickup.errors import NotRecorded
from flask_pickup.ledger.entries import DefinitionEntry, Entry, from_json, to_json
from flask_pickup.ledger.spool import Spool, SpoolUnavailable
from flask_pickup.ledger.store import Store, is_about_the_row
from flask_pickup.ledger.writer import Writer
from flask_pickup.models import Call
from flask_pickup.waits import Waits

log = logging.getLogger("flask_pickup")

T = TypeVar("T")
Result = Recorded | None | Exception


class Ledger:
    """Commits entries in groups; entries that the database does not take in time wait in the spool.

    After a failure no call waits for the database until it has taken a write again. Its threads, locks and connections do
    not survive a fork: each process makes a ledger of its own.

    :param engine: called for the engine by the committing thread.
    :param folder: where the spool's file is.
    :param waits: the longest that an entry waits for the commit and for the spool.
    :param definitions: written once, before anything that refers to them.
    :param clock: gives the Unix time in seconds.
    :param on_fault: gets the kind of each fault and of its error; may neither raise nor block.
    :param on_waiting: gets twice a second how many rows wait and where; likewise.
    """

    look_every = 10.0

    def __init__(  # noqa: PLR0913 (all that it needs of its app)
        self,
        engine: Callable[[], Engine],
        folder: Path,
        *,
        waits: Waits,
        definitions: Sequence[DefinitionEntry] = (),
        clock: Callable[[], float] = time,
        on_fault: Callable[[str, str], None] = lambda _kind, _what: None,
        on_waiting: Callable[[Mapping[str, int]], None] = lambda _: None,
    ) -> None:
        self._engine = engine
        self._store: Store | None = None
        self._waits = waits
        self._definitions = definitions
        self._unwritten = definitions
        self._unspooled = definitions
        self._clock = clock
        self._on_fault = on_fault
        self._spool = Spool(folder)
        self._committer = Writer[Entry, Recorded | None]("pickup-commit", self._commit, housekeeping=self._heal)
        # The spool has its own thread, because the other may hang with the database.
        self._spooler = Writer[str, None]("pickup-spool", self._append, housekeeping=lambda: on_waiting(self.waiting))
        self._skipping = False
        self._look_at = 0.0
        self._last_commit: datetime | None = None
        self._faults: Counter[str] = Counter()

    def start(self) -> None:
        """Start the threads, which otherwise the first entry does; they also see whether the spool can be written."""
        self._committer.start()
        self._spooler.start()

    def close(self) -> None:
        """Write what is queued and end the threads; what the database does not take now stays in the spool."""
        self._committer.close()
        self._spooler.close()
        with suppress(SpoolUnavailable):
            self._spool.close()

    def announce(self) -> AbstractContextManager[None]:
        """Announce that this thread may record an entry, so that a commit waits a moment for it."""
        return self._committer.announce()

    def record(self, entry: Entry, waits: Waits | None = None) -> Recorded | None:
        """Make ``entry`` durable: committed, or else written to the spool.

        :param waits: the platform's, by default the longest. A shorter wait that runs out opens no circuit breaker.
        :returns: the recorded decision, if the call was decided before.
        :raises NotRecorded: if neither took it in time. A write that had begun may still succeed.
        """
        waits = waits or self._waits
        if not self._skipping:
            try:
                return _within(waits.commit, self._committer.submit(entry))
            except NotRecorded:
                raise
            except TookTooLong as error:
                if waits.commit < self._waits.commit:
                    self._fault("database", error)
                else:
                    self._skip(error)
            except Exception as error:  # noqa: BLE001 (the host's engine may raise anything)
                self._skip(error)
        try:
            _within(waits.spool, self._spooler.submit(to_json(entry)))
        except Exception as error:
            self._fault("spool", error)
            raise NotRecorded("neither the database nor the spool took the row") from error
        return None

    def recorded_id(self, *call_ids: str) -> str | None:
        """Return the first of some ids under which the tables have a call; None while the database is not available."""
        with suppress(Exception):
            if not self._skipping:
                with reading(self._engine(), self._waits.commit) as connection:
                    found = set(connection.scalars(select(Call.call_id).where(Call.call_id.in_(call_ids))))
                    return next((call_id for call_id in call_ids if call_id in found), None)
        return None

    def health(self) -> dict[str, Any]:
        """Return this process's state for ``/health``."""
        return {
            "database": "skipped" if self._skipping else "ok",
            "last_commit": self._last_commit.isoformat() if self._last_commit else None,
            "waiting": self.waiting,
            "dead_letters": self._spool.dead_letters,
            "unjoined_outcomes": self._store.unjoined if self._store else 0,
            "foreign_reports": self._store.foreign if self._store else 0,
            "faults": dict(self._faults),
        }

    @property
    def waiting(self) -> Mapping[str, int]:
        """How many rows wait in this process's memory, and in the spool of all processes."""
        return {"memory": self._committer.waiting + self._spooler.waiting, "spool": self._spool.rows}

    def _append(self, entries: Sequence[str]) -> list[None]:
        # The definitions first: the process that replays this may have other content.
        self._spool.append([*map(to_json, self._unspooled), *entries])
        self._unspooled = ()
        return [None] * len(entries)

    def _open(self) -> Store:
        if self._store is None:
            self._store = Store(self._engine(), self._clock)
        return self._store

    def _commit(self, entries: Sequence[Entry]) -> list[Result]:
        store = self._open()
        batch = [*self._unwritten, *entries]
        try:
            results: Sequence[Result] = store.write(batch)
        except Exception as error:
            if not is_about_the_row(error):
                raise
            results = [self._write_alone(store, entry) for entry in batch]
        self._unwritten = ()
        self._last_commit = datetime.fromtimestamp(self._clock(), UTC)
        return list(results[len(batch) - len(entries) :])

    def _write_alone(self, store: Store, entry: Entry) -> Result:
        """Return the result of one entry of a refused batch, or ``NotRecorded``."""
        try:
            return store.write([entry])[0]
        except Exception as error:
            if not is_about_the_row(error):
                raise
            # A database that takes no row at all raises here: then it is not the row's fault.
            store.probe()
            self._fault("refused", error)
            return NotRecorded("the database refuses the row")

    def _heal(self) -> None:
        """Replay the spool and try the database; after a success calls wait for its commits again."""
        if not self._skipping and not self._spool.rows and monotonic() < self._look_at:
            return
        try:
            self._replay_spool()
            self._open().probe()
            self._commit([])
        except Exception as error:  # noqa: BLE001 (the host's engine may raise anything)
            self._skip(error)
            return
        if self._skipping:
            log.warning("The database is back.")
        self._skipping = False
        self._look_at = monotonic() + self.look_every

    def _replay_spool(self) -> None:
        try:
            # Calls that wait for this thread go first.
            self._spool.replay(self._replay, pause=lambda: bool(self._committer.waiting))
        except SpoolUnavailable as error:
            self._fault("spool", error)
        if not self._spool.rows:
            self._unspooled = self._definitions

    def _replay(self, texts: Sequence[str]) -> Sequence[str]:
        entries = {text: entry for text in texts if (entry := from_json(text))}
        results = dict(zip(entries, self._commit(list(entries.values())), strict=True))
        return [text for text in texts if text not in results or isinstance(results[text], Exception)]

    def _skip(self, error: Exception) -> None:
        """Let no call wait for the database until :meth:`_heal` has succeeded."""
        if not self._skipping:
            self._fault("database", error)
        self._skipping = True

    def _fault(self, kind: str, error: BaseException) -> None:
        # Only the type of the driver's exception: its message can contain the row.
        what = type(getattr(error, "orig", None) or error).__name__
        self._faults[kind] += 1
        self._on_fault(kind, what)
        log.error("A row was not taken by the %s: %s.", kind, what)


class TookTooLong(TimeoutError):
    """An item was not written in time."""


def _within(seconds: float, future: Future[T]) -> T:
    """Return the future's result.

    :raises TookTooLong: after ``seconds``; an item that is still queued is cancelled.
    """
    try:
        return future.result(seconds)
    except TimeoutError as error:
        if future.done():
            # It was written in this moment, or what writes it has raised this.
            return future.result()
        future.cancel()
        raise TookTooLong from error
