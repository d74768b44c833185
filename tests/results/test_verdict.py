"""What to do, in words: each verdict from sums, and what its sentence may claim."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from arms import START, design, mean, rate, results
from flask_pickup.catalog.definition import DecisionRules, Experiment, MetricDefinition
from flask_pickup.results.model import Verdict
from flask_pickup.results.sums import Sums
from flask_pickup.results.verdict import decide, last_whole_week

BOOKED = MetricDefinition("booked", "analysis.booked", smallest=0.05)
HANG_UP = MetricDefinition("hang_up", "early_hang_up", goal="decrease", guardrail=True, margin=0.03)
SAFE = {"control": rate(500, 5000), "warm": rate(500, 5000)}
HARMED = {"control": rate(500, 5000), "warm": rate(900, 5000)}
UNKNOWN = {"control": rate(50, 500), "warm": rate(50, 500)}
CALM = {"control": rate(1500, 5000), "warm": rate(1500, 5000)}


def verdict(
    control: Sums | None = None,
    warm: Sums | None = None,
    *metrics: MetricDefinition,
    of: Experiment | None = None,
    sums: Mapping[str, Mapping[str, Sums]] | None = None,
    **options: Any,
) -> Verdict:
    """Return the verdict on control and warm in the first metric; ``sums`` gives the others."""
    of = of or design(*(metrics or (BOOKED,)))
    first = {of.primary: {"control": control, "warm": warm}} if control and warm else {}
    return decide(results(of, {**first, **(sums or {})}, **options), of)


def test_better() -> None:
    """An arm that is surely better is named with the cautious end, in the metric's unit, and one can stop."""
    found = verdict(rate(300, 1000), rate(400, 1000))
    assert found.message == "Warm does better on booked: at least 3.5 more in a hundred callers. You can stop."
    assert (found.state, found.stop) == ("better", True)


@pytest.mark.parametrize(
    ("metric", "control", "warm", "says"),
    [
        (replace(BOOKED, per="call"), rate(300, 1000), rate(400, 1000), "at least 3.5 more in a hundred calls."),
        (
            replace(BOOKED, goal="decrease"),
            rate(400, 1000),
            rate(300, 1000),
            "at least 3.5 fewer in a hundred callers.",
        ),
        (BOOKED, rate(100, 100_000), rate(400, 100_000), "at least 2.2 more in a thousand callers."),
        (MetricDefinition("euros", "euros"), mean(90, 40, 1000), mean(120, 40, 1000), "at least 24 more a caller."),
        (
            MetricDefinition("seconds", "seconds", goal="decrease", per="call"),
            mean(2000, 40, 1000),
            mean(500, 40, 1000),
            "at least 1,400 less a call.",
        ),
    ],
)
def test_it_names_the_metrics_own_unit(metric: MetricDefinition, control: Sums, warm: Sums, says: str) -> None:
    """Callers or calls, a hundred or a thousand, more or fewer: as the metric has it."""
    found = verdict(control, warm, metric)
    assert found.state == "better"
    assert says in found.message


def test_it_gives_the_end_and_never_the_point() -> None:
    """What is said to be gained is the end of the always-valid interval that is nearest to nothing, rounded down."""
    shown = results(design(BOOKED), {"booked": {"control": rate(300, 1000), "warm": rate(400, 1000)}})
    low, _ = shown.metrics[0].comparisons[0].always_valid_interval or (0, 0)
    assert 0.035 < low < 0.036
    assert "10" not in decide(shown, design(BOOKED)).message


def test_better_by_less_than_matters() -> None:
    """A difference that is sure but small is said to be both."""
    message = verdict(rate(30_000, 100_000), rate(31_500, 100_000)).message
    assert "at least 7.6 more in a thousand callers. It is less than the 5 in a hundred callers that matter." in message


def test_worse() -> None:
    """An arm that is surely worse is to be taken back."""
    found = verdict(rate(400, 1000), rate(300, 1000))
    assert found.message == "Warm does worse on booked: at least 3.5 fewer in a hundred callers. Take it back."
    assert (found.state, found.stop) == ("worse", True)


