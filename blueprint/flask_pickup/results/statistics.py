"""From one period's sums to its results: estimates, intervals, states, and what is wrong with the split."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from math import isfinite, sqrt

from flask_pickup.catalog.definition import CONTROL, Experiment, MetricDefinition
from flask_pickup.outcome_names import is_reported
from flask_pickup.results import estimates
from flask_pickup.results.aggregates import PeriodAggregates, Sums
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


def results_of(design: Experiment, period: PeriodAggregates, earlier: Sequence[PeriodAggregates] = ()) -> Results:
    """Return what the rows of a period say, without a verdict.

    :param earlier: the periods before it, each computed on its own.
    """
    found, warnings = _period(design, period)
    return Results(
        experiment=design.name,
        status=design.status,
        **vars(found),
        new_callers_a_week=period.new_callers_a_week,
        warnings=warnings,
        earlier_periods=tuple(_period(design, each)[0] for each in earlier),
    )


def _period(design: Experiment, period: PeriodAggregates) -> tuple[PeriodResults, tuple[Finding, ...]]:
    """Return a period's results and warnings, with the arms and weights that it had."""
    design, ratio = replace(design, weights=period.weights), _sample_ratio(period)
    uneven = _uneven(design, period)
    lacking = {each.values.get("metric") for each in uneven if each.code == "missing"}
    metrics = []
    for metric in design.metrics:
        without_reports = None in lacking and is_reported(metric.outcome)
        suppressed = not ratio.ok or without_reports or metric.name in lacking
        metrics.append(_metric(metric, design, period, suppressed=suppressed))
    found = PeriodResults(period.number, period.since, period.until, _arm_counts(period), ratio, tuple(metrics))
    return found, tuple(_findings(design, period, found, uneven))


def _sample_ratio(period: PeriodAggregates) -> SampleRatio:
    """Test the split of the callers, and again of those with a report; the smaller p-value counts."""
    arms = period.arms.values()
    counts = ([arm.callers for arm in arms], [arm.reported for arm in arms])
    values = [estimates.split_p_value(each, list(period.weights.values())) for each in counts]
    p_value = min((value for value in values if isfinite(value)), default=None)
    return SampleRatio(p_value, ok=p_value is None or p_value >= ALARM)


def _arm_counts(period: PeriodAggregates) -> tuple[ArmCounts, ...]:
    return tuple(
        ArmCounts(
            arm=name,
            weight=period.weights[name],
            callers=arm.callers,
            calls=arm.calls,
            delivered=_share_delivered(arm.delivery.values()),
            unidentified=arm.unidentified,
            pinned=arm.pinned,
            without_report=arm.reports.s / arm.reports.d if arm.reports.d else None,
            unassigned=arm.unassigned,
        )
        for name, arm in period.arms.items()
    )


def compare(
    metric: MetricDefinition, design: Experiment, sums: Mapping[str, Sums], arm: str, against: str
) -> Comparison:
    """Compare one arm with another in one metric."""
    x, y, alpha = sums[arm], sums[against], error_share(design)
    base, error = estimates.ratio(y), estimates.difference_error(x, y)
    difference = estimates.ratio(x) - base
    reach = _reach(design, x, y, alpha, (arm, against))
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
    if interval is None:
        return "unknown" if metric.guardrail else "too few"
    low, high = gain(interval, metric)
    if metric.guardrail:
        return "safe" if low > -metric.margin else "harmed" if high < -metric.margin else "unknown"
    if low > 0:
        return "better"
    if high < 0:
        return "worse"
    is_small = metric.smallest is not None and max(-low, high) <= metric.smallest
    return "no difference" if is_small else "undecided"


def gain(interval: Interval, metric: MetricDefinition) -> Interval:
    """Return the interval with its sign such that more is better."""
    low, high = interval
    return (low, high) if metric.goal == "increase" else (-high, -low)


def _metric(metric: MetricDefinition, design: Experiment, period: PeriodAggregates, *, suppressed: bool) -> Metric:
    sums = {name: arm.of(metric.name) for name, arm in period.arms.items()}
    counted = [each for each in sums.values() if each.callers]
    comparisons = [compare(metric, design, sums, arm, against) for arm, against in design.pairs]
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


