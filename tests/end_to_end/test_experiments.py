"""Several experiments side by side, over HTTP: audiences, pins, and what of them is kept."""

from __future__ import annotations

import logging
from collections.abc import Callable
from datetime import UTC, datetime
from functools import partial
from typing import Any

import pytest

from conftest import CALLER, CALLER_SECRET, NOW, MakePhone, Phone
from flask_pickup import Caller, Pickup
from flask_pickup.caller import caller_key
from flask_pickup.results.assembling import ResultOptions, results

TEAM = "+12015550123"
METRIC = '[metrics.score]\noutcome = "analysis.score"\n'
ARMS = "[arms]\ncontrol = 1\nwarm = 1\n"


def running(more: str = "", *, status: str = "running", arms: str = ARMS) -> str:
    return f'status = "{status}"\nprimary = "score"\n{more}\n{arms}\n{METRIC}'


def knowing(customers: Callable[[Caller], Any]) -> Pickup:
    pickup = Pickup(clock=lambda: 1_765_627_200)
    pickup.customer(customers)
    return pickup


def content(**experiments: str) -> dict[str, Any]:
    files: dict[str, Any] = {"greetings/first_message.j2": "Good day."}
    for name, toml in experiments.items():
        files[f"experiments/{name}/experiment.toml"] = toml
        files[f"experiments/{name}/warm/first_message.j2"] = f"Hello from {name}."
    return files


def heard(phone: Phone, call_id: str = "call-1", **call: Any) -> str:
    words: str = phone.ring(call_id, **call).get_json()["assistant"]["first_message"]
    return words


VIPS = running('audience = "customer.vip"', arms="[arms]\ncontrol = 0.000001\nwarm = 1\n")


def test_audience_knows_the_customer(make_phone: MakePhone, database_url: str) -> None:
    """An audience is decided on the customer's data, and the row says how, also where the customer is not known."""
    customers = {CALLER: {"vip": True}, "+12015550199": {"vip": False}}
    vips = knowing(lambda caller: customers[caller.number or ""])
    phone = make_phone(content(vips=VIPS), pickup=vips, url=database_url)
    assert heard(phone, "1-vip") == "Hello from vips."
    assert heard(phone, "2-other", caller="+12015550199") == "Good day."
    assert heard(phone, "3-failed", caller="+12015550100") == "Good day."
    rows = phone.rows("SELECT decision, reasons ->> 'vips' FROM pickup_calls ORDER BY call_id")
    assert rows == [("arm", "enrolled"), ("base", "audience"), ("base", "customer_failed")]
    assert phone.rows("SELECT COUNT(*) FROM pickup_assignments") == [(1,)]


FIRST_HALF, SECOND_HALF = (f'layer = "opening"\nlayer_range = {half}\n' for half in ("[0.0, 0.5]", "[0.5, 1.0]"))
PINNED = running(f'{FIRST_HALF}traffic = 0.000001\n[pins]\n"{TEAM}" = "warm"\n"0612345678" = "control"\n')


def test_pinned_numbers_hear_their_arm_and_are_never_counted(make_phone: MakePhone, database_url: str) -> None:
    """The team hears the arm that it pinned, as often as it rings, and stands in no result."""
    phone = make_phone(content(opening=PINNED), url=database_url)
    assert heard(phone, "team", caller=TEAM) == "Hello from opening."
    assert heard(phone, "again", caller="001 201 555 0123") == "Hello from opening."
    assert heard(phone, "other") == "Good day."
    phone.report("team", caller=TEAM, analysis={"score": 8})
    assert phone.rows("SELECT DISTINCT arm, source FROM pickup_assignments ORDER BY 1") == [
        ("control", "pin"), ("warm", "pin"),
    ]  # fmt: skip
    assert phone.rows("SELECT COUNT(*) FROM pickup_results") == [(0,)]


