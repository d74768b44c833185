"""What to do, decided from results: a state and findings as plain values, whose words are in ``wording``.

A verdict is about whole weeks, because Monday's callers are not Saturday's. It claims no more than the always-valid
intervals do, and gives their end nearest to zero, never the estimate.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from math import ceil, erf, inf, isfinite, sqrt

from flask_pickup.catalog.definition import CONTROL, Experiment
from flask_pickup.results import estimates
from flask_pickup.results.model import Bet, Comparison, Finding, Metric, Results, Verdict
from flask_pickup.results.statistics import error_share, gain

WEEK = timedelta(weeks=1)
POWERS = (0.8, 0.95, 0.99)
"""The chance that the named weeks suffice; the later ones apply where an earlier one has passed without a result."""
_ONE_IN_TWENTY = 1.645
"""The standard normal's 95th percentile."""


def last_whole_week(since: datetime, now: datetime) -> datetime:
    """Return the end of the last whole week after ``since``; ``since`` itself in the first."""
    return since + (now - since) // WEEK * WEEK


def decide_verdict(results: Results, design: Experiment) -> Verdict:
    """Return the verdict on results up to the end of a whole week."""
    return replace(_verdict(results, design), until=results.until)


def _verdict(results: Results, design: Experiment) -> Verdict:
    metric = results.metric(design.primary)
    if not results.sample_ratio.ok:
        return _broken(results, "split")
    if metric and any(each.state == "suppressed" for each in metric.comparisons):
        return _broken(results, "missing")
    if metric is None:
        return Verdict("cannot tell yet", (), (Finding("no-primary"),))
    if results.since is None:
        return Verdict("cannot tell yet", (), (Finding("no-caller"),))
    if results.until - results.since < timedelta(days=design.decision.minimum_days):
        return Verdict("cannot tell yet", (), (Finding("minimum-days", {"days": design.decision.minimum_days}),))
    return _Deciding(results, design, metric).verdict()


def _broken(results: Results, code: str) -> Verdict:
    return Verdict("broken", (), tuple(finding for finding in results.warnings if finding.code == code))


@dataclass(frozen=True)
class _Judged:
    """An arm compared with control.

    :param harmed: a finding for each guardrail that it harms.
    :param unknown: a finding for each guardrail that it may harm.
    """

    comparison: Comparison
    harmed: tuple[Finding, ...]
    unknown: tuple[Finding, ...]

    @property
    def arm(self) -> str:
        return self.comparison.arm

    @property
    def state(self) -> str:
        """Return the primary metric's state; an arm that harms a guardrail is worse whatever that is."""
        return "worse" if self.harmed else self.comparison.state


