"""Experiments made up by the thousand, and what the results say of each on every day.

NumPy draws what callers do, all runs of a setting at once, and adds it up to each arm's sums at the end of each day. The
results' own functions then say what they say. They need a millisecond or two a day, so they are not asked where the answer
is known:

- An interval without 0 needs a difference of more than so many standard errors, and no fewer than Welch's are taken:
  on any day those of the always-valid interval, and at a weekly look z/√t, z being the quantile of the whole error of the
  weekly looks and t the week's share of the horizon. A boundary lies at or beyond that: its first crossing has what the
  looks may have spent by then less the chance of an earlier one, so the chance to be beyond it is at most what may be spent.
- Where no day up to the end of a run can have such an interval, nothing is asked. Elsewhere all weekly looks up to the
  horizon are, since each boundary follows from those before, and of the other days those that can have one.
- A verdict is asked for where a comparison's state can give one.

``follow(..., everything=True)`` asks for everything; ``benchmarks/decisions --check`` compares.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import timedelta
from functools import cached_property
from math import sqrt
from typing import Any, Literal

import numpy as np

from arms import START, design
from flask_pickup.catalog.definition import CONTROL, Experiment, MetricDefinition
from flask_pickup.results import estimates
from flask_pickup.results.aggregates import ArmAggregates, PeriodAggregates, Sums
from flask_pickup.results.distributions import NORMAL
from flask_pickup.results.looks import FINAL, PastLooks, WeeklyLook
from flask_pickup.results.model import Results, Verdict
from flask_pickup.results.sequential import error_share
from flask_pickup.results.statistics import results_of
from flask_pickup.results.verdict import decide_verdict

Calls = Callable[[Any, int, Sequence[int], Any], Iterator[tuple[Any, Any]]]
"""What callers do, from a generator, the number of runs, how many callers have had time for a first, a second, … call, and the
lift in the chance of an event: for each of these calls its value, and whether it was made, as arrays of runs by callers."""


@dataclass(frozen=True)
class Kind:
    """A kind of outcome.

    :param of: what a caller's calls come to: the greatest value, their sum, or their mean.
    :param lift: the lift in the chance of an event, at 50 new callers a week, whose power is told.
    """

    calls: Calls
    lift: float
    of: Literal["greatest", "sum", "mean"] = "greatest"
    is_proportion: bool = True

    @property
    def metric(self) -> MetricDefinition:
        """The metric, without a smallest relevant difference, so that no interval is cut short by one."""
        return MetricDefinition("booked", "analysis.booked", per="call" if self.of == "mean" else "caller")


def of_rate(rate: float) -> Calls:
    """Return callers who call once, so many of whom have an event."""

    def calls(random: Any, runs: int, sizes: Sequence[int], lift: Any) -> Iterator[tuple[Any, Any]]:
        yield random.random((runs, sizes[0]), np.float32) < rate + lift, np.ones((runs, sizes[0]), np.float32)

    return calls


def amounts(random: Any, runs: int, sizes: Sequence[int], lift: Any) -> Iterator[tuple[Any, Any]]:
    """Yield callers who call once; one in five buys, and a few buy very much."""
    buys = random.random((runs, sizes[0]), np.float32) < 0.2 + lift
    yield _bought(random, buys), np.ones(buys.shape)


def regulars(*, buying: bool = False) -> Calls:
    """Return callers of whom nine in ten call every week again, each with a rate of their own, one in ten on average."""

    def calls(random: Any, runs: int, sizes: Sequence[int], lift: Any) -> Iterator[tuple[Any, Any]]:
        often = random.random((runs, sizes[0]), np.float32) < 0.9
        rate = random.beta(1.5, 13.5, (runs, sizes[0])).astype(np.float32) + lift
        for number, size in enumerate(sizes):
            made = often[:, :size] if number else np.ones((runs, size), bool)
            events = made & (random.random((runs, size), np.float32) < rate[:, :size])
            yield _bought(random, events) if buying else events, made

    return calls


def _bought(random: Any, events: Any) -> Any:
    values = np.zeros(events.shape)
    values[events] = random.lognormal(4, 1.2, int(events.sum()))
    return values


KINDS = {
    "30 %": Kind(of_rate(0.3), 0.12),
    "5 %": Kind(of_rate(0.05), 0.06),
    "2 %": Kind(of_rate(0.02), 0.05),
    "amounts": Kind(amounts, 0.2, is_proportion=False),
    "regulars, ever": Kind(regulars(), 0.04),
    "regulars, per call": Kind(regulars(), 0.03, of="mean"),
    "regulars, total": Kind(regulars(buying=True), 0.06, of="sum", is_proportion=False),
}
WEIGHTS: Mapping[str, Mapping[str, float]] = {
    "1:1": {CONTROL: 1, "warm": 1},
    "9:1": {CONTROL: 9, "warm": 1},
    "1:1:1": {CONTROL: 1, "warm": 1, "brisk": 1},
}


@dataclass(frozen=True)
class Arm:
    """An arm of many runs: callers by day, and Σs, Σd, Σs², Σd², Σsd by run and day."""

    callers: Any
    totals: Any

    def sums(self, run: int, day: int, *, is_proportion: bool) -> Sums:
        """Return what a run's callers come to at the end of a day."""
        callers, (s, d, ss, dd, sd) = int(self.callers[day]), self.totals[:, run, day].tolist()
        return Sums(callers, int(d), s, d, ss, dd, sd, is_proportion=is_proportion, asked=callers)