def _uneven(design: Experiment, period: PeriodAggregates) -> list[Finding]:
    """Return which shares differ between the arms: of calls without a report, of undelivered ones, of missing values.

    The more of them there are, the rarer each may be an alarm.
    """
    arms, counts = period.arms.values(), _arm_counts(period)
    unreported = [(each.arm, each.without_report) for each in counts if each.without_report is not None]
    lost = estimates.share_of_calls_p_value([arm.reports for arm in arms])
    tested = [(lost, Finding("missing", {"shares": unreported})), *_delivery(period)]
    for metric in design.metrics:
        sums = [arm.of(metric.name) for arm in arms]
        if any(each.incomplete for each in sums):
            tested.append((_missing_p_value(sums), Finding("missing", {"metric": metric.name})))
    return [finding for p_value, finding in tested if p_value < ALARM / len(tested)]


def _delivery(period: PeriodAggregates) -> Iterator[tuple[float, Finding]]:
    """Yield how likely the arms' delivery is on each platform: platforms deliver differently, and see different callers."""
    platforms = sorted({platform for arm in period.arms.values() for platform in arm.delivery})
    for platform in platforms:
        on = {name: arm.delivery.get(platform, Sums()) for name, arm in period.arms.items()}
        shares = [(name, share) for name, sums in on.items() if (share := _share_delivered([sums])) is not None]
        if shares:
            yield _missing_p_value(list(on.values())), Finding("delivery", {"platform": platform, "shares": shares})


def _share_delivered(sums: Iterable[Sums]) -> float | None:
    pairs = [(each.s, each.d) for each in sums]
    known = sum(d for _, d in pairs)
    return 1 - sum(s for s, _ in pairs) / known if known else None


def _missing_p_value(sums: Sequence[Sums]) -> float:
    return estimates.share_p_value([each.incomplete for each in sums], [each.asked for each in sums])


def _findings(
    design: Experiment, period: PeriodAggregates, found: PeriodResults, uneven: Sequence[Finding]
) -> Iterator[Finding]:
    if not found.sample_ratio.ok:
        weights = sum(period.weights.values())
        expected = [(arm.arm, arm.callers, period.callers * arm.weight / weights) for arm in found.arms]
        yield Finding("split", {"expected": expected})
    yield from uneven
    yield from _moved(design, period)
    few = [(arm.arm, arm.callers) for arm in found.arms if arm.callers < FEWEST_CALLERS]
    rare = [metric.name for metric in design.metrics if _is_rare(metric, design, period)]
    if few:
        yield Finding("few", {"least": FEWEST_CALLERS, "counts": few})
    elif rare:
        yield Finding("few", {"least": FEWEST_EVENTS, "metrics": rare})


def _moved(design: Experiment, period: PeriodAggregates) -> Iterator[Finding]:
    """Compare calls per caller at all times, each arm with control."""
    sums = {name: arm.calls_per_caller for name, arm in period.arms.items() if arm.callers}
    pairs = [(arm, against) for arm, against in design.pairs if against == CONTROL and {arm, against} <= sums.keys()]
    for arm, against in pairs:
        difference = estimates.ratio(sums[arm]) - estimates.ratio(sums[against])
        if abs(difference) > _reach(design, sums[arm], sums[against], _MOVED / len(pairs), (arm, against)):
            metrics = [metric.name for metric in design.metrics if metric.per == "call"]
            direction = "more" if difference > 0 else "less"
            yield Finding("calls-moved", {"arm": arm, "against": against, "direction": direction, "metrics": metrics})


def _reach(design: Experiment, x: Sums, y: Sums, alpha: float, pair: tuple[str, str]) -> float:
    """Return the half-width of the always-valid interval of a pair of arms."""
    equal = design.weights[pair[0]] == design.weights[pair[1]]
    return estimates.always_valid_half_width(x, y, alpha, design.decision.expected_callers, equal=equal)


def _is_rare(metric: MetricDefinition, design: Experiment, period: PeriodAggregates) -> bool:
    sums = {name: arm.of(metric.name) for name, arm in period.arms.items()}
    return any(not estimates.is_enough(sums[arm], sums[against]) for arm, against in design.pairs)


def _around(middle: float, half_width: float) -> Interval | None:
    return _ends(middle - half_width, middle + half_width)


def _ends(low: float, high: float) -> Interval | None:
    return (low, high) if isfinite(low) and isfinite(high) else None


def _finite(value: float) -> float | None:
    return value if isfinite(value) else None
