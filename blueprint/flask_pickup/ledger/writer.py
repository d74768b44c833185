"""A thread that writes what many requests hand in: all that waits, in one go."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from contextlib import contextmanager, suppress
from queue import Empty, SimpleQueue
from threading import Lock, Thread, get_ident
from time import monotonic
from typing import Generic, TypeVar

from flask_pickup.processes import PerProcess

log = logging.getLogger("flask_pickup")

In = TypeVar("In")
Out = TypeVar("Out")

Waiting = SimpleQueue[tuple[In, Future[Out]] | None]
"""What has been handed in; None ends the thread."""


class Overloaded(Exception):
    """More waits than can be written in time."""


class Writer(Generic[In, Out]):
    """Groups what is handed in, and lets each who hands in stop waiting while the writing itself hangs.

    The thread is started by the first who hands something in, in each process anew: threads do not survive a fork.

    :param write: gets a batch, returns a result for each item, or raises for all of them. A result that is an exception
        is raised for its item alone.
    :param chores: called between batches, at least every ``every`` seconds.

    ``gathering`` is how many seconds a batch waits at most for those who are expected.
    """

    gathering = 0.003
    most_waiting = 1_000
    largest_batch = 64
    _patience = 5.0

    def __init__(
        self,
        name: str,
        write: Callable[[Sequence[In]], Sequence[Out | Exception]],
        *,
        chores: Callable[[], None] = lambda: None,
        every: float = 0.5,
    ) -> None:
        self._name = name
        self._write = write
        self._chores = chores
        self._every = every
        self._starting = PerProcess(Lock)
        self._thread: Thread | None = None
        self._queue: Waiting[In, Out] = SimpleQueue()
        self._expected: set[int] = set()

    def start(self) -> None:
        """Start the thread, if this process has none yet."""
        if self.runs:
            return
        with self._starting():
            if not self.runs:
                self._queue = SimpleQueue()
                self._thread = Thread(target=self._run, args=(self._queue,), name=self._name, daemon=True)
                self._thread.start()

    @property
    def runs(self) -> bool:
        """Whether this process has the thread."""
        # To the child of a fork its parent's threads are dead.
        return self._thread is not None and self._thread.is_alive()

    def close(self) -> None:
        """Write what waits and end the thread; whoever hands something in later starts it again."""
        with self._starting():
            thread, self._thread = self._thread, None
        if thread is not None and thread.is_alive():
            self._queue.put(None)
            thread.join(self._patience)

    @contextmanager
    def expecting(self) -> Iterator[None]:
        """Let a batch wait a moment for what this thread may hand in: writing four costs little more than writing one.

        It waits for as many as are in here, whoever they are. Under load the next request follows one that is answered;
        a thread that is alone in here never waits.
        """
        me = get_ident()
        self._expected.add(me)
        try:
            yield
        finally:
            self._expected.discard(me)

    @property
    def is_awaited(self) -> bool:
        """Whether any thread is within :meth:`expecting`."""
        return bool(self._expected)

    def submit(self, item: In) -> Future[Out]:
        """Hand in ``item``; the future has its result once it is written.

        :raises Overloaded: if too much waits already.
        """
        self.start()
        if self._queue.qsize() >= self.most_waiting:
            raise Overloaded
        future: Future[Out] = Future()
        self._queue.put((item, future))
        return future

    @property
    def waiting(self) -> int:
        """How many items wait to be written."""
        return self._queue.qsize()

    def _run(self, queue: Waiting[In, Out]) -> None:
        due = monotonic()
        closed = False
        while not closed:
            batch = self._next_batch(queue)
            closed = None in batch
            self._write_batch([one for one in batch if one and one[1].set_running_or_notify_cancel()])
            if monotonic() >= due and not closed:
                self._do_chores()
                due = monotonic() + self._every

    def _next_batch(self, queue: Waiting[In, Out]) -> list[tuple[In, Future[Out]] | None]:
        batch = []
        with suppress(Empty):
            batch.append(queue.get(timeout=self._every))
            late = monotonic() + self.gathering
            while len(batch) < min(len(self._expected), self.largest_batch):
                batch.append(queue.get(timeout=max(late - monotonic(), 0)))
            while len(batch) < self.largest_batch:
                batch.append(queue.get_nowait())
        return batch

    def _write_batch(self, batch: Sequence[tuple[In, Future[Out]]]) -> None:
        if not batch:
            return
        try:
            results = self._write([item for item, _ in batch])
        except Exception as error:  # noqa: BLE001 (whoever waits decides what it means)
            for _, future in batch:
                future.set_exception(error)
        else:
            for (_, future), result in zip(batch, results, strict=True):
                if isinstance(result, Exception):
                    future.set_exception(result)
                else:
                    future.set_result(result)

    def _do_chores(self) -> None:
        try:
            self._chores()
        except Exception as error:  # noqa: BLE001 (the thread has to go on)
            log.error("%s: %s.", self._name, type(error).__name__)