@dataclass(frozen=True)
class Setting:
    """A line, an experiment on it, and for how long it runs.

    :param pace: new callers a week, in all arms together. They come at a steady rate, so that each arm has what is expected.
    :param lift: in the chance of an event, of all arms but control: a number, or a column with one for each run.
    """

    kind: str
    weights: str = "1:1"
    pace: float = 50
    days: int = 180
    lift: Any = 0.0
    options: Mapping[str, Any] = field(default_factory=dict)
    smallest: float | None = None

    @property
    def of(self) -> Kind:
        """The kind of outcome."""
        return KINDS[self.kind]

    @cached_property
    def design(self) -> Experiment:
        """The experiment."""
        metric = replace(self.of.metric, smallest=self.smallest)
        return design(metric, weights=WEIGHTS[self.weights], **self.options)

    def callers(self, arm: str) -> list[int]:
        """Return the day of each caller of an arm; the first one comes on the first day."""
        a_day = self.pace / 7 * self.design.weights[arm] / sum(self.design.weights.values())
        return [int(caller / a_day) for caller in range(int(np.ceil(self.days * a_day)))]

    def calls(self, random: Any, runs: int, arm: str) -> Iterator[tuple[Any, Any]]:
        """Yield the callers' first, second, … calls, a week apart: arrays of values, and of whether they were made."""
        came = np.array(self.callers(arm))
        last = range(0, self.days, 7) if self.kind.startswith("regulars") else [0]
        sizes = [int((came + after < self.days).sum()) for after in last]
        yield from self.of.calls(random, runs, sizes, 0.0 if arm == CONTROL else self.lift)

    def simulate(self, random: Any, runs: int) -> dict[str, Arm]:
        """Return the arms of so many runs."""
        return {arm: self.arm(arm, runs, self.calls(random, runs, arm)) for arm in self.design.weights}

    def arm(self, name: str, runs: int, calls: Iterator[tuple[Any, Any]]) -> Arm:
        """Return what an arm's callers come to by each day."""
        days, first = np.unique(self.callers(name), return_index=True)
        # Single precision is exact for counts, and twice as fast.
        s, d = np.zeros((2, runs, len(self.callers(name))), np.float32 if self.of.is_proportion else np.float64)
        found, before = np.zeros((5, runs, self.days)), np.zeros((5, runs, len(days)))
        for number, (values, made) in enumerate(calls):
            x, y = s[:, : values.shape[1]], d[:, : values.shape[1]]
            (np.maximum if self.of.of == "greatest" else np.add)(x, values, out=x)
            starts = first[first < values.shape[1]]
            if self.of.of == "mean":
                y += made
                columns = [np.add.reduceat(each, starts, axis=1) for each in (x, y, x * x, y * y, x * y)]
            else:
                total, squares = (np.add.reduceat(each, starts, axis=1) for each in (x, x * x))
                units = np.broadcast_to(np.diff([*starts, values.shape[1]]), total.shape)
                columns = [total, units, squares, units, total]
            known, after = len(starts), np.stack(columns)
            found[:, :, days[:known] + 7 * number] += after - before[:, :, :known]
            before[:, :, :known] = after
        callers = np.searchsorted(self.callers(name), np.arange(self.days), side="right")
        return Arm(callers, found.cumsum(axis=2))

    def period(self, arms: Mapping[str, Arm], run: int, day: int) -> PeriodAggregates:
        """Return a run's aggregates at the end of a day."""
        found = {}
        for name, arm in arms.items():
            sums = arm.sums(run, day, is_proportion=self.of.is_proportion)
            n = sums.callers
            calls = Sums(n, sums.calls, sums.d, n, sums.dd, n, sums.d)
            found[name] = ArmAggregates({"booked": sums}, calls, since=START, reported=n)
        return PeriodAggregates(1, self.design.weights, START + timedelta(days=day + 1), found)


