"""From one period's sums to its results: estimates, intervals, states, and what is wrong with the split."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import replace
from math import isfinite, sqrt
from typing import Literal

from flask_pickup.catalog.definition import CONTROL, Experiment, MetricDefinition
from flask_pickup.outcome_names import is_reported
from flask_pickup.results import estimates
from flask_pickup.results.aggregates import EMPTY, PeriodAggregates, Sums
from flask_pickup.results.estimates import ALARM, FEWEST_CALLERS, FEWEST_EVENTS
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
    SampleRatio,
)

_MOVED = 0.005
"""The error of the always-valid comparison of calls per caller: over all looks together."""

_MISSING = "missing "
_REPORTS = "reports"

_Share = tuple[Sequence[int], Sequence[int]]
"""Callers of each arm who are counted, and of how many."""


def results_of(design: Experiment, period: PeriodAggregates, earlier: Sequence[PeriodAggregates] = ()) -> Results:
    """Return what the rows of a period say, without a verdict.

    :param earlier: the periods before it, each computed on its own.
    """
    design = replace(design, weights=period.weights)
    found, uneven = _period(design, period)
    return Results(
        experiment=design.name,
        status=design.status,
        **vars(found),
        new_callers_a_week=period.new_callers_a_week,
        warnings=tuple(_findings(design, period, found, uneven)),
        earlier_periods=tuple(_period(design, each)[0] for each in earlier),
    )


def sample_ratio(arms: Sequence[ArmCounts]) -> SampleRatio:
    """Test the split of the callers, and again of those with a report; the smaller p-value counts."""
    weights = [arm.weight for arm in arms]
    values = [
        estimates.split_p_value(counts, weights)
        for counts in ([arm.callers for arm in arms], [arm.reported for arm in arms])
    ]
    p_value = min((value for value in values if isfinite(value)), default=None)
    return SampleRatio(p_value, ok=p_value is None or p_value >= ALARM)


def compare(
    metric: MetricDefinition, design: Experiment, sums: Mapping[str, Sums], arm: str, against: str
) -> Comparison:
    """Compare one arm with another in one metric."""
    x, y, alpha = sums[arm], sums[against], error_share(design)
    base, error = estimates.ratio(y), estimates.difference_error(x, y)
    difference = estimates.ratio(x) - base
    equal = design.weights[arm] == design.weights[against]
    reach = estimates.always_valid_half_width(x, y, alpha, design.decision.expected_callers, equal=equal)
    valid = _around(difference, reach)
    return Comparison(
        arm=arm,
        against=against,
        difference=_finite(difference),
        standard_error=_finite(error),
        interval=_around(difference, estimates.welch_half_width(x, y, alpha)),
        always_valid_interval=valid,
        relative=_finite(difference / base) if base > 0 else None,
        relative_interval=_ends(*estimates.relative_interval(x, y, reach / error)) if valid else None,
        state=state_of(valid, metric),
    )


def error_share(design: Experiment) -> float:
    """Return the error that each comparison may make, so that all of them together keep to ``confidence``."""
    return (1 - design.decision.confidence) / max(len(design.pairs), 1)


def state_of(interval: Interval | None, metric: MetricDefinition) -> ComparisonState:
    """Return what an always-valid interval says of an arm; without one there were too few."""
    if metric.guardrail:
        return _guardrail_state(interval, metric)
    if interval is None:
        return "too few"
    low, high = gain(interval, metric)
    if low > 0:
        return "better"
    if high < 0:
        return "worse"
    if metric.smallest is not None and max(-low, high) <= metric.smallest:
        return "no difference"
    return "undecided"


def gain(interval: Interval, metric: MetricDefinition) -> Interval:
    """Return the interval with its sign such that more is better."""
    low, high = interval
    return (low, high) if metric.goal == "increase" else (-high, -low)


def _guardrail_state(interval: Interval | None, metric: MetricDefinition) -> ComparisonState:
    if interval is None:
        return "unknown"
    low, high = gain(interval, metric)
    if low > -metric.margin:
        return "safe"
    return "harmed" if high < -metric.margin else "unknown"


def _period(design: Experiment, period: PeriodAggregates) -> tuple[PeriodResults, set[str]]:
    """Return a period's results with the arms and weights that it had, and what is uneven between them."""
    ratio, uneven = sample_ratio(period.arm_counts), _uneven(design, period)
    design, metrics = replace(design, weights=period.weights), []
    for metric in design.metrics:
        from_reports = _REPORTS in uneven and is_reported(metric.outcome)
        suppressed = not ratio.ok or from_reports or _MISSING + metric.name in uneven
        sums = {arm: period.sums(metric.name).get(arm, EMPTY) for arm in design.weights}
        metrics.append(_metric(metric, design, sums, suppressed=suppressed))
    found = PeriodResults(period.number, period.since, period.until, period.arm_counts, ratio, tuple(metrics))
    return found, uneven