def test_pinned_numbers_are_not_kept(make_phone: MakePhone, caplog: pytest.LogCaptureFixture) -> None:
    """No table and no log line has a pinned number, and the definition has no key of it."""
    caplog.set_level(logging.DEBUG, "flask_pickup")
    phone = make_phone(content(opening=PINNED))
    phone.ring(caller=TEAM)
    [(body,)] = phone.rows("SELECT CAST(body AS TEXT) FROM pickup_definitions")
    assert caller_key(CALLER_SECRET, TEAM) not in body
    kept = body + caplog.text + str(phone.rows("SELECT * FROM pickup_calls"))
    assert "2015550123" not in kept
    assert "612345678" not in kept


@pytest.mark.parametrize(
    "toml",
    [
        f'pins = ["{TEAM}"]\n',
        f'pins = "{TEAM}"\n',
        f'"{TEAM}" = "warm"\n',
        f'status = "{TEAM}"\n',
        f'[pins]\nwarm = "{TEAM}"\n',
        f'[pins]\n"{TEAM}" = "missing"\n',
        f'[pins]\n"{TEAM}" = "warm"\n"+1 (201) 555-0123" = "warm"\n',
        '[pins]\n"+120155501x" = "warm"\n',
    ],
)
def test_complaints_repeat_no_number(make_phone: MakePhone, caplog: pytest.LogCaptureFixture, toml: str) -> None:
    """A complaint about a pin names its place, not its number."""
    phone = make_phone(content(opening=toml + ARMS))
    complaints = [str(complaint) for complaint in phone.app.extensions["pickup"].catalog.complaints]
    assert any(complaint.startswith("experiments/opening/experiment.toml:") for complaint in complaints)
    assert "55501" not in caplog.text + str(complaints)


def complaints_of(phone: Phone) -> list[str]:
    catalog = phone.app.extensions["pickup"].catalog
    return [str(complaint) for complaint in catalog.complaints if complaint.level == "error"]


def test_second_pin_in_a_layer_is_an_error(make_phone: MakePhone) -> None:
    """A number that is pinned in two experiments of a layer cannot hear both: the second is excluded, and says so."""
    second = running(f'{SECOND_HALF}[pins]\n"+12015550199" = "warm"\n"{TEAM}" = "warm"\n')
    phone = make_phone(content(opening=PINNED, second=second))
    problem = "experiments/second/experiment.toml:5: pin 2 is also pinned in 'opening' of the same layer"
    remedy = "keep one of the two: a layer's experiments share no caller"
    assert complaints_of(phone) == [f"{problem}; {remedy}"]
    assert phone.client.get("/pickup/health").get_json()["content"]["left_out"] == ["second"]
    assert heard(phone, caller=TEAM) == "Hello from opening."


@pytest.mark.parametrize("second", [{"layer": "other"}, {"status": "concluded"}])
def test_pins_of_other_layers_and_of_the_past_are_apart(make_phone: MakePhone, second: dict[str, str]) -> None:
    """One number may be pinned in two layers, and in an experiment that has ended."""
    layer = SECOND_HALF.replace("opening", second.get("layer", "opening"))
    toml = running(f'{layer}[pins]\n"{TEAM}" = "warm"\n', status=second.get("status", "running"))
    files = content(opening=PINNED)
    files |= {
        "experiments/second/experiment.toml": toml,
        "experiments/second/warm/override.json": {"max_duration_seconds": 9},
    }
    phone = make_phone(files)
    assert not complaints_of(phone)
    answer = phone.ring(caller=TEAM).get_json()
    assert answer["assistant"]["first_message"] == "Hello from opening."
    assert answer.get("max_duration_seconds") == (9 if "layer" in second else None)


