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
from scipy.stats import norm

from arms import design, look, mean, once, rate
from flask_pickup.catalog.definition import Experiment, MetricDefinition
from flask_pickup.results import wording
from flask_pickup.results.aggregates import Sums
from flask_pickup.results.choice import expected_loss
from flask_pickup.results.looks import WeeklyLook
from flask_pickup.results.model import Finding, Verdict
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
    """Return the verdict of one look at control and warm in the first metric; ``sums`` gives the others."""
    of = of or design(*(metrics or (BOOKED,)))
    first = {of.primary: {"control": control, "warm": warm}} if control and warm else {}
    return look(of, {**first, **(sums or {})}, **options).verdict


EARLY = "It is too early to say whether warm or control is better on booked."
BELOW = "That is less than the smallest relevant difference, 5 pp."
FIRST = "The first verdict comes at the end of a week, after at least 14 days. That is not before 16 Mar 2026."
CHOSEN = "Expected cost if mistaken, weighted by its chance: 0.08 booked per 100 callers."
CHOICE = "This is a choice, not a finding: the planned 12 weeks are over without one."


@pytest.mark.parametrize(
    ("events", "week", "state", "message"),
    [
        (
            (300, 400, 1000),
            8,
            "better",
            "warm is better on booked: at least +4.3 pp. You can stop: roll out warm.",
        ),
        ((400, 300, 1000), 8, "worse", "warm is worse on booked: at least -4.3 pp. Remove it."),
        (
            (3000, 3010, 10_000),
            8,
            "no difference",
            "warm differs from control by less than 5 pp on booked. You can stop: keep either.",
        ),
        (
            (30_000, 31_500, 100_000),
            8,
            "better below smallest",
            f"warm is better on booked: at least +0.95 pp. {BELOW} You can stop: roll out warm.",
        ),
        (
            (300, 330, 1000),
            12,
            "choice",
            f"{CHOSEN} {CHOICE}",
        ),
        ((300, 600, 1000), 1, "cannot tell yet", FIRST),
    ],
)
def test_verdicts(events: tuple[int, int, int], week: int, state: str, message: str) -> None:
    """Each verdict gives the end of the interval nearest to zero, with its day; the horizon ends in a choice."""
    control, warm, callers = events
    found = verdict(rate(control, callers), rate(warm, callers), week=week)
    assert (found.state, found.message) == (state, message)
    assert found.stop == (" 2026)" in found.headline) == (state != "cannot tell yet")


