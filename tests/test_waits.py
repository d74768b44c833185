"""How long calls wait: each as its platform's deadline allows, and the impatient spoil nothing for the others."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import astuple
from pathlib import Path
from typing import Any

import pytest

from bells import BELL_TOKEN
from conftest import CONTENT, NOW, MakePhone
from faulty import eventually
from flask_pickup import Pickup
from flask_pickup.engines import path_of
from flask_pickup.ledger.sqlite_file import kernel_lock
from flask_pickup.testing import PickupClient
from toys import Hasty, enabled

CUSTOMERS = {**CONTENT, "greetings/first_message.j2": "Good day{% if customer %}, {{ customer.name }}{% endif %}."}
TEXTS = {path: text for path, text in CUSTOMERS.items() if path.startswith("greetings/first")}

PLAIN = {path: text for path, text in CONTENT.items() if "override" not in path and "prompt" not in path}


@pytest.fixture(autouse=True)
def _registry() -> Iterator[None]:
    with enabled(Hasty):
        yield


def clients(make_phone: MakePhone, content: Any, pickup: Pickup | None = None, **config: Any) -> Any:
    """Return an app's clients on Flireo and on the hasty platform, which wait as an app's calls do."""
    config = {"PICKUP_BELL_TOKEN": BELL_TOKEN, "PICKUP_COMMIT_WAIT": 1, **config}
    phone = make_phone(content, pickup=pickup or Pickup(clock=lambda: NOW), **config)
    return PickupClient(phone.app), PickupClient(phone.app, platform="hasty")


def health(client: PickupClient) -> Any:
    return client.get("/pickup/health").get_json()


@pytest.mark.parametrize(
    ("config", "flireo", "hasty"),
    [
        ({}, (1.5, 1.0, 0.5), (0.5, 0.3, 0.2)),
        ({"PICKUP_CUSTOMER_WAIT": 9, "PICKUP_COMMIT_WAIT": 9}, (5 / 3, 1.0, 0.5), (0.5, 0.3, 0.2)),
        ({"PICKUP_CUSTOMER_WAIT": 0.2, "PICKUP_COMMIT_WAIT": 0.1}, (0.2, 0.1, 0.5), (0.2, 0.1, 0.2)),
    ],
)
def test_waits_follow_from_the_deadline(make_phone: MakePhone, config: Any, flireo: Any, hasty: Any) -> None:
    """A platform's waits are shares of its deadline, and the options are upper bounds."""
    state = clients(make_phone, TEXTS, **config)[0].pickup
    assert {name: astuple(each) for name, each in state.waits.items()} == {
        "flireo": pytest.approx(flireo), "hasty": pytest.approx(hasty)
    }  # fmt: skip
    assert state.longest_waits == state.waits["flireo"]


def test_each_wait_for_the_customer_has_a_breaker(make_phone: MakePhone) -> None:
    """A hook that is too slow for a hasty platform is skipped there, and calls on another platform still wait for it."""
    pickup, knows = Pickup(clock=lambda: NOW), threading.Event()
    pickup.customer(lambda _: knows.wait(30) and {"name": "Ann"})
    flireo, hasty = clients(make_phone, TEXTS, pickup)
    for _ in range(2):
        assert hasty.post_call().get_json()["say"] == "Good day."
    assert health(flireo)["customer"] == {"skipped": True, "faults": 2}
    knows.set()
    assert flireo.post_call().get_json()["assistant"]["first_message"] == "Good day, Ann."
    eventually(lambda: hasty.post_call().get_json()["say"] == "Good day, Ann.")


@contextmanager
def locked(client: PickupClient) -> Iterator[None]:
    """Hold the lock of an app's SQLite database, as another program that writes."""
    with closing(sqlite3.connect(Path(path_of(client.pickup.engine) or ""), isolation_level=None)) as other:
        other.execute("BEGIN EXCLUSIVE")
        yield
        other.rollback()


def test_short_wait_for_the_commit_trips_no_breaker(make_phone: MakePhone) -> None:
    """A call on a hasty platform takes the spool while a commit hangs that calls on another platform still wait for."""
    flireo, hasty = clients(make_phone, PLAIN)
    flireo.post_call("first")
    with locked(flireo):
        assert hasty.post_call("spooled").get_json()["note"]["assignments"]
        found = health(flireo)
        assert (found["database"], found["waiting"]["spool"] > 0, found["faults"]) == ("ok", True, {"database": 1})
        assert flireo.post_call("waited").status_code == 200
        assert health(flireo)["database"] == "skipped"
    query = "SELECT call_id FROM pickup_calls ORDER BY call_id"

    def recorded() -> list[str]:
        with flireo.pickup.engine.connect() as connection:
            return list(connection.exec_driver_sql(query).scalars())

    eventually(lambda: recorded() == ["first", "spooled", "waited"])


def test_call_falls_back_where_nothing_takes_its_row(make_phone: MakePhone) -> None:
    """A call whose row neither the database nor the spool takes in time hears the base."""
    flireo, hasty = clients(make_phone, PLAIN)
    flireo.post_call("first")
    # The spool's own thread makes its folder.
    spool = flireo.pickup.options.spool
    eventually(spool.is_dir)
    with locked(flireo), kernel_lock(str(spool / "spool.db")):
        assert hasty.post_call("lost").get_json() == {"say": "Good day."}
        assert health(flireo)["calls"] == {"arm": 1, "fallback": 1}
