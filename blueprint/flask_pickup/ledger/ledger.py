"""Writing rows so that none is lost, and no call waits for it longer than it may."""

from __future__ import annotations

import logging
from collections import Counter, deque
from collections.abc import Callable, Collection, Mapping, Sequence
from concurrent.futures import Future
from contextlib import AbstractContextManager, suppress
from datetime import UTC, datetime
from pathlib import Path
from time import monotonic, time
from typing import Any, TypeVar

from sqlalchemy import Engine

from flask_pickup.assignment import Recorded
from flask_pickup.errors import NotRecorded
from flask_pickup.ledger.entries import CallEntry, DefinitionEntry, Entry, WithdrawnEntry, from_frame, to_frame
from flask_pickup.ledger.spool import Spool, SpoolFull
from flask_pickup.ledger.store import Store, is_about_the_row
from flask_pickup.ledger.writer import Writer
from flask_pickup.processes import PerProcess

log = logging.getLogger("flask_pickup")

T = TypeVar("T")
Result = Recorded | None | Exception

_MOST_WITHDRAWN = 1_000


class Refused(Exception):
    """The database is there, and will never take this row."""


class Unreachable(OSError):
    """The database would take no row at all."""


class Ledger:
    """Commits entries in groups; what the database does not take in time waits in the spool.

    After a failure no call waits for the database until a replay has reached it again.

    :param engine: asked for the engine by the committing thread, in each process.
    :param wait: seconds that a call waits for the commit.
    :param definitions: written once per process, before anything that refers to them.
    :param clock: gives the Unix time in seconds.

    ``on_fault`` is told the kind of each fault and of its error, ``on_waiting`` twice a second how many rows wait and where;
    neither may raise or wait.
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
        clock: Callable[[], float] = time,
    ) -> None:
        self._engine = engine
        self._stores = PerProcess(self._make_store)
        self._wait = wait
        self._definitions = definitions
        self._unwritten = list(definitions)
        self._withdrawn: deque[WithdrawnEntry] = deque(maxlen=_MOST_WITHDRAWN)
        self._clock = clock
        self.on_fault: Callable[[str, str], None] = lambda _kind, _what: None
        self.on_waiting: Callable[[Mapping[str, int]], None] = lambda _: None
        self._spool = Spool(folder)
        self._committer = Writer[Entry, Recorded | None]("pickup-commit", self._commit, housekeeping=self._heal)
        # By the spool's thread: the other may hang with the database.
        self._spooler = Writer[bytes, None]("pickup-spool", self._append, housekeeping=self._tell_waiting)
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

    def announce(self) -> AbstractContextManager[None]:
        """Let a commit wait a moment for what this thread may be about to record."""
        return self._committer.announce()

    def record(self, entry: Entry) -> Recorded | None:
        """Make ``entry`` durable: committed, or else fsynced to the spool.

        :returns: what the tables say, where the call had been decided before.
        :raises NotRecorded: if neither took it in time. Should it be there in the end, it says ``fallback``.
        """
        if not self._skipping:
            try:
                return _within(self._wait, self._committer.submit(entry))
            except Refused as error:
                self._fault("refused", error.__cause__ or error)
                raise NotRecorded("the database refuses the row") from error
            except Exception as error:  # noqa: BLE001 (the host's engine may raise anything)
                self._skip(error)
        try:
            _within(self.spool_wait, self._spooler.submit(to_frame(entry)))
        except Exception as error:
            self._fault("spool", error)
            self._withdraw(entry)
            raise NotRecorded("neither the database nor the spool took the row") from error
        return None

    def health(self) -> dict[str, Any]:
        """Return what an operator wants to know, of this process."""
        return {
            "database": "skipped" if self._skipping else "ok",
            "last_commit": self.last_commit.isoformat() if self.last_commit else None,
            "waiting": self.waiting,
            "put_aside": self._spool.aside,
            "unjoined_outcomes": store.unjoined if (store := self._stores.made) else 0,
            "faults": dict(self.faults),
        }

    @property
    def waiting(self) -> Mapping[str, int]:
        """How many rows wait in this process, and where."""
        return {"memory": self._committer.waiting + self._spooler.waiting, "spool": self._spool.rows}

    def _tell_waiting(self) -> None:
        self.on_waiting(self.waiting)

    def _withdraw(self, entry: Entry) -> None:
        """See to it that a row which turns up late, from a commit or a write that went on, does not claim an arm."""
        if isinstance(entry, CallEntry) and entry.assignments:
            withdrawn = WithdrawnEntry(entry.call["call_id"], entry.call["decided_at"])
            self._withdrawn.append(withdrawn)
            with suppress(Exception):
                # Behind the row itself, whose writing may only be slow.
                self._spooler.submit(to_frame(withdrawn))

    def _append(self, frames: Sequence[bytes]) -> list[None]:
        if self._spool.is_empty and self._definitions:
            with suppress(SpoolFull):
                # Whoever replays this may have other content by then.
                self._spool.append([to_frame(definition) for definition in self._definitions])
        return self._spool.append(frames)

    def _make_store(self) -> Store:
        engine = self._engine()
        if self._stores.take_inherited():
            # Two processes on one connection would read each other's answers.
            engine.dispose(close=False)
        return Store(engine)

    def _commit(self, entries: Sequence[Entry]) -> list[Result]:
        store = self._stores()
        first: list[Entry] = [*self._unwritten, *self._withdrawn]
        try:
            results: Sequence[Result] = store.write([*first, *entries])
        except Exception as error:
            if not is_about_the_row(error):
                raise
            results = [_write_alone(store, entry) for entry in (*first, *entries)]
        for _ in first[len(self._unwritten) :]:
            self._withdrawn.popleft()
        self._unwritten = []
        self.last_commit = datetime.fromtimestamp(self._clock(), UTC)
        return list(results[len(first) :])

    def _heal(self) -> None:
        """Replay what waits; once that has gone well the database is back."""
        if not self._skipping and self._spool.is_empty and monotonic() < self._look_at:
            return
        try:
            self._spool.sweep()
            self._spool.replay(self._replay)
            self._stores().probe()
            self._commit([])
        except Exception as error:  # noqa: BLE001 (the host's engine may raise anything)
            self._skip(error)
            return
        if self._skipping:
            log.warning("The database is back; what waited in the spool is written.")
        self._skipping = False
        self._look_at = monotonic() + self.look_every

    def _replay(self, frames: Sequence[bytes]) -> Sequence[bytes]:
        read = [(frame, _entry(frame)) for frame in frames]
        late = self._stores().late_calls([entry for _, entry in read if entry is not None])
        whole = [(frame, entry) for frame, entry in read if entry is not None and not _is_of(entry, late)]
        results = self._commit([entry for _, entry in whole])
        refused = [frame for (frame, _), result in zip(whole, results, strict=True) if isinstance(result, Exception)]
        return [*refused, *(frame for frame, entry in read if entry is None)]

    def _skip(self, error: Exception) -> None:
        """Let no call wait for the database until a replay has gone well."""
        if not self._skipping:
            self._fault("database", error)
        self._skipping = True

    def _fault(self, kind: str, error: BaseException) -> None:
        self.faults[kind] += 1
        self.on_fault(kind, type(error).__name__)
        # A database's message quotes the row: its kind has to do.
        log.error("A row was not taken by the %s: %s.", kind, type(error).__name__)


def _within(seconds: float, future: Future[T]) -> T:
    """Return the future's result; what is not begun by then is not begun any more."""
    try:
        return future.result(seconds)
    finally:
        future.cancel()


def _write_alone(store: Store, entry: Entry) -> Result:
    """Return the result of one entry, or that it is refused; the others of its batch are not to suffer from it."""
    try:
        return store.write([entry])[0]
    except Exception as error:
        if not is_about_the_row(error):
            raise
        refused = Refused()
        refused.__cause__ = error
    try:
        store.probe()
    except Exception as error:
        raise Unreachable("the database takes no row") from error
    return refused


def _is_of(entry: Entry, call_ids: Collection[str]) -> bool:
    return isinstance(entry, CallEntry) and entry.call["call_id"] in call_ids


def _entry(frame: bytes) -> Entry | None:
    with suppress(ValueError):
        return from_frame(frame)
    return None
