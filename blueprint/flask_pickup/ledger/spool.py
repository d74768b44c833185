"""Where rows wait that no database would take.

A file per process, its space taken at start, so that a disk that fills up later still has room for it. A frame is its
length and CRC-32 (both 32 bits, big-endian) and its bytes; a length of zero is the end. A frame that power or a kill
has torn does not match its CRC; it was never answered for, and is put aside.
"""

from __future__ import annotations

import fcntl
import logging
import os
import struct
import uuid
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from threading import Lock
from zlib import crc32

log = logging.getLogger("flask_pickup")

_HEADER = struct.Struct(">II")
_SUFFIX = ".spool"
_ASIDE = "aside.jsonl"

Replay = Callable[[Sequence[bytes]], Sequence[bytes]]
"""Gets frames; returns those that no database will ever take. Raises if the database is not there."""


class Spool:
    """The file of this process, and those that dead processes left behind.

    :param folder: made if it is missing, for this user alone.
    :param size: bytes to take at start; what does not fit any more is refused.
    """

    def __init__(self, folder: Path, size: int = 4 * 1024 * 1024) -> None:
        self._folder = folder
        self._size = size
        self._lock = Lock()
        self._pid = 0
        self._file = -1
        self._path = folder
        self._replayed = 0
        self._end = 0
        self.rows = 0

    def open(self) -> None:
        """Take the space, if this process has not yet.

        :raises OSError: if there is none.
        """
        with self._lock:
            if self._pid == os.getpid():
                return
            self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._path = self._folder / f"{uuid.uuid4().hex}{_SUFFIX}"
            # Under a name that no other process looks for until it is locked.
            unborn = self._path.with_suffix(".new")
            file = os.open(unborn, os.O_CREAT | os.O_EXCL | os.O_RDWR | os.O_CLOEXEC, 0o600)
            try:
                fcntl.flock(file, fcntl.LOCK_EX)
                _write_at(file, bytes(self._size), 0)
                os.fsync(file)
                unborn.rename(self._path)
                _sync_folder(self._folder)
            except OSError:
                os.close(file)
                unborn.unlink(missing_ok=True)
                raise
            self._file, self._pid = file, os.getpid()
            self._replayed = self._end = self.rows = 0

    def close(self) -> None:
        """Let go of the file: what waits in it is for the next process, an empty one goes."""
        with self._lock:
            if self._pid != os.getpid():
                return
            if self._end == 0:
                self._path.unlink(missing_ok=True)
            os.close(self._file)
            self._file, self._pid = -1, 0

    def append(self, frames: Sequence[bytes]) -> list[None]:
        """Write frames, durably.

        :raises OSError: if the disk or the file has no room.
        """
        self.open()
        data = b"".join(_HEADER.pack(len(frame), crc32(frame)) + frame for frame in frames)
        with self._lock:
            # The zero behind the last frame is part of the file.
            if self._end + len(data) + _HEADER.size > self._size:
                raise OSError("the spool is full")
            _write_at(self._file, data, self._end)
            os.fdatasync(self._file)
            self._end += len(data)
            self.rows += len(frames)
        return [None] * len(frames)

    @property
    def is_empty(self) -> bool:
        """Whether nothing of this process waits."""
        return self._end == 0

    def replay(self, take: Replay) -> None:
        """Hand all that waits to ``take``, this process's rows and those of dead ones, and make room again.

        :raises Exception: what ``take`` raises; then everything waits on.
        """
        for path in self._orphans():
            self._adopt(path, take)
        while not self.is_empty and self._pid == os.getpid():
            self._replay_own(take)

    def _replay_own(self, take: Replay) -> None:
        end = self._end
        self._hand_over(self._file, self._replayed, end, take)
        with self._lock:
            self._replayed = end
            if self._end == end:
                # Zeroed, not only cut off: what is forgotten must not be found here.
                _write_at(self._file, bytes(end), 0)
                os.fsync(self._file)
                self._replayed = self._end = self.rows = 0

    def _hand_over(self, file: int, start: int, end: int, take: Replay) -> None:
        frames, stop = _read_frames(file, start, end)
        for index in range(0, len(frames), 200):
            for refused in take(frames[index : index + 200]):
                self.put_aside(refused)
        if torn := os.pread(file, min(end - stop, 64 * 1024), stop).rstrip(b"\0"):
            self.put_aside(torn)

    def put_aside(self, frame: bytes) -> None:
        """Keep what cannot be replayed where a person finds it, and shout."""
        path = self._folder / _ASIDE
        with open(path, "ab", opener=_for_this_user) as aside:
            aside.write(frame.replace(b"\n", b" ") + b"\n")
            aside.flush()
            os.fsync(aside.fileno())
        log.critical("A row could not be replayed and was put aside in '%s'. Nothing else will bring it back.", path)

    @property
    def aside(self) -> int:
        """How many rows have been put aside and still lie there."""
        with suppress(OSError):
            return (self._folder / _ASIDE).read_bytes().count(b"\n")
        return 0

    def _orphans(self) -> Iterator[Path]:
        with suppress(OSError):
            yield from (path for path in sorted(self._folder.glob(f"*{_SUFFIX}")) if path != self._path)

    def _adopt(self, path: Path, take: Replay) -> None:
        """Replay and remove the file of a process that is gone; the lock says whether it is."""
        try:
            file = os.open(path, os.O_RDWR | os.O_CLOEXEC)
        except OSError:
            return
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if path.exists():
                self._hand_over(file, 0, os.fstat(file).st_size, take)
                path.unlink()
        except BlockingIOError:
            return
        finally:
            os.close(file)


def _read_frames(file: int, start: int, end: int) -> tuple[list[bytes], int]:
    frames = []
    while start + _HEADER.size <= end:
        length, checksum = _HEADER.unpack(os.pread(file, _HEADER.size, start))
        frame = os.pread(file, length, start + _HEADER.size) if 0 < length <= end - start else b""
        if not frame or len(frame) != length or crc32(frame) != checksum:
            break
        frames.append(frame)
        start += _HEADER.size + length
    return frames, start


def _for_this_user(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)


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
