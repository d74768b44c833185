"""The webhook over HTTP: what the platform gets, and what stands in the tables."""

from __future__ import annotations

import json
from typing import Any

import pytest

from conftest import CALLER, Phone
from flask_pickup.assignment import draw_arm
from flask_pickup.caller import caller_key

WORDS = {"control": "Good day.", "warm": "Hello there, how lovely that you call!"}


def arm_of(number: str) -> str:
    return draw_arm("warm-opening", {"control": 1, "warm": 1}, caller_key("a-caller-secret-41879", number))


def test_assignment_is_a_row(phone: Phone) -> None:
    """A caller hears the greeting of their arm, and the call has its row, joined to the call by its id."""
    assert phone.ring("call-1").get_json()["assistant"]["first_message"] == WORDS[arm_of(CALLER)]
    assert phone.rows(
        "SELECT call_id, decision, experiment, arm, source FROM pickup_calls JOIN pickup_assignments USING (call_id)"
    ) == [("call-1", "arm", "warm-opening", arm_of(CALLER), "hash")]


def test_same_call_twice_is_one_row(phone: Phone) -> None:
    """A call that is delivered twice gets the same answer, byte for byte, and no second row."""
    first, second = phone.ring(), phone.ring()
    assert first.data == second.data
    assert phone.rows("SELECT COUNT(*) FROM pickup_assignments") == [(1,)]


def test_first_assignment_stands(phone: Phone) -> None:
    """The same call with another customer's number keeps the arm that it was given first."""
    other = next(n for n in (f"+3161234567{i}" for i in range(10)) if arm_of(n) != arm_of(CALLER))
    first = phone.ring("call-1").get_json()
    second = phone.ring("call-1", caller=other).get_json()
    assert second["assistant"]["first_message"] == first["assistant"]["first_message"]
    assert phone.rows("SELECT arm FROM pickup_assignments") == [(arm_of(CALLER),)]


def test_call_without_number_keeps_what_it_was_told(phone: Phone) -> None:
    """A call without a number keeps the base when its next delivery has one, and a call with an arm keeps it without."""
    assert phone.ring("call-1", caller=None).data == phone.ring("call-1").data
    assert phone.rows("SELECT caller_key, decision FROM pickup_calls") == [(None, "base")]
    assert phone.rows("SELECT COUNT(*) FROM pickup_assignments") == [(0,)]
    first = phone.ring("call-2").get_json()
    second = phone.ring("call-2", caller=None).get_json()
    assert second["assistant"]["first_message"] == first["assistant"]["first_message"]
    assert phone.rows("SELECT caller_key FROM pickup_assignments") == [(caller_key("a-caller-secret-41879", CALLER),)]


def test_answer_carries_assignment(phone: Phone) -> None:
    """The assignment travels in the answer's metadata, so that the report brings it back."""
    pickup = phone.ring().get_json()["assistant"]["metadata"]["pickup"]
    [(definition,)] = phone.rows("SELECT fingerprint FROM pickup_definitions")
    assert pickup["assignments"] == {
        "warm-opening": {"arm": arm_of(CALLER), "definition": definition, "source": "hash"}
    }
    assert (pickup["v"], pickup["call"]) == (1, "call-1")
    assert pickup["caller_key"] == caller_key("a-caller-secret-41879", CALLER)


def test_report_is_joined(phone: Phone) -> None:
    """The outcomes of a call stand beside its arm in the view."""
    phone.ring()
    phone.report(analysis={"appointment_booked": True, "intent": "free text"})
    assert phone.rows("SELECT arm, outcome, callers, calls, mean FROM pickup_results ORDER BY outcome") == [
        (arm_of(CALLER), "analysis.appointment_booked", 1, 1, 1.0),
        (arm_of(CALLER), "duration_seconds", 1, 1, 84.0),
        (arm_of(CALLER), "early_hang_up", 1, 1, 0.0),
    ]


def test_report_before_its_call_is_joined(phone: Phone) -> None:
    """A report may overtake its call: the request fills the call in, and the outcomes stay."""
    phone.report()
    assert phone.rows("SELECT decision FROM pickup_calls") == [(None,)]
    phone.ring()
    assert phone.rows("SELECT decision, status FROM pickup_calls") == [("arm", "ended")]
    assert phone.rows("SELECT arm, mean FROM pickup_results WHERE outcome = 'duration_seconds'") == [
        (arm_of(CALLER), 84.0)
    ]


