"""One transaction for many entries: in one order everywhere, so that no two processes wait for each other."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from typing import Any

import pytest
from sqlalchemy import create_engine, event

from conftest import new_postgresql_database
from faulty import migrate, rows
from flask_pickup.ledger import CallEntry, DefinitionEntry, ReportEntry
from flask_pickup.ledger.entries import Entry
from flask_pickup.ledger.store import Store
from flask_pickup.reports import call_row

NOW = datetime(2025, 12, 13, tzinfo=UTC)


def call(call_id: str) -> CallEntry:
    return CallEntry(call_row(call_id, decision="base", decided_at=NOW), [])


def report(call_id: str) -> ReportEntry:
    return ReportEntry(call_row(call_id, status="ended"), NOW, outcomes={"duration_seconds": 1.0})


def definition(name: str) -> DefinitionEntry:
    return DefinitionEntry({"fingerprint": name, "experiment": name, "body": {}, "first_seen_at": NOW})


CROSSING: list[list[Sequence[Entry]]] = [
    [[call("a"), report("b")], [call("b"), report("a")]],
    [[call("b"), call("a")], [call("a"), call("b")]],
    [[definition("x"), definition("y")], [definition("y"), definition("x")]],
    [[call("a"), definition("x")], [definition("x"), report("a")]],
]


@pytest.mark.parametrize(
    "batches", CROSSING, ids=["calls and reports", "calls", "definitions", "calls and definitions"]
)
def test_crossing_batches_do_not_deadlock(batches: list[Sequence[Entry]], postgresql: str) -> None:
    """Two processes write the same rows the other way round, slowly: neither fails, and neither waits for a deadlock."""
    url = new_postgresql_database(postgresql)
    migrate(url)
    gate = threading.Barrier(2)

    def write(batch: Sequence[Entry]) -> Any:
        engine = create_engine(url)
        event.listen(engine, "after_cursor_execute", lambda *_: time.sleep(0.1))
        gate.wait()
        try:
            return Store(engine).write(batch)
        finally:
            engine.dispose()

    with ThreadPoolExecutor(2) as pool:
        list(pool.map(write, batches))
    expected = len(
        {entry.call["call_id"] for batch in batches for entry in batch if isinstance(entry, CallEntry | ReportEntry)}
    )
    assert rows(url, "SELECT COUNT(*) FROM pickup_calls") == [(expected,)]