def week_of(day: int) -> int | None:
    """Return the number of the look that the end of a day is, days counted from 0; None on other days."""
    week, rest = divmod(day + 1, 7)
    return None if rest else week


@dataclass(frozen=True)
class Screen:
    """Where a difference can be beyond a boundary.

    :param compared: runs by days: whether any two arms are compared.
    :param weekly: runs by days: whether a weekly look can exclude 0.
    :param daily: runs by days: whether an always-valid interval can.
    """

    compared: Any
    weekly: Any
    daily: Any

    @property
    def any(self) -> Any:
        """Where either can."""
        return self.weekly | self.daily

    @property
    def looks(self) -> Any:
        """Where either can at the end of a week."""
        return self.any & [week_of(day) is not None for day in range(self.any.shape[1])]


@np.errstate(all="ignore")
def screen(setting: Setting, arms: Mapping[str, Arm]) -> Screen:
    """Return on which days of which runs an interval can exclude 0."""
    of, metric = setting.design, setting.design.metrics[0]
    weekly, always = estimates.split_error(error_share(of), metric)
    shape = next(iter(arms.values())).totals.shape[1:]
    found = [np.zeros(shape, bool) for _ in range(3)]
    ends = [day for day in range(setting.days) if (week_of(day) or setting.days) <= of.decision.maximum_weeks]
    quantile = -NORMAL.inv_cdf(weekly / 2)
    for pair in of.pairs:
        x, y = (arms[arm] for arm in pair)
        z = _standardized(x, y, is_proportion=setting.of.is_proportion)
        enough = _is_enough(x, y, is_proportion=setting.of.is_proportion)
        callers = x.callers + y.callers
        factors = np.array(
            [estimates.always_valid_factor(each, always, of.decision.expected_callers) for each in callers.tolist()]
        )
        bound = np.full(setting.days, np.inf)
        bound[ends] = [quantile / sqrt((day + 1) / 7 / of.decision.maximum_weeks) for day in ends]
        found[0] |= enough
        found[1] |= enough & (z >= bound * (1 - 1e-9))
        found[2] |= enough & (z >= factors * (1 - 1e-9))
    return Screen(*found)


