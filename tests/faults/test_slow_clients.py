"""A buffering proxy keeps slow clients away from the threads that answer calls: nginx, as compose.yaml ships it."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

import pytest

from faulty import Server, assert_answered, eventually, migrate
from proxies import SHIPPED, needs_nginx, nginx

HEAD = b"POST /pickup/webhook HTTP/1.1\r\nHost: example.org\r\nContent-Length: 200\r\n\r\n"


@contextmanager
def slow_clients(port: int, how_many: int = 100) -> Iterator[None]:
    """Keep connections open that send their body a byte every 50 ms, and come back when they are cut."""
    enough = threading.Event()

    def connect() -> socket.socket:
        connection = socket.create_connection(("127.0.0.1", port))
        connection.setblocking(False)  # noqa: FBT003 (the socket's own way)
        with suppress(OSError):
            connection.send(HEAD)
        return connection

    def send_slowly() -> None:
        connections = [connect() for _ in range(how_many)]
        while not enough.wait(0.05):
            for index, connection in enumerate(connections):
                try:
                    connection.send(b"a")
                except BlockingIOError:
                    pass
                except OSError:
                    connection.close()
                    connections[index] = connect()
        for connection in connections:
            connection.close()

    thread = threading.Thread(target=send_slowly)
    thread.start()
    try:
        yield
    finally:
        enough.set()
        thread.join()


@pytest.mark.slow
@needs_nginx
def test_slow_clients_delay_no_call_behind_nginx(tmp_path: Path) -> None:
    """Behind the shipped nginx a hundred clients that send their body a byte at a time delay no call."""
    url = f"sqlite:///{tmp_path / 'pickup.db'}"
    migrate(url)
    with ExitStack() as stack:
        server = stack.enter_context(Server(tmp_path, url))
        server.port = stack.enter_context(nginx(tmp_path / "nginx", SHIPPED, behind=server.port))
        eventually(lambda: server.ring("in-front").status == 200)
        stack.enter_context(slow_clients(server.port))
        answers = server.ring_all([f"call-{index}" for index in range(20)])
        assert_answered(answers)
        server.assert_recorded(answers)
