"""The results that pages show: computed once for all processes, kept in a table, and never waited for long."""

from __future__ import annotations

import subprocess
import sys
from datetime import datetime, timedelta
from pathlib import Path
from threading import Event
from typing import Any

import pytest
from sqlalchemy import Engine, create_engine, insert, select, text
from sqlalchemy.engine import make_url
from sqlalchemy.exc import SQLAlchemyError

from conftest import MakePhone
from dashboards import TOKEN
from faulty import eventually
from flask_pickup.engines import reading
from flask_pickup.models import Snapshot
from flask_pickup.results import snapshots
from flask_pickup.results.snapshots import FRESH, LEASE, SHARE, VERSION, Latest, Snapshots
from result_rows import START

NAME = "opening"
SLOW = {
    "sqlite": "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT COUNT(*) FROM n",
    "postgresql": "SELECT pg_sleep(60)",
}

PROCESS = """
import sys, time
from datetime import UTC, datetime
from pathlib import Path
from flask_pickup.engines import make_engine
from flask_pickup.results.snapshots import Snapshots

def compute(name):
    with Path(sys.argv[2]).open("a") as file:
        file.write("computed\\n")
    time.sleep(1)
    return {"results": 1}

engine = make_engine(sys.argv[1])
snapshots = Snapshots(lambda: engine, compute, lambda: datetime.now(UTC))
print("ready", flush=True)
sys.stdin.readline()
while not (body := snapshots.latest(["opening"])["opening"].body):
    time.sleep(0.05)
print(body["results"])
"""


class Results:
    """Snapshots of one experiment on a clock of the test's, whose computation counts how often it was made."""

    def __init__(self, engine: Engine) -> None:
        self.now = START
        self.times = 0
        self.fails = False
        self.may_end = Event()
        self.may_end.set()
        self.snapshots = Snapshots(lambda: engine, self.compute, lambda: self.now)

    def compute(self, _: str) -> dict[str, Any]:
        """Return how often it was computed, once it may."""
        assert self.may_end.wait(30)
        self.times += 1
        if self.fails:
            raise ZeroDivisionError
        return {"results": self.times}

    def latest(self) -> Latest:
        """Return what a page shows."""
        return self.snapshots.latest([NAME])[NAME]

    def shown(self) -> int | None:
        """Return how often the results had been computed that a page shows; None where it shows none."""
        body = self.latest().body
        return body["results"] if body else None


def read_only(url: str) -> Engine:
    """Return an engine that can read the tables and write nothing."""
    made = make_url(url)
    if made.get_backend_name() == "sqlite":
        return create_engine(f"sqlite:///file:{made.database}?mode=ro&uri=true")
    return create_engine(made.update_query_dict({"options": "-c default_transaction_read_only=on"}))


def test_results_are_computed_again_after_a_minute(engine: Engine) -> None:
    """Within a minute a page shows what was computed; after it the old ones, until the new ones are there."""
    results = Results(engine)
    assert eventually(results.shown) == 1
    first = results.now
    results.now += FRESH / 2
    assert not results.latest().is_updating
    results.now += FRESH
    results.may_end.clear()
    for _ in range(2):
        assert (results.latest().at, results.shown(), results.latest().is_updating) == (first, 1, True)
    results.may_end.set()
    eventually(lambda: results.shown() == 2)
    assert (results.latest().at, results.latest().is_updating, results.times) == (results.now, False, 2)


def test_results_that_take_long_are_computed_seldom(engine: Engine) -> None:
    """Computing what a page shows takes a twentieth of the time at most."""
    body = {"version": VERSION, "seconds": 10.0, "results": 0}
    with engine.begin() as connection:
        connection.execute(insert(Snapshot).values(experiment=NAME, computed_at=START, body=body))
    results = Results(engine)
    results.now += timedelta(seconds=10 / SHARE - 1)
    assert not results.latest().is_updating
    results.now += timedelta(seconds=1)
    assert results.latest().is_updating


def test_results_of_days_ago_are_shown_at_once(engine: Engine) -> None:
    """Old results are shown with their time while newer ones are computed, never withheld."""
    results = Results(engine)
    assert eventually(results.shown) == 1
    results.now += timedelta(days=3)
    results.may_end.clear()
    assert (results.latest().at, results.shown()) == (START, 1)
    results.may_end.set()


def test_results_of_another_version_are_none(engine: Engine) -> None:
    """What an older release kept, with other keys, is not shown, and computed anew at once."""
    with engine.begin() as connection:
        connection.execute(insert(Snapshot).values(experiment=NAME, computed_at=START, body={"results": "old"}))
    results = Results(engine)
    results.may_end.clear()
    assert results.latest() == Latest(is_updating=True)
    results.may_end.set()
    assert eventually(results.shown) == 1


