"""What SQLite does not do for a file that several processes share: a fair lock, and noticing that the file was replaced."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress

Inode = tuple[int, int] | None


_WAL_BEGINS = {b"", b"\x37\x7f\x06\x82", b"\x37\x7f\x06\x83"}
"""The first bytes of a WAL, by SQLite's file format; an empty one has not been written yet."""


class FileReplaced(OSError):
    """The database's file or its WAL is not the one that was opened."""


def identity(path: str) -> tuple[Inode, ...]:
    """Return what changes when the file at ``path``, its WAL or the WAL's index is deleted or replaced."""
    return _inode(path), _inode(f"{path}-wal"), _inode(f"{path}-shm")


def is_wal_overwritten(path: str) -> bool:
    """Return whether the WAL has lost its beginning, without which the next process reads nothing of it."""
    with suppress(OSError), open(f"{path}-wal", "rb", buffering=0) as wal:  # noqa: PTH123 (called at each commit)
        return wal.read(4) not in _WAL_BEGINS
    return False


def _inode(path: str) -> Inode:
    with suppress(OSError):
        status = os.stat(path)  # noqa: PTH116 (called at each commit, where Path costs more than the call)
        return status.st_dev, status.st_ino
    return None


@contextmanager
def kernel_lock(path: str) -> Iterator[None]:
    """Hold a fair lock among processes around a transaction on the SQLite file at ``path``.

    SQLite waits by sleeping and trying again, and the process that has slept longest can lose each time.
    """
    file = os.open(f"{path}-pickup-lock", os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
    finally:
        # Closing does not unlock the file while a child that was forked meanwhile has it open.
        fcntl.flock(file, fcntl.LOCK_UN)
        os.close(file)
