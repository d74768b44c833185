"""What hosts need for their own tests."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from flask import Flask

from conftest import CALLER_SECRET, CONTENT, WEBHOOK_SECRET, MakePhone, write
from flask_pickup import Pickup
from flask_pickup.testing import FrozenClock, PickupClient

pytest_plugins = ["flask_pickup.testing.fixtures"]

HOURS = 'timezone = "Europe/Amsterdam"\n[week]\nmonday = "09:00-17:00"\n'


@pytest.fixture
def app(tmp_path: Path) -> Flask:
    """A host's app, made as the host makes it: with the time of day, and without anything of ours for tests."""
    closed = {"greetings/hours.toml": HOURS, "greetings/closed.j2": "We are closed."}
    write(tmp_path, {**CONTENT, **closed})
    app = Flask("host", root_path=str(tmp_path), instance_path=str(tmp_path / "instance"))
    app.config.update(PICKUP_WEBHOOK_SECRET=[WEBHOOK_SECRET, "the-older-secret"], PICKUP_CALLER_SECRET=CALLER_SECRET)
    app.register_blueprint(Pickup(), url_prefix="/voice/agent")
    return app


def monday(hour: int) -> datetime:
    return datetime(2026, 3, 2, hour, tzinfo=UTC)


def test_host_rings_and_reports(pickup_client: PickupClient) -> None:
    """A host's test rings, reports what came of it, and finds both joined in the view."""
    pickup_client.freeze(monday(11))
    answer = pickup_client.post_call(from_="+31612345678").get_json()
    assert answer["assistant"]["metadata"]["pickup"]["assignments"]["warm-opening"]
    assert pickup_client.post_report(analysis={"appointment_booked": True}).get_json() == {}
    with pickup_client.pickup.engine.connect() as connection:
        booked = "SELECT mean FROM pickup_results WHERE outcome = 'analysis.appointment_booked'"
        assert connection.exec_driver_sql(booked).scalar() == 1
        assert connection.exec_driver_sql("SELECT delivered FROM pickup_assignments").scalar()


def test_time_is_the_tests_to_say(pickup_client: PickupClient) -> None:
    """With the clock stopped in the night the caller hears that nobody is there, and in the morning the greeting."""
    clock = pickup_client.freeze(monday(3))
    assert pickup_client.post_call().get_json() == {"error": "We are closed."}
    clock.tick(8 * 3600)
    assert pickup_client.post_call().get_json()["assistant"]["first_message"]


def test_every_call_is_another(pickup_client: PickupClient) -> None:
    """Calls without an id of their own are different calls; one that names an id again is the same one."""
    pickup_client.freeze(monday(11))
    ids = [pickup_client.post_call(call).get_json()["assistant"]["metadata"]["pickup"]["call"] for call in (None, None)]
    again = pickup_client.post_call(ids[0]).get_json()["assistant"]["metadata"]["pickup"]["call"]
    assert (len(set(ids)), again) == (2, ids[0])


def test_status_and_tools_follow_the_call(pickup_client: PickupClient) -> None:
    """A status update and a tool call are about the call that was rung last."""
    pickup_client.post_call()
    assert pickup_client.post_status("ended", end_reason="customer_ended_call").status_code == 200
    assert pickup_client.post_tool_call("lookup", {"phone": "+31612345678"}).get_json() == {}
    with pickup_client.pickup.engine.connect() as connection:
        calls = connection.exec_driver_sql("SELECT call_id, end_reason FROM pickup_calls").all()
    assert [tuple(call) for call in calls] == [(pickup_client.last_call, "customer_ended_call")]


def test_withheld_number(pickup_client: PickupClient) -> None:
    """Who withholds their number is not of an experiment that leaves such callers out."""
    pickup_client.freeze(monday(11))
    assert "metadata" not in pickup_client.post_call(from_=None).get_json()["assistant"]


def test_hosts_own_client_class(app: Flask) -> None:
    """A host that sets its app's client class gets the same client the way it always does."""
    app.test_client_class = PickupClient
    client = app.test_client()
    assert isinstance(client, PickupClient)
    assert client.post_call().status_code == 200
    client.pickup.close()


def test_unsigned_where_no_secret_is_set(make_phone: MakePhone) -> None:
    """An app that takes unsigned requests and has no secret is rung without a signature."""
    phone = make_phone(PICKUP_ALLOW_UNSIGNED=True, PICKUP_WEBHOOK_SECRET=None)
    assert phone.client.post_call().status_code == 200


@pytest.mark.parametrize("at", [datetime(2026, 3, 2, 11), 1772449200])  # noqa: DTZ001 (what is refused)
def test_clock_stands_still(at: Any) -> None:
    """The clock says the time that it was given until it is moved; a time without a zone is refused."""
    if isinstance(at, datetime):
        with pytest.raises(ValueError, match="time zone"):
            FrozenClock(at)
        return
    clock = FrozenClock(at)
    assert (clock(), clock()) == (at, at)
    clock.move_to(monday(12))
    assert clock() == at + 3600