def _metric(metric: MetricDefinition, design: Experiment, sums: Mapping[str, Sums], *, suppressed: bool) -> Metric:
    counted = [each for each in sums.values() if each.callers]
    comparisons = [
        compare(metric, design, sums, arm, against) for arm, against in design.pairs if {arm, against} <= sums.keys()
    ]
    if suppressed:
        comparisons = [replace(each, state="unknown" if metric.guardrail else "suppressed") for each in comparisons]
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


def _mean(arm: str, sums: Sums) -> ArmMean:
    variance = estimates.variance(sums)
    return ArmMean(
        arm=arm,
        callers=sums.callers,
        calls=sums.calls,
        missing=sums.missing,
        mean=_finite(estimates.ratio(sums)),
        standard_error=sqrt(variance) if isfinite(variance) else None,
    )


def _uneven(design: Experiment, period: PeriodAggregates) -> set[str]:
    """Return which shares differ between the arms: of calls without a report, of undelivered ones, of missing values.

    The more of them there are, the rarer each may be an alarm.
    """
    arms = period.arm_counts
    shares: dict[str, _Share] = {"undelivered": ([arm.undelivered for arm in arms], [arm.known for arm in arms])}
    for name in (metric.name for metric in design.metrics):
        sums = period.sums(name)
        if any(each.incomplete for each in sums.values()):
            shares[_MISSING + name] = ([x.incomplete for x in sums.values()], [x.asked for x in sums.values()])
    p_values = {name: estimates.share_p_value(*share) for name, share in shares.items()}
    p_values[_REPORTS] = estimates.share_of_calls_p_value([arm.reports for arm in period.arms.values()])
    return {name for name, p_value in p_values.items() if p_value < ALARM / len(p_values)}


def _findings(
    design: Experiment, period: PeriodAggregates, found: PeriodResults, uneven: Collection[str]
) -> Iterator[Finding]:
    arms = found.arms
    if not found.sample_ratio.ok:
        callers, weights = sum(arm.callers for arm in arms), sum(arm.weight for arm in arms)
        expected = [(arm.arm, arm.callers, callers * arm.weight / weights) for arm in arms]
        yield Finding("split", {"expected": expected})
    if _REPORTS in uneven:
        yield Finding("missing", {"shares": _known(arms, "without_report")})
    if "undelivered" in uneven:
        yield Finding("delivery", {"shares": _known(arms, "delivered")})
    for name in (metric.name for metric in design.metrics if _MISSING + metric.name in uneven):
        yield Finding("missing", {"metric": name})
    yield from _moved(design, period)
    yield from _few(design, period)


def _known(arms: Sequence[ArmCounts], name: Literal["delivered", "without_report"]) -> list[tuple[str, float]]:
    shares = ((arm.arm, getattr(arm, name)) for arm in arms)
    return [(arm, share) for arm, share in shares if share is not None]


def _moved(design: Experiment, period: PeriodAggregates) -> Iterator[Finding]:
    """Compare calls per caller at all times, each arm with control."""
    sums = {name: arm.calls_per_caller for name, arm in period.arms.items()}
    pairs = [(arm, against) for arm, against in design.pairs if against == CONTROL and arm in sums and against in sums]
    for arm, against in pairs:
        alpha = _MOVED / len(pairs)
        difference = estimates.ratio(sums[arm]) - estimates.ratio(sums[against])
        equal = design.weights[arm] == design.weights[against]
        reach = estimates.always_valid_half_width(
            sums[arm], sums[against], alpha, design.decision.expected_callers, equal=equal
        )
        if abs(difference) > reach:
            metrics = [metric.name for metric in design.metrics if metric.per == "call"]
            direction = "more" if difference > 0 else "less"
            yield Finding("calls-moved", {"arm": arm, "against": against, "direction": direction, "metrics": metrics})


def _few(design: Experiment, period: PeriodAggregates) -> Iterator[Finding]:
    few = [(arm.arm, arm.callers) for arm in period.arm_counts if arm.callers < FEWEST_CALLERS]
    rare = [metric.name for metric in design.metrics if _is_rare(design, period.sums(metric.name))]
    if few:
        yield Finding("few", {"least": FEWEST_CALLERS, "counts": few})
    elif rare:
        yield Finding("few", {"least": FEWEST_EVENTS, "metrics": rare})


def _is_rare(design: Experiment, sums: Mapping[str, Sums]) -> bool:
    return any(
        arm in sums and against in sums and not estimates.is_enough(sums[arm], sums[against])
        for arm, against in design.pairs
    )


def _around(middle: float, half_width: float) -> Interval | None:
    return _ends(middle - half_width, middle + half_width)


def _ends(low: float, high: float) -> Interval | None:
    return (low, high) if isfinite(low) and isfinite(high) else None


def _finite(value: float) -> float | None:
    return value if isfinite(value) else None
