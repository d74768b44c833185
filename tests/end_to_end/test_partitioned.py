"""On tables that deploy/partitions.sql has split by call, all is as on whole ones."""

from __future__ import annotations

from typing import Any

import pytest
from flask.cli import FlaskGroup
from sqlalchemy import inspect

from conftest import CALLER, NOW, MakePhone, Phone, new_postgresql_database, partition
from flask_pickup import migrating


def test_partitioned_tables_are_like_whole_ones(make_phone: MakePhone, postgresql: str) -> None:
    """Calls from before and after are there, twice is once, reports are joined, and a caller is forgotten everywhere."""
    phone = make_phone(url=new_postgresql_database(postgresql))
    engine = phone.app.extensions["pickup"].engine
    phone.ring("before")
    partition(engine)
    assert "pickup_calls_7" in inspect(engine).get_table_names()
    for call_id in ("before", "after", "after"):
        assert phone.ring(call_id).get_json()["assistant"]["metadata"]["pickup"]["assignments"]
    phone.report("before", analysis={"appointment_booked": True})
    phone.report("after", analysis={"appointment_booked": False})
    booked = "SELECT callers, calls, mean FROM pickup_results WHERE outcome = 'analysis.appointment_booked'"
    assert phone.rows(booked) == [(1, 2, 0.5)]
    assert phone.app.extensions["pickup"].ledger.health()["faults"] == {}
    result = phone.app.test_cli_runner().invoke(FlaskGroup(create_app=lambda: phone.app), ["pickup", "forget", CALLER])
    assert result.exit_code == 0, result.output
    assert phone.rows("SELECT COUNT(*) FROM pickup_calls") == [(0,)]


@pytest.fixture
def split(make_phone: MakePhone, postgresql: str) -> Phone:
    """An app on partitioned tables."""
    phone = make_phone(url=new_postgresql_database(postgresql), PICKUP_TRANSCRIPTS=True)
    partition(phone.app.extensions["pickup"].engine)
    return phone


def ring_and_report(phone: Phone) -> None:
    """Let thirty callers call once or twice."""
    for index in range(45):
        caller = f"+316123456{index % 30:02d}"
        assistant = phone.ring(f"call-{index}", caller=caller).get_json()["assistant"]
        phone.report(f"call-{index}", caller=caller, assistant=assistant, duration_seconds=60 + index)


def test_rows_of_a_call_are_in_one_partition(split: Phone) -> None:
    """Calls are spread over the partitions, and what belongs to a call lies in those of the same number."""
    ring_and_report(split)
    place = "SELECT call_id, RIGHT(tableoid::regclass::text, 1) FROM "
    calls = dict(split.rows(place + "pickup_calls"))
    assert len(set(calls.values())) > 4
    for table in ("pickup_assignments", "pickup_outcomes", "pickup_transcripts"):
        rows = split.rows(place + table)
        assert rows
        assert all(calls[call_id] == piece for call_id, piece in rows)


def test_reports_are_joined_in_any_order(split: Phone) -> None:
    """A call fills in the row that its report made, and of two reports the later one stands."""
    for minute, seconds in ((9, 99), (7, 77)):
        split.report(timestamp=f"2025-12-13T12:0{minute}:00.000Z", duration_seconds=seconds)
    split.ring()
    assert split.rows("SELECT decision, status FROM pickup_calls") == [("arm", "ended")]
    assert split.rows("SELECT value FROM pickup_outcomes WHERE name = 'duration_seconds'") == [(99.0,)]


def test_results_are_those_of_whole_tables(split: Phone, make_phone: MakePhone, postgresql: str) -> None:
    """The same calls come to the same results and the same view."""
    whole = make_phone(url=new_postgresql_database(postgresql), PICKUP_TRANSCRIPTS=True)
    found: list[dict[str, Any]] = []
    views = []
    for each in (split, whole):
        ring_and_report(each)
        each.app.extensions["pickup"].clock = lambda: NOW + 86_400
        found.append(each.app.extensions["pickup"].results("warm-opening").as_json())
        views.append(sorted(each.rows("SELECT * FROM pickup_results WHERE outcome IS NOT NULL"), key=str))
    assert sum(arm["callers"] for arm in found[0]["arms"]) == 30
    assert found[0] == found[1]
    assert views[0] == views[1] != []


def test_migrations_find_split_tables(split: Phone) -> None:
    """An upgrade finds nothing to do, and each migration can be taken back and made again."""
    engine = split.app.extensions["pickup"].engine
    migrating.upgrade(engine)
    migrating.downgrade(engine, "base")
    migrating.upgrade(engine)
    split.ring()
    assert split.rows("SELECT call_id FROM pickup_calls") == [("call-1",)]
