"""What is lost on a line, made up by the thousand: on which day the results say that they are not reliable.

As in ``simulated``, NumPy adds up all runs by day, and the results are asked on the days on which a check can alarm: where the
p-value of a split is near its limit, or a share of calls differs by about the standard errors of its always-valid interval.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import timedelta
from functools import cached_property
from typing import Any

import numpy as np
from scipy.special import gammaln

from arms import START, design
from flask_pickup.catalog.definition import CONTROL, MetricDefinition
from flask_pickup.results import estimates
from flask_pickup.results.aggregates import ArmAggregates, PeriodAggregates, Sums
from flask_pickup.results.looks import PastLooks
from flask_pickup.results.soundness import SPLIT
from flask_pickup.results.statistics import results_of
from simulated import WEIGHTS

METRICS = (
    MetricDefinition("booked", "analysis.booked"),
    MetricDefinition("early", "early_hang_up", goal="decrease", guardrail=True, margin=0.05),
    MetricDefinition("seconds", "duration_seconds", per="call"),
)
LOST = {"reports": 0.03, "analyses": 0.05, "hang_ups": 0.02}
"""The share of callers of whom all of it is lost, in both arms: a regular's calls are lost together."""
_ERROR = 0.001
"""That of the comparison of one share."""
_NEAR = 0.98


@dataclass(frozen=True)
class Line:
    """A line on which something is lost.

    :param callers: those who are assigned a day.
    :param regulars: whether one caller in ten calls a dozen times, on one day.
    :param loses: what warm loses besides: ``callers``, ``reports`` or ``analyses``; empty on a sound line.
    :param share: how much of it.
    """

    weights: str = "1:1"
    callers: int = 30
    days: int = 180
    regulars: bool = True
    loses: str = ""
    share: float = 0.2

    @cached_property
    def of(self) -> Any:
        """The experiment."""
        return design(*METRICS, weights=WEIGHTS[self.weights])

    def simulate(self, random: Any, runs: int) -> dict[str, dict[str, Any]]:
        """Return of each arm what there is by run and day: counts, and Σs, Σd, Σs², Σd², Σsd of each share."""
        shape = (runs, self.days, self.callers)
        weights = self.of.weights
        arm = random.random(shape, np.float32) < weights["warm"] / sum(weights.values())
        calls = np.ones(shape, np.float32)
        if self.regulars:
            often = random.random(shape, np.float32) < 0.1
            calls[often] += random.poisson(12, int(often.sum()))
        loses = {of: arm & self._of(random, shape, self.share * (of == self.loses)) for of in ("callers", *LOST)}
        lost = {of: loses[of] | self._of(random, shape, share) for of, share in LOST.items()}
        reported = calls * ~lost["reports"]
        pairs = {
            "reports": (calls * lost["reports"], calls),
            **{of: (reported * lost[of], reported) for of in ("analyses", "hang_ups")},
        }
        return {
            name: {
                "callers": _daily(mine),
                "reported": _daily(mine & ~lost["reports"]),
                **{of: _totals(s * mine, d * mine) for of, (s, d) in pairs.items()},
            }
            for name, mine in ((CONTROL, ~arm), ("warm", arm & ~loses["callers"]))
        }

    @staticmethod
    def _of(random: Any, shape: tuple[int, ...], share: float) -> Any:
        return random.random(shape, np.float32) < share if share else np.zeros(shape, bool)

    def period(self, arms: Mapping[str, Mapping[str, Any]], run: int, day: int) -> PeriodAggregates:
        """Return a run's aggregates at the end of a day."""
        found = {}
        for name, arm in arms.items():
            callers = int(arm["callers"][run, day])
            lost = {of: Sums(callers, 0, *arm[of][:, run, day].tolist()) for of in LOST}
            d, dd = lost["reports"].d, lost["reports"].dd
            known: dict[str, Any] = {**lost, "since": START, "reported": int(arm["reported"][run, day])}
            found[name] = ArmAggregates({}, Sums(callers, int(d), d, callers, dd, callers, d), **known)
        return PeriodAggregates(1, self.of.weights, START + timedelta(days=day + 1), found)

    def alarms(self, random: Any, runs: int) -> Iterator[tuple[int, str] | None]:
        """Yield each run's first day with an alarm, from 0, and what it is about; None without one."""
        arms = self.simulate(random, runs)
        near = self.near(arms)
        for run in range(runs):
            found = ((day, self.alarm(arms, run, day)) for day in np.flatnonzero(near[run]).tolist())
            yield next(((day, about) for day, about in found if about), None)

    def alarm(self, arms: Mapping[str, Mapping[str, Any]], run: int, day: int) -> str:
        """Return what makes a run's results unreliable on a day; empty where nothing does."""
        found = results_of(self.of, self.period(arms, run, day), histories={1: PastLooks()})
        if not found.sample_ratio.ok:
            return "split"
        suppressed = any(each.state == "suppressed" for metric in found.metrics for each in metric.comparisons)
        return next(iter(next(each.values for each in found.warnings if each.code == "missing"))) if suppressed else ""

    @np.errstate(all="ignore")
    def near(self, arms: Mapping[str, Mapping[str, Any]]) -> Any:
        """Return runs by days: whether any check can alarm."""
        shares = [weight / sum(self.of.weights.values()) for weight in self.of.weights.values()]
        found: Any = False
        for of in ("callers", "reported"):
            counts = [arms[name][of] for name in self.of.weights]
            log_p = gammaln(estimates.PRIOR_COUNTS + sum(counts)) - gammaln(estimates.PRIOR_COUNTS)
            for count, share in zip(counts, shares, strict=True):
                prior = estimates.PRIOR_COUNTS * share
                log_p += count * np.log(share) + gammaln(prior) - gammaln(prior + count)
            found |= log_p < np.log(SPLIT / _NEAR)
        x, y = arms["warm"], arms[CONTROL]
        callers = x["callers"] + y["callers"]
        sizes = np.arange(callers.max() + 1)
        expected = self.of.decision.expected_callers
        factors = np.array([estimates.always_valid_factor(size, _ERROR, expected) for size in sizes.tolist()])
        for of in LOST:
            means, spreads = zip(*(_mean(arm[of], arm["callers"]) for arm in (x, y)), strict=True)
            found |= np.abs(means[0] - means[1]) > _NEAR * factors[callers] * np.sqrt(spreads[0] + spreads[1])
        return found


def _daily(each: Any) -> Any:
    return each.sum(axis=2).cumsum(axis=1)


def _totals(s: Any, d: Any) -> Any:
    return np.stack([each.sum(axis=2) for each in (s, d, s * s, d * d, s * d)]).astype(float).cumsum(axis=2)


def _mean(totals: Any, callers: Any) -> tuple[Any, Any]:
    s, d, ss, dd, sd = totals
    mean = s / d
    return mean, callers / (callers - 1) * (ss - 2 * mean * sd + mean * mean * dd) / (d * d)