@pytest.mark.parametrize(
    ("metric", "control", "warm", "says"),
    [
        (replace(BOOKED, goal="decrease"), rate(400, 1000), rate(300, 1000), "at least -4.3 pp."),
        (replace(BOOKED, smallest=0.001), rate(100, 100_000), rate(400, 100_000), "at least +0.24 pp."),
        (MetricDefinition("euros", "euros"), mean(90, 40, 1000), mean(120, 40, 1000), "at least +25 per caller."),
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


def test_without_smallest_the_horizon_ends_without_a_choice() -> None:
    """What a mistake costs follows from the smallest relevant difference: without one nothing is chosen."""
    metric = replace(BOOKED, smallest=None)
    found = [verdict(rate(300, 1000), rate(330, 1000), metric, week=week) for week in (8, 12)]
    assert [each.state for each in found] == ["cannot tell yet", "cannot tell at your number of calls"]
    assert [each.code for each in found[1].findings] == ["too-few-calls", "no-smallest"]
    assert not any(each.stop or each.choice for each in found)


@pytest.mark.parametrize(("arms", "fewer"), [(("control", "warm"), False), (("control", "warm", "brisk"), True)])
def test_what_the_horizon_is_too_short_for(arms: tuple[str, ...], fewer: bool) -> None:  # noqa: FBT001 (a case)
    """The planned weeks are told, and that fewer arms help only where one can be left out."""
    of = design(BOOKED, weights=dict.fromkeys(arms, 1), maximum_weeks=6)
    found = verdict(of=of, sums={"booked": dict.fromkeys(arms, rate(60, 200))}, week=3)
    assert "A difference of 5 pp is probably not found within the planned 6 weeks. One of " in found.message
    assert ("fewer arms" in found.message) == fewer


# --- guardrails -------------------------------------------------------------------------------------------------------

DOUBT = "It is not known yet whether warm worsens hang_up by more than 3 pp."


@pytest.mark.parametrize(
    ("warm", "guard", "state", "end"),
    [
        (4000, SAFE, "better", "You can stop: roll out warm."),
        (4000, UNKNOWN, "better", DOUBT),
        (3000, UNKNOWN, "no difference", f"{DOUBT} Keep control, or continue."),
        (
            4000,
            HARMED,
            "worse",
            "warm harms hang_up: at least +6.4 pp. Remove it. The accepted margin is 3 pp. warm is better on booked: at least +8.2 pp.",
        ),
    ],
)
def test_guardrails(warm: int, guard: dict[str, Sums], state: str, end: str) -> None:
    """One can stop only where harm beyond the margin is excluded; an arm that harms a guardrail has to go."""
    found = verdict(rate(3000, 10_000), rate(warm, 10_000), BOOKED, HANG_UP, sums={"hang_up": guard})
    assert (found.state, found.stop) == (state, guard is not UNKNOWN)
    assert found.message.endswith(end)


# --- several arms -----------------------------------------------------------------------------------------------------


BOTH = "warm and brisk are better on booked: at least +3.6 pp and +15 pp."


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


# --- the choice -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("events", [(300, 330), (330, 300), (300, 301), (0, 4)])
def test_the_cost_of_a_choice_is_that_of_the_posterior(events: tuple[int, int]) -> None:
    """The expected loss of two arms is that of their difference under its normal prior, in closed form."""
    estimates = [((e or 1) / 1000, (e or 1) / 1000 * (1 - (e or 1) / 1000) / 999) for e in events]
    chosen, cost = expected_loss(estimates, 0.05)
    variance = sum(each for _, each in estimates)
    posterior = 0.05**2 / (0.05**2 + variance)
    m, s = posterior * (estimates[1][0] - estimates[0][0]), (posterior * variance) ** 0.5
    assert chosen == (m > 0)
    assert cost == pytest.approx(s * norm.pdf(m / s) - abs(m) * norm.cdf(-abs(m) / s), rel=1e-6)


def test_the_cost_of_a_choice_among_three_arms() -> None:
    """The expected loss is that of simulated posteriors: a level of which nothing is believed, and normal deviations."""
    means, variances = np.array([0.3, 0.32, 0.29]), np.array([2e-4, 2.2e-4, 3e-4])
    random, prior = np.random.default_rng(0), 0.05**2 / 2
    precision = np.diag(1 / variances + 1 / prior) - 1 / prior / 3
    covariance = np.linalg.inv(precision)
    drawn = random.multivariate_normal(covariance @ (means / variances), covariance, 1_000_000)
    chosen, cost = expected_loss(list(zip(means, variances, strict=True)), 0.05)
    assert chosen == drawn.mean(axis=0).argmax()
    assert cost == pytest.approx((drawn.max(axis=1) - drawn[:, chosen]).mean(), rel=0.01)


@pytest.mark.parametrize(
    ("control", "warm", "goal", "arm"),
    [(330, 300, "increase", "control"), (330, 300, "decrease", "warm"), (0, 1, "increase", "warm")],
)
def test_the_better_arm_by_the_goal_is_chosen(control: int, warm: int, goal: Any, arm: str) -> None:
    """At the horizon the arm with the smaller expected loss is chosen, also where nobody has an event in an arm."""
    found = verdict(rate(control, 1000), rate(warm, 1000), replace(BOOKED, goal=goal), week=12)
    assert found.choice
    assert (found.state, found.choice.arm, found.headline) == ("choice", arm, f"Choose {arm} (since 25 May 2026)")


def test_a_choice_names_the_guardrail_that_is_unknown() -> None:
    """A guardrail of which harm is not excluded is named beside the choice."""
    found = verdict(rate(300, 1000), rate(330, 1000), BOOKED, HANG_UP, sums={"hang_up": UNKNOWN}, week=12)
    assert found.message.endswith(f"{CHOICE} {DOUBT}")


# --- verdicts that stay -----------------------------------------------------------------------------------------------


def weeks(*events: tuple[int, int, int], of: Experiment | None = None, **options: Any) -> list[WeeklyLook]:
    """Return the looks of weeks 2, 3 and so on, each with the events of control and warm and the callers of either."""
    found: list[WeeklyLook] = []
    for week, (control, warm, callers) in enumerate(events, 2):
        sums = {"booked": {"control": rate(control, callers), "warm": rate(warm, callers)}}
        found.append(look(of or design(BOOKED), sums, week=week, earlier=tuple(found), **options))
    return found


def test_a_verdict_stays_with_its_day() -> None:
    """What was found stays found when the arms come together; the interval is the intersection of all weeks'."""
    found = weeks((300, 450, 1000), (630, 675, 1500), (870, 960, 2000))
    assert [each.verdict.state for each in found] == ["better"] * 3
    assert {each.verdict.found for each in found} == {found[0].body["until"]}
    assert "not-today" in [each.code for each in found[2].verdict.findings]
    intervals = [each.body["metrics"][0]["comparisons"][0]["interval"] for each in found[:2]]
    assert intervals[1][0] >= intervals[0][0]
    assert intervals[1][1] <= intervals[0][1]


def test_an_effect_that_changed_is_told() -> None:
    """Where the week's interval and the earlier ones have nothing in common, the week's is shown and the verdict stays."""
    *_, last = weeks((300, 500, 1000), (1500, 1700, 5000), (6000, 5900, 20_000))
    comparison = last.body["metrics"][0]["comparisons"][0]
    assert [each["code"] for each in last.body["warnings"]] == ["effect-changed"]
    assert comparison["interval"][0] < 0.04
    assert last.verdict.state == "better below smallest"


def test_a_broken_split_revokes_a_verdict() -> None:
    """The page says what was said, and why it no longer holds; a later week that looks well does not bring it back."""
    found = weeks((300, 450, 1000))
    sums = {"booked": {"control": rate(400, 1400), "warm": rate(500, 1100)}}
    broken = look(design(BOOKED), sums, week=3, earlier=tuple(found))
    assert broken.verdict.state == "broken"
    assert broken.verdict.message.endswith(
        "Before, it was: warm is better (found on 16 Mar 2026). That no longer holds."
    )
    alarm = Finding(**broken.body["warnings"][0])
    again = look(
        design(BOOKED),
        {"booked": {"control": rate(600, 2000), "warm": rate(900, 2000)}},
        week=4,
        earlier=(*found, broken),
        alarm=alarm,
    )
    assert again.verdict.state == "broken"


def test_a_choice_stays_until_something_is_found() -> None:
    """After the horizon the choice stays, whatever the arms look like, until the always-valid interval finds one better."""
    of = design(BOOKED, maximum_weeks=2)
    found = weeks((300, 330, 1000), (600, 640, 2000), (90_000, 99_000, 300_000), of=of)
    assert [each.verdict.state for each in found] == ["choice", "choice", "better below smallest"]
    assert found[1].verdict.choice == found[0].verdict.choice


def test_a_harmed_guardrail_comes_first() -> None:
    """An arm that is found to harm a guardrail is worse, and what was found of it before is told too."""
    of = design(BOOKED, HANG_UP)
    better = {"control": rate(300, 1000), "warm": rate(450, 1000)}
    first = look(of, {"booked": better, "hang_up": UNKNOWN}, week=2)
    later = look(of, {"booked": better, "hang_up": HARMED}, week=3, earlier=(first,))
    assert (first.verdict.state, later.verdict.state) == ("better", "worse")
    assert "warm is better on booked" in later.verdict.message
    assert later.verdict.found == later.body["until"]


def test_harm_that_comes_late_is_not_rolled_out() -> None:
    """A guardrail that was safe is not safe for ever: an arm that begins to harm it is worse."""
    of, found = design(BOOKED, HANG_UP), list[WeeklyLook]()
    for week, (warm, hung_up) in enumerate(((300, 1000), (600, 2000), (3000, 8000), (6000, 15_000)), 2):
        callers = (10_000, 20_000, 40_000, 60_000)[week - 2]
        booked = {"control": rate(3 * callers // 10, callers), "warm": rate(3 * callers // 10 + 50 * week, callers)}
        hang_up = {"control": rate(callers // 10, callers), "warm": rate(warm if week < 4 else hung_up, callers)}
        found.append(look(of, {"booked": booked, "hang_up": hang_up}, week=week, earlier=tuple(found)))
    assert found[0].body["metrics"][1]["comparisons"][0]["state"] == "safe"
    assert (found[-1].verdict.state, found[-1].verdict.claims[-1].state) == ("worse", "harmed")


def test_a_verdict_that_later_weeks_contradict_rolls_out_nothing() -> None:
    """It stays with the end that it had; the weeks since then do not support it, and it says so."""
    first, *_, last = weeks((300, 500, 1000), (1500, 1600, 5000), (6000, 5900, 20_000), (12_000, 11_000, 40_000))
    end = first.verdict.claims[0].at_least
    assert (last.verdict.state, last.verdict.found, last.verdict.stop) == ("better", first.body["until"], False)
    assert last.verdict.claims[0].at_least >= end > 0
    assert "unsupported" in [each.code for each in last.verdict.findings]
    assert wording.with_messages(last.body)["verdict"]["advice"].startswith("Roll out nothing yet.")


def test_harm_stays_where_its_guardrail_is_suppressed() -> None:
    """Reports that an arm loses afterwards do not make it harmless."""
    of, lost = (
        design(replace(BOOKED, outcome="sale"), HANG_UP),
        once([1.0] * 400 + [0.0] * 4600).sums(is_proportion=True),
    )
    same = {"control": rate(1500, 5000), "warm": rate(1500, 5000)}
    first = look(of, {"booked": same, "hang_up": HARMED}, week=2)
    arms = {"control": {"hang_ups": rate(0, 5000)}, "warm": {"hang_ups": lost}}
    later = look(of, {"booked": same, "hang_up": HARMED}, week=3, earlier=(first,), arms=arms)
    assert later.body["metrics"][1]["comparisons"][0]["state"] == "suppressed"
    assert (first.verdict.state, later.verdict.state) == ("worse", "worse")


def test_intervals_of_other_rules_are_no_part() -> None:
    """After a change of the confidence the interval begins anew; a margin is held against the interval that there is."""
    loose = look(
        design(BOOKED, confidence=0.5), {"booked": {"control": rate(300, 1000), "warm": rate(345, 1000)}}, week=1
    )
    later = look(
        design(BOOKED), {"booked": {"control": rate(600, 2000), "warm": rate(640, 2000)}}, week=2, earlier=(loose,)
    )
    compared = later.body["metrics"][0]["comparisons"][0]
    assert (later.verdict.state, compared["interval"]) == ("cannot tell yet", compared["own_interval"])
    of = [design(BOOKED, replace(HANG_UP, margin=margin)) for margin in (0.1, 0.001)]
    same = {"booked": {"control": rate(1500, 5000), "warm": rate(1500, 5000)}, "hang_up": SAFE}
    wide = look(of[0], same, week=2)
    tight = look(of[1], same, week=3, earlier=(wide,))
    states = [each.body["metrics"][1]["comparisons"][0]["state"] for each in (wide, tight)]
    assert states == ["safe", "unknown"]


def test_the_horizon_chooses_among_the_arms_that_are_left() -> None:
    """Where one arm is worse and another open, the choice is among control and the open one."""
    of = design(BOOKED, weights={"control": 1, "warm": 1, "cold": 1})
    sums = {"booked": {"control": rate(300, 1000), "warm": rate(330, 1000), "cold": rate(150, 1000)}}
    first = look(of, sums, week=11)
    last = look(of, sums, week=12, earlier=(first,))
    again = look(of, sums, week=13, earlier=(first, last))
    assert [each.verdict.state for each in (first, last, again)] == ["worse", "choice", "choice"]
    assert last.verdict.arms == ("warm",)
    assert again.verdict.message == last.verdict.message
    assert last.verdict.message.count("cold is worse") == 1


def test_other_metrics_are_exploratory() -> None:
    """Only the primary metric has better and worse; a third metric has its interval, and no finding."""
    of = design(BOOKED, replace(BOOKED, name="ordered", outcome="analysis.ordered"))
    both = {"control": rate(300, 1000), "warm": rate(450, 1000)}
    found = look(of, {"booked": both, "ordered": both})
    assert [each["comparisons"][0]["state"] for each in found.body["metrics"]] == ["better", "exploratory"]
    assert found.body["metrics"][1]["comparisons"][0]["interval"]


# --- what is missing --------------------------------------------------------------------------------------------------


def test_without_a_primary_metric_or_a_caller() -> None:
    """An experiment without a primary metric, or without a caller, has a verdict that says so."""
    of = replace(design(BOOKED), primary="")
    shown = look(of, {"booked": {"control": rate(1500, 5000), "warm": rate(1500, 5000)}})
    assert shown.verdict.message.startswith("There is no primary metric")
    found = verdict(of=design(BOOKED), sums={"booked": {}})
    assert found.message == "No caller has been assigned an arm yet."


@given(
    st.tuples(st.integers(0, 400), st.integers(0, 400)),
    st.tuples(st.integers(0, 400), st.integers(0, 400)),
    st.sampled_from([BOOKED, replace(BOOKED, smallest=None), replace(BOOKED, smallest=1e-12), HANG_UP]),
    st.sampled_from([None, 0.0, 0.01, 250.0]),
    st.integers(1, 30),
)
def test_every_verdict_is_plain_values_and_sentences(
    control: tuple[int, int], warm: tuple[int, int], metric: MetricDefinition, pace: float | None, week: int
) -> None:
    """Whatever was counted, results are kept as JSON and worded from it later, in either language."""
    sums = {arm: rate(min(pair), max(pair)) for arm, pair in (("control", control), ("warm", warm))}
    of = design(metric, minimum_days=1)
    kept = json.loads(json.dumps(look(of, {metric.name: sums}, week=week, pace=pace).body, allow_nan=False))
    found = wording.with_messages(kept)
    messages = [found["verdict"]["message"], *(each["message"] for each in found["warnings"])]
    assert all(message.endswith((".", "…")) for message in messages)
    assert not {"nan", "inf", "None"} & set(" ".join(messages).replace(".", " ").split())
    with in_language("nl"):
        assert wording.with_messages(kept)["verdict"]["message"] != found["verdict"]["message"]
