"""Signals: the host learns what Pickup did, and no caller waits for it."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from threading import Event
from typing import Any

import pytest
from blinker import NamedSignal
from flask import current_app

from conftest import CALLER, CALLER_SECRET, CONTENT, NOW, MakePhone, Phone
from flask_pickup import Pickup, signals
from flask_pickup.caller import caller_key
from flask_pickup.ledger.writer import Writer

KEY = caller_key(CALLER_SECRET, CALLER)

Listen = Callable[[NamedSignal, Phone], list[dict[str, Any]]]


@pytest.fixture
def listen() -> Iterator[Listen]:
    """Collect what a signal says of an app."""
    connected: list[tuple[NamedSignal, Any]] = []

    def start(signal: NamedSignal, phone: Phone) -> list[dict[str, Any]]:
        heard: list[dict[str, Any]] = []

        def receive(app: Any, **payload: Any) -> None:
            assert current_app == app
            heard.append(payload)

        connected.append((signal, receive))
        signal.connect(receive, sender=phone.app, weak=False)
        return heard

    yield start
    for signal, receiver in connected:
        signal.disconnect(receiver)


def test_assigned_says_which_arm(make_phone: MakePhone, listen: Listen) -> None:
    """The assigned signal is sent once a call, with the caller's key and without their number."""
    phone = make_phone()
    heard = listen(signals.assigned, phone)
    phone.ring("call-1")
    phone.ring("call-1")
    phone.ring("call-2", caller=None)
    [told] = heard
    assert (told["call_id"], told["caller_key"]) == ("call-1", KEY)
    assert [one.experiment for one in told["assignments"]] == ["warm-opening"]
    assert CALLER not in str(heard)


def test_reported_says_what_came_of_it(make_phone: MakePhone, listen: Listen) -> None:
    """The reported signal has the outcomes of a recorded report."""
    phone = make_phone()
    heard = listen(signals.reported, phone)
    phone.report(analysis={"appointment_booked": True}, end_reason="customer_ended_call")
    [told] = heard
    assert (told["call_id"], told["caller_key"], told["end_reason"]) == ("call-1", KEY, "customer_ended_call")
    assert told["outcomes"]["analysis.appointment_booked"] == 1


def test_fault_says_what_failed(make_phone: MakePhone, listen: Listen) -> None:
    """The fault signal has the kind of each failure on a call's way, and no number."""
    pickup = Pickup(clock=lambda: NOW)
    pickup.customer(lambda who: 1 / 0 if who.number else None)
    broken = {
        "greetings/first_message.j2": "{{ 1 / 0 }}",
        "experiments/warm-opening/warm/first_message.j2": "{{ 1 / 0 }}",
    }
    phone = make_phone({**CONTENT, **broken}, pickup=pickup, migrate=False)
    heard = listen(signals.fault, phone)
    assert phone.ring().status_code == 200
    assert {told["kind"] for told in heard} == {"customer", "content", "database"}
    assert all(told["what"] for told in heard)
    assert CALLER not in str(heard)


@pytest.mark.parametrize("raised", [ValueError, SystemExit])
def test_receiver_that_raises_costs_nothing(
    make_phone: MakePhone, listen: Listen, caplog: pytest.LogCaptureFixture, raised: type[BaseException]
) -> None:
    """A receiver that raises is logged by its place alone; the caller and the other receivers notice nothing."""
    phone = make_phone()

    def fail(*_: Any, **__: Any) -> None:
        raise raised(CALLER)

    heard = listen(signals.assigned, phone)
    with signals.assigned.connected_to(fail, phone.app):
        assert phone.ring().get_json()["assistant"]
    assert len(heard) == 1
    assert f"A receiver of 'pickup-assigned' failed: {raised.__name__}" in caplog.text
    assert CALLER not in caplog.text


def test_receiver_that_hangs_costs_nothing(make_phone: MakePhone, monkeypatch: pytest.MonkeyPatch) -> None:
    """While a receiver hangs calls are answered as ever; signals that find no room any more are dropped and counted."""
    monkeypatch.setattr(signals.Sender, "wait", lambda *_: None)
    monkeypatch.setattr(Writer, "most_waiting", 3)
    phone = make_phone()
    over = Event()
    with signals.assigned.connected_to(lambda *_, **__: over.wait(30), phone.app):
        started = time.monotonic()
        for number in range(8):
            assert phone.ring(f"call-{number}").get_json()["assistant"]
        assert time.monotonic() - started < 4
        health = phone.client.get("/pickup/health").get_json()
        over.set()
        phone.app.extensions["pickup"].signals.close()
    assert health["signals"]["dropped"] > 0


def test_no_receivers_no_thread(make_phone: MakePhone) -> None:
    """An app without receivers has no thread for them."""
    phone = make_phone()
    phone.ring()
    assert "pickup-signals" not in {thread.name for thread in threading.enumerate()}
