"""Every answer that names an arm has its one durable row; where none can be had, the caller hears the base."""

from __future__ import annotations

import random
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import psutil
import pytest
from sqlalchemy import Engine, create_engine, event, text
from sqlalchemy.exc import OperationalError

from checkouts import borrow_packages, copy_checkout, serving
from conftest import CONTENT, MakePhone, Phone
from faulty import (
    Heard,
    PostgreSQL,
    Server,
    assert_answered,
    assert_nothing_leaks,
    eventually,
    migrate,
    number,
    report_message,
    rows,
)
from flask_pickup import Pickup
from flask_pickup.ledger.spool import Spool

pytestmark = pytest.mark.slow

ARMS = "SELECT call_id, arm FROM pickup_assignments"


def crowd(server: Server, answers: list[Heard], enough: threading.Event, name: int) -> None:
    """Ring until it is enough; every other call's report follows it."""
    for index in range(100_000):
        if enough.is_set():
            return
        heard = server.ring(f"crowd-{name}-{index}", number(random.randrange(1000)))
        answers.append(heard)
        if heard.status == 200 and index % 2:
            server.post(report_message(heard.call_id, assistant=heard.json["assistant"]))


@contextmanager
def load(server: Server, callers: int = 6) -> Iterator[list[Heard]]:
    """Have a crowd ring the server; yield the list that their answers come into."""
    answers: list[Heard] = []
    enough = threading.Event()
    with ThreadPoolExecutor(callers) as pool:
        crowds = [pool.submit(crowd, server, answers, enough, index) for index in range(callers)]
        try:
            yield answers
        finally:
            enough.set()
    assert not [each.exception() for each in crowds if each.exception()]


