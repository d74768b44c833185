"""On-disk queue for rows while the database is unavailable: one SQLite file for all processes of the app."""

from __future__ import annotations

import json
import logging
import os
import sqlite3
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from threading import Lock
from typing import Any

from flask_pickup.engines import make_private_file
from flask_pickup.ledger.sqlite_file import identity, kernel_lock

log = logging.getLogger("flask_pickup")

_BATCH = 200
_BUSY_TIMEOUT = 2.0
_TABLES = ("spool", "dead_letter")
# AUTOINCREMENT, because an id that is used again could be deleted by a process that has replayed the earlier row.
_OPEN = """
PRAGMA auto_vacuum = INCREMENTAL;
PRAGMA journal_mode = WAL;
PRAGMA synchronous = FULL;
PRAGMA secure_delete = ON;
CREATE TABLE IF NOT EXISTS spool (id INTEGER PRIMARY KEY AUTOINCREMENT, entry TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS dead_letter (id INTEGER PRIMARY KEY, entry TEXT NOT NULL);
"""
# By the ids, because counting reads every row. Erased rows in between are counted until they are passed.
_COUNT = "SELECT (SELECT max(id) FROM spool) - (SELECT min(id) FROM spool) + 1, (SELECT count(*) FROM dead_letter)"
_CONTAINS = "EXISTS (SELECT 1 FROM json_each(?) WHERE instr(entry, value))"

Replay = Callable[[Sequence[str]], Sequence[str]]
"""Commits entries; returns those that the database refuses. Raises if the database is unavailable."""


class SpoolUnavailable(OSError):
    """The spool's file cannot be read or written, for example because the disk is full."""


class Spool:
    """The file ``spool.db`` in a folder; both are made when they are missing, for the app's user alone.

    ``rows`` and ``dead_letters`` are the numbers that this process saw last.
    """

    def __init__(self, folder: Path) -> None:
        self._path = folder / "spool.db"
        self._lock = Lock()
        self._connection: sqlite3.Connection | None = None
        self._opened: Any = None
        self.rows = 0
        self.dead_letters = 0

    def append(self, entries: Sequence[str]) -> None:
        """Write ``entries`` durably, all or none.

        :raises SpoolUnavailable: if none is written.
        """
        with self._transaction() as connection:
            connection.executemany("INSERT INTO spool (entry) VALUES (?)", [(entry,) for entry in entries])

    def replay(self, take: Replay, *, pause: Callable[[], bool] = lambda: False) -> None:
        """Hand the entries to ``take`` in their order, by batches; each batch is deleted after it is committed.

        Refused entries become dead letters. Two processes may hand over the same batch: writes are idempotent.

        :param pause: asked after each batch whether the rest has to wait.
        :raises SpoolUnavailable: if the file cannot be read or written.
        :raises Exception: what ``take`` raises; its batch stays.
        """
        while batch := self._oldest():
            refused = set(take([entry for _, entry in batch]))
            with self._transaction() as connection:
                dead = [(number,) for number, entry in batch if entry in refused]
                moved = connection.executemany(
                    "INSERT INTO dead_letter SELECT * FROM spool WHERE id = ?", dead
                ).rowcount
                connection.executemany("DELETE FROM spool WHERE id = ?", [(number,) for number, _ in batch])
            if dead and moved:
                log.critical(
                    "The database refuses %s row(s), kept in the table dead_letter of '%s'.", moved, self._path
                )
            if pause():
                return

    def _oldest(self) -> list[tuple[int, str]]:
        with self._transaction() as connection:
            batch = connection.execute("SELECT id, entry FROM spool ORDER BY id LIMIT ?", (_BATCH,)).fetchall()
        if not batch:
            self.close()
        return batch

    def close(self) -> bool:
        """Give the space of deleted rows back, and close the file; its next use opens it.

        :returns: whether its write-ahead log was emptied too, which another program's reading prevents.
        """
        if self._connection is None:
            return True
        with self._access():
            connection = self._open()
            self._connection = None
            with closing(connection):
                # As a script, because execute() stops after the first page.
                connection.executescript("PRAGMA incremental_vacuum")
                return not connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()[0]

    def find(self, needles: Sequence[str]) -> dict[str, list[str]]:
        """Return the entries that contain one of ``needles``, by table: ``spool`` and ``dead_letter``."""
        found: dict[str, list[str]] = {table: [] for table in _TABLES}
        if self._path.exists():
            with self._transaction() as connection:
                for table, entries in found.items():
                    statement = f"SELECT entry FROM {table} WHERE {_CONTAINS} ORDER BY id"  # noqa: S608 (our own)
                    entries += [entry for (entry,) in connection.execute(statement, (json.dumps(needles),))]
            self.close()
        return found

    def erase(self, needles: Sequence[str]) -> bool:
        """Delete the entries that contain one of ``needles``; return what :meth:`close` does."""
        if not self._path.exists():
            return True
        with self._transaction() as connection:
            for table in _TABLES:
                connection.execute(f"DELETE FROM {table} WHERE {_CONTAINS}", (json.dumps(needles),))  # noqa: S608
        return self.close()

    def count(self) -> tuple[int, int]:
        """Return how many rows wait and how many are dead letters, beside processes that use the file; it makes none.

        :raises SpoolUnavailable: if the file cannot be read.
        """
        if not self._path.exists():
            return 0, 0
        try:
            # As other connections do, it removes the write-ahead log if it is the last to close.
            with closing(
                sqlite3.connect(f"{self._path.absolute().as_uri()}?mode=rw", _BUSY_TIMEOUT, uri=True)
            ) as connection:
                rows, dead_letters = connection.execute(_COUNT).fetchone()
        except sqlite3.Error as error:
            raise SpoolUnavailable(f"The spool '{self._path}' cannot be read: {error}.") from error
        return rows or 0, dead_letters

    def check(self) -> None:
        """See whether this user can write the file, or make it; makes none.

        :raises SpoolUnavailable: if not.
        """
        folder = next(each for each in self._path.parents if each.exists())
        if not folder.is_dir():
            raise SpoolUnavailable(f"The spool '{self._path}' cannot be made: '{folder}' is a file. Rename or move it.")
        for each in (folder, self._path):
            if each.exists() and not os.access(each, os.W_OK):
                remedy = "Let the app's user write it, and run this command as that user."
                raise SpoolUnavailable(
                    f"The spool '{self._path}' cannot be written: no right to write '{each}'. {remedy}"
                )

    @contextmanager
    def _access(self) -> Iterator[None]:
        try:
            make_private_file(self._path)
            with self._lock, kernel_lock(str(self._path)):
                yield
        except (sqlite3.Error, OSError) as error:
            raise SpoolUnavailable(f"The spool '{self._path}' cannot be used: {error}.") from error

    @contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        with self._access(), self._open() as connection:
            connection.execute("BEGIN IMMEDIATE")
            yield connection
            rows, self.dead_letters = connection.execute(_COUNT).fetchone()
            self.rows = rows or 0

    def _open(self) -> sqlite3.Connection:
        """Return the connection; one to a file that was deleted is closed."""
        path = str(self._path)
        if self._connection is None or self._opened != identity(path):
            if self._connection is not None:
                self._connection.close()
                self._connection = None
            # Isolation level None: this module begins its transactions itself.
            connection = sqlite3.connect(path, _BUSY_TIMEOUT, isolation_level=None, check_same_thread=False)
            try:
                connection.executescript(_OPEN)
            except sqlite3.Error:
                connection.close()
                raise
            self._connection, self._opened = connection, identity(path)
        return self._connection