def test_no_difference() -> None:
    """Where the interval lies within the smallest difference that matters, either will do."""
    found = verdict(rate(3000, 10_000), rate(3010, 10_000))
    assert found.message == (
        "Between warm and control no difference on booked is as large as 5 in a hundred callers. "
        "Keep either; you can stop."
    )
    assert (found.state, found.stop) == ("no difference", True)


@pytest.mark.parametrize("events", [320, 330, 345])
def test_cannot_tell_yet(events: int) -> None:
    """The weeks left follow from the smallest difference and the pace of new callers, not from what is seen so far."""
    found = verdict(rate(300, 1000), rate(events, 1000))
    assert found.message == (
        "Whether warm or control is better on booked cannot be told yet. "
        "Finding a difference of 5 in a hundred callers takes about 14 weeks more, at 250 new callers a week."
    )
    assert (found.state, found.stop) == ("cannot tell yet", False)


def test_cannot_tell_at_your_number_of_calls() -> None:
    """Where that is longer than the author allows, it is said, with what would help."""
    found = verdict(rate(300, 1000), rate(330, 1000), new_callers_a_week=15.0)
    assert found.state == "cannot tell at your number of calls"
    assert "takes about 222 weeks more, at 15 new callers a week, and you allow 180 days in all." in found.message
    assert "Bolder differences" in found.message


def test_cannot_tell_without_new_callers() -> None:
    """Where nobody new calls, more of the same calls will not do."""
    found = verdict(rate(300, 1000), rate(330, 1000), new_callers_a_week=0.0)
    assert found.state == "cannot tell at your number of calls"
    assert "No new callers come in" in found.message


def test_cannot_tell_how_long() -> None:
    """Without a pace, and without a smallest difference, no weeks are made up."""
    assert "nor how long" in verdict(rate(300, 1000), rate(330, 1000), new_callers_a_week=None).message
    assert "(smallest)" in verdict(rate(300, 1000), rate(330, 1000), replace(BOOKED, smallest=None)).message


def test_weeks_cover_the_rare_event() -> None:
    """While the event is too rare for any word, the weeks left are those until each arm would expect twenty."""
    metric = replace(BOOKED, smallest=0.5)
    found = verdict(rate(4, 1000), rate(4, 1000), metric)
    assert "takes about 32 weeks more" in found.message.replace("at your number of calls", "yet")


def test_undecided_though_large_enough_still_ends() -> None:
    """An unlucky experiment that has its callers is told when its interval must decide either way."""
    found = verdict(rate(900, 3000), rate(990, 3000))
    assert found.state == "cannot tell yet"
    assert "weeks more" in found.message


def test_broken() -> None:
    """A broken split is nothing to read, and it says why, from the first day."""
    found = verdict(rate(300, 1000), rate(320, 800), weeks=0.1)
    assert found.state == "broken"
    assert found.message.startswith("Do not read this. The callers are not spread over the arms as the weights say")


def test_broken_by_what_is_missing() -> None:
    """A primary metric whose missing values differ between arms is nothing to read."""
    warm = replace(rate(300, 900), missing=100, asked=1000, incomplete=100)
    found = verdict(rate(300, 1000), warm)
    assert found.state == "broken"
    assert (
        found.message
        == "Do not read this. What is missing of booked differs between the arms: nothing is said about it."
    )


@pytest.mark.parametrize("weeks", [0, 1, 13 / 7])
def test_no_verdict_before_its_time(weeks: float) -> None:
    """However large the difference, there is no verdict before the minimum of days."""
    found = verdict(rate(300, 1000), rate(600, 1000), weeks=weeks)
    assert found.message == "A verdict comes after whole weeks, and not before 14 days."
    assert found.state == "cannot tell yet"


def test_weeks_are_whole() -> None:
    """The verdict is about whole weeks, which all have the same weekdays."""
    day = timedelta(days=1)
    assert last_whole_week(START, START + 6 * day) == START
    assert last_whole_week(START, START + 27 * day) == START + 21 * day
    assert last_whole_week(START, START + 28 * day) == START + 28 * day


