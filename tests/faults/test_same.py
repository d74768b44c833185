"""The same call gets the same arm and one row, however often, from wherever and in whatever order it is delivered."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from conftest import new_postgresql_database
from faulty import Server, behind_pgbouncer, eventually, migrate, number, report_message

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module", params=["sqlite", "postgresql", "pgbouncer"])
def server(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server on each database in turn, and behind PgBouncer in transaction mode; a test has calls of its own."""
    folder: Path = tmp_path_factory.mktemp("same")
    with ExitStack() as stack:
        url = f"sqlite:///{folder / 'pickup.db'}"
        if request.param != "sqlite":
            url = new_postgresql_database(request.getfixturevalue("postgresql"))
        if request.param == "pgbouncer":
            url = stack.enter_context(behind_pgbouncer(url, folder))
        migrate(url)
        yield stack.enter_context(Server(folder, url))


def at_once(actions: list[Callable[[], Any]]) -> list[Any]:
    """Do all of them at the same time; return what they returned."""
    gate = threading.Barrier(len(actions))

    def act(action: Callable[[], Any]) -> Any:
        gate.wait()
        return action()

    with ThreadPoolExecutor(len(actions)) as pool:
        return list(pool.map(act, actions))


def arms(server: Server, call_id: str) -> list[tuple[str]]:
    return server.rows(f"SELECT arm FROM pickup_assignments WHERE call_id = '{call_id}'")


def test_twenty_deliveries_over_all_workers_are_one(server: Server) -> None:
    """Twenty concurrent deliveries of one call over all workers are answered alike, byte for byte, and are one row."""
    for call_id in [f"same-{index}" for index in range(6)]:
        answers = at_once([partial(server.ring, call_id)] * 20)
        assert {heard.status for heard in answers} == {200}
        assert len({heard.data for heard in answers}) == 1
        assert len(arms(server, call_id)) == 1
    assert eventually(server.health)["faults"] == {}


def test_first_of_many_callers_stands(server: Server) -> None:
    """One call delivered at once with the numbers of twenty callers: all deliveries are told the arm that is stored."""
    answers = at_once([partial(server.ring, "torn", number(index)) for index in range(20)])
    [(arm,)] = arms(server, "torn")
    assert {heard.arm for heard in answers} == {arm}


def test_reports_come_in_any_order(server: Server) -> None:
    """Reports before, with and after their call, twice and with other figures: the latest stands, joined once."""
    stamps = [f"2025-12-13T12:05:{second:02d}Z" for second in (3, 9, 9, 1, 7, 9)]
    reports = [report_message("call", timestamp=stamp, duration_seconds=int(stamp[-3:-1])) for stamp in stamps]
    deliveries = [partial(server.post, report) for report in reports]
    answers = at_once([*deliveries[:2], partial(server.ring, "call"), *deliveries, partial(server.ring, "call")])
    assert {heard.status for heard in answers} == {200}
    query = "SELECT value FROM pickup_outcomes WHERE name = 'duration_seconds' AND call_id = 'call'"
    eventually(lambda: server.rows(query) == [(9.0,)])
    eventually(lambda: len(arms(server, "call")) == 1)
    assert server.rows("SELECT decision FROM pickup_calls WHERE call_id = 'call'") == [("arm",)]
