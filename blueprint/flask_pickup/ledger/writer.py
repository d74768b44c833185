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

log = logging.getLogger("flask_pickup")

In = TypeVar("In")
Out = TypeVar("Out")

Item = tuple[In, Future[Out]]


class Overloaded(Exception):
    """The queue is full."""


class Writer(Generic[In, Out]):
    """Writes queued items in batches, so that a request can stop waiting while a write hangs.

    The first item starts the thread. Threads do not survive a fork: each process makes a writer of its own.

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
        self._write = write
        self._housekeeping = housekeeping
        self._starting = Lock()
        self._thread = Thread(target=self._run, name=name, daemon=True)
        self._queue: SimpleQueue[Item[In, Out] | None] = SimpleQueue()
        self._announced: set[int] = set()

    def start(self) -> None:
        """Start the thread, unless it was started."""
        if not self.started:
            with self._starting:
                if not self.started:
                    self._thread.start()

    @property
    def started(self) -> bool:
        """Whether the thread was started."""
        return self._thread.ident is not None

    def close(self) -> None:
        """Write what is queued and end the thread. The writer takes no further items."""
        if self.started:
            self._queue.put(None)
            self._thread.join(self._patience)

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

    def _run(self) -> None:
        due = monotonic()
        closed = False
        while not closed:
            batch = self._next_batch()
            closed = None in batch
            self._write_batch([one for one in batch if one and one[1].set_running_or_notify_cancel()])
            if monotonic() >= due and not closed:
                try:
                    self._housekeeping()
                except Exception as error:  # noqa: BLE001 (the thread has to go on)
                    log.error("%s: %s.", self._thread.name, type(error).__name__)
                due = monotonic() + self._every

    def _next_batch(self) -> list[Item[In, Out] | None]:
        batch = []
        with suppress(Empty):
            batch.append(self._queue.get(timeout=self._every))
            late = monotonic() + self.batch_window
            while len(batch) < min(len(self._announced), self.largest_batch):
                batch.append(self._queue.get(timeout=max(late - monotonic(), 0)))
            while len(batch) < self.largest_batch:
                batch.append(self._queue.get_nowait())
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