def _standardized(x: Arm, y: Arm, *, is_proportion: bool) -> Any:
    """Return the absolute difference over Welch's standard error, the least that intervals are made of."""
    means, spread = [], 0.0
    for arm in (x, y):
        s, d, ss, dd, sd = arm.totals
        mean, n = s / d, arm.callers
        squares = np.maximum(ss - 2 * mean * sd + mean * mean * dd, 0)
        variance = n / (n - 1) * squares / (d * d)
        if is_proportion:
            rate = (s + 1) / (d + 2)
            variance = np.where(squares > 1e-9 * ss, variance, np.minimum(rate * (1 - rate) / n, variance + 1))
        means.append(mean)
        spread = spread + variance
    return np.abs(means[0] - means[1]) / np.sqrt(spread)


def _is_enough(x: Arm, y: Arm, *, is_proportion: bool) -> Any:
    """Return where there are callers and events enough to compare two arms."""
    enough = np.minimum(x.callers, y.callers) >= estimates.FEWEST_CALLERS
    if not is_proportion:
        return np.broadcast_to(enough, x.totals.shape[1:])
    rate = (x.totals[0] + y.totals[0]) / (x.totals[1] + y.totals[1])
    least = np.minimum(x.totals[1], y.totals[1]) * np.minimum(rate, 1 - rate)
    return enough & (least >= estimates.FEWEST_EVENTS)


@dataclass(frozen=True)
class Found:
    """The first day on which something is found, from 0; None where nothing is.

    :param state: of the verdict on that day.
    :param compared: whether an interval was given on any day that was asked for.
    """

    day: int | None = None
    state: str = "cannot tell yet"
    arms: tuple[str, ...] = ()
    compared: bool = False


def follow(
    setting: Setting, arms: Mapping[str, Arm], run: int, days: Sequence[int], *, everything: bool = False
) -> Found:
    """Return the first of ``days`` whose interval excludes 0, or whose verdict is one.

    :param days: those on which anything can be found, as :func:`screen` gives them; each day, with ``everything``.
    """
    if not days:
        return Found()
    of, looks, compared = setting.design, list[WeeklyLook](), False
    ends = [7 * week - 1 for week in range(1, of.decision.maximum_weeks + 1) if 7 * week - 1 <= days[-1]]
    for day in sorted({*ends, *days}):
        history = PastLooks(looks, None, week_of(day))
        found = results_of(of, setting.period(arms, run, day), histories={1: history})
        compared |= any(each.interval for each in found.metrics[0].comparisons)
        state, about = "cannot tell yet", tuple[str, ...]()
        if history.week:
            made = look_at(found, of, history, everything=everything)
            state, about = made.verdict.state, made.verdict.arms
            looks.append(made)
        if state in FINAL or any(excludes_zero(each.interval) for each in found.metrics[0].comparisons):
            return Found(day, state, about, compared)
    return Found(compared=compared)


def find(setting: Setting, arms: Mapping[str, Arm], days: Any) -> list[Found]:
    """Return what each run finds, on the days that ``days`` names: a part of a :class:`Screen`."""
    return [follow(setting, arms, run, np.flatnonzero(each).tolist()) for run, each in enumerate(days)]


def look_at(found: Results, of: Experiment, history: PastLooks, *, everything: bool = False) -> WeeklyLook:
    """Return a look with its verdict, which is asked for where a state may give one."""
    # Without a pace, no time is told until something is found: it would be integrated at each look.
    found = replace(found, week=history.week, rules="d", new_callers_a_week=None)
    verdict = Verdict("cannot tell yet")
    if everything or any(each.state in FINAL for each in found.metrics[0].comparisons):
        verdict = decide_verdict(found, of, history)
    return WeeklyLook(history.week or 0, replace(found, verdict=verdict).as_data())


def excludes_zero(interval: tuple[float, float] | None) -> bool:
    """Return whether an interval has no 0."""
    return interval is not None and not interval[0] <= 0 <= interval[1]