@pytest.mark.parametrize("order", [(0, 1, 2), (2, 1, 0), (1, 2, 0), (2, 2, 0)])
def test_latest_report_stands(phone: Phone, order: tuple[int, ...]) -> None:
    """The report of a call with the latest time stands as a whole, in any order of delivery."""
    reports: list[dict[str, Any]] = [
        {"timestamp": "2025-12-13T12:05:30Z", "duration_seconds": 1, "analysis": {"only_in_the_first": True}},
        {"timestamp": "2025-12-13T12:05:31Z", "duration_seconds": 2},
        {"timestamp": "2025-12-13T12:05:32Z", "duration_seconds": 3, "analysis": {"score": 8}},
    ]
    for index in order:
        phone.report(**reports[index])
    assert phone.rows("SELECT name, value FROM pickup_outcomes ORDER BY name") == [
        ("analysis.score", 8.0),
        ("duration_seconds", 3.0),
        ("early_hang_up", 1.0),
    ]


def test_report_twice_is_joined_once(phone: Phone) -> None:
    """A report that is delivered again, with the same time, changes nothing, also where its figures are others."""
    phone.ring()
    for seconds in (84, 84, 99):
        assert phone.report(duration_seconds=seconds).status_code == 200
    assert phone.rows("SELECT calls, mean FROM pickup_results WHERE outcome = 'duration_seconds'") == [(1, 84.0)]


@pytest.mark.parametrize("first", ["call", "report"])
def test_report_cannot_take_another_arm(phone: Phone, first: str) -> None:
    """The first row of an assignment stands, from the call or from a report that overtook it, and the caller hears that arm."""
    assistant = phone.ring("other").get_json()["assistant"]
    other = {"control": "warm", "warm": "control"}[arm_of(CALLER)]
    pickup = assistant["metadata"]["pickup"]
    claim = {**pickup["assignments"]["warm-opening"], "arm": other}
    claimed = {"metadata": {"pickup": {**pickup, "call": "call-1", "assignments": {"warm-opening": claim}}}}
    if first == "call":
        phone.ring("call-1")
    phone.report("call-1", assistant={**assistant, **claimed})
    heard = phone.ring("call-1").get_json()["assistant"]["first_message"]
    stands = arm_of(CALLER) if first == "call" else other
    assert phone.rows("SELECT arm FROM pickup_assignments WHERE call_id = 'call-1'") == [(stands,)]
    assert heard == WORDS[stands]


def test_report_brings_assignment_back(phone: Phone) -> None:
    """If a call's rows were lost, the report's metadata still says which arm the caller heard."""
    assistant = phone.ring().get_json()["assistant"]
    phone.ring("call-2", caller=None)
    for table in ("pickup_calls", "pickup_assignments"):
        with phone.app.extensions["pickup"].engine.begin() as connection:
            connection.exec_driver_sql(f"DELETE FROM {table} WHERE call_id = 'call-1'")
    phone.report(assistant=assistant)
    assert phone.rows("SELECT arm, delivered FROM pickup_assignments") == [(arm_of(CALLER), True)]


def test_flat_generation_is_joined_by_metadata(phone: Phone) -> None:
    """The first generation has no call id; its report is joined by the metadata that it brings back."""
    request = {"eventType": "assistant-request", "fromCaller": CALLER, "toAssistant": "+31850123456"}
    answer = phone.post(json.dumps(request).encode()).get_json()
    assert answer["assistant"]["metadata"]["pickup"]["call"].startswith("flireo-")
    report = {
        "eventType": "end-of-call-report", "callId": "theirs", "callLengthSeconds": 12.5, "assistant": answer["assistant"],
    }  # fmt: skip
    phone.post(json.dumps(report).encode())
    assert phone.rows("SELECT arm, mean FROM pickup_results WHERE outcome = 'duration_seconds'") == [
        (arm_of(CALLER), 12.5)
    ]


def test_no_number_in_any_table(phone: Phone) -> None:
    """The tables have no caller's number, not even where the call's id contains it."""
    phone.ring("call-31612345678-7")
    phone.report("call-31612345678-7", caller=None)
    dump = str(
        [phone.rows(f"SELECT * FROM pickup_{table}") for table in ("calls", "assignments", "outcomes", "definitions")]
    )
    assert "612345678" not in dump
    assert phone.rows("SELECT COUNT(*) FROM pickup_calls") == [(1,)]
