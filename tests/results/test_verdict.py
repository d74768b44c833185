"""What to do: each verdict from sums, and what its sentences may claim."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from arms import design, mean, rate, results
from flask_pickup.catalog.definition import Experiment, MetricDefinition
from flask_pickup.results import wording
from flask_pickup.results.aggregates import Sums
from flask_pickup.results.model import Verdict
from flask_pickup.results.verdict import decide_verdict
from flask_pickup.translation import in_language

BOOKED = MetricDefinition("booked", "analysis.booked", smallest=0.05)
HANG_UP = MetricDefinition("hang_up", "early_hang_up", goal="decrease", guardrail=True, margin=0.03)
SAFE = {"control": rate(500, 5000), "warm": rate(500, 5000)}
HARMED = {"control": rate(500, 5000), "warm": rate(900, 5000)}
UNKNOWN = {"control": rate(50, 500), "warm": rate(50, 500)}


def verdict(
    control: Sums | None = None,
    warm: Sums | None = None,
    *metrics: MetricDefinition,
    of: Experiment | None = None,
    sums: Mapping[str, Mapping[str, Sums]] | None = None,
    **options: Any,
) -> Verdict:
    """Return the verdict on control and warm in the first metric; ``sums`` gives the others."""
    of = of or design(*(metrics or (BOOKED,)), maximum_weeks=26)
    first = {of.primary: {"control": control, "warm": warm}} if control and warm else {}
    return decide_verdict(results(of, {**first, **(sums or {})}, **options), of)


EARLY = "It is too early to say whether warm or control is better on booked."
FEW = "There are too few calls to tell whether warm or control is better on booked."
TAKES = "Finding a difference of 5 pp takes about"
LATE = (
    "maximum_weeks allows 182 days in all. Larger differences, fewer arms, all traffic and a more frequent outcome need"
)
BELOW = "That is less than the smallest relevant difference, 5 pp."
FIRST = "The first verdict comes at the end of a week, after at least 14 days."
STATES = {"early": "cannot tell yet", "few": "cannot tell at your number of calls"}


@pytest.mark.parametrize(
    ("events", "options", "state", "message"),
    [
        ((300, 400, 1000), {}, "better", "warm is better on booked: at least +3.5 pp. You can stop: roll out warm."),
        ((400, 300, 1000), {}, "worse", "warm is worse on booked: at least -3.5 pp. Remove it."),
        (
            (3000, 3010, 10_000),
            {},
            "no difference",
            "warm differs from control by less than 5 pp on booked. You can stop: keep either.",
        ),
        (
            (30_000, 31_500, 100_000),
            {},
            "better",
            f"warm is better on booked: at least +0.76 pp. {BELOW} You can stop: roll out warm.",
        ),
        ((300, 320, 1000), {}, "early", f"{EARLY} {TAKES} 14 more weeks, at 250 new callers a week."),
        ((300, 345, 1000), {}, "early", f"{EARLY} {TAKES} 14 more weeks, at 250 new callers a week."),
        ((300, 330, 1000), {"pace": None}, "early", f"{EARLY} How long it takes is not known yet."),
        (
            (300, 330, 1000),
            {"pace": 15.0},
            "few",
            f"{FEW} {TAKES} 222 more weeks, at 15 new callers a week. {LATE} fewer callers.",
        ),
        (
            (300, 330, 1000),
            {"pace": 0.0},
            "few",
            f"{FEW} No new callers come in, and a difference of 5 pp needs more of them.",
        ),
        ((300, 600, 1000), {"weeks": 0}, "early", FIRST),
        ((300, 600, 1000), {"weeks": 13 / 7}, "early", FIRST),
    ],
)
def test_verdicts(events: tuple[int, int, int], options: dict[str, Any], state: str, message: str) -> None:
    """Each verdict gives the end of the interval nearest to zero, or the weeks that follow from ``smallest``."""
    control, warm, callers = events
    found = verdict(rate(control, callers), rate(warm, callers), **options)
    assert (found.state, found.message) == (STATES.get(state, state), message)
    assert found.stop == (state not in STATES)


@pytest.mark.parametrize(
    ("metric", "control", "warm", "says"),
    [
        (replace(BOOKED, goal="decrease"), rate(400, 1000), rate(300, 1000), "at least -3.5 pp."),
        (BOOKED, rate(100, 100_000), rate(400, 100_000), "at least +0.22 pp."),
        (MetricDefinition("euros", "euros"), mean(90, 40, 1000), mean(120, 40, 1000), "at least +24 per caller."),
        (
            MetricDefinition("seconds", "seconds", goal="decrease", per="call"),
            mean(2000, 40, 1000),
            mean(500, 40, 1000),
            "at least -1,400 per call.",
        ),
    ],
)
def test_amounts_are_in_the_metrics_unit(metric: MetricDefinition, control: Sums, warm: Sums, says: str) -> None:
    """A rate's difference is in percentage points, a mean's in its own unit."""
    found = verdict(control, warm, metric)
    assert found.state == "better"
    assert says in found.message


def test_without_smallest_no_weeks_are_named() -> None:
    """Weeks follow from the smallest relevant difference: without one there are none."""
    found = verdict(rate(300, 1000), rate(330, 1000), replace(BOOKED, smallest=None))
    assert [each.code for each in found.findings] == ["too-early", "no-smallest"]
    assert found.bet is None


def test_weeks_cover_the_rare_event() -> None:
    """While the event is too rare to compare, the weeks left are those until each arm expects twenty."""
    found = verdict(rate(4, 1000), rate(4, 1000), replace(BOOKED, smallest=0.5))
    assert found.findings[1].values["weeks"] == 32


def test_undecided_though_large_enough_still_ends() -> None:
    """An unlucky experiment that has its callers is told when its interval must decide either way."""
    assert verdict(rate(900, 3000), rate(990, 3000)).findings[1].values["weeks"] > 0


def test_broken_split() -> None:
    """Results of a broken split are not reliable, from the first day, and it says why."""
    found = verdict(rate(300, 1000), rate(320, 800), weeks=0.1)
    assert (found.state, found.headline, found.bet) == ("broken", "These results are not reliable", None)
    assert found.message.startswith(
        "These results are not reliable: The weights do not explain how callers, or those with a report, are split over "
        "the arms (control 1,000 instead of 900, warm 800 instead of 900)."
    )


# --- guardrails -------------------------------------------------------------------------------------------------------

DOUBT = "It is not known yet whether warm worsens hang_up by more than 3 pp."


@pytest.mark.parametrize(
    ("warm", "guard", "state", "end"),
    [
        (4000, SAFE, "better", "You can stop: roll out warm."),
        (4000, UNKNOWN, "better", DOUBT),
        (3000, UNKNOWN, "no difference", f"{DOUBT} Keep control, or continue."),
        (4000, HARMED, "worse", "warm harms hang_up: at least +5.8 pp. Remove it. The accepted margin is 3 pp."),
    ],
)
def test_guardrails(warm: int, guard: dict[str, Sums], state: str, end: str) -> None:
    """One can stop only where harm beyond the margin is excluded; an arm that harms a guardrail has to go."""
    found = verdict(rate(3000, 10_000), rate(warm, 10_000), BOOKED, HANG_UP, sums={"hang_up": guard})
    assert (found.state, found.stop) == (state, guard is not UNKNOWN)
    assert found.message.endswith(end)


# --- several arms -----------------------------------------------------------------------------------------------------


BOTH = "warm and brisk are better on booked: at least +3 pp and +14 pp."


@pytest.mark.parametrize(
    ("events", "guard", "ask", "end"),
    [
        (
            (300, 400, 520),
            500,
            False,
            f"{BOTH} arm_to_arm = true under [decision] would compare them with each other. You can stop: roll out warm or brisk.",
        ),
        ((300, 400, 520), 500, True, "brisk is the best of them. You can stop: roll out brisk."),
        ((300, 400, 420), 500, True, "It is too early to say which of them is better."),
        ((300, 400, 420), 580, False, "You can stop: roll out warm."),
        ((300, 200, 320), 500, False, "Remove it. Too early to call for brisk."),
        ((300, 200, 420), 500, False, "Remove it. You can stop: roll out brisk."),
    ],
)
def test_several_arms(events: tuple[int, int, int], guard: int, *, ask: bool, end: str) -> None:
    """Each arm is compared with control, and the better ones with each other where that was asked."""
    of = design(BOOKED, HANG_UP, weights={"control": 1, "warm": 1, "brisk": 1}, arm_to_arm=ask)
    booked = {arm: rate(each, 1000) for arm, each in zip(of.weights, events, strict=True)}
    found = verdict(of=of, sums={"booked": booked, "hang_up": {**SAFE, "brisk": rate(guard, 5000)}})
    assert found.stop == ("You can stop" in end)
    assert found.message.endswith(end)


# --- the bet ----------------------------------------------------------------------------------------------------------


def test_the_bet_is_the_sceptics_posterior() -> None:
    """Its odds are those of a normal prior times a normal likelihood, integrated numerically."""
    bet = verdict(rate(300, 1000), rate(330, 1000)).bet
    assert bet is not None
    error = (0.3 * 0.7 / 999 + 0.33 * 0.67 / 999) ** 0.5
    effects = np.linspace(-0.5, 0.5, 200_001)
    weight = np.exp(-((effects / (0.05 / 1.645)) ** 2) / 2 - ((effects - 0.03) / error) ** 2 / 2)
    assert bet.odds == pytest.approx(weight[effects > 0].sum() / weight[effects < 0].sum(), rel=1e-3)
    assert bet.message.startswith("If you had to bet today: 8 to 1 that warm is better than control. This is a bet")


@pytest.mark.parametrize(
    ("control", "warm", "goal", "says"),
    [
        (330, 300, "increase", "8 to 1 that control is better than warm"),
        (330, 300, "decrease", "8 to 1 that warm is better than control"),
        (300, 301, "increase", "about even odds that warm"),
        (300, 306, "increase", "3 to 2 that warm"),
        (300, 360, "increase", "more than 20 to 1 that warm"),
    ],
)
def test_bets_on_what_the_data_lean_to(control: int, warm: int, goal: Any, says: str) -> None:
    """The odds are for the arm that is probably better, by the metric's goal."""
    bet = verdict(rate(control, 1000), rate(warm, 1000), replace(BOOKED, goal=goal)).bet
    assert bet is not None
    assert says in bet.message