FAULTS = {
    "an unclosed template": {"experiments/a/warm/first_message.j2": "{% if open %}Hello."},
    "an arm without files": {"experiments/a/experiment.toml": running(arms=ARMS + "cold = 1\n")},
    "an unknown key": {"experiments/a/experiment.toml": running() + "unkown = 1\n"},
    "an invalid layer": {"experiments/a/experiment.toml": running('layer = "Opening"\n')},
    "an invalid audience": {"experiments/a/experiment.toml": running("audience = 'caller.country =='\n")},
    "invalid JSON": {"experiments/a/warm/override.json": "{"},
    "no fault of its own": {},
    "no fault, and the same seed": {"experiments/a/experiment.toml": running('seed = "opening"\n', status="draft")},
    "no fault, and the same pin": {"experiments/a/experiment.toml": PINNED.replace("running", "draft")},
}


@pytest.mark.parametrize("fault", FAULTS)
def test_newcomer_displaces_no_experiment(make_phone: MakePhone, fault: str) -> None:
    """An experiment with a layer keeps its callers when one is added before it that is skipped, or conflicts with it."""
    phone = make_phone(content(a=running(), opening=PINNED) | FAULTS[fault])
    assert complaints_of(phone)
    assert phone.client.get("/pickup/health").get_json()["content"]["left_out"] == ["a"]
    assert heard(phone, caller=TEAM) == "Hello from opening."


def test_skipped_experiment_displaces_no_third(make_phone: MakePhone) -> None:
    """One that is left out for a conflict does not take another one with it."""
    files = content(a=running(), opening=PINNED)
    files["experiments/a/warm/override.json"] = {"max_duration_seconds": 9}
    files["experiments/b/experiment.toml"] = running()
    files["experiments/b/warm/override.json"] = {"max_duration_seconds": 8}
    assert make_phone(files).client.get("/pickup/health").get_json()["content"]["left_out"] == ["a"]


def test_health_names_overlapping_ranges(make_phone: MakePhone) -> None:
    """Of two ranges that overlap, which ``check`` refuses, one has the callers of both, and health names the other."""
    most = FIRST_HALF.replace("0.5", "0.8")
    files = content(a=running('layer = "opening"\n'), opening=running(most), second=running(SECOND_HALF))
    phone = make_phone(files)
    health = phone.client.get("/pickup/health").get_json()
    assert (health["status"], health["content"]["left_out"]) == ("degraded", [])
    assert health["content"]["overlapping"] == ["a", "second"]
    for number in range(20):
        phone.ring(f"call-{number}", caller=f"+120155501{number:02}")
    assert set(phone.rows("SELECT DISTINCT experiment FROM pickup_assignments")) == {("opening",), ("second",)}


def test_range_changes_while_callers_are_in_it(make_phone: MakePhone, database_url: str) -> None:
    """Who leaves an experiment's range hears the base, counts with the calls in the range, and is in the same period."""
    ranges = ['layer = "opening"\n', SECOND_HALF, FIRST_HALF]
    for hour, layer in enumerate(ranges):
        now = NOW + 3600 * hour
        arms = "[arms]\ncontrol = 0.000001\nwarm = 1\n"
        phone = make_phone(
            content(opening=running(layer, arms=arms)), url=database_url, pickup=Pickup(clock=partial(float, now))
        )
        phone.now = now
        assert heard(phone, f"call-{hour}") == ("Good day." if layer == SECOND_HALF else "Hello from opening.")
        phone.report(f"call-{hour}", analysis={"score": 1 + hour})
        phone.app.extensions["pickup"].close()
    # By today's clock there would be a look at each week since.
    later = datetime.fromtimestamp(phone.now + 3600, UTC)
    found = results(phone.app.extensions["pickup"].engine, "opening", options=ResultOptions(now=later))
    assert (found.earlier_periods, [(arm.callers, arm.calls) for arm in found.arms]) == ((), [(0, 0), (1, 2)])
    assert phone.rows("SELECT reasons ->> 'opening' FROM pickup_calls ORDER BY call_id") == [
        ("enrolled",), ("layer",), ("enrolled",),
    ]  # fmt: skip
