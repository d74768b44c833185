"""Where rows wait that no database would take.

A file per process, its space taken at start, so that a disk that fills up later still has room for it. A frame is its
length and CRC-32 (both 32 bits, big-endian) and its bytes; zeros follow the last one. What power, a kill or a bad disk
has torn or garbled matches no CRC: it is put aside, and the frames behind it are still found.
"""

from __future__ import annotations

import fcntl
import logging
import os
import re
import struct
import uuid
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from threading import Lock
from time import time
from zlib import crc32

from flask_pickup.processes import PerProcess

log = logging.getLogger("flask_pickup")

_HEADER = struct.Struct(">II")
_SUFFIX = ".spool"
_UNBORN = ".new"
_ASIDE = "aside.jsonl"
_BATCH = 200
_NOT_ZERO = re.compile(rb"[^\0]")

Replay = Callable[[Sequence[bytes]], Sequence[bytes]]
"""Gets frames; returns those that no database will ever take. Raises if the database is not there."""


class SpoolFull(OSError):
    """Neither the space that was taken nor the disk has room for more."""


class NotPutAside(Exception):
    """What cannot be replayed cannot be put aside either, so it stays where it is."""


class Spool:
    """The file of this process, and those that dead processes left behind.

    :param folder: made if it is missing, for this user alone.
    :param size: bytes to take at start, and again each time that they are full while the disk has them.
    :param most: bytes at which even a disk with room is not asked for more.
    """

    def __init__(self, folder: Path, size: int = 4 * 1024 * 1024, most: int = 64 * 1024 * 1024) -> None:
        self._folder = folder
        self._size = size
        self._most = most
        self._locks = PerProcess(Lock)
        self._pid = 0
        self._file = -1
        self._path = folder
        self._taken = 0
        self._replayed = 0
        self._end = 0
        self._done: dict[Path, int] = {}
        self.rows = 0

    def open(self) -> None:
        """Take the space, if this process has not yet.

        :raises OSError: if there is none.
        """
        with self._locks():
            if self._pid == os.getpid():
                return
            if self._file >= 0:
                # A parent's, through a fork: as long as the child has it too, its lock outlives the parent.
                os.close(self._file)
                self._file = -1
            self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._path, self._file = self._take_space()
            self._pid, self._taken = os.getpid(), self._size
            self._replayed = self._end = self.rows = 0

    def _take_space(self) -> tuple[Path, int]:
        path = self._folder / f"{uuid.uuid4().hex}{_SUFFIX}"
        # Under a name that no other process looks for until it is locked.
        unborn = path.with_suffix(_UNBORN)
        file = os.open(unborn, os.O_CREAT | os.O_EXCL | os.O_RDWR | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(file, fcntl.LOCK_EX)
            _write_at(file, bytes(self._size), 0)
            os.fsync(file)
            unborn.rename(path)
            _sync_folder(self._folder)
        except OSError:
            os.close(file)
            unborn.unlink(missing_ok=True)
            raise
        return path, file

    def close(self) -> None:
        """Let go of the file: what waits in it is for the next process, an empty one goes."""
        with self._locks():
            if self._pid != os.getpid():
                return
            if self._end == 0:
                self._path.unlink(missing_ok=True)
            os.close(self._file)
            self._file, self._pid = -1, 0
            self._replayed = self._end = self.rows = 0

    def append(self, frames: Sequence[bytes]) -> list[None]:
        """Write frames, durably.

        :raises OSError: if the disk or the file has no room.
        """
        self.open()
        data = b"".join(_HEADER.pack(len(frame), crc32(frame)) + frame for frame in frames)
        with self._locks():
            self._make_room(self._end + len(data))
            try:
                _write_at(self._file, data, self._end)
                os.fdatasync(self._file)
            except OSError:
                # Nobody was answered for these: another process must not find them.
                with suppress(OSError):
                    _write_at(self._file, bytes(len(data)), self._end)
                raise
            self._end += len(data)
            self.rows += len(frames)
        return [None] * len(frames)

    def _make_room(self, end: int) -> None:
        while end > self._taken:
            if self._taken + self._size > self._most:
                raise SpoolFull("the spool is full")
            _write_at(self._file, bytes(self._size), self._taken)
            os.fsync(self._file)
            self._taken += self._size

    @property
    def is_empty(self) -> bool:
        """Whether nothing of this process waits."""
        return self._end == 0

    def replay(self, take: Replay) -> None:
        """Hand all that waits to ``take``, this process's rows and those of dead ones, and make room again.

        :raises Exception: what ``take`` raises; then everything that it did not take waits on.
        """
        for path in self._orphans():
            with suppress(NotPutAside):
                self._adopt(path, take)
        with suppress(NotPutAside):
            while not self.is_empty and self._pid == os.getpid():
                self._replay_own(take)

    def _replay_own(self, take: Replay) -> None:
        start, end = self._replayed, self._end
        for read in self._hand_over(_read_at(self._file, start, end), take):
            self._replayed = start + read
        with self._locks():
            if self._end == end:
                self._forget()

    def _forget(self) -> None:
        # Zeroed, not only cut off: what is forgotten must not be found here.
        _write_at(self._file, bytes(min(self._end, self._size)), 0)
        os.ftruncate(self._file, self._size)
        os.fsync(self._file)
        self._replayed = self._end = self.rows = 0
        self._taken = self._size

    def _adopt(self, path: Path, take: Replay) -> None:
        """Replay and remove the file of a process that is gone; the lock says whether it is."""
        file = _lock(path)
        if file is None:
            return
        try:
            start = self._done.get(path, 0)
            for read in self._hand_over(_read_at(file, start, os.fstat(file).st_size), take):
                self._done[path] = start + read
            path.unlink()
            self._done.pop(path, None)
        finally:
            os.close(file)

    def _hand_over(self, data: bytes, take: Replay) -> Iterator[int]:
        """Hand over the frames in ``data`` batch by batch; after each, say up to where that was."""
        frames: list[bytes] = []
        scraps: list[bytes] = []
        for frame, is_whole, end in find_frames(data):
            (frames if is_whole else scraps).append(frame)
            if len(frames) == _BATCH:
                self._settle(frames, scraps, take)
                yield end
                frames, scraps = [], []
        self._settle(frames, scraps, take)
        yield len(data)

    def _settle(self, frames: Sequence[bytes], scraps: Sequence[bytes], take: Replay) -> None:
        # Scraps after the frames: while the database is away this comes here again and again.
        refused = take(frames) if frames else ()
        for scrap in (*refused, *scraps):
            self._put_aside(scrap)

    def _put_aside(self, frame: bytes) -> None:
        """Keep what cannot be replayed where a person finds it, and shout."""
        path = self._folder / _ASIDE
        try:
            with open(path, "ab", opener=_for_this_user) as aside:
                aside.write(frame.replace(b"\n", b" ") + b"\n")
                aside.flush()
                os.fsync(aside.fileno())
        except OSError as error:
            log.critical("A row could be neither replayed nor put aside in '%s'; it waits in the spool.", path)
            raise NotPutAside from error
        log.critical("A row could not be replayed and was put aside in '%s'. Nothing else will bring it back.", path)

    @property
    def aside(self) -> int:
        """How many rows have been put aside and still lie there."""
        with suppress(OSError):
            return (self._folder / _ASIDE).read_bytes().count(b"\n")
        return 0

    @property
    def left_behind(self) -> int:
        """How many files of other processes are there, living or dead."""
        return len(list(self._orphans()))

    def _orphans(self) -> Iterator[Path]:
        with suppress(OSError):
            yield from (path for path in sorted(self._folder.glob(f"*{_SUFFIX}")) if path != self._path)

    def sweep(self) -> None:
        """Remove what processes left that were killed while they took their space."""
        with suppress(OSError):
            for path in self._folder.glob(f"*{_UNBORN}"):
                if time() - path.stat().st_mtime > 60:  # noqa: PLR2004 (far longer than it takes)
                    path.unlink(missing_ok=True)


def find_frames(data: bytes) -> Iterator[tuple[bytes, bool, int]]:
    """Yield the frames in ``data``, and between them the scraps of torn ones.

    :returns: the bytes, whether they are a whole frame, and where they end in ``data``.
    """
    at = done = 0
    while at < len(data):
        frame = _frame_at(data, at)
        if frame is None:
            at = _next_header(data, at)
            continue
        if scrap := data[done:at].replace(b"\0", b""):
            yield scrap, False, at
        at = done = at + _HEADER.size + len(frame)
        yield frame, True, at
    if scrap := data[done:].replace(b"\0", b""):
        yield scrap, False, len(data)


def _frame_at(data: bytes, at: int) -> bytes | None:
    start = at + _HEADER.size
    if start > len(data):
        return None
    length, checksum = _HEADER.unpack_from(data, at)
    if not 0 < length <= len(data) - start:
        return None
    frame = data[start : start + length]
    return frame if crc32(frame) == checksum else None


def _next_header(data: bytes, at: int) -> int:
    """Return where the next header may begin: a length has at most three zeros before it."""
    found = _NOT_ZERO.search(data, at + 1)
    return max(at + 1, found.start() - 3) if found else len(data)


def _lock(path: Path) -> int | None:
    """Return the opened file at ``path``, or None where a living process has it or it is gone."""
    with suppress(OSError):
        file = os.open(path, os.O_RDWR | os.O_CLOEXEC)
        with suppress(OSError):
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if path.exists():
                return file
        os.close(file)
    return None


def _read_at(file: int, start: int, end: int) -> bytes:
    chunks = []
    while start < end and (chunk := os.pread(file, end - start, start)):
        chunks.append(chunk)
        start += len(chunk)
    return b"".join(chunks)


def _write_at(file: int, data: bytes, offset: int) -> None:
    while data:
        written = os.pwrite(file, data, offset)
        data, offset = data[written:], offset + written


def _sync_folder(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _for_this_user(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)