class _Deciding:
    def __init__(self, results: Results, design: Experiment, metric: Metric) -> None:
        self.results = results
        self.design = design
        self.metric = metric
        self.designs = {each.name: each for each in design.metrics}
        self.primary = self.designs[design.primary]

    def verdict(self) -> Verdict:
        judged = [self._judge(each) for each in self.metric.comparisons if each.against == CONTROL]
        winners, losers, draws = (
            [each for each in judged if each.state == state] for state in ("better", "worse", "no difference")
        )
        undecided = [each for each in judged if each not in (*winners, *losers, *draws)]
        if winners:
            return self._better(winners, losers)
        if losers:
            return self._worse(losers, draws, undecided)
        if draws and not undecided:
            return self._no_difference(draws)
        return self._cannot_tell(undecided)

    def _judge(self, comparison: Comparison) -> _Judged:
        harmed, unknown = [], []
        for metric in self.results.metrics:
            margin = self.designs[metric.metric].margin
            for each in metric.comparisons if metric.guardrail else ():
                if (each.arm, each.against) != (comparison.arm, CONTROL):
                    continue
                values = {"arm": each.arm, "metric": metric.metric, "unit": metric.unit, "margin": margin}
                if each.state == "harmed":
                    harmed.append(Finding("harmed", {**values, "at_least": [_nearest_end(each)]}))
                elif each.state == "unknown":
                    unknown.append(Finding("guardrail-unknown", values))
        return _Judged(comparison, tuple(harmed), tuple(unknown))

    def _about(self, code: str, judged: Sequence[_Judged]) -> Finding:
        ends = [_nearest_end(each.comparison) for each in judged]
        values = {"arms": _names(judged), "metric": self.metric.metric, "unit": self.metric.unit, "at_least": ends}
        return Finding(code, values)

    def _smallest(self, code: str, **values: object) -> Finding:
        return Finding(code, {"smallest": self.primary.smallest, "unit": self.metric.unit, **values})

    def _better(self, winners: Sequence[_Judged], losers: Sequence[_Judged]) -> Verdict:
        best = self._best(winners) if self.design.decision.arm_to_arm else None
        safe = [
            each
            for each in winners
            if not each.unknown and (not self.design.decision.arm_to_arm or len(winners) == 1 or each.arm == best)
        ]
        findings = [self._about("better", winners)]
        tops = (abs(end) for each in winners for end in each.comparison.always_valid_interval or (inf,))
        if self.primary.smallest is not None and max(tops) < self.primary.smallest:
            findings.append(self._smallest("below-smallest"))
        if len(winners) > 1 and not self.design.decision.arm_to_arm:
            findings.append(Finding("not-compared"))
        elif len(winners) > 1:
            findings.append(Finding("best", {"arm": best}) if best else Finding("best-unknown"))
        findings += [finding for each in winners for finding in each.unknown]
        findings += self._losses(losers)
        if safe:
            findings.append(Finding("stop", {"either": _names(safe)}))
        return Verdict("better", _names(winners), tuple(findings), stop=bool(safe))

    def _best(self, winners: Sequence[_Judged]) -> str | None:
        """Return the arm that beats all other winners; None if none does."""
        beaten: dict[str, set[str]] = {each.arm: set() for each in winners}
        for each in self.metric.comparisons:
            if each.arm in beaten and each.against in beaten and each.state in {"better", "worse"}:
                better, worse = (each.arm, each.against) if each.state == "better" else (each.against, each.arm)
                beaten[better].add(worse)
        return next((arm for arm, others in beaten.items() if len(others) == len(winners) - 1), None)

    def _worse(self, losers: Sequence[_Judged], draws: Sequence[_Judged], undecided: Sequence[_Judged]) -> Verdict:
        findings = list(self._losses(losers))
        if draws:
            findings.append(self._same(draws))
        if undecided:
            findings.append(Finding("open", {"arms": _names(undecided)}))
        return Verdict("worse", _names(losers), tuple(findings), stop=not (draws or undecided))

    def _losses(self, losers: Sequence[_Judged]) -> Iterator[Finding]:
        for each in losers:
            if each.comparison.state == "worse":
                yield self._about("worse", [each])
            yield from each.harmed

    def _no_difference(self, draws: Sequence[_Judged]) -> Verdict:
        unknown = [finding for each in draws for finding in each.unknown]
        advice = Finding("keep-control" if unknown else "keep-either")
        return Verdict("no difference", _names(draws), (self._same(draws), *unknown, advice), stop=not unknown)

    def _same(self, draws: Sequence[_Judged]) -> Finding:
        return self._smallest("same", arms=_names(draws), metric=self.metric.metric)

    def _cannot_tell(self, judged: Sequence[_Judged]) -> Verdict:
        takes = self._takes(judged)
        late = any(each.code in {"no-new-callers", "maximum-days"} for each in takes)
        question = {"either": _names(judged), "metric": self.metric.metric}
        return Verdict(
            "cannot tell at your number of calls" if late else "cannot tell yet",
            _names(judged),
            (Finding("too-few-calls" if late else "too-early", question), *takes),
            bet=self._bet(judged),
        )

    def _takes(self, judged: Sequence[_Judged]) -> list[Finding]:
        """Return how long it takes to find a difference of ``smallest``."""
        smallest, pace = self.primary.smallest, self.results.new_callers_a_week
        if smallest is None:
            return [Finding("no-smallest")]
        left = [weeks for each in judged if (weeks := self._weeks_left(each, smallest)) is not None]
        if not left:
            return [Finding("weeks-unknown")]
        weeks = max(left)
        if not isfinite(weeks):
            return [self._smallest("no-new-callers")]
        assert self.results.since is not None
        takes = self._smallest("weeks", weeks=weeks, pace=pace)
        days = 7 * self.design.decision.maximum_weeks
        if (self.results.until - self.results.since) / WEEK + weeks <= timedelta(days=days) / WEEK:
            return [takes]
        return [takes, Finding("maximum-days", {"days": days})]

    def _weeks_left(self, judged: _Judged, smallest: float) -> float | None:
        """Return the weeks until a difference of ``smallest``, or its absence, would probably be found.

        They follow from ``smallest``: weeks from the estimate would be too few wherever it is too large by chance.
        """
        arms, weights = [self.metric.arm(name) for name in (judged.arm, CONTROL)], self.design.weights
        error, pace = judged.comparison.standard_error, self.results.new_callers_a_week
        if error is None or pace is None:
            return None
        both = weights[judged.arm] + weights[CONTROL]
        means = [arm.mean for arm in arms if arm.mean is not None]
        rate = sum(means) / len(means) if self.metric.is_proportion and means else None
        least = estimates.least_callers(rate, min(weights[judged.arm], weights[CONTROL]) / both)
        if not isfinite(least):
            return None
        callers = sum(arm.callers or 0 for arm in arms)
        needed = max(self._needed(error**2 * callers, smallest, callers), least)
        return max(1, ceil((needed - callers) / (pace * both / sum(weights.values())))) if pace else inf

    def _needed(self, spread: float, smallest: float, callers: int) -> float:
        """Return the callers of both arms at whom ``smallest`` is probably found; more than there are already."""
        alpha, expected = error_share(self.design), self.design.decision.expected_callers
        for power in POWERS:
            needed = estimates.callers_needed(spread, smallest, alpha, expected, power=power)
            if needed > callers:
                return needed
        # An interval that is no wider than smallest excludes zero, or lies within ± smallest.
        return estimates.callers_needed(spread, smallest / 2, alpha, expected, power=0.5)

    def _bet(self, judged: Sequence[_Judged]) -> Bet | None:
        """Return what the data lean to: the arm with the longest odds for or against it."""
        smallest = self.primary.smallest
        if smallest is None:
            return None
        prior = smallest / _ONE_IN_TWENTY
        chances = [(found, each.arm) for each in judged if (found := self._chance(each.comparison, prior)) is not None]
        if not chances:
            return None
        chance, arm = max(chances, key=lambda each: abs(each[0] - 1 / 2))
        favourite, other = (arm, CONTROL) if chance >= 1 / 2 else (CONTROL, arm)
        odds = max(chance, 1 - chance) / max(min(chance, 1 - chance), 1e-9)
        return Bet(favourite, other, odds, prior, smallest, self.metric.unit)

    def _chance(self, comparison: Comparison, prior: float) -> float | None:
        """Return the posterior probability that the arm is better, under a normal prior about 0."""
        if comparison.always_valid_interval is None or not comparison.standard_error:
            return None
        low, high = gain(comparison.always_valid_interval, self.primary)
        error = comparison.standard_error
        z = (low + high) / 2 * prior / (error * sqrt(prior**2 + error**2))
        return (1 + erf(z / sqrt(2))) / 2


def _names(judged: Sequence[_Judged]) -> tuple[str, ...]:
    return tuple(each.arm for each in judged)


def _nearest_end(comparison: Comparison) -> float:
    """Return the end of the always-valid interval that is nearest to zero."""
    assert comparison.always_valid_interval is not None
    return min(comparison.always_valid_interval, key=abs)
