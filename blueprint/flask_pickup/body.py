"""Reading a request's body under one deadline, so that slow strangers do not hold the threads that callers need.

A server's socket knows a time-out per read, which a slow sender renews with each byte. Here a thread watches all
that is being read, and ends the reading of what is late by shutting the socket's receiving side. A server that lets us
near its sockets early enough, as ``gunicorn.conf.py`` does, has its requests' headers watched too.
"""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from threading import Event, Lock, Thread, local
from time import monotonic, sleep
from typing import Any

from flask import Request
from werkzeug.exceptions import ClientDisconnected
from werkzeug.wsgi import get_input_stream

from flask_pickup.errors import BadWebhook, BodyTooLarge, SlowBody
from flask_pickup.processes import PerProcess

DEADLINE = 1.0
"""Seconds for a whole body; as many for the headers before it."""
GRACE = 0.1
"""Seconds after which a sender is slow. Of slow ones each process reads one at a time to its deadline, and cuts the rest:
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
        self._is_started = False

    def begin(self, connection: Any) -> _Reading:
        self._start()
        reading = _Reading(connection)
        self._readings[reading] = None
        # Setting it wakes and locks, which most readings need not: the thread looks for them once more after clearing.
        if not self._busy.is_set():
            self._busy.set()
        return reading

    def end(self, reading: _Reading) -> None:
        self._readings.pop(reading, None)

    def _start(self) -> None:
        if self._is_started:
            return
        with self._lock:
            if not self._is_started:
                Thread(target=self._run, name="pickup-bodies", daemon=True).start()
                self._is_started = True

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


_watches = PerProcess(_Watch)
_this_thread = local()


@contextmanager
def watching_headers(connection: Any) -> Iterator[None]:
    """Watch a socket on which this thread reads a request, until :func:`headers_are_in`."""
    _this_thread.reading = _watches().begin(connection)
    try:
        yield
    finally:
        headers_are_in()


def headers_are_in() -> None:
    """End this thread's watching of a request's headers."""
    if reading := getattr(_this_thread, "reading", None):
        _watches().end(reading)
        _this_thread.reading = None


def read_body(request: Request, most: int) -> bytes:
    """Return the whole body of a request.

    :param most: bytes; some more are read and dropped, so that the sender gets to read the refusal.
    :raises SlowBody: if it does not arrive in time, or not whole.
    :raises BodyTooLarge: if it has more than ``most`` bytes.
    :raises BadWebhook: if its chunks are none.
    """
    # Where a hook of the host's has read it, the request has kept it, and its stream is at the end.
    if (kept := getattr(request, "_cached_data", None)) is not None:
        return _kept(kept, most)
    connection = request.environ.get("gunicorn.socket")
    if connection is None:
        return _read(request, most)
    reading = _watches().begin(connection)
    try:
        return _read(request, most)
    finally:
        _watches().end(reading)


def _kept(body: bytes, most: int) -> bytes:
    if len(body) > most:
        raise BodyTooLarge(f"The body has more than {most} bytes.")
    return body


def _read(request: Request, most: int) -> bytes:
    terminated = request.environ.get("wsgi.input_terminated")
    # Not the request's own stream: a host's MAX_CONTENT_LENGTH would refuse there, in HTML.
    stream = request.environ["wsgi.input"] if terminated else get_input_stream(request.environ)
    chunks: list[bytes] = []
    size = 0
    try:
        while size <= 8 * most and (chunk := stream.read(_CHUNK)):
            size += len(chunk)
            if size <= most:
                chunks.append(chunk)
    except (OSError, ClientDisconnected) as error:
        raise SlowBody("The body did not arrive whole.") from error
    except Exception as error:  # each server has its own for chunks that are none
        raise BadWebhook("The body is wrongly framed.") from error
    if size > most:
        raise BodyTooLarge(f"The body has more than {most} bytes.")
    if request.content_length is not None and size < request.content_length:
        raise SlowBody("The body did not arrive whole.")
    return b"".join(chunks)
