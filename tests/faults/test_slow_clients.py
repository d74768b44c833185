"""A buffering proxy keeps slow clients away from the threads that answer calls: nginx, as compose.yaml ships it."""

from __future__ import annotations

import shutil
import socket
import subprocess
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

import pytest

from faulty import ROOT, Server, assert_answered, eventually, free_port, migrate

HEAD = b"POST /pickup/webhook HTTP/1.1\r\nHost: example.org\r\nContent-Length: 200\r\n\r\n"

NGINX = """\
worker_processes 1;
error_log {folder}/error.log;
pid {folder}/nginx.pid;
daemon off;
events {{ worker_connections 1024; }}
http {{
    access_log off;
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    {shipped}
}}
"""


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


@contextmanager
def behind_nginx(server: Server, folder: Path) -> Iterator[None]:
    """Put nginx with the shipped configuration in front of a server."""
    port, behind = free_port(), server.port
    folder.chmod(0o755)
    shipped = (ROOT / "deploy/nginx.conf").read_text("utf-8")
    shipped = shipped.replace("pickup:8000", f"127.0.0.1:{behind}").replace("listen 80", f"listen 127.0.0.1:{port}")
    (folder / "nginx.conf").write_text(NGINX.format(folder=folder, shipped=shipped), "utf-8")
    process = subprocess.Popen(["nginx", "-c", folder / "nginx.conf", "-e", folder / "error.log"])
    server.port = port
    try:
        eventually(lambda: server.ring("in-front").status == 200)
        yield
    finally:
        server.port = behind
        process.terminate()
        process.wait()


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("nginx") is None, reason="nginx is not installed")
def test_slow_clients_delay_no_call_behind_nginx(tmp_path: Path) -> None:
    """Behind the shipped nginx a hundred clients that send their body a byte at a time delay no call."""
    url = f"sqlite:///{tmp_path / 'pickup.db'}"
    migrate(url)
    proxy = tmp_path / "nginx"
    proxy.mkdir()
    with ExitStack() as stack:
        server = stack.enter_context(Server(tmp_path, url))
        stack.enter_context(behind_nginx(server, proxy))
        stack.enter_context(slow_clients(server.port))
        answers = server.ring_all([f"call-{index}" for index in range(20)])
        assert_answered(answers)
        server.assert_recorded(answers)
