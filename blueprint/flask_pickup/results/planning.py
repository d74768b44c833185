"""What an experiment can find, and when, before the first call.

The chances are those of the looks that results make. The fixed-horizon interval, for a single look, is there for
comparison.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from math import ceil, inf, sqrt
from typing import Any

from flask_pickup.catalog.definition import CONTROL, Experiment, MetricDefinition, Per
from flask_pickup.results import estimates
from flask_pickup.results.amounts import Unit, unit_of
from flask_pickup.results.baselines import Baseline
from flask_pickup.results.distributions import NORMAL
from flask_pickup.results.horizon import POWER, Horizon, minimum_detectable
from flask_pickup.results.spending import BoundedLook, crossing_probabilities

TWO_YEARS = 104
"""The longest horizon, in weeks, that is proposed."""
_ALTERNATIVE = 0.8
"""A confidence that is honest for a greeting that is easily taken back."""
_ROWS = 6
_ROUNDS = 40


@dataclass(frozen=True)
class Needed:
    """What finds a difference with a chance of 80 %; None where nothing does.

    :param maximum_weeks: the shortest horizon; None too if it is over two years, or no pace is known.
    :param callers: of all arms together, by the looks of the horizon as it is written.
    :param fixed_callers: those for a single look, on a day set beforehand.
    """

    confidence: float
    maximum_weeks: int | None
    callers: int | None
    fixed_weeks: int | None
    fixed_callers: int | None


@dataclass(frozen=True)
class Week:
    """What is found by the end of a week, with the horizon as it is written.

    :param chance: that the lift was found; None without a lift, or where it is impossible.
    :param detectable: the least difference that is found with a chance of 80 %; None where none is.
    :param fixed_detectable: that of a single look.
    """

    week: int
    callers: int
    chance: float | None
    detectable: float | None
    fixed_detectable: float | None


@dataclass(frozen=True)
class GuardrailPlan:
    """When a guardrail can be called safe, if it is not harmed.

    :param week: when the chance is 80 %; None if not by the horizon, or if no pace is known.
    :param chance: that by the horizon; None if no pace is known.
    :param needed: what makes it 80 %.
    :param margin: the one that can be met by the horizon; None if no pace is known, or no comparison is made by then.
    """

    metric: str
    unit: Unit
    margin: float
    baseline: Baseline
    week: int | None
    chance: float | None
    needed: Needed
    reachable_margin: float | None


@dataclass(frozen=True)
class Plan:
    """What an experiment can find, and when.

    :param sign: of a difference for the better: 1 or -1.
    :param week: when the lift is found with a chance of 80 %; None if not by ``maximum_weeks``.
    """

    experiment: str
    metric: str
    per: Per
    sign: int
    arms: int
    confidence: float
    maximum_weeks: int
    new_callers_a_week: float | None
    baseline: Baseline
    lift: float | None
    week: int | None
    needed: tuple[Needed, ...]
    weeks: tuple[Week, ...]
    guardrails: tuple[GuardrailPlan, ...]

    @property
    def is_possible(self) -> bool:
        """Whether the rate leaves room for the lift."""
        return all(each.callers is not None for each in self.needed)

    @property
    def unit(self) -> Unit:
        """The unit of differences."""
        return unit_of(self.baseline.is_proportion, self.per)

    def as_json(self) -> dict[str, Any]:
        """Return the plan for programs."""
        return asdict(self)


def plan(  # noqa: PLR0913 (what an author may state)
    experiment: Experiment,
    metric: MetricDefinition,
    baseline: Baseline,
    *,
    lift: float | None = None,
    new_callers_a_week: float | None = None,
    guardrails: Mapping[str, Baseline] | None = None,
) -> Plan:
    """Return what can be found of ``metric``.

    :param lift: the difference to find; by default the metric's ``smallest``.
    :param new_callers_a_week: those who would be enrolled; None if it is not known.
    :param guardrails: the baselines of guardrails that have a margin.
    :raises ValueError: if nothing can be planned from such a baseline.
    """
    if baseline.is_proportion and not 0 < baseline.mean < 1:
        raise ValueError("a rate lies between 0 and 1, both excluded; a mean needs its standard deviation too")
    if not 0 < baseline.spread < inf:
        raise ValueError("values that are all the same say nothing about how they vary")
    lift, confidence, horizon = lift or metric.smallest, experiment.decision.confidence, Horizon.of(experiment, metric)
    arms = _Arms.of(experiment, metric, baseline, new_callers_a_week)
    effect = arms.effect(lift) if lift else None
    try:
        looks = arms.looks(horizon)
        chances = _chances(looks, effect) if effect else {}
        return Plan(
            experiment=experiment.name,
            metric=metric.name,
            per=metric.per,
            sign=arms.sign,
            arms=len(experiment.weights),
            confidence=confidence,
            maximum_weeks=experiment.decision.maximum_weeks,
            new_callers_a_week=new_callers_a_week,
            baseline=baseline,
            lift=lift,
            week=arms.first(chances),
            needed=tuple(
                arms.needed(Horizon.of(_at(experiment, each), metric), each, effect)
                for each in dict.fromkeys((confidence, _ALTERNATIVE))
                if lift
            ),
            weeks=tuple(arms.weeks(horizon, looks, chances if effect else None)),
            guardrails=tuple(
                _guardrail(experiment, each, known, new_callers_a_week)
                for each in experiment.metrics
                if guardrails and each.name in guardrails and each.margin
                if 0 < (known := guardrails[each.name].with_events()).spread < inf
            ),
        )
    except OverflowError as error:
        raise ValueError("the difference is too small, or the callers are too few") from error


def _guardrail(
    experiment: Experiment, metric: MetricDefinition, baseline: Baseline, pace: float | None
) -> GuardrailPlan:
    arms, horizon = _Arms.of(experiment, metric, baseline, pace), Horizon.of(experiment, metric)
    unit = sqrt(arms.spread(0))
    looks = arms.looks(horizon)
    chances = _chances(looks, metric.margin / unit)
    return GuardrailPlan(
        metric=metric.name,
        unit=unit_of(baseline.is_proportion, metric.per),
        margin=metric.margin,
        baseline=baseline,
        week=arms.first(chances),
        chance=_by(chances, horizon.weeks) if pace else None,
        needed=arms.needed(horizon, experiment.decision.confidence, metric.margin / unit),
        reachable_margin=estimates.finite(minimum_detectable(list(looks.values())) * unit),
    )


@dataclass(frozen=True)
class _Arms:
    """Control and the arm that has fewest callers. An effect is a difference over its standard error of one caller.

    :param sign: of a difference for the better.
    :param shares: the arm's and control's, of the callers of both.
    :param of_all: both arms' share of all callers.
    :param pace: new callers of both arms a week; 0 if it is not known.
    """

    baseline: Baseline
    sign: int
    shares: tuple[float, float]
    of_all: float
    pace: float
    least_weeks: int

    @classmethod
    def of(cls, experiment: Experiment, metric: MetricDefinition, baseline: Baseline, pace: float | None) -> _Arms:
        weights = experiment.weights
        arm = min((weight for name, weight in weights.items() if name != CONTROL), default=1.0)
        both = arm + weights[CONTROL]
        of_all = both / max(sum(weights.values()), both)
        return cls(
            baseline=baseline,
            sign=1 if metric.goal == "increase" else -1,
            shares=(arm / both, weights[CONTROL] / both),
            of_all=of_all,
            pace=(pace or 0) * of_all,
            least_weeks=ceil(experiment.decision.minimum_days / 7),
        )

    @property
    def least(self) -> float:
        """The callers of both arms from which they are compared."""
        return estimates.least_callers(self.baseline.mean if self.baseline.is_proportion else None, min(self.shares))

    def looks(self, horizon: Horizon, pace: float | None = None) -> dict[int, BoundedLook]:
        """Return the looks by their week, with callers as information."""
        pace = pace or self.pace
        return horizon.looks(pace=pace, spread=1, least=self.least) if pace else {}

    def first(self, chances: Mapping[int, float]) -> int | None:
        """Return the first week of a verdict by which the chance is 80 %."""
        return next((max(week, self.least_weeks) for week, chance in chances.items() if chance >= POWER), None)

    def spread(self, lift: float) -> float:
        """Return the difference's squared standard error times the callers of both arms."""
        arm, control = self.shares
        other = self.baseline.spread_at(self.baseline.mean + self.sign * lift)
        return other / arm + self.baseline.spread_at(self.baseline.mean) / control

    def effect(self, lift: float) -> float | None:
        """Return a lift's effect; None if it is impossible."""
        return lift / sqrt(self.spread(lift)) if self._is_possible(lift) else None

    def needed(self, horizon: Horizon, confidence: float, effect: float | None) -> Needed:
        """Return what finds the effect with a chance of 80 %."""
        if effect is None:
            return Needed(confidence, None, None, None, None)
        fixed = (_quantiles(horizon) / effect) ** 2
        some = max(fixed, self.least)
        ratio = minimum_detectable(list(self.looks(horizon, some / horizon.weeks).values())) / effect
        callers = max(some * ratio**2, self.least)
        return Needed(
            confidence,
            maximum_weeks=self._shortest(horizon, effect, callers) if self.pace else None,
            callers=ceil(callers / self.of_all - 1e-9),
            fixed_weeks=self._weeks(fixed) if self.pace else None,
            fixed_callers=ceil(fixed / self.of_all - 1e-9),
        )

    def weeks(
        self, horizon: Horizon, looks: Mapping[int, BoundedLook], chances: Mapping[int, float] | None
    ) -> list[Week]:
        """Return what is found by the end of some weeks."""
        step, last = ceil(horizon.weeks / _ROWS), horizon.weeks
        found = []
        for week in [*range(step, last, step), last] if self.pace else ():
            made = [look for number, look in looks.items() if number <= week]
            found.append(
                Week(
                    week=week,
                    callers=round(self.pace / self.of_all * week),
                    chance=None if chances is None else _by(chances, week),
                    detectable=self._lift_of(minimum_detectable(made)),
                    fixed_detectable=self._lift_of(_quantiles(horizon) / sqrt(self.pace * week)),
                )
            )
        return found

    def _shortest(self, horizon: Horizon, effect: float, callers: float) -> int | None:
        """Return the shortest horizon; it is about that of ``callers``."""

        def finds(weeks: int) -> bool:
            looks = list(self.looks(replace(horizon, weeks=weeks)).values())
            return bool(looks) and crossing_probabilities(looks, effect)[-1] >= POWER

        weeks = self._weeks(callers)
        while weeks <= TWO_YEARS and not finds(weeks):
            weeks += 1
        while self.least_weeks < weeks <= TWO_YEARS and finds(weeks - 1):
            weeks -= 1
        return weeks if weeks <= TWO_YEARS else None

    def _weeks(self, callers: float) -> int:
        return max(ceil(callers / self.pace - 1e-9), self.least_weeks)

    def _is_possible(self, lift: float) -> bool:
        return not self.baseline.is_proportion or 0 <= self.baseline.mean + self.sign * lift <= 1

    def _lift_of(self, effect: float) -> float | None:
        lift = effect * sqrt(self.spread(0))
        for _ in range(_ROUNDS):
            if not self._is_possible(lift):
                return None
            lift = effect * sqrt(self.spread(lift))
        return estimates.finite(lift)


def _quantiles(horizon: Horizon) -> float:
    """Return the standard errors that a difference must have for a single look to find it."""
    return NORMAL.inv_cdf(1 - horizon.error / 2) + NORMAL.inv_cdf(POWER)


def _at(experiment: Experiment, confidence: float) -> Experiment:
    return replace(experiment, decision=replace(experiment.decision, confidence=confidence))


def _chances(looks: Mapping[int, BoundedLook], effect: float) -> Mapping[int, float]:
    """Return by week the chance that the effect was found."""
    return dict(zip(looks, crossing_probabilities(list(looks.values()), effect), strict=True))


def _by(chances: Mapping[int, float], week: int) -> float:
    return max((chance for number, chance in chances.items() if number <= week), default=0.0)
