"""nginx in front of a server, as the repository ships or documents it."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from checkouts import ROOT, free_port
from faulty import eventually

needs_nginx = pytest.mark.skipif(shutil.which("nginx") is None, reason="nginx is not installed")

SHIPPED = (ROOT / "deploy/nginx.conf").read_text("utf-8").replace("pickup:8000", "127.0.0.1:8000")

# Started by root, nginx would become a user who must not write into the test's folder.
_USER = "user root;" if os.geteuid() == 0 else ""

_AROUND = """\
{user}
worker_processes 1;
error_log {folder}/main.log;
pid {folder}/nginx.pid;
daemon off;
events {{ worker_connections 1024; }}
http {{
    access_log {folder}/http.log;
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    {servers}
}}
"""


@contextmanager
def nginx(folder: Path, servers: str, behind: int, listen: str = "80") -> Iterator[int]:
    """Run nginx and give its port.

    :param servers: a configuration whose server is at port 8000; its logs come into ``folder``.
    :param behind: the port of the server.
    :param listen: the port in the configuration.
    """
    folder.mkdir()
    folder.chmod(0o755)
    port = free_port()
    servers = servers.replace("127.0.0.1:8000", f"127.0.0.1:{behind}").replace("/var/log/nginx", str(folder))
    servers = servers.replace(f"listen {listen}", f"listen 127.0.0.1:{port}")
    (folder / "nginx.conf").write_text(_AROUND.format(user=_USER, folder=folder, servers=servers), "utf-8")
    process = subprocess.Popen(["nginx", "-c", folder / "nginx.conf", "-e", folder / "main.log"])
    try:
        eventually((folder / "nginx.pid").exists)
        yield int(port)
    finally:
        process.terminate()
        process.wait()
