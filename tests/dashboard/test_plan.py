"""The page that plans: how long an experiment takes and what it could find, from its calls or from what is entered."""

from __future__ import annotations

import html
import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest
from flask import Flask
from sqlalchemy import insert, text, update

from conftest import BOOKED, CONTENT, NOW, MakePhone
from dashboards import EXPERIMENT, FILES, TOKEN, Told, app_of
from faulty import eventually
from flask_pickup import Pickup
from flask_pickup.cli import pickup
from flask_pickup.models import Snapshot

TOML = "experiments/warm-opening/experiment.toml"
DRAFT = EXPERIMENT.replace('status = "running"', 'status = "draft"')
OF_CALLS = EXPERIMENT.replace("[metrics.booked]\n", '[metrics.booked]\nper = "call"\nlabel.en = "Bookings"\n')
MEAN = EXPERIMENT.replace('primary = "booked"', 'primary = "length"').replace(
    'per = "call"\nguardrail = true\nmargin = 30\n', 'per = "call"\nsmallest = 5\n'
)
THREE = EXPERIMENT.replace("control = 1\nwarm = 1\n", "control = 2\nwarm = 1\nbrisk = 1\n")
UNEQUAL = {"control": Told(431, 30), "warm": Told(431, 37)}


class Planner:
    """Somebody who reads the page of an app on a clock of the test's."""

    def __init__(self, app: Flask) -> None:
        self.app, self.now = app, datetime.now(UTC).timestamp()
        self.state = app.extensions["pickup"]
        self.state.clock = lambda: self.now
        self.client = app.test_client()
        self.client.get(f"/pickup/?token={TOKEN}")

    def read(self, status: int = 200, language: str = "en", **form: Any) -> str:
        """Return the text of the page."""
        answer = self.client.get(f"/pickup/plan?{urlencode(form)}", headers={"Accept-Language": language})
        assert answer.status_code == status
        return html.unescape(answer.text).replace("\N{NO-BREAK SPACE}", " ")

    def counted(self, experiment: str = "warm-opening", **form: Any) -> str:
        """Return the text of the page once the calls are counted."""
        return str(
            eventually(
                lambda: (page := self.read(experiment=experiment, **form)) and "data-computing" not in page and page
            )
        )

    def terminal(self, *options: str) -> dict[str, Any]:
        """Return the plan of the terminal."""
        command = ["plan", "warm-opening", "--format", "json", *options]
        return dict(json.loads(self.app.test_cli_runner().invoke(pickup, command).stdout))

    def counted_at(self) -> str:
        """Return when the calls were counted last."""
        with self.state.engine.connect() as connection:
            statement = "SELECT computed_at FROM pickup_snapshots WHERE experiment = 'plan:warm-opening'"
            return str(connection.scalar(text(statement)))


Plans = Callable[..., Planner]


@pytest.fixture
def plans(tmp_path: Path) -> Iterator[Plans]:
    """Make apps whose experiment has calls of five weeks."""
    made: list[Flask] = []

    def make(toml: str = EXPERIMENT, told: Mapping[str, Told] = UNEQUAL, **files: str) -> Planner:
        brisk = {"experiments/warm-opening/brisk/first_message.j2": "Yes?"} if "brisk" in toml else {}
        made.append(app_of(tmp_path / f"app-{len(made)}", told, {**FILES, TOML: toml, **brisk, **files}))
        return Planner(made[-1])

    yield make
    for app in made:
        app.extensions["pickup"].close()


def weeks(number: int) -> str:
    return "1 week" if number == 1 else f"{number} weeks"


@pytest.mark.parametrize(
    "toml", [EXPERIMENT, DRAFT, OF_CALLS, MEAN, THREE], ids=["rate", "draft", "calls", "mean", "arms"]
)
def test_page_and_terminal_agree(plans: Plans, toml: str) -> None:
    """Choosing an experiment answers at once, with what the terminal says of its whole design."""
    planner = plans(toml)
    page, plan = planner.counted(), planner.terminal()
    [needed, _], last = plan["needed"], plan["weeks"][-1]
    unit = "per call" if toml is MEAN else "pp"
    assert f'<h2 id="answer">About {weeks(needed["maximum_weeks"])}</h2>' in page
    assert f"{needed['callers']:,} callers, to find a difference of 5 {unit} with a chance of 80 %." in page
    assert "What could be found in 12 weeks" in page
    least = f"{last['detectable']:.4g}" if toml is MEAN else f"{100 * last['detectable']:.1f}"
    assert f"A difference of {least} {unit} or more, with a chance of 80 %." in page
    assert f"The smallest relevant difference, 5 {unit}, with a chance of {100 * last['chance']:.1f} %." in page
    for each in plan["guardrails"]:
        assert f"{each['metric']}: called safe by week {each['week']} with a chance of 80 %" in page


