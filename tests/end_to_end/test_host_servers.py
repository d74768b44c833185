"""The servers that a host may run, each for real."""

from __future__ import annotations

import re
import signal
import socket
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from http.client import HTTPConnection
from pathlib import Path
from time import monotonic, sleep
from types import ModuleType

import pytest

from conftest import CALLER_SECRET, CONTENT, WEBHOOK_SECRET, MakePhone, write
from faulty import ROOT, free_port, request_message, signed
from flask_pickup import ConfigurationError, migrating
from flask_pickup.engines import make_engine

HOST = f"""\
import sys
from pathlib import Path
from flask import Flask
from flask_pickup import Pickup

here = Path(__file__).parent
app = Flask(__name__, root_path=str(here), instance_path=str(here))
app.config.update(PICKUP_WEBHOOK_SECRET="{WEBHOOK_SECRET}", PICKUP_CALLER_SECRET="{CALLER_SECRET}")
app.register_blueprint(Pickup(), url_prefix="/pickup")
"""

GUNICORN = [sys.executable, "-m", "gunicorn", "host:app", "--bind=127.0.0.1:{port}", "--workers=2"]
SERVERS = {
    "gunicorn sync": [*GUNICORN, "--worker-class=sync"],
    "gunicorn sync, preloaded": [*GUNICORN, "--worker-class=sync", "--preload"],
    "gunicorn gthread": [*GUNICORN, "--worker-class=gthread", "--threads=4"],
    "gunicorn gthread, preloaded": [*GUNICORN, "--worker-class=gthread", "--threads=4", "--preload"],
    "waitress": [sys.executable, "-m", "waitress", "--listen=127.0.0.1:{port}", "host:app"],
    "flask run": [sys.executable, "-m", "flask", "--app=host", "run", "--port={port}"],
}
"""The servers of docs/hosts.md."""


@pytest.fixture(params=SERVERS)
def server(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[tuple[int, subprocess.Popen[bytes]]]:
    """The port of each server in turn, and its process."""
    write(tmp_path, {**CONTENT, "host.py": HOST})
    engine = make_engine(f"sqlite:///{tmp_path / 'pickup.db'}")
    migrating.upgrade(engine)
    engine.dispose()
    port = free_port()
    command = [part.format(port=port) for part in SERVERS[request.param]]
    with (
        (tmp_path / "log").open("wb") as log,
        subprocess.Popen(command, cwd=tmp_path, stdout=log, stderr=log) as process,
    ):
        try:
            _wait_for(port, process, tmp_path / "log")
            yield port, process
        finally:
            process.kill()


def _wait_for(port: int, process: subprocess.Popen[bytes], log: Path) -> None:
    deadline = monotonic() + 30
    while True:
        assert process.poll() is None, log.read_text()
        with closing(socket.socket()) as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        assert monotonic() < deadline, log.read_text()
        sleep(0.05)


@pytest.mark.slow
def test_server_answers_and_keeps_every_call(server: tuple[int, subprocess.Popen[bytes]], tmp_path: Path) -> None:
    """Calls that come at once, each twice, are answered with one arm each and are all in the table when the server ends."""
    port, process = server
    calls = [f"call-{letter}" for letter in "abcdefghijklmnopqrst"]
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda call: _ring(port, call), calls * 2))
    assert answers[: len(calls)] == answers[len(calls) :]
    process.send_signal(signal.SIGTERM)
    process.wait(40)
    with closing(sqlite3.connect(tmp_path / "pickup.db")) as database:
        recorded = database.execute("SELECT COUNT(*) FROM pickup_assignments").fetchone()
    assert recorded == (len(calls),), (tmp_path / "log").read_text()


def _ring(port: int, call: str) -> bytes:
    """Ring, and return the answer."""
    body, headers = signed(request_message(call))
    connection = HTTPConnection("127.0.0.1", port, timeout=15)
    with closing(connection):
        connection.request("POST", "/pickup/webhook", body, headers)
        response = connection.getresponse()
        assert response.status == 200
        return response.read()


@pytest.mark.slow
@pytest.mark.parametrize(
    "options", ["gevent --workers=1", "gevent --preload", f"gevent --config={ROOT}/gunicorn.conf.py"]
)
def test_gevent_is_refused_at_start(options: str, tmp_path: Path) -> None:
    """Gunicorn's gevent workers do not start, and the log says why and what to use."""
    write(tmp_path, {**CONTENT, "host.py": HOST})
    command = [part.format(port=free_port()) for part in GUNICORN] + ["--worker-class", *options.split()]
    ended = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False)
    assert ended.returncode != 0
    assert "Pickup needs real threads" in ended.stderr
    assert "Use gunicorn's gthread worker" in ended.stderr


def test_eventlet_is_refused_as_well(monkeypatch: pytest.MonkeyPatch, make_phone: MakePhone) -> None:
    """An older gunicorn's eventlet worker, which a preloaded app is mounted before, is known by its module."""
    monkeypatch.setitem(sys.modules, "gunicorn.workers.geventlet", ModuleType("geventlet"))
    with pytest.raises(ConfigurationError, match="Pickup needs real threads"):
        make_phone(migrate=False)


def test_documentation_names_these_servers() -> None:
    """The page says something of each server that is tested, and of no other."""
    page = (ROOT / "docs/hosts.md").read_text("utf-8")
    section = page.partition("## Your server\n")[2].partition("\n## ")[0]
    assert sorted(re.findall(r"^- (.+?):", section, re.MULTILINE)) == sorted(SERVERS)
