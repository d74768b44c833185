"""A background thread that writes the items of many requests in batches."""

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

Item = tuple[In, Future[Out]]


class Overloaded(Exception):
    """The queue is full."""


class Writer(Generic[In, Out]):
    """Writes queued items in batches, so that a request can stop waiting while a write hangs.

    The first item starts the thread, in each process anew: threads do not survive a fork.

    :param write: gets a batch and returns one result per item, or raises for all of them. An exception among the results
        is raised for its item alone.
    :param housekeeping: called between batches, at least every half second.

    ``batch_window`` is the longest time in seconds that a batch waits for announced items.
    """

    batch_window = 0.003
    most_waiting = 1_000
    largest_batch = 64
    _every = 0.5
    _patience = 5.0

    def __init__(
        self,
        name: str,
        write: Callable[[Sequence[In]], Sequence[Out | Exception]],
        *,
        housekeeping: Callable[[], None] = lambda: None,
    ) -> None:
        self._name = name
        self._write = write
        self._housekeeping = housekeeping
        self._starting = PerProcess(Lock)
        self._thread: Thread | None = None
        self._queue: SimpleQueue[Item[In, Out] | None] = SimpleQueue()
        self._announced: set[int] = set()

    def start(self) -> None:
        """Start the thread, unless this process has one."""
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
        # In a forked child the parent's threads are not alive.
        return self._thread is not None and self._thread.is_alive()

    def close(self) -> None:
        """Write what is queued and end the thread; a later item starts it again."""
        with self._starting():
            thread, self._thread = self._thread, None
        if thread is not None and thread.is_alive():
            self._queue.put(None)
            thread.join(self._patience)

    @contextmanager
    def announce(self) -> Iterator[None]:
        """Announce that this thread may submit an item, so that a batch waits a moment for it.

        A batch waits until it holds as many items as threads have announced one. A single thread never waits.
        """
        me = get_ident()
        self._announced.add(me)
        try:
            yield
        finally:
            self._announced.discard(me)

    def submit(self, item: In) -> Future[Out]:
        """Queue ``item``; the future gets its result once it is written.

        :raises Overloaded: if the queue is full.
        """
        self.start()
        if self._queue.qsize() >= self.most_waiting:
            raise Overloaded
        future: Future[Out] = Future()
        self._queue.put((item, future))
        return future

    @property
    def waiting(self) -> int:
        """How many items are queued."""
        return self._queue.qsize()

    def _run(self, queue: SimpleQueue[Item[In, Out] | None]) -> None:
        due = monotonic()
        closed = False
        while not closed:
            batch = self._next_batch(queue)
            closed = None in batch
            self._write_batch([one for one in batch if one and one[1].set_running_or_notify_cancel()])
            if monotonic() >= due and not closed:
                try:
                    self._housekeeping()
                except Exception as error:  # noqa: BLE001 (the thread has to go on)
                    log.error("%s: %s.", self._name, type(error).__name__)
                due = monotonic() + self._every

    def _next_batch(self, queue: SimpleQueue[Item[In, Out] | None]) -> list[Item[In, Out] | None]:
        batch = []
        with suppress(Empty):
            batch.append(queue.get(timeout=self._every))
            late = monotonic() + self.batch_window
            while len(batch) < min(len(self._announced), self.largest_batch):
                batch.append(queue.get(timeout=max(late - monotonic(), 0)))
            while len(batch) < self.largest_batch:
                batch.append(queue.get_nowait())
        return batch

    def _write_batch(self, batch: Sequence[Item[In, Out]]) -> None:
        if not batch:
            return
        try:
            results = self._write([item for item, _ in batch])
        except Exception as error:  # noqa: BLE001 (the waiting request decides what it means)
            results = [error] * len(batch)
        for (_, future), result in zip(batch, results, strict=True):
            if isinstance(result, Exception):
                future.set_exception(result)
            else:
                future.set_result(result)