# --- guardrails -------------------------------------------------------------------------------------------------------


def test_stopping_needs_every_guardrail_safe() -> None:
    """While harm beyond the margin is possible, an improvement is no reason to stop."""
    found = verdict(rate(300, 1000), rate(400, 1000), BOOKED, HANG_UP, sums={"hang_up": UNKNOWN})
    assert (found.state, found.stop) == ("better", False)
    assert found.message.endswith("Whether warm worsens hang_up by more than 3 in a hundred callers is not known yet.")
    assert verdict(rate(300, 1000), rate(400, 1000), BOOKED, HANG_UP, sums={"hang_up": SAFE}).stop


def test_no_difference_needs_them_too() -> None:
    """An arm that is as good is not kept while it may do harm."""
    found = verdict(rate(3000, 10_000), rate(3000, 10_000), BOOKED, HANG_UP, sums={"hang_up": UNKNOWN})
    assert (found.state, found.stop) == ("no difference", False)
    assert found.message.endswith("is not known yet. Keep control, or go on.")


def test_harm_takes_an_arm_back() -> None:
    """An arm that does harm beyond its margin is taken back, however well it does otherwise."""
    found = verdict(rate(300, 1000), rate(400, 1000), BOOKED, HANG_UP, sums={"hang_up": HARMED})
    assert found.state == "worse"
    assert found.message == (
        "Warm harms hang_up: at least 5.8 more in a hundred callers, and 3 in a hundred callers were accepted. Take it back."
    )


# --- several arms -----------------------------------------------------------------------------------------------------

THREE = design(BOOKED, HANG_UP, weights={"control": 1, "warm": 1, "brisk": 1})


def three(warm: int, brisk: int, *, of: Experiment = THREE, guard: Sums | None = None) -> Verdict:
    """Return the verdict where control has 300 of 1,000."""
    booked = {"control": rate(300, 1000), "warm": rate(warm, 1000), "brisk": rate(brisk, 1000)}
    return verdict(of=of, sums={"booked": booked, "hang_up": {**SAFE, "brisk": guard or rate(500, 5000)}})


def test_two_that_beat_control() -> None:
    """Which of two better arms is better is not said, unless it was asked."""
    found = three(400, 520)
    assert found.message == (
        "Warm and brisk both do better than control on booked: at least 3 more in a hundred callers and at least 14 more "
        "in a hundred callers. Which of them is better was not asked: it takes arm_to_arm = true under [decision]. "
        "You can stop."
    )


def test_two_that_beat_control_and_are_compared() -> None:
    """Where it was asked, the best is named, or it is said that it cannot be told yet."""
    of = replace(THREE, decision=DecisionRules(arm_to_arm=True))
    found = three(400, 520, of=of)
    assert "Brisk is the best of them. You can stop with brisk." in found.message
    assert found.stop
    found = three(400, 420, of=of)
    assert found.message.endswith("Which of them is better cannot be told yet.")
    assert not found.stop


def test_one_of_two_is_safe() -> None:
    """One can stop with the arm that is safe."""
    assert three(400, 420, guard=rate(580, 5000)).message.endswith("You can stop with warm.")


def test_one_worse_and_one_open() -> None:
    """An arm that is worse is taken back while the other goes on."""
    found = three(200, 320)
    assert (found.state, found.stop) == ("worse", False)
    assert found.message.endswith("Take it back. About brisk it cannot be told yet.")


def test_one_better_and_one_worse() -> None:
    """A better arm and a worse one are both told."""
    found = three(200, 420)
    assert (found.state, found.stop) == ("better", True)
    assert "Warm does worse" in found.message


# --- the bet ----------------------------------------------------------------------------------------------------------


