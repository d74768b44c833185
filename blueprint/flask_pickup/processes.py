"""What each process has for itself: threads, locks and open files do not survive a fork."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from concurrent.futures import Future
from threading import BoundedSemaphore, Thread
from typing import Generic, TypeVar

from flask_pickup.errors import ConfigurationError

T = TypeVar("T")


_GREENLET_WORKERS = ("gunicorn.workers.ggevent", "gunicorn.workers.geventlet")


def refuse_greenlets() -> None:
    """Raise ``ConfigurationError`` where greenlets stand in for threads: with them a deadline does not pass.

    Such a worker of gunicorn's replaces the threads only after a preloaded app is mounted, so its module counts too.
    """
    gevent, eventlet = sys.modules.get("gevent.monkey"), sys.modules.get("eventlet.patcher")
    if (
        not sys.modules.keys().isdisjoint(_GREENLET_WORKERS)
        or (gevent and gevent.is_module_patched("threading"))
        or (eventlet and eventlet.is_monkey_patched("thread"))
    ):
        raise ConfigurationError(
            "Pickup needs real threads, and gevent or eventlet replaces them in this process. "
            "Use gunicorn's gthread worker (worker_class = 'gthread', threads = 4) or its sync worker."
        )


class PerProcess(Generic[T]):
    """A value that every process makes for itself when it first asks for it.

    A lock that another thread held at the moment of a fork stays locked in the child for ever; a child that makes its
    own never meets it.

    :param make: may run twice where two threads ask first at once; one result is dropped.
    """

    def __init__(self, make: Callable[[], T]) -> None:
        self._make = make
        self._made: dict[int, T] = {}

    def __call__(self) -> T:
        """Return this process's value."""
        pid = os.getpid()
        found = self._made.get(pid)
        return self._made.setdefault(pid, self._make()) if found is None else found

    def take(self) -> T | None:
        """Forget this process's value, and return it if there was one."""
        return self._made.pop(os.getpid(), None)


class DaemonThreads:
    """Runs the host's functions on threads that may hang: they do not keep the process from ending.

    :param limit: the number of threads at a time in a process.
    """

    def __init__(self, name: str, limit: int) -> None:
        self._name = name
        self._free = PerProcess(lambda: BoundedSemaphore(limit))

    def submit(self, function: Callable[[], T]) -> Future[T] | None:
        """Start ``function`` on a thread; return None if all threads are busy. The future also holds a ``SystemExit``."""
        free = self._free()
        if not free.acquire(blocking=False):
            return None
        future: Future[T] = Future()

        def run() -> None:
            try:
                future.set_result(function())
            except BaseException as error:  # noqa: BLE001 (the host's code may raise anything)
                future.set_exception(error)
            finally:
                free.release()

        Thread(target=run, name=self._name, daemon=True).start()
        return future