def test_form_has_what_was_counted(plans: Plans) -> None:
    """The fields have the rate now, the smallest relevant difference, the new callers a week and the horizon."""
    planner = plans(OF_CALLS)
    page, plan = planner.counted(), planner.terminal()
    assert plan["baseline"]["mean"] == pytest.approx(0.335, abs=0.01)
    fields = {"baseline": f"{100 * plan['baseline']['mean']:.4g}", "lift": "5", "maximum_weeks": "12"}
    for name, value in {**fields, "callers_a_week": f"{plan['new_callers_a_week']:.5g}"}.items():
        assert f'name="{name}" inputmode="decimal" required value="{value}"' in page
    assert "Bookings (per call)" in page
    assert "control 50 %, warm 50 %" in page
    # What is left as it was counts as it was measured, and not as it is shown.
    again = planner.counted(callers_a_week=f"{plan['new_callers_a_week']:.5g}", **fields)
    [answer, same] = [each.partition('<h2 id="answer">')[2].partition("</section>")[0] for each in (page, again)]
    assert same == answer


def test_other_numbers_can_be_entered(plans: Plans) -> None:
    """What is entered counts in place of what was counted, as in the terminal, and the rest of the design stays."""
    planner = plans(THREE)
    entered = {"baseline": "20", "lift": "4", "callers_a_week": "1,000"}
    page = planner.counted(**entered)
    plan = planner.terminal("--baseline", "0.2", "--lift", "0.04", "--callers-a-week", "1000")
    assert f"{plan['needed'][0]['callers']:,} callers, to find a difference of 4 pp" in page
    assert 'value="1,000"' in page
    assert "What could be found in 8 weeks" in planner.counted(**entered, maximum_weeks="8")


def test_one_candidate_is_chosen(plans: Plans) -> None:
    """Where one experiment alone can be planned, nobody needs to choose it."""
    one = plans(**{"experiments/later/experiment.toml": 'status = "concluded"\n[arms]\ncontrol = 1\nshort = 1\n'})
    assert '<a href="?experiment=warm-opening" aria-current="true">' in one.read()
    assert '<a href="?experiment=" aria-current="true">' in plans().read()


def test_calls_are_counted_at_most_once_an_hour(plans: Plans) -> None:
    """What was counted stays for an hour; then the page shows it until it is counted anew."""
    planner = plans()
    planner.counted()
    first = planner.counted_at()
    planner.now += 3500
    planner.read(experiment="warm-opening")
    assert "data-updating" not in planner.read(experiment="warm-opening")
    planner.now += 200
    assert "About " in planner.read(experiment="warm-opening")
    assert eventually(lambda: planner.counted_at() != first)


def test_first_calls_are_counted_soon(plans: Plans) -> None:
    """Where no calls were counted the page says when that was, and counts again after a minute."""
    planner = plans(EXPERIMENT, {})
    assert "Counted at " in planner.counted()
    first = planner.counted_at()
    planner.now += 61
    planner.read(experiment="warm-opening")
    assert eventually(lambda: planner.counted_at() != first)


def test_page_works_while_calls_are_counted(plans: Plans) -> None:
    """Until the calls are counted the page says so, and plans from what is entered."""
    planner = plans()
    lease = {"computing_until": datetime.fromtimestamp(planner.now, UTC) + timedelta(minutes=1)}
    with planner.state.engine.begin() as connection:
        connection.execute(insert(Snapshot).values(experiment="plan:warm-opening", **lease))
    assert 'role="status">Counting the callers of the last four weeks…' in planner.read(experiment="warm-opening")
    entered: dict[str, Any] = {"baseline": 30, "lift": 5, "callers_a_week": 500, "maximum_weeks": 12}
    assert "About 7 weeks" in planner.read(experiment="warm-opening", **entered)
    assert "De bellers van de laatste vier weken worden geteld…" in planner.read(
        language="nl", experiment="warm-opening"
    )
    with planner.state.engine.begin() as connection:
        connection.execute(update(Snapshot).values(computing_until=None))
    assert "About " in planner.counted()


def test_changed_definition_is_planned(plans: Plans) -> None:
    """A plan is of the definition as it is now, though its calls were counted before."""
    planner = plans()
    assert "What could be found in 12 weeks" in planner.counted()
    changed = [
        replace(each, decision=replace(each.decision, maximum_weeks=20)) for each in planner.state.catalog.experiments
    ]
    planner.state.catalog = replace(planner.state.catalog, experiments=tuple(changed))
    assert "What could be found in 20 weeks" in planner.read(experiment="warm-opening")


NOBODY = EXPERIMENT.replace('status = "running"', 'status = "running"\naudience = "caller.country == \'XX\'"')


