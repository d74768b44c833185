"""One transaction for many entries: in one order everywhere, so that no two processes wait for each other."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import create_engine, event

from conftest import MakePhone, facts, new_postgresql_database
from faulty import migrate, rows
from flask_pickup.ledger import CallEntry, DefinitionEntry, ReportEntry
from flask_pickup.ledger.entries import Entry
from flask_pickup.ledger.spool import Spool
from flask_pickup.ledger.store import Store
from flask_pickup.reports import call_row

NOW = datetime(2025, 12, 13, tzinfo=UTC)


def call(call_id: str) -> CallEntry:
    return CallEntry(call_row(facts(call_id), decision="base", decided_at=NOW), [], NOW)


def report(call_id: str) -> ReportEntry:
    return ReportEntry(call_row(facts(call_id), status="ended"), NOW, outcomes={"duration_seconds": 1.0})


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


def assigned(call_id: str, **arms: str) -> CallEntry:
    """Return a call with an arm in each experiment named."""
    row = call_row(facts(call_id), decision="arm", decided_at=NOW, reasons={"opening": "enrolled"})
    return CallEntry(row, [assignment(call_id, experiment, arm) for experiment, arm in arms.items()], NOW)


def assignment(call_id: str, experiment: str, arm: str) -> dict[str, Any]:
    return {
        "call_id": call_id, "experiment": experiment, "arm": arm, "source": "hash", "caller_key": "k",
        "definition": "d", "assigned_at": NOW, "delivered": None,
    }  # fmt: skip


def test_batch_of_old_and_new_calls(database_url: str) -> None:
    """Of a batch, each call that was there already says what it was given then; the new ones are as they were decided."""
    engine = create_engine(database_url)
    store = Store(engine)
    store.write([assigned("there", opening="warm")])
    back = [assignment("overtaken", "opening", "brisk")]
    store.write([ReportEntry(call_row(facts("overtaken"), status="ended"), NOW, back)])
    batch = [
        assigned("new", opening="warm", voice="calm"),
        assigned("there", opening="brisk", voice="calm"),
        assigned("overtaken", opening="warm", voice="calm"),
        assigned("twice", opening="warm"),
        assigned("twice", opening="brisk"),
        assigned("none"),
    ]
    found = [said and {each.experiment: each.arm for each in said.assignments} for said in store.write(batch)]
    arms: dict[str, dict[str, str]] = {}
    for call_id, experiment, arm in rows(database_url, "SELECT call_id, experiment, arm FROM pickup_assignments"):
        arms.setdefault(call_id, {})[experiment] = arm
    assert arms["new"] == {"opening": "warm", "voice": "calm"}
    assert arms["there"] == {"opening": "warm"}
    assert arms["overtaken"] == {"opening": "brisk", "voice": "calm"}
    one, other = found[3:5]
    assert found[:3] == [None, arms["there"], arms["overtaken"]]
    assert found[5] is None
    # Of two deliveries at once either comes first; the other says the same.
    assert (one is None) != (other is None)
    assert (one or other) == arms["twice"]
    query = "SELECT call_id, decision FROM pickup_calls ORDER BY call_id"
    decided = [("new", "arm"), ("none", "arm"), ("overtaken", "arm"), ("there", "arm"), ("twice", "arm")]
    assert rows(database_url, query) == decided
    engine.dispose()


@pytest.mark.parametrize("umask", [0o000, 0o022])
def test_files_are_for_the_apps_user_alone(make_phone: MakePhone, umask: int) -> None:
    """Whatever the umask, others read nothing in the instance folder; nor a database that is made anew."""
    before = os.umask(umask)
    try:
        phone = make_phone(PICKUP_DATABASE_URL=None)
        folder = Path(phone.app.instance_path)
        phone.ring()
        Spool(folder / "spool").append(["row"])
        for database in folder.glob("pickup.db*"):
            database.unlink()
        phone.ring("call-2")
        phone.rows("SELECT 1")
    finally:
        os.umask(before)
    modes = {path.relative_to(folder).as_posix(): path.stat().st_mode & 0o777 for path in (folder, *folder.rglob("*"))}
    assert {"pickup.db", "pickup.db-pickup-lock", "spool/spool.db", "spool/spool.db-wal"} <= modes.keys()
    assert modes == {name: 0o700 if name in {".", "spool"} else 0o600 for name in modes}
