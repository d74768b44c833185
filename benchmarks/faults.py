"""How long calls take while something is broken: figures of benchmarks/README.md.

``PYTHONPATH=tests:tests/faults .venv/bin/python benchmarks/faults.py`` after ``scripts/test`` has made the environment; a few minutes, two cores.
Nginx is measured where it is installed.
"""

from __future__ import annotations

import shutil
import sqlite3
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any

from test_answered import SLEEPING, fill, locked, small_disk
from test_slow_clients import behind_nginx, slow_clients

from faulty import Heard, PostgreSQL, Server, migrate


def tell(fault: str, answers: list[Heard]) -> None:
    """Print a line: how many were answered, the median, the slowest."""
    seconds = sorted(heard.seconds for heard in answers)
    well = sum(heard.status == 200 for heard in answers)
    print(
        f"| {fault} | {well} of {len(answers)} | {seconds[len(seconds) // 2]:.2f} s | {seconds[-1]:.2f} s |", flush=True
    )


def crowd(server: Server, name: str, seconds: float, at_once: int = 8) -> list[Heard]:
    """Ring for so many seconds, eight at once."""
    answers: list[Heard] = []
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        answers += server.ring_all([f"{name}-{len(answers)}-{index}" for index in range(at_once)], at_once)
    return answers


@contextmanager
def served(url: str, **options: Any) -> Iterator[Server]:
    """Serve from a new folder."""
    migrate(url)
    with tempfile.TemporaryDirectory() as folder, Server(Path(folder), url, **options) as server:
        if not options.get("more"):
            # A hook that hangs is to be met by the calls that are measured.
            server.assert_recorded(crowd(server, "warm", 0.5))
        yield server


def under(fault: str, server: Server, broken: Any = None, seconds: float = 10, **options: Any) -> None:
    """Ring while something is broken; then see that every row is there."""
    with broken or nullcontext():
        answers = crowd(server, fault.replace(" ", "-"), seconds, **options)
    tell(fault, answers)
    # On a full disk callers hear the base, which needs no row.
    if any(heard.status == 200 and heard.arm for heard in answers):
        server.assert_recorded(answers, 60)


def postgresql() -> None:
    """Stop, kill, and hang both."""
    database = PostgreSQL()
    try:
        with served(database.new_database()) as server:
            under("nothing, PostgreSQL", server)
            under("PostgreSQL stopped for 10 s", server, database.stopped())
            under("PostgreSQL killed for 10 s", server, killed(database))
        with served(database.new_database(), more=SLEEPING) as server:
            under("PostgreSQL stopped and the hook hanging", server, database.stopped(), at_once=20)
    finally:
        database.close()


@contextmanager
def killed(database: PostgreSQL) -> Iterator[None]:
    """Have the database dead for a while."""
    database.kill()
    try:
        yield
    finally:
        database.start()


def sqlite() -> None:
    """Lock, fill and sleep."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "pickup.db"
        with served(f"sqlite:///{path}") as server:
            under("nothing, SQLite", server)
            under("SQLite locked for 20 s", server, locked(path), 20)
        with served(f"sqlite:///{folder}/hook.db", more=SLEEPING) as server:
            under("the hook hanging", server, at_once=20)
        with (
            small_disk(Path(folder) / "disk", "16m") as disk,
            served(f"sqlite:///{disk}/pickup.db", spool=disk / "spool") as server,
        ):
            under("disk full for 10 s", server, full(disk))


@contextmanager
def full(disk: Path) -> Iterator[None]:
    """Have the disk full for a while."""
    filler = fill(disk)
    try:
        yield
    finally:
        filler.unlink()


def slow_clients_at_once() -> None:
    """Let a hundred clients send slowly, with and without nginx in front."""
    with tempfile.TemporaryDirectory() as folder, served(f"sqlite:///{folder}/pickup.db") as server:
        under("100 slow clients, no proxy", server, slow_clients(server.port), at_once=4)
        if shutil.which("nginx"):
            with tempfile.TemporaryDirectory() as proxy, behind_nginx(server, Path(proxy)):
                under("nothing, behind nginx", server, at_once=4)
                under("100 slow clients, behind nginx", server, slow_clients(server.port), at_once=4)


if __name__ == "__main__":
    print(f"SQLite {sqlite3.sqlite_version}\n\n| while | answered | median | slowest |\n|---|---|--:|--:|")
    sqlite()
    postgresql()
    slow_clients_at_once()
