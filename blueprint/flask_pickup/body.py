"""Reading a request's body under one deadline, so that slow strangers do not hold the threads that callers need.

A server's socket knows a time-out per read, which a slow sender renews with each byte. Here a thread watches all
bodies that are being read, and ends the reading of those that are late by shutting the socket's receiving side.
"""

from __future__ import annotations

import os
import socket
from contextlib import suppress
from dataclasses import dataclass, field
from threading import Event, Lock, Thread
from time import monotonic, sleep
from typing import Any

from flask import Request

from flask_pickup.errors import BodyTooLarge, SlowBody

DEADLINE = 1.0
"""Seconds for a whole body."""
GRACE = 0.1
"""Seconds after which a body is slow. Of slow ones each process reads one at a time to its deadline, and cuts the rest:
the platform's arrive at once."""
_TICK = 0.025
_CHUNK = 64 * 1024


@dataclass(eq=False, slots=True)
class _Reading:
    socket: Any
    since: float = field(default_factory=monotonic)


class _Watch:
    """Cuts readings that are late; its thread sleeps while nothing is read."""

    def __init__(self) -> None:
        self._readings: dict[_Reading, None] = {}
        self._busy = Event()
        self._lock = Lock()
        self._pid = 0

    def begin(self, connection: Any) -> _Reading:
        self._start()
        reading = _Reading(connection)
        self._readings[reading] = None
        self._busy.set()
        return reading

    def end(self, reading: _Reading) -> None:
        self._readings.pop(reading, None)

    def _start(self) -> None:
        if self._pid != os.getpid():
            with self._lock:
                if self._pid != os.getpid():
                    self._readings = {}
                    Thread(target=self._run, name="pickup-bodies", daemon=True).start()
                    self._pid = os.getpid()

    def _run(self) -> None:
        while True:
            if not self._readings:
                self._busy.clear()
                # Nothing is lost between the two: whoever begins sets the event after adding its reading.
                if not self._readings:
                    self._busy.wait()
            sleep(_TICK)
            self._cut_late(monotonic())

    def _cut_late(self, now: float) -> None:
        slow = [reading for reading in list(self._readings) if now - reading.since > GRACE]
        late = [reading for reading in slow if now - reading.since > DEADLINE]
        for reading in {*late, *slow[1:]}:
            self.end(reading)
            with suppress(OSError):
                reading.socket.shutdown(socket.SHUT_RD)


_watch = _Watch()


def read_body(request: Request, most: int) -> bytes:
    """Return the whole body of a request.

    :param most: bytes; some more are read and dropped, so that the sender gets to read the refusal.
    :raises SlowBody: if it does not arrive in time, or not whole.
    :raises BodyTooLarge: if it has more than ``most`` bytes.
    """
    connection = request.environ.get("gunicorn.socket")
    if connection is None:
        return _read(request, most)
    reading = _watch.begin(connection)
    try:
        return _read(request, most)
    finally:
        _watch.end(reading)


def _read(request: Request, most: int) -> bytes:
    terminated = request.environ.get("wsgi.input_terminated")
    stream = request.environ["wsgi.input"] if terminated else request.stream
    chunks: list[bytes] = []
    size = 0
    try:
        while size <= 8 * most and (chunk := stream.read(_CHUNK)):
            size += len(chunk)
            if size <= most:
                chunks.append(chunk)
    except OSError as error:
        raise SlowBody("The body did not arrive whole.") from error
    if size > most:
        raise BodyTooLarge(f"The body has more than {most} bytes.")
    if request.content_length is not None and size < request.content_length:
        raise SlowBody("The body did not arrive whole.")
    return b"".join(chunks)
