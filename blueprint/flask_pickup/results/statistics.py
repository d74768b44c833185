"""From one period's sums to its results: estimates, intervals and states."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from math import isfinite, sqrt

from flask_pickup.catalog.definition import Experiment, MetricDefinition
from flask_pickup.results import estimates
from flask_pickup.results.aggregates import PeriodAggregates, Sums
from flask_pickup.results.distributions import NORMAL
from flask_pickup.results.horizon import POWER
from flask_pickup.results.looks import WITHOUT_LOOKS, PastLooks
from flask_pickup.results.model import (
    ArmCounts,
    ArmMean,
    Comparison,
    ComparisonState,
    Finding,
    Interval,
    Metric,
    PeriodResults,
    Results,
)
from flask_pickup.results.sequential import Comparing, error_share
from flask_pickup.results.soundness import lost, sample_ratio, share_delivered, unsound

_QUANTILE = NORMAL.inv_cdf(POWER)


def results_of(
    design: Experiment,
    period: PeriodAggregates,
    earlier: Sequence[PeriodAggregates] = (),
    histories: Mapping[int, PastLooks] | None = None,
) -> Results:
    """Return what the rows of a period say, without a verdict.

    :param earlier: the periods before it, each computed on its own.
    :param histories: the number of a period to its weekly looks; None for results without looks, whose intervals have
        the whole error.
    """
    found, warnings = _period(design, period, histories)
    return Results(
        experiment=design.name,
        status=design.status,
        **vars(found),
        new_callers_a_week=period.new_callers_a_week,
        warnings=warnings,
        earlier_periods=tuple(_period(design, each, histories)[0] for each in earlier),
    )


def _period(
    design: Experiment, period: PeriodAggregates, histories: Mapping[int, PastLooks] | None
) -> tuple[PeriodResults, tuple[Finding, ...]]:
    """Return a period's results and warnings, with the arms and weights that it had."""
    design = replace(design, weights=period.weights)
    history = WITHOUT_LOOKS if histories is None else histories.get(period.number, PastLooks())
    ratio, missing = sample_ratio(period, history), list(lost(design, period))
    metrics = []
    for metric in design.metrics:
        is_suppressed = not ratio.ok or any(each.suppresses(metric) for each in missing)
        metrics.append(_metric(metric, design, period, history, suppressed=is_suppressed))
    warnings = (*unsound(design, period, ratio, history, missing), *_changed(metrics))
    since, until = period.since, period.until
    return PeriodResults(period.number, since, until, _arm_counts(period), ratio, tuple(metrics)), warnings


def _changed(metrics: Iterable[Metric]) -> Iterator[Finding]:
    for metric in metrics:
        arms = [each.arm for each in metric.comparisons if each.has_changed and each.state != "suppressed"]
        if arms:
            yield Finding("effect-changed", {"metric": metric.metric, "arms": arms})


def _arm_counts(period: PeriodAggregates) -> tuple[ArmCounts, ...]:
    return tuple(
        ArmCounts(
            arm=name,
            weight=period.weights[name],
            callers=arm.callers,
            calls=arm.calls,
            delivered=share_delivered(arm.delivery.values()),
            unidentified=arm.unidentified,
            pinned=arm.pinned,
            without_report=arm.reports.s / arm.reports.d if arm.reports.d else None,
            unassigned=arm.unassigned,
            reported=arm.reported,
        )
        for name, arm in period.arms.items()
    )


def _metric(
    metric: MetricDefinition,
    design: Experiment,
    period: PeriodAggregates,
    history: PastLooks,
    *,
    suppressed: bool,
) -> Metric:
    sums = {name: arm.of(metric.name) for name, arm in period.arms.items()}
    counted = [each for each in sums.values() if each.callers]
    comparisons = [_compare(metric, design, sums, pair, history) for pair in design.pairs]
    if suppressed:
        comparisons = [replace(each, state="suppressed", spending=None) for each in comparisons]
    return Metric(
        metric=metric.name,
        outcome=metric.outcome,
        goal=metric.goal,
        guardrail=metric.guardrail,
        per=metric.per,
        is_proportion=bool(counted) and all(each.is_proportion for each in counted),
        arms=tuple(_mean(arm, each) for arm, each in sums.items()),
        comparisons=tuple(comparisons),
    )


def _compare(
    metric: MetricDefinition,
    design: Experiment,
    sums: Mapping[str, Sums],
    pair: tuple[str, str],
    history: PastLooks,
) -> Comparison:
    """Return the comparison of two arms."""
    x, y = (sums[arm] for arm in pair)
    comparing = Comparing(design, metric, x, y, equal=design.weights[pair[0]] == design.weights[pair[1]])
    earlier = history.of(metric.name, *pair)
    step = comparing.step(earlier, history.week) if history.is_joint else comparing.alone()
    base, difference, error = estimates.ratio(y), comparing.difference, estimates.difference_error(x, y)
    return Comparison(
        *pair,
        difference=estimates.finite(difference),
        standard_error=estimates.finite(error),
        interval=step.interval,
        own_interval=step.own,
        fixed_interval=_around(difference, estimates.welch_half_width(x, y, error_share(design))),
        relative=estimates.finite(difference / base) if base > 0 else None,
        relative_interval=step.relative,
        detectable=None
        if metric.guardrail
        else estimates.finite((comparing.reach(earlier, step, history.weeks) + _QUANTILE) * comparing.error),
        state=state_of(step.interval, metric, design),
        has_changed=step.has_changed,
        basis=comparing.basis,
        spending=step.spending,
    )


def state_of(interval: Interval | None, metric: MetricDefinition, design: Experiment) -> ComparisonState:
    """Return what an interval says of an arm; without one there were too few."""
    if not metric.guardrail and metric.name != design.primary:
        return "exploratory"
    if interval is None:
        return "unknown" if metric.guardrail else "too few"
    low, high = interval if metric.goal == "increase" else (-interval[1], -interval[0])
    if metric.guardrail:
        return "safe" if low > -metric.margin else "harmed" if high < -metric.margin else "unknown"
    if low > 0:
        return "better below smallest" if metric.smallest is not None and high < metric.smallest else "better"
    if high < 0:
        return "worse"
    is_small = metric.smallest is not None and max(-low, high) <= metric.smallest
    return "no difference" if is_small else "undecided"


def _mean(arm: str, sums: Sums) -> ArmMean:
    return ArmMean(
        arm=arm,
        callers=sums.callers,
        calls=sums.calls,
        missing=sums.missing,
        mean=estimates.finite(estimates.ratio(sums)),
        standard_error=estimates.finite(sqrt(estimates.variance(sums))),
    )


def _around(middle: float, half_width: float) -> Interval | None:
    low, high = middle - half_width, middle + half_width
    return (low, high) if isfinite(low) and isfinite(high) else None
