"""On tables that are split by call, as docs/scale.md says, all is as on whole ones."""

from __future__ import annotations

from flask.cli import FlaskGroup
from sqlalchemy import inspect

from conftest import CALLER, MakePhone, new_postgresql_database, partition


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
    assert phone.app.extensions["pickup"].webhook.ledger.health()["faults"] == {}
    result = phone.app.test_cli_runner().invoke(FlaskGroup(create_app=lambda: phone.app), ["pickup", "forget", CALLER])
    assert result.exit_code == 0, result.output
    assert phone.rows("SELECT COUNT(*) FROM pickup_calls") == [(0,)]
