"""What SQLite does not do for a file that several processes share: a fair lock, and noticing that the file was replaced."""

from __future__ import annotations

import fcntl
import os
from contextlib import suppress

from sqlalchemy import Engine

from flask_pickup.processes import PerProcess

Inode = tuple[int, int] | None


class FileReplaced(OSError):
    """The database's file or its WAL is not the one that was opened."""


def path_of(engine: Engine) -> str | None:
    """Return the path of the engine's SQLite file, if other processes can open it by its path."""
    database = engine.url.database
    if engine.dialect.name != "sqlite" or not database or database == ":memory:" or database.startswith("file:"):
        return None
    return database


def identity(path: str) -> tuple[Inode, Inode]:
    """Return what changes when the file at ``path`` or its WAL is deleted or replaced."""
    return _inode(path), _inode(f"{path}-wal")


def _inode(path: str) -> Inode:
    with suppress(OSError):
        status = os.stat(path)  # noqa: PTH116 (called at each commit, where Path costs more than the call)
        return status.st_dev, status.st_ino
    return None


class KernelLock:
    """A fair lock among processes around SQLite's transactions.

    SQLite waits by sleeping and trying again, and the process that has slept longest can lose each time.

    :param path: the lock's own file.
    """

    def __init__(self, path: str) -> None:
        self._path = path
        self._files = PerProcess(self._open)

    def __enter__(self) -> None:
        # The lock of a parent that died stays locked as long as its child has the parent's file open.
        for file in self._files.take_inherited():
            os.close(file)
        fcntl.flock(self._files(), fcntl.LOCK_EX)

    def __exit__(self, *_: object) -> None:
        fcntl.flock(self._files(), fcntl.LOCK_UN)

    def _open(self) -> int:
        return os.open(self._path, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
