"""What each process has for itself: threads, locks and open files do not survive a fork."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Generic, TypeVar

T = TypeVar("T")


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

    @property
    def made(self) -> T | None:
        """This process's value, if it has made one."""
        return self._made.get(os.getpid())

    def take_inherited(self) -> list[T]:
        """Return what the processes before a fork had made, and forget it."""
        others = [pid for pid in list(self._made) if pid != os.getpid()]
        return [self._made.pop(pid) for pid in others]