@pytest.fixture(params=["sqlite", "postgresql"])
def faulty_database(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[str, PostgreSQL | None]:
    """The URL of each kind of database in turn, and its server if it has one."""
    server: PostgreSQL | None = request.getfixturevalue("faulty_postgresql") if request.param == "postgresql" else None
    url = server.new_database() if server else f"sqlite:///{tmp_path / 'pickup.db'}"
    migrate(url)
    return url, server


def kill_workers(server: Server, seconds: float, every: float = 0.3) -> None:
    """Kill a worker every 300 ms, or as often as is asked for."""
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        if workers := server.workers:
            with suppress(psutil.NoSuchProcess):
                random.choice(workers).kill()
        time.sleep(every)


def test_killing_workers_loses_nothing(faulty_database: tuple[str, PostgreSQL | None], tmp_path: Path) -> None:
    """Workers are killed every 300 ms under load, and the database goes away meanwhile: what was answered is a row."""
    url, postgresql = faulty_database
    with Server(tmp_path, url, commit_wait=0.3) as server:
        with load(server) as answers:
            kill_workers(server, 2)
            if postgresql:
                with postgresql.stopped():
                    kill_workers(server, 2)
            else:
                other = sqlite3.connect(tmp_path / "pickup.db", isolation_level=None)
                other.execute("BEGIN EXCLUSIVE")
                kill_workers(server, 2)
                other.close()
            # A busy machine needs seconds to start a worker.
            while sum(heard.status == 200 for heard in answers) <= 60:
                kill_workers(server, 3, every=3)
        answered = [heard for heard in answers if heard.status]
        # How long it takes is promised while there are workers.
        assert {heard.status for heard in answered} == {200}
        server.assert_recorded(answered)
        eventually(lambda: server.ring("quiet").arm)
        # Where the disk was too slow as well, a call fell back without a row, and its report made one. A report may also
        # come before its call's row is replayed.
        named = {heard.call_id for heard in answered if heard.arm}
        undecided = "SELECT call_id FROM pickup_calls WHERE decision IS NULL"
        eventually(lambda: named.isdisjoint(call_id for (call_id,) in rows(url, undecided)))
        assert Spool(server.spool).find(["{"])["dead_letter"] == []


def test_serves_before_there_is_a_database(faulty_postgresql: PostgreSQL, tmp_path: Path) -> None:
    """Without a database scripts/serve says so and serves; the rows wait until database and schema are there."""
    rings = Server(tmp_path / "rings", faulty_postgresql.new_database())
    checkout = copy_checkout(tmp_path / "checkout")
    borrow_packages(checkout)
    faulty_postgresql.kill()
    try:
        with serving(checkout, **rings.environment) as served:
            answers = rings.ring_all([f"early-{index}" for index in range(8)])
            assert_answered(answers)
            assert all(heard.arm for heard in answers)
            faulty_postgresql.start()
            rings.assert_recorded(answers, 30)
            assert "Serving all the same" in served.said
            served.stop()
            assert served.process.stdout
            assert_nothing_leaks(served.said + served.process.stdout.read())
    finally:
        if not faulty_postgresql.is_up:
            faulty_postgresql.start()


def test_another_process_replays_after_a_crash(tmp_path: Path) -> None:
    """All processes are killed while rows wait in the spool: the next server writes them, though its content changed."""
    database = tmp_path / "pickup.db"
    url = f"sqlite:///{database}"
    server = Server(tmp_path, url)
    with server:
        answers = server.ring_all([f"spooled-{index}" for index in range(12)])
        reports = [server.post(report_message("spooled-0", assistant=answers[0].json["assistant"]))]
        assert_answered([*answers, *reports])
        server.kill()
        assert not rows(url, "SELECT name FROM sqlite_master")
        (tmp_path / "experiments/warm-opening/warm/first_message.j2").write_text("Quite other words.")
        migrate(url)
        server.start()
        server.assert_recorded(answers)
        assert rows(url, "SELECT value FROM pickup_outcomes WHERE name = 'duration_seconds'") == [(84.0,)]
        known = (
            "SELECT COUNT(*) FROM pickup_definitions WHERE fingerprint IN (SELECT definition FROM pickup_assignments)"
        )
        assert rows(url, known) == [(1,)]


PRELOADED = """\
app.extensions["pickup"].start()
while not app.test_client().get("/pickup/health").json["last_commit"]:
    time.sleep(0.1)
"""


def test_survives_a_fork_after_its_threads_started(
    faulty_database: tuple[str, PostgreSQL | None], tmp_path: Path
) -> None:
    """An app that is loaded, started and has committed before gunicorn forks loses nothing, and shares no connection."""
    with Server(tmp_path, faulty_database[0], preload=True, after=PRELOADED, commit_wait=10) as server:
        with load(server) as answers:
            time.sleep(0.7)
            kill_workers(server, 1)
        answered = [heard for heard in answers if heard.status]
        assert {heard.status for heard in answered} == {200}
        server.assert_recorded(answered)
    # Two processes on one connection read each other's answers, which the ledger survives, but not without a word.
    assert "A row was not taken" not in server.output


def hosted(make_phone: MakePhone, url: str, *, spool: bool = True, tmp_path: Path, **config: Any) -> Phone:
    """Make a phone whose spool, if it is not to work, would lie below a file."""
    if not spool:
        (tmp_path / "no-folder").touch()
        config["PICKUP_SPOOL"] = str(tmp_path / "no-folder" / "spool")
    return make_phone(url=url, **{"PICKUP_COMMIT_WAIT": 0.3, **config})


def test_no_arm_without_a_row(make_phone: MakePhone, tmp_path: Path) -> None:
    """Where neither database nor spool takes the row the caller hears the base, and /health counts it."""
    phone = hosted(make_phone, f"sqlite:///{tmp_path / 'none.db'}", spool=False, migrate=False, tmp_path=tmp_path)
    answers = [phone.ring(f"call-{index}") for index in range(3)]
    assert [answer.status_code for answer in answers] == [200] * 3
    assert [answer.get_json()["assistant"]["first_message"] for answer in answers] == ["Good day."] * 3
    assert all("metadata" not in answer.get_json()["assistant"] for answer in answers)
    health = phone.client.get("/pickup/health")
    assert (health.status_code, health.get_json()["calls"]) == (200, {"fallback": 3})
    assert health.get_json()["faults"]["spool"] >= 3


def test_who_is_turned_away_needs_no_row(make_phone: MakePhone, tmp_path: Path) -> None:
    """Outside the hours there is no arm to record: the closing words are said though nothing takes the row."""
    hours = {"greetings/hours.toml": 'timezone = "UTC"\n[week]\n', "greetings/closed.j2": "We are closed."}
    phone = hosted(make_phone, f"sqlite:///{tmp_path / 'none.db'}", spool=False, migrate=False, tmp_path=tmp_path,
                   files={**CONTENT, **hours})  # fmt: skip
    assert phone.ring().get_json() == {"error": "We are closed."}


def at_commit_of_a_call(engine: Engine, action: Callable[[Any], None]) -> None:
    """Do something at each commit of a transaction that inserts a call; the ledger has others too."""
    inserted: list[str] = []

    @event.listens_for(engine, "before_cursor_execute")
    def note_insert(_connection: Any, _cursor: Any, statement: str, *_: Any) -> None:
        if "INSERT INTO pickup_calls" in statement:
            inserted.append(statement)

    @event.listens_for(engine, "commit")
    def act(connection: Any) -> None:
        if inserted:
            inserted.clear()
            action(connection)


def test_commit_whose_word_was_lost_is_one_row(make_phone: MakePhone, database_url: str, tmp_path: Path) -> None:
    """The connection breaks right after the commit: the second try finds its own rows, and says the same."""
    engine = create_engine(database_url)
    broken: list[bool] = []

    def break_after_commit(connection: Any) -> None:
        if len(broken) == 1:
            broken.append(True)
            connection.connection.dbapi_connection.commit()
            connection.invalidate()
            raise OperationalError("COMMIT", None, Exception("gone"), connection_invalidated=True)

    at_commit_of_a_call(engine, break_after_commit)
    phone = hosted(make_phone, database_url, migrate=False, tmp_path=tmp_path, pickup=Pickup(engine=engine),
                   PICKUP_COMMIT_WAIT=5)  # fmt: skip
    phone.now = time.time()
    phone.ring("first")
    broken.append(True)
    answer = phone.ring("lost").get_json()
    assert len(broken) == 2
    assert phone.ring("lost").get_json() == answer
    assert phone.rows("SELECT COUNT(*) FROM pickup_assignments WHERE call_id = 'lost'") == [(1,)]
    phone.app.extensions["pickup"].close()
    engine.dispose()


def test_refused_row_costs_no_other(make_phone: MakePhone, database_url: str, tmp_path: Path) -> None:
    """A row that the database refuses costs its own caller the arm, and nobody who rang with them."""
    phone = hosted(make_phone, database_url, tmp_path=tmp_path, PICKUP_COMMIT_WAIT=5)
    refuse(phone, "poison")
    with holding(phone), ThreadPoolExecutor(4) as pool:
        answers = pool.map(lambda call_id: phone.ring(call_id).get_json(), ["good-0", "poison", "good-1", "good-2"])
    assert ["metadata" in answer["assistant"] for answer in answers] == [True, False, True, True]
    assert sorted(row[0] for row in phone.rows(ARMS)) == ["good-0", "good-1", "good-2"]


def test_what_cannot_be_replayed_is_a_dead_letter(
    make_phone: MakePhone, empty_database_url: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """A spooled row that the database refuses becomes a dead letter, which /health counts; those beside it are written."""
    phone = hosted(make_phone, empty_database_url, migrate=False, tmp_path=tmp_path)
    for call_id in ("good-0", "poison", "good-1"):
        assert phone.ring(call_id).status_code == 200
    migrate(empty_database_url)
    refuse(phone, "poison")
    eventually(lambda: [row for row in sorted(phone.rows(ARMS)) if row[0].startswith("good")][1:])
    eventually(lambda: phone.client.get("/pickup/health").get_json()["dead_letters"] == 1)
    [dead] = Spool(phone.app.extensions["pickup"].options.spool).find(["{"])["dead_letter"]
    assert "poison" in dead
    assert "kept in the table dead_letter" in caplog.text
    assert "612345678" not in dead


def refuse(phone: Phone, call_id: str) -> None:
    """Have the database refuse a call, as a constraint of the host's would."""
    engine = phone.app.extensions["pickup"].engine
    trigger = (
        f"CREATE TRIGGER refuse BEFORE INSERT ON pickup_calls WHEN NEW.call_id = '{call_id}' "
        "BEGIN SELECT RAISE(ABORT, 'refused'); END"
        if engine.dialect.name == "sqlite"
        else f"ALTER TABLE pickup_calls ADD CONSTRAINT refuse CHECK (call_id <> '{call_id}') NOT VALID"
    )
    with engine.begin() as connection:
        connection.execute(text(trigger))


@contextmanager
def holding(phone: Phone) -> Iterator[None]:
    """Hold the first commit, so that what comes meanwhile is committed together."""
    with phone.app.extensions["pickup"].engine.connect() as connection:
        if connection.dialect.name == "sqlite":
            connection.exec_driver_sql("BEGIN EXCLUSIVE")
        else:
            connection.execute(text("LOCK TABLE pickup_calls"))
        threading.Timer(0.15, connection.rollback).start()
        yield


def test_graceful_stop_needs_no_hook(tmp_path: Path) -> None:
    """A host whose server knows no worker_exit loses nothing either: whoever waits is answered before it stops."""
    url = f"sqlite:///{tmp_path / 'pickup.db'}"
    migrate(url)
    server = Server(tmp_path, url)
    (tmp_path / "host.conf.py").write_text(f"bind = '127.0.0.1:{server.port}'\nthreads = 4\n")
    server.configuration = tmp_path / "host.conf.py"
    with server:
        with load(server, 4) as answers:
            time.sleep(0.6)
            server.stop()
        answered = [heard for heard in answers if heard.status]
        assert_answered(answered)
        server.start()
        server.assert_recorded(answered)