def test_the_bet_is_the_sceptics_posterior() -> None:
    """Its odds are those of a normal prior times a normal likelihood, summed up numerically."""
    found = verdict(rate(300, 1000), rate(330, 1000))
    assert found.bet is not None
    error = (0.3 * 0.7 / 999 + 0.33 * 0.67 / 999) ** 0.5
    effects = np.linspace(-0.5, 0.5, 200_001)
    weight = np.exp(-((effects / (0.05 / 1.645)) ** 2) / 2 - ((effects - 0.03) / error) ** 2 / 2)
    wanted = weight[effects > 0].sum() / weight[effects < 0].sum()
    assert found.bet.odds == pytest.approx(wanted, rel=1e-3)
    assert found.bet.arm == "warm"
    assert found.bet.message.startswith(
        "If you had to bet today: 8 to 1 that warm is better than control. It starts from"
    )
    assert "This is a bet and no finding" in found.bet.message


@pytest.mark.parametrize(
    ("control", "warm", "arm", "says"),
    [
        (330, 300, "control", "8 to 1 that control is better than warm"),
        (300, 301, "warm", "about even odds that warm"),
        (300, 306, "warm", "3 to 2 that warm"),
        (300, 360, "warm", "more than 20 to 1 that warm"),
    ],
)
def test_the_bets_words(control: int, warm: int, arm: str, says: str) -> None:
    """The odds are worded as a bet on whichever the data lean to."""
    bet = verdict(rate(control, 1000), rate(warm, 1000)).bet
    assert bet is not None
    assert bet.arm == arm
    assert says in bet.message


def test_no_bet_on_a_few_callers() -> None:
    """Where nothing may be said yet there is no bet either, and none where the verdict tells."""
    assert verdict(rate(30, 90), rate(50, 90)).bet is None
    assert verdict(rate(300, 1000), rate(400, 1000)).bet is None


def test_a_goal_to_decrease_bets_on_less() -> None:
    """With a goal to decrease the data lean to whoever has less."""
    bet = verdict(rate(330, 1000), rate(300, 1000), replace(BOOKED, goal="decrease")).bet
    assert bet is not None
    assert bet.arm == "warm"


# --- what is not there ------------------------------------------------------------------------------------------------


def test_without_a_primary_metric() -> None:
    """An experiment without a primary metric is told what to write."""
    of = replace(design(BOOKED), primary="")
    assert 'write primary = "…"' in decide(results(of, {"booked": CALM}), of).message


def test_without_a_caller() -> None:
    """Before the first call there is no verdict and no crash."""
    found = verdict(of=design(BOOKED), sums={"booked": {}}, since=None)
    assert found.message == "No caller has been given an arm yet."


@given(
    st.tuples(st.integers(0, 400), st.integers(0, 400)),
    st.tuples(st.integers(0, 400), st.integers(0, 400)),
    st.sampled_from([BOOKED, replace(BOOKED, smallest=None), replace(BOOKED, smallest=1e-12), HANG_UP]),
    st.sampled_from([None, 0.0, 0.01, 250.0]),
    st.floats(0, 30),
)
def test_every_verdict_is_a_sentence(
    control: tuple[int, int], warm: tuple[int, int], metric: MetricDefinition, pace: float | None, weeks: float
) -> None:
    """Whatever was counted, there is a verdict in words, without a number that is none."""
    sums = {arm: rate(min(pair), max(pair)) for arm, pair in (("control", control), ("warm", warm))}
    of = design(metric, minimum_days=1)
    shown = results(of, {metric.name: sums}, weeks=weeks, new_callers_a_week=pace)
    found = decide(shown, of)
    assert found.message.endswith((".", "…"))
    assert not {"nan", "inf", "None"} & set(found.message.replace(".", " ").split())


def test_verdict_is_part_of_the_json() -> None:
    """The verdict stands in the JSON with its state and message."""
    of = design(BOOKED)
    shown = results(of, {"booked": CALM})
    verdict_json = replace(shown, verdict=decide(shown, of)).as_json()["verdict"]
    assert verdict_json["state"] == "no difference"
    assert verdict_json["until"] == "2026-04-27T09:00:00+00:00"
