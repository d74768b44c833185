"""The same call gets the same arm and one row, however often, from wherever and in whatever order it is delivered."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine, create_engine, event

from conftest import MakePhone, Phone
from faulty import Server, eventually, migrate, number, report_message, rows
from flask_pickup import Pickup

pytestmark = pytest.mark.slow

ONE_ROW_EACH = "SELECT call_id, COUNT(*), COUNT(DISTINCT arm) FROM pickup_assignments GROUP BY call_id ORDER BY call_id"


def at_once(actions: list[Callable[[], Any]]) -> list[Any]:
    """Do all of them at the same time; return what they returned."""
    gate = threading.Barrier(len(actions))

    def act(action: Callable[[], Any]) -> Any:
        gate.wait()
        return action()

    with ThreadPoolExecutor(len(actions)) as pool:
        return list(pool.map(act, actions))


def test_twenty_deliveries_over_all_workers_are_one(database_url: str, tmp_path: Path) -> None:
    """Twenty concurrent deliveries of one call over all workers are answered alike, byte for byte, and are one row."""
    migrate(database_url)
    calls = [f"same-{index}" for index in range(6)]
    with Server(tmp_path, database_url) as server:
        for call_id in calls:
            answers = at_once([partial(server.ring, call_id)] * 20)
            assert {heard.status for heard in answers} == {200}
            assert len({heard.data for heard in answers}) == 1
        health = eventually(server.health)
        assert health["faults"] == {}
    assert rows(database_url, ONE_ROW_EACH) == [(call_id, 1, 1) for call_id in calls]


def test_first_of_many_callers_stands(database_url: str, tmp_path: Path) -> None:
    """One call delivered at once with the numbers of twenty callers: all deliveries are told the arm that is stored."""
    migrate(database_url)
    with Server(tmp_path, database_url) as server:
        answers = at_once([partial(server.ring, "torn", number(index)) for index in range(20)])
        [(arm,)] = rows(database_url, "SELECT arm FROM pickup_assignments")
        assert {heard.arm for heard in answers} == {arm}


def test_reports_come_in_any_order(database_url: str, tmp_path: Path) -> None:
    """Reports before, with and after their call, twice and with other figures: the latest stands, joined once."""
    migrate(database_url)
    stamps = [f"2025-12-13T12:05:{second:02d}Z" for second in (3, 9, 9, 1, 7, 9)]
    reports = [report_message("call", timestamp=stamp, duration_seconds=int(stamp[-3:-1])) for stamp in stamps]
    with Server(tmp_path, database_url) as server:
        deliveries = [partial(server.post, report) for report in reports]
        answers = at_once([*deliveries[:2], partial(server.ring, "call"), *deliveries, partial(server.ring, "call")])
        assert {heard.status for heard in answers} == {200}
        query = "SELECT value FROM pickup_outcomes WHERE name = 'duration_seconds'"
        eventually(lambda: rows(database_url, query) == [(9.0,)])
        eventually(lambda: rows(database_url, ONE_ROW_EACH) == [("call", 1, 1)])
        assert rows(database_url, "SELECT decision FROM pickup_calls") == [("arm",)]


def with_own_begin(url: str) -> Engine:
    """An engine as SQLAlchemy's manual advises for SQLite: it begins its transactions itself."""
    engine = create_engine(url)

    @event.listens_for(engine, "connect")
    def no_begin_of_the_driver(connection: Any, _: Any) -> None:
        connection.isolation_level = None

    @event.listens_for(engine, "begin")
    def begin(connection: Any) -> None:
        connection.exec_driver_sql("BEGIN")

    return engine


def host_engine(url: str, level: str) -> Engine:
    if level == "its own BEGIN":
        return with_own_begin(url)
    if level == SERVERS:
        return create_engine(url, connect_args={"options": "-c default_transaction_isolation=serializable"})
    return create_engine(url, isolation_level=level)


SERVERS = "SERIALIZABLE by the server"

HOSTS = [
    *(("postgresql", level) for level in ("READ COMMITTED", "REPEATABLE READ", "SERIALIZABLE", "AUTOCOMMIT", SERVERS)),
    *(("sqlite", level) for level in ("READ UNCOMMITTED", "SERIALIZABLE", "AUTOCOMMIT", "its own BEGIN")),
]


@pytest.mark.parametrize("database_url", ["sqlite", "postgresql"], indirect=True)
@pytest.mark.parametrize("level", sorted({level for _, level in HOSTS}))
def test_no_duplicate_fails_at_any_isolation(
    level: str, database_url: str, make_phone: MakePhone, request: pytest.FixtureRequest
) -> None:
    """Duplicates of calls and reports, all at once, through a host's engine of any isolation: none fails, one row each."""
    kind = "sqlite" if database_url.startswith("sqlite") else "postgresql"
    if (kind, level) not in HOSTS:
        pytest.skip(f"{kind} knows no {level}")
    migrate(database_url)
    engine = host_engine(database_url, level)
    phones = [make_phone(url=database_url, migrate=False, pickup=Pickup(engine=engine)) for _ in range(2)]
    for phone in phones:
        phone.now = time.time()
    for attempt in range(4):
        answers = at_once([deliver(phones[index % 2], f"call-{attempt}", index) for index in range(12)])
        assert {answer.status_code for answer in answers} == {200}
        assert len({answer.data for answer in answers if answer.get_json()}) == 1
    assert rows(database_url, ONE_ROW_EACH) == [(f"call-{attempt}", 1, 1) for attempt in range(4)]
    for phone in phones:
        assert phone.client.get("/pickup/health").get_json()["faults"] == {}
        phone.app.extensions["pickup"].close()
    engine.dispose()


def deliver(phone: Phone, call_id: str, index: int) -> Callable[[], Any]:
    """Return a delivery: every third is a report."""
    if index % 3 == 2:
        return lambda: phone.report(call_id, duration_seconds=index, timestamp=f"2025-12-13T12:05:{index:02d}Z")
    return lambda: phone.ring(call_id)
