"""Strangers who send slowly, or nothing, hold no thread that a caller needs."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from faulty import Server, assert_answered, migrate

pytestmark = pytest.mark.slow

HEAD = b"POST /pickup/webhook HTTP/1.1\r\nHost: example.org\r\nContent-Length: 200\r\n"
BODY = HEAD + b"\r\n"
"""What each stranger sends at once, before one byte at a time."""
STRANGERS = {
    "a body": BODY,
    "headers": HEAD + b"X-Slow: ",
    "a request line": b"POST /pick",
    "nothing": b"",
}


class Stranger:
    """A connection that sends a byte every 50 ms, and comes back when it is thrown out."""

    def __init__(self, port: int, begin: bytes) -> None:
        self._port = port
        self._begin = begin
        self._connect()

    def _connect(self) -> None:
        self._socket = socket.create_connection(("127.0.0.1", self._port))
        self._socket.setblocking(False)  # noqa: FBT003 (the socket's own way)
        with suppress(OSError):
            self._socket.send(self._begin)

    def drip(self) -> None:
        """Send one byte more."""
        if not self._begin:
            return
        try:
            self._socket.send(b"a")
        except BlockingIOError:
            return
        except OSError:
            self._socket.close()
            with suppress(OSError):
                self._connect()

    def close(self) -> None:
        """Go away."""
        self._socket.close()


@contextmanager
def strangers(port: int, begin: bytes, how_many: int = 100) -> Iterator[None]:
    """Have strangers at the door."""
    crowd = [Stranger(port, begin) for _ in range(how_many)]
    enough = threading.Event()

    def drip() -> None:
        while not enough.wait(0.05):
            for stranger in crowd:
                stranger.drip()

    thread = threading.Thread(target=drip)
    thread.start()
    try:
        yield
    finally:
        enough.set()
        thread.join()
        for stranger in crowd:
            stranger.close()


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server with two workers of four threads."""
    folder = tmp_path_factory.mktemp("strangers")
    url = f"sqlite:///{folder / 'pickup.db'}"
    migrate(url)
    with Server(folder, url) as running:
        yield running


@pytest.mark.parametrize("kind", STRANGERS)
def test_hundred_slow_strangers_delay_no_call(kind: str, server: Server) -> None:
    """A hundred connections that send a byte at a time, of a body, headers or nothing: calls are answered in time."""
    with strangers(server.port, STRANGERS[kind]):
        time.sleep(0.3)
        answers = [server.ring(f"{kind.replace(' ', '-')}-{index}") for index in range(2)]
        answers += server.ring_all([f"{kind.replace(' ', '-')}-crowd-{index}" for index in range(12)])
    assert_answered(answers)
    assert all(heard.arm for heard in answers)
    server.assert_recorded(answers)


def read_until(connection: socket.socket, end: bytes) -> bytes:
    """What arrives until `end` is in it or the connection ends: head and body may come in pieces."""
    answer = b""
    while end not in answer and (piece := connection.recv(4096)):
        answer += piece
    return answer


def test_slow_body_is_refused_in_json(server: Server) -> None:
    """A body that does not arrive within a second is refused with 408 and JSON, and nothing is acted on."""
    with socket.create_connection(("127.0.0.1", server.port)) as connection:
        connection.settimeout(5)
        connection.sendall(BODY + b"a")
        started = time.monotonic()
        answer = read_until(connection, b"detail")
    assert answer.startswith(b"HTTP/1.1 408 ")
    assert b"application/json" in answer
    assert 0.9 < time.monotonic() - started < 2


def test_slow_headers_are_cut(server: Server) -> None:
    """Headers that do not arrive within a second end the connection."""
    with socket.create_connection(("127.0.0.1", server.port)) as connection:
        connection.settimeout(5)
        connection.sendall(STRANGERS["headers"])
        started = time.monotonic()
        assert connection.recv(4096) == b""
    assert 0.9 < time.monotonic() - started < 2


def test_host_may_read_slowly(tmp_path: Path) -> None:
    """What comes after the headers has deadlines of its own: a host's view may wait for its body for longer."""
    upload = """
@app.route("/upload", methods=["POST"])
def upload():
    from flask import request
    return request.get_data()
"""
    url = f"sqlite:///{tmp_path / 'pickup.db'}"
    migrate(url)
    with (
        Server(tmp_path, url, after=upload) as server,
        socket.create_connection(("127.0.0.1", server.port)) as connection,
    ):
        connection.settimeout(5)
        connection.sendall(b"POST /upload HTTP/1.1\r\nHost: example.org\r\nContent-Length: 4\r\n\r\n")
        time.sleep(1.3)
        connection.sendall(b"late")
        answer = read_until(connection, b"late")
    assert answer.startswith(b"HTTP/1.1 200 ")
    assert answer.endswith(b"late")


def test_gunicorn_quotes_no_stranger(server: Server) -> None:
    """What gunicorn cannot read as a request may be a piece of a body: its log does not repeat it."""
    body = b'{"message": {"customer": {"number": "+31612345678"}}} HTTP/1.1\r\n\r\n'
    with socket.create_connection(("127.0.0.1", server.port)) as connection:
        connection.settimeout(5)
        connection.sendall(body)
        answer = read_until(connection, b"Invalid")
    assert answer.startswith(b"HTTP/1.1 400 ")
    assert b"612345678" not in answer
    assert "612345678" not in server.output
    assert "Invalid request" in server.output
