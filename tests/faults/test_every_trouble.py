"""Whatever is wrong with a database or with the host's code, a call is answered in time, and its row comes afterwards."""

from __future__ import annotations

import fcntl
import logging
import os
import sqlite3
import subprocess
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine, create_engine, make_url, text
from sqlalchemy.pool import QueuePool

from conftest import CALLER, CONTENT, NOW, MakePhone, Phone
from faulty import PROMISED, PostgreSQL, eventually, migrate, rows
from flask_pickup import Pickup
from flask_pickup.ledger import Ledger

pytestmark = pytest.mark.slow


@dataclass
class Trouble:
    """A database in trouble: how a host reaches it, and what brings it back."""

    url: str
    engine: Engine | Callable[[], Engine] | None = None
    mend: Callable[[], Any] = lambda: None
    done: list[Callable[[], Any]] = field(default_factory=list)


MakeTrouble = Callable[[PostgreSQL, Path], Trouble]


def file_database(folder: Path) -> tuple[str, Path]:
    url = f"sqlite:///{folder / 'pickup.db'}"
    migrate(url)
    return url, folder / "pickup.db"


def command(url: str, statement: str) -> None:
    engine = create_engine(url, isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        connection.execute(text(statement))
    engine.dispose()


def engine_function_raises(_: PostgreSQL, folder: Path) -> Trouble:
    url = file_database(folder)[0]
    engines: list[Engine] = []
    return Trouble(url, lambda: engines[0], lambda: engines.append(create_engine(url)))


def name_does_not_resolve(_: PostgreSQL, folder: Path) -> Trouble:
    """A resolver that hangs is, to the ledger, a connect that hangs."""
    url, path = file_database(folder)
    mended = threading.Event()

    def connect() -> Any:
        mended.wait(30)
        return sqlite3.connect(path, check_same_thread=False)

    engine = create_engine("sqlite://", creator=connect, poolclass=QueuePool)
    return Trouble(url, engine, mended.set, [engine.dispose])


def pool_is_exhausted(_: PostgreSQL, folder: Path) -> Trouble:
    url = file_database(folder)[0]
    engine = create_engine(url, pool_size=1, max_overflow=0, pool_timeout=30)
    taken = engine.connect()
    return Trouble(url, engine, taken.close, [engine.dispose])


def file_is_read_only(_: PostgreSQL, folder: Path) -> Trouble:
    url, path = file_database(folder)
    mended = threading.Event()

    def connect() -> Any:
        mode = "rw" if mended.is_set() else "ro"
        return sqlite3.connect(f"file:{path}?mode={mode}", uri=True, check_same_thread=False)

    def mend() -> None:
        mended.set()
        engine.dispose()

    engine = create_engine("sqlite://", creator=connect, poolclass=QueuePool)
    return Trouble(url, engine, mend, [engine.dispose])


def file_is_corrupt(_: PostgreSQL, folder: Path) -> Trouble:
    url, path = file_database(folder)
    good = path.read_bytes()
    path.write_bytes(b"no database at all" * 1000)
    return Trouble(url, None, lambda: path.write_bytes(good))


def writers_lock_is_held(_: PostgreSQL, folder: Path) -> Trouble:
    """As by a process that is stopped while it writes."""
    url, path = file_database(folder)
    lock = path.with_name("pickup.db-pickup-lock").open("w")
    fcntl.flock(lock, fcntl.LOCK_EX)
    return Trouble(url, None, lock.close)


def tables_are_missing(_: PostgreSQL, folder: Path) -> Trouble:
    url = f"sqlite:///{folder / 'pickup.db'}"
    return Trouble(url, None, lambda: migrate(url))


def database_is_read_only(server: PostgreSQL, _: Path) -> Trouble:
    """As on a standby, or while PostgreSQL is in recovery."""
    url = server.new_database()
    migrate(url)
    name = make_url(url).database
    command(server.url, f"ALTER DATABASE {name} SET default_transaction_read_only = on")
    return Trouble(url, None, lambda: mend_read_only(server.url, name))


def mend_read_only(url: str, name: str | None) -> None:
    command(url, f"ALTER DATABASE {name} RESET default_transaction_read_only")
    command(url, f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{name}'")


def too_many_connections(server: PostgreSQL, _: Path) -> Trouble:
    url = server.new_database()
    migrate(url)
    name = make_url(url).database
    command(url, f"CREATE ROLE guest_{name} LOGIN")
    command(url, f"GRANT ALL ON ALL TABLES IN SCHEMA public TO guest_{name}")
    command(url, f"ALTER DATABASE {name} CONNECTION LIMIT 0")
    guest = make_url(url).set(username=f"guest_{name}").render_as_string(hide_password=False)
    return Trouble(guest, None, lambda: command(server.url, f"ALTER DATABASE {name} CONNECTION LIMIT -1"))


def table_is_locked(server: PostgreSQL, _: Path) -> Trouble:
    url = server.new_database()
    migrate(url)
    engine = create_engine(url)
    other = engine.connect()
    other.execute(text("LOCK TABLE pickup_calls IN ACCESS EXCLUSIVE MODE"))
    return Trouble(url, None, other.close, [engine.dispose])


TROUBLES: list[MakeTrouble] = [
    *(engine_function_raises, name_does_not_resolve, pool_is_exhausted, file_is_read_only, file_is_corrupt),
    *(writers_lock_is_held, tables_are_missing, database_is_read_only, too_many_connections, table_is_locked),
]


def ring_in_time(phone: Phone, call_id: str) -> None:
    """Ring, and see that the answer comes in time and names an arm."""
    started = time.monotonic()
    answer = phone.ring(call_id)
    assert answer.status_code == 200
    assert time.monotonic() - started < PROMISED
    assert answer.get_json()["assistant"]["metadata"]["pickup"]["assignments"]


def count_assignments(engine: Engine) -> int:
    with engine.connect() as connection:
        return int(connection.execute(text("SELECT COUNT(*) FROM pickup_assignments")).scalar_one())


@pytest.mark.parametrize("make", TROUBLES, ids=lambda make: make.__name__)
def test_answered_in_every_trouble(
    make: MakeTrouble,
    make_phone: MakePhone,
    faulty_postgresql: PostgreSQL,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Calls hear their arms from the spool while the trouble lasts; mended, their rows come without being asked for."""
    caplog.set_level(logging.DEBUG)
    trouble = make(faulty_postgresql, tmp_path)
    pickup = Pickup(clock=lambda: NOW, engine=trouble.engine)
    phone = make_phone(url=trouble.url, pickup=pickup, migrate=False, PICKUP_COMMIT_WAIT=0.3)
    started = time.monotonic()
    for index in range(6):
        ring_in_time(phone, f"call-{index}")
    assert time.monotonic() - started < PROMISED
    health = phone.client.get("/pickup/health").get_json()
    assert (health["database"], health["status"], health["faults"]["database"] > 0) == ("skipped", "degraded", True)
    assert health["waiting"]["spool"] >= 6
    trouble.mend()
    look = create_engine(trouble.url)
    eventually(lambda: count_assignments(look) == 6)
    assert eventually(lambda: phone.client.get("/pickup/health").get_json()["database"] == "ok")
    assert phone.client.get("/pickup/health").get_json()["waiting"]["spool"] == 0
    assert "612345678" not in caplog.text
    assert "the-database-password" not in caplog.text
    phone.app.extensions["pickup"].close()
    for action in (look.dispose, *trouble.done):
        action()


def test_back_is_a_database_that_would_take_a_row(
    make_phone: MakePhone, faulty_postgresql: PostgreSQL, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """With nothing in the spool to try it with, a read-only database is still not taken for healthy; the log says why."""
    url = faulty_postgresql.new_database()
    name = make_url(url).database
    (tmp_path / "no-folder").touch()
    phone = make_phone(url=url, PICKUP_SPOOL=str(tmp_path / "no-folder" / "spool"))
    phone.ring("before")
    command(url, f"ALTER DATABASE {name} SET default_transaction_read_only = on")
    phone.app.extensions["pickup"].engine.dispose()
    # A call without an arm leaves nothing behind that would be tried again.
    phone.ring("read-only", caller=None)
    time.sleep(1.2)
    assert phone.client.get("/pickup/health").get_json()["database"] == "skipped"
    assert "not taken by the database: ReadOnlySqlTransaction" in caplog.text
    mend_read_only(faulty_postgresql.url, name)
    eventually(lambda: phone.client.get("/pickup/health").get_json()["database"] == "ok")


def delete(*suffixes: str) -> Callable[[Path], None]:
    def lose(path: Path) -> None:
        for suffix in suffixes:
            path.with_name(f"pickup.db{suffix}").unlink()

    return lose


def empty_the_wal(path: Path) -> None:
    os.truncate(f"{path}-wal", 0)


LOSSES = {
    "all": delete("", "-wal", "-shm"),
    "the WAL": delete("-wal"),
    "the WAL's index": delete("-shm"),
    "the WAL and its index": delete("-wal", "-shm"),
    "what is in the WAL": empty_the_wal,
}


@pytest.mark.parametrize("lose", LOSSES.values(), ids=LOSSES)
def test_lost_file_is_noticed_at_the_next_commit(
    lose: Callable[[Path], None], make_phone: MakePhone, tmp_path: Path
) -> None:
    """A commit to a deleted file or WAL could be read by nobody: rows go to the spool until the file is opened anew."""
    url, path = file_database(tmp_path)
    phone = make_phone(url=url, migrate=False)
    ring_in_time(phone, "before")
    # What was only in a WAL is lost with it.
    eventually(lambda: rows(url, "PRAGMA wal_checkpoint(TRUNCATE)")[0][0] == 0)
    ring_in_time(phone, "in the WAL")
    lose(path)
    ring_in_time(phone, "after")
    health = phone.client.get("/pickup/health").get_json()
    assert health["faults"] == {"database": 1}
    migrate(url)
    eventually(lambda: ("after",) in rows(url, "SELECT call_id FROM pickup_assignments"))
    eventually(lambda: phone.client.get("/pickup/health").get_json()["database"] == "ok")
    ring_in_time(phone, "later")
    assert ("later",) in rows(url, "SELECT call_id FROM pickup_assignments")


def test_backup_copied_in_place_is_noticed(
    make_phone: MakePhone, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A file whose content was replaced lacks the last commit, which a fresh connection sees within ten seconds."""
    monkeypatch.setattr(Ledger, "look_every", 0.5)
    url, path = file_database(tmp_path)
    backup = tmp_path / "backup"
    backup.write_bytes(path.read_bytes())
    phone = make_phone(url=url, migrate=False)
    ring_in_time(phone, "before")
    eventually(lambda: rows(url, "PRAGMA wal_checkpoint(TRUNCATE)")[0][0] == 0)
    # By another process, because a process that closes a file gives up SQLite's locks on it.
    subprocess.run(["cp", backup, path], check=True)
    eventually(lambda: phone.client.get("/pickup/health").get_json()["faults"] == {"database": 1})
    ring_in_time(phone, "after")
    eventually(lambda: rows(url, "SELECT call_id FROM pickup_assignments") == [("after",)])
    assert rows(url, "PRAGMA integrity_check") == [("ok",)]
    assert phone.client.get("/pickup/health").get_json()["faults"] == {"database": 1}


def raises(_: object) -> Any:
    raise KeyError(CALLER)


def exits(_: object) -> Any:
    raise SystemExit(CALLER)


class Unprintable:
    """Nonsense that raises as soon as somebody looks at it."""

    def __str__(self) -> str:
        raise RuntimeError(CALLER)


HOOKS: dict[str, Callable[[object], Any]] = {
    "raises": raises,
    "exits": exits,
    "a number": lambda _: 42,
    "unprintable": lambda _: {"name": Unprintable()},
    "five megabytes": lambda _: {"name": "x" * 5_000_000},
}


NAMED = {**CONTENT, "greetings/first_message.j2": "Good day {{ customer.name }}."}


@pytest.mark.parametrize("name", HOOKS)
def test_hook_cannot_spoil_an_answer(name: str, make_phone: MakePhone, caplog: pytest.LogCaptureFixture) -> None:
    """Whatever the customer hook raises or returns costs the caller their name at most, and is not logged."""
    caplog.set_level(logging.DEBUG)
    pickup = Pickup(clock=lambda: NOW)
    pickup.customer(HOOKS[name])
    phone = make_phone(NAMED, pickup=pickup)
    answer = phone.ring()
    assert (answer.status_code, answer.mimetype) == (200, "application/json")
    assert answer.get_json()["assistant"]["first_message"]
    assert len(answer.data) < 10_000
    assert "612345678" not in caplog.text
    assert phone.client.get("/pickup/health").status_code == 200


def test_hook_that_is_late_is_waited_for_once(make_phone: MakePhone, caplog: pytest.LogCaptureFixture) -> None:
    """After a time-out no call waits for the hook, though threads are free, until it was in time again."""
    pickup = Pickup(clock=lambda: NOW)
    waits = [0.4]
    pickup.customer(lambda _: time.sleep(waits[0]))
    phone = make_phone(NAMED, pickup=pickup, PICKUP_CUSTOMER_WAIT=0.2)
    for index in range(5):
        phone.ring(f"call-{index}")
        time.sleep(0.25)
    assert caplog.text.count("gave nothing: time-out") == 1
    assert phone.client.get("/pickup/health").get_json()["customer"] == {"skipped": True, "faults": 5}
    waits[0] = 0
    eventually(lambda: phone.ring("again") and not phone.client.get("/pickup/health").get_json()["customer"]["skipped"])


def test_hook_recovers_though_its_probes_hang(make_phone: MakePhone) -> None:
    """Where the hook hangs for good, a probe too, another probe later finds that it works again."""
    hang, works = threading.Event(), threading.Event()
    pickup = Pickup(clock=lambda: NOW)
    pickup.customer(lambda _: works.is_set() or hang.wait(30))
    phone = make_phone(NAMED, pickup=pickup, PICKUP_CUSTOMER_WAIT=0.1)
    for index in range(3):
        phone.ring(f"call-{index}")
    works.set()
    eventually(lambda: phone.ring("again") and not phone.client.get("/pickup/health").get_json()["customer"]["skipped"])
    hang.set()
