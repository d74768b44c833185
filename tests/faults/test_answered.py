"""Every call is answered with 2xx and JSON in under four seconds, whatever happens to the database or the hook."""

from __future__ import annotations

import os
import sqlite3
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from faulty import PostgreSQL, Server, assert_answered, assert_nothing_leaks, eventually, migrate, report_message

pytestmark = pytest.mark.slow


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Hold the lock of an SQLite database, as another program that writes."""
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("BEGIN EXCLUSIVE")
    try:
        yield
    finally:
        other.rollback()
        other.close()


def ids(name: str, how_many: int = 24) -> list[str]:
    return [f"{name}-{index}" for index in range(how_many)]


def test_answered_while_the_database_is_killed_and_stopped(faulty_postgresql: PostgreSQL, tmp_path: Path) -> None:
    """PostgreSQL is killed, comes back, is stopped and comes back: each call hears its arm in time, and has its row."""
    url = faulty_postgresql.new_database()
    migrate(url)
    with Server(tmp_path, url) as server:
        answers = server.ring_all(ids("before"))
        faulty_postgresql.kill()
        answers += server.ring_all(ids("killed"))
        assert b"killed-3" in server.spooled()
        faulty_postgresql.start()
        server.assert_recorded(answers)
        with faulty_postgresql.stopped():
            answers += server.ring_all(ids("stopped"))
            reports = [server.post(report_message(call)) for call in ids("stopped", 3)]
            threads = [worker.num_threads() for worker in server.workers]
            assert_nothing_leaks(server.spooled().decode("latin-1"))
        server.assert_recorded(answers)
        answers += server.ring_all(ids("after"))
        assert_answered(answers + reports)
        assert all(heard.arm for heard in answers)
        assert max(threads) <= 12
        server.assert_recorded(answers)


def test_answered_while_sqlite_is_locked(tmp_path: Path) -> None:
    """Another program holds SQLite's lock for longer than SQLite waits for it: each call hears its arm, has its row."""
    database = tmp_path / "pickup.db"
    url = f"sqlite:///{database}"
    migrate(url)
    with Server(tmp_path, url) as server:
        answers = server.ring_all(ids("before", 8))
        with locked(database):
            answers += server.ring_all(ids("locked"))
            threading.Event().wait(5.5)
            answers += server.ring_all(ids("still-locked"))
        server.assert_recorded(answers)
        answers += server.ring_all(ids("after", 8))
        assert_answered(answers)
        assert all(heard.arm for heard in answers)
        server.assert_recorded(answers)


@contextmanager
def small_disk(folder: Path, size: str) -> Iterator[Path]:
    """Mount a disk that is soon full."""
    folder.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", folder], capture_output=True, check=False
    )
    if os.geteuid() != 0 or mounted.returncode:
        pytest.skip(f"no disk can be mounted here: {mounted.stderr.decode().strip()}")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "--lazy", folder], check=True)


def fill(disk: Path) -> Path:
    """Take every byte that is left."""
    filler = disk / "filler"
    with filler.open("wb", buffering=0) as file:
        for size in (64 * 1024, 4096, 1):
            try:
                while True:
                    file.write(bytes(size))
            except OSError:
                pass
    return filler


def test_answered_on_a_full_disk(tmp_path: Path) -> None:
    """With no room for database or spool callers hear the base, and no arm without its row; there is room, and arms again."""
    with small_disk(tmp_path / "disk", "6m") as disk:
        url = f"sqlite:///{disk / 'pickup.db'}"
        migrate(url)
        with Server(tmp_path, url, spool=disk / "spool") as server:
            answers = server.ring_all(ids("before", 8))
            filler = fill(disk)
            full = server.ring_all(ids("full", 60))
            assert {heard.json["assistant"]["first_message"] for heard in full if not heard.arm} == {"Good day."}
            filler.unlink()
            assert_answered([*answers, *full])
            after = eventually(lambda: (heard := server.ring("after")).arm and heard)
            server.assert_recorded([*answers, *full, after])


SLEEPING = """\
@pickup.customer
def customer(caller):
    while not os.path.exists("mended"):
        time.sleep(0.1)
    return {"name": "Jan"}
"""


def test_answered_while_database_and_hook_hang(faulty_postgresql: PostgreSQL, tmp_path: Path) -> None:
    """Both at once are the longest that a call can take. Later calls wait for neither, threads do not pile up, and the hook is asked again."""
    url = faulty_postgresql.new_database()
    migrate(url)
    with Server(tmp_path, url, more=SLEEPING) as server:
        with faulty_postgresql.stopped():
            answers = server.ring_all(ids("hangs"), at_once=20)
        later = server.ring_all(ids("later", 16), at_once=1)
        assert_answered(answers + later)
        assert sum(heard.seconds for heard in later) < 8
        assert max(worker.num_threads() for worker in server.workers) <= 20
        server.assert_recorded(answers + later)
        (tmp_path / "mended").touch()
        eventually(lambda: server.ring("mended") and not (server.health() or {})["customer"]["skipped"])