# --- what is missing --------------------------------------------------------------------------------------------------


def test_without_a_primary_metric_or_a_caller() -> None:
    """An experiment without a primary metric, or without a caller, has a verdict that says so."""
    of = replace(design(BOOKED), primary="")
    shown = results(of, {"booked": {"control": rate(1500, 5000), "warm": rate(1500, 5000)}})
    assert decide_verdict(shown, of).message.startswith("There is no primary metric")
    found = verdict(of=design(BOOKED), sums={"booked": {}})
    assert found.message == "No caller has been assigned an arm yet."


@given(
    st.tuples(st.integers(0, 400), st.integers(0, 400)),
    st.tuples(st.integers(0, 400), st.integers(0, 400)),
    st.sampled_from([BOOKED, replace(BOOKED, smallest=None), replace(BOOKED, smallest=1e-12), HANG_UP]),
    st.sampled_from([None, 0.0, 0.01, 250.0]),
    st.floats(0, 30),
)
def test_every_verdict_is_plain_values_and_sentences(
    control: tuple[int, int], warm: tuple[int, int], metric: MetricDefinition, pace: float | None, weeks: float
) -> None:
    """Whatever was counted, results are kept as JSON and worded from it later, in either language."""
    sums = {arm: rate(min(pair), max(pair)) for arm, pair in (("control", control), ("warm", warm))}
    of = design(metric, minimum_days=1)
    shown = results(of, {metric.name: sums}, weeks=weeks, pace=pace)
    shown = replace(shown, verdict=decide_verdict(shown, of))
    kept = json.loads(json.dumps(shown.as_data(), allow_nan=False))
    found = wording.with_messages(kept)
    assert found == json.loads(json.dumps(shown.as_json()))
    messages = [found["verdict"]["message"], *(each["message"] for each in found["warnings"])]
    assert all(message.endswith((".", "…")) for message in messages)
    assert not {"nan", "inf", "None"} & set(" ".join(messages).replace(".", " ").split())
    with in_language("nl"):
        assert wording.with_messages(kept)["verdict"]["message"] != found["verdict"]["message"]