def test_page_does_not_wait_for_results(engine: Engine) -> None:
    """Where the first results take long, a page is told that there are none yet."""
    results = Results(engine)
    results.may_end.clear()
    assert results.latest() == Latest(is_updating=True)
    results.may_end.set()
    assert eventually(results.shown) == 1


def test_two_processes_compute_once(database_url: str, tmp_path: Path) -> None:
    """Of two processes whose pages want the same results one computes them, and both show them."""
    counted = tmp_path / "counted"
    command = [sys.executable, "-c", PROCESS, database_url, str(counted)]
    processes = [subprocess.Popen(command, stdin=-1, stdout=-1, text=True) for _ in range(2)]
    for process in processes:
        assert process.stdout
        assert process.stdout.readline() == "ready\n"
    told = [process.communicate("now\n", timeout=60)[0] for process in processes]
    assert (told, counted.read_text()) == (["1\n"] * 2, "computed\n")


def test_lease_of_a_process_that_died_runs_out(engine: Engine) -> None:
    """While a lease holds nobody else computes; once it ran out, without any results, the next page does."""
    results = Results(engine)
    with engine.begin() as connection:
        connection.execute(insert(Snapshot).values(experiment=NAME, computing_until=START + LEASE))
    assert results.latest() == Latest(is_updating=True)
    results.now += LEASE + timedelta(seconds=1)
    assert eventually(results.shown) == 1


def test_read_only_database_stores_nothing_and_works(database_url: str) -> None:
    """Where nothing can be written, a process shows what it computed itself, and computes it anew after a minute."""
    engine = read_only(database_url)
    results = Results(engine)
    assert eventually(results.shown) == 1
    assert results.shown() == 1
    results.now += FRESH
    eventually(lambda: results.shown() == 2)
    with engine.connect() as connection:
        assert connection.execute(text("SELECT COUNT(*) FROM pickup_snapshots")).scalar() == 0
    engine.dispose()


def test_failure_is_told_by_its_kind(engine: Engine, caplog: pytest.LogCaptureFixture) -> None:
    """A computation that fails is a page that says so, and a line in the log that quotes nothing."""

    def failing(_: str) -> dict[str, Any]:
        raise ZeroDivisionError("a caller's row")

    failed = Snapshots(lambda: engine, failing, lambda: START)
    body = eventually(lambda: failed.latest([NAME])[NAME].body)
    assert body["failed"] == "ZeroDivisionError"
    assert "ZeroDivisionError" in caplog.text
    assert "row" not in caplog.text


def test_failure_withholds_no_earlier_results(engine: Engine) -> None:
    """Where newer results could not be computed, the earlier ones stay, and the next attempt comes after a while."""
    results = Results(engine)
    assert eventually(results.shown) == 1
    results.now += FRESH
    results.fails = True
    assert results.latest().is_updating
    eventually(lambda: leased_until(engine) == results.now + FRESH and results.times == 2)
    results.now += FRESH / 2
    assert (results.latest().at, results.shown()) == (START, 1)
    results.fails = False
    results.now += FRESH / 2
    assert eventually(lambda: results.shown() == 3)


def test_lease_is_renewed_while_results_are_computed(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    """Results that take longer than a lease are computed by one process all the same."""
    monkeypatch.setattr(snapshots, "LEASE", timedelta(seconds=0.2))
    results, other = Results(engine), Results(engine)
    results.may_end.clear()
    results.latest()
    for _ in range(3):
        results.now += timedelta(seconds=0.19)
        eventually(lambda: leased_until(engine) > results.now)
        other.now = results.now
        assert other.latest() == Latest(is_updating=True)
    results.may_end.set()
    assert eventually(results.shown) == 1
    assert other.times == 0


def leased_until(engine: Engine) -> datetime:
    """Return when the lease runs out; long ago where there is none."""
    with engine.connect() as connection:
        return connection.execute(select(Snapshot.computing_until)).scalar() or START - LEASE


def test_statement_ends_in_time(engine: Engine) -> None:
    """A page's statement that takes too long is ended by the database, and the connection is as good as before."""
    with pytest.raises(SQLAlchemyError), reading(engine, 0.2) as connection:
        connection.execute(text(SLOW[engine.dialect.name]))
    with reading(engine, 3) as connection:
        assert connection.execute(text("SELECT 1")).scalar() == 1


def test_workers_share_a_snapshot(make_phone: MakePhone, database_url: str) -> None:
    """The experiment's page of one worker shows what another one computed, whatever was called since."""
    first, second = (make_phone(url=database_url, PICKUP_DASHBOARD_TOKEN=TOKEN) for _ in range(2))
    for phone in (first, second):
        phone.client.get(f"/pickup/?token={TOKEN}")
    eventually(lambda: "No callers yet." in first.client.get("/pickup/experiments/warm-opening").text)
    second.ring()
    assert "No callers yet." in second.client.get("/pickup/experiments/warm-opening").text