@pytest.mark.parametrize(
    ("toml", "told", "says"),
    [
        (EXPERIMENT, {}, "No calls are recorded yet. Enter what you expect."),
        (EXPERIMENT, {"control": Told(8, 30)}, "Fewer than 30 callers have a value of booked. Enter the rate"),
        (EXPERIMENT, {"control": Told(50, 0)}, 'booked is 0.0 % now, and nothing can be planned from that. Check that something brings "analysis.booked"'),
        (EXPERIMENT, {"control": Told(50, 100)}, "booked is 100.0 % now"),
        (EXPERIMENT.replace('primary = "booked"\n', ""), UNEQUAL, f'There is no primary metric: write primary = "…" and its [metrics.…] in {TOML}.'),
        (EXPERIMENT.replace("smallest = 0.05\n", ""), UNEQUAL, f"There is no smallest relevant difference; 5 pp is proposed. Write smallest = 0.05 below [metrics.booked] in {TOML}."),
        (MEAN, {}, "length is a number, and fewer than 30 callers have one"),
        (NOBODY, UNEQUAL, f"None of the new callers would be enrolled. Check audience, layer and traffic in {TOML}"),
        (EXPERIMENT.replace("smallest = 0.05", "smallest = 0.9"), UNEQUAL, "Not possible: the difference is larger than the rate leaves room for"),
    ],
)  # fmt: skip
def test_what_is_missing_is_said(plans: Plans, toml: str, told: Mapping[str, Told], says: str) -> None:
    """The page says what a plan lacks, and what to do."""
    assert says in plans(toml, told).counted()


def test_callers_are_known_to_be_the_most_there_can_be(make_phone: MakePhone) -> None:
    """Where callers' records decide who is enrolled, the page says that the number is the most there can be."""
    author = Pickup(clock=lambda: NOW)
    author.customer(lambda _: {"vip": True})
    author.dashboard_access(lambda: True)
    phone = make_phone({**CONTENT, TOML: f"audience = 'customer.vip'\n{BOOKED}"}, pickup=author)
    phone.ring()
    planner = Planner(phone.app)
    planner.now = NOW + 3600
    found = planner.counted()
    assert "By the calls of the last four weeks, 1 of 1 new callers a week would be enrolled. This is the most" in found
    assert 'name="callers_a_week" inputmode="decimal" required value="1"' in found


@pytest.mark.parametrize(
    ("form", "says"),
    [
        ("", "How long will it take?"),
        ("30 5 500", "About 7 weeks"),
        ("30 15 50", "12.0 pp"),
        ("30 15 50", "Write maximum_weeks = 8 in place of 12:"),
        ("30 5 0.1", "More than two years"),
        ("30 5 0.1", "3,320 callers"),
        ("30 5 1.000", ">4,000</td>"),
        ("30 5 1,000", ">4,000</td>"),
        ("97 5 500", "larger than the rate leaves room for"),
        ("99 50 50", "larger than the rate leaves room for"),
    ],
)
def test_three_numbers_make_a_plan(empty: Planner, form: str, says: str) -> None:
    """Without an experiment three numbers answer in weeks and callers."""
    assert says in empty.read(**entered(form))


@pytest.fixture(scope="module")
def empty(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Planner]:
    """The page of an app without calls."""
    app = app_of(tmp_path_factory.mktemp("empty"), {})
    yield Planner(app)
    app.extensions["pickup"].close()


def entered(form: str) -> dict[str, Any]:
    return dict(zip(("baseline", "lift", "callers_a_week", "maximum_weeks", "experiment"), form.split(), strict=False))


@pytest.mark.parametrize(
    ("forms", "says"),
    [
        (("30", "30 x 500", "30 5 1e9x", "nan_ 5 500"), "Enter three numbers."),
        (("30 5 500 x warm-opening", "30 5 x 12 warm-opening"), "Enter a number in each field."),
        ([f"{rate} 5 500" for rate in (0, -1, 100, 1e-9, 1e300, "nan", "inf")], "The rate and the difference"),
        ([f"50 {lift} 500" for lift in (0, -5, 1e-9, 100, "inf", "nan")], "The rate and the difference"),
        ([f"50 5 {callers}" for callers in (0, -1, 2e-9, 1e300, "nan", "inf", "1,000,000,001")], "The callers"),
        ([f"50 5 500 {most} warm-opening" for most in (0, 1, 27, 2.5, "nan", "inf")], "a whole number from 2 to 26"),
    ],
)  # fmt: skip
def test_form_out_of_range_keeps_what_was_entered(empty: Planner, forms: list[str], says: str) -> None:
    """A number out of range is a 400 with a sentence beside the form, which keeps what was entered."""
    for form in forms:
        fields = entered(form)
        page = empty.read(status=400, **fields)
        assert says in page.partition('role="alert">')[2].partition("</p>")[0]
        assert all(f'value="{value}"' in page for value in fields.values())
