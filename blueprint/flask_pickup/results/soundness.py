"""Whether a period's rows can be trusted: the split, what is lost, and what else a reader must know of them.

Every check that suppresses results holds however often anybody looks.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from math import isfinite

from flask_pickup.catalog.definition import CONTROL, Experiment, MetricDefinition
from flask_pickup.outcome_names import ANALYSED, HUNG_UP, is_reported
from flask_pickup.results import estimates
from flask_pickup.results.aggregates import PeriodAggregates, Sums
from flask_pickup.results.estimates import FEWEST_CALLERS, FEWEST_EVENTS
from flask_pickup.results.looks import PastLooks
from flask_pickup.results.model import Finding, SampleRatio

SPLIT = 0.005
"""The error of the split test of either count: over all looks together."""
_LOST = 0.001
"""The error of the comparison of one share of calls: over all looks together."""
_MOVED = 0.005
"""The error of the comparison of calls per caller: over all looks together."""
_MOST_UNREACHED = 0.1
_LACKING = {"reports": "unreported", "analyses": "unanalysed", "hang_ups": "unjudged"}
"""What is lost, and the name of its shares in the finding."""


@dataclass(frozen=True)
class Lost:
    """A share of the calls that differs between the arms.

    :param of: ``reports``, ``analyses`` or ``hang_ups``.
    :param shares: arms with what they lost.
    """

    of: str
    shares: Sequence[tuple[str, float]]

    def suppresses(self, metric: MetricDefinition) -> bool:
        """Return whether a metric cannot be compared. A host's own outcomes are exempt: their rows are what is measured."""
        if self.of == "analyses":
            return metric.outcome.startswith(ANALYSED)
        return metric.outcome == HUNG_UP if self.of == "hang_ups" else is_reported(metric.outcome)


def sample_ratio(period: PeriodAggregates, history: PastLooks) -> SampleRatio:
    """Test the split of the callers, and again of those with a report; the smaller p-value counts.

    An alarm stays for the whole period.
    """
    arms, weights = period.arms.values(), list(period.weights.values())
    counts = ([arm.callers for arm in arms], [arm.reported for arm in arms])
    values = [estimates.multinomial_p_value(each, weights) for each in counts]
    p_value = min((value for value in values if isfinite(value)), default=None)
    has_alarmed = history.alarm is not None
    return SampleRatio(p_value, ok=not has_alarmed and (p_value is None or p_value >= SPLIT))


def lost(design: Experiment, period: PeriodAggregates) -> Iterator[Lost]:
    """Yield the reports, analyses and early hang-ups of which one arm lacks more."""
    for of in ("reports", "analyses", "hang_ups"):
        sums = {name: getattr(arm, of) for name, arm in period.arms.items()}
        if _differ(design, sums):
            yield Lost(of, _shares(sums))


def share_delivered(sums: Iterable[Sums]) -> float | None:
    """Return the share of calls in which an arm was delivered; None where it is known of none."""
    pairs = [(each.s, each.d) for each in sums]
    known = sum(d for _, d in pairs)
    return 1 - sum(s for s, _ in pairs) / known if known else None


def unsound(
    design: Experiment,
    period: PeriodAggregates,
    ratio: SampleRatio,
    history: PastLooks,
    missing: Sequence[Lost],
) -> Iterator[Finding]:
    """Yield what a reader must know of the rows."""
    if history.alarm:
        yield history.alarm
    elif not ratio.ok:
        yield _split(period)
    yield from (Finding("missing", {_LACKING[each.of]: each.shares}) for each in missing)
    yield from _uneven(design, period)
    yield from _unreached(period)
    yield from _moved(design, period)
    few = [(name, arm.callers) for name, arm in period.arms.items() if arm.callers < FEWEST_CALLERS]
    rare = [metric.name for metric in design.metrics if _is_rare(metric, design, period)]
    if few:
        yield Finding("few", {"least": FEWEST_CALLERS, "counts": few})
    elif rare:
        yield Finding("few", {"least": FEWEST_EVENTS, "metrics": rare})


def _split(period: PeriodAggregates) -> Finding:
    """Return the mismatch of the callers; if they match, that of those with a report."""
    weights, counts = period.weights, {arm: each.callers for arm, each in period.arms.items()}
    of_reports = estimates.multinomial_p_value(list(counts.values()), list(weights.values())) >= SPLIT
    if of_reports:
        counts = {arm: each.reported for arm, each in period.arms.items()}
    share = sum(counts.values()) / sum(weights.values())
    expected = [(arm, count, share * weights[arm]) for arm, count in counts.items()]
    return Finding("split", {"expected": expected, "on": f"{period.until:%Y-%m-%d}", "of_reports": of_reports})


def _uneven(design: Experiment, period: PeriodAggregates) -> Iterator[Finding]:
    """Yield which shares differ without suppressing anything: of undelivered calls, and of missing values."""
    # Platforms deliver differently, and see different callers.
    for platform in sorted({platform for arm in period.arms.values() for platform in arm.delivery}):
        on = {name: arm.delivery.get(platform, Sums()) for name, arm in period.arms.items()}
        if _differ(design, on):
            shares = [(name, share) for name, each in on.items() if (share := share_delivered([each])) is not None]
            yield Finding("delivery", {"platform": platform, "shares": shares})
    for metric in design.metrics:
        sums = {name: _missing(arm.of(metric.name)) for name, arm in period.arms.items()}
        if _differ(design, sums):
            yield Finding("missing-values", {"metric": metric.name, "shares": _shares(sums)})


def _shares(arms: Mapping[str, Sums]) -> list[tuple[str, float]]:
    return [(name, each.s / each.d) for name, each in arms.items() if each.d]


def _missing(sums: Sums) -> Sums:
    """Return the callers who lack a value: of an analysis, those whose analysis lacks the key."""
    lacking, asked = (sums.lacking, sums.analysed) if sums.analysed else (sums.incomplete, sums.asked)
    return Sums(asked, asked, s=lacking, d=asked, ss=lacking, dd=asked, sd=lacking)


def _differ(design: Experiment, arms: Mapping[str, Sums]) -> bool:
    """Return whether an arm's share of calls differs from control's, at any look: callers are the units."""
    shares = {name: replace(each, is_proportion=True) for name, each in arms.items() if each.d}
    return any(
        estimates.is_enough_of_shares(shares[arm], shares[CONTROL]) for arm, _ in _different(design, shares, _LOST)
    )


def _different(design: Experiment, sums: Mapping[str, Sums], alpha: float) -> Iterator[tuple[str, float]]:
    """Yield each arm that differs from control at any look, and the difference."""
    pairs = [pair for pair in design.pairs if pair[1] == CONTROL and sums.keys() >= set(pair)]
    for pair in pairs:
        x, y = (sums[arm] for arm in pair)
        equal, expected = design.weights[pair[0]] == design.weights[CONTROL], design.decision.expected_callers
        difference = estimates.ratio(x) - estimates.ratio(y)
        if abs(difference) > estimates.always_valid_half_width(x, y, alpha / len(pairs), expected, equal=equal):
            yield pair[0], difference


def _unreached(period: PeriodAggregates) -> Iterator[Finding]:
    shares = [(name, arm.unreached / max(arm.calls + arm.unreached, 1)) for name, arm in period.arms.items()]
    if max((share for _, share in shares), default=0) > _MOST_UNREACHED:
        yield Finding("unreached", {"shares": shares})


def _moved(design: Experiment, period: PeriodAggregates) -> Iterator[Finding]:
    """Yield in which arms callers call more or less often than in control."""
    sums = {name: arm.calls_per_caller for name, arm in period.arms.items() if arm.callers}
    metrics = [metric.name for metric in design.metrics if metric.per == "call"]
    for arm, difference in _different(design, sums, _MOVED):
        direction = "more" if difference > 0 else "less"
        yield Finding("calls-moved", {"arm": arm, "against": CONTROL, "direction": direction, "metrics": metrics})


def _is_rare(metric: MetricDefinition, design: Experiment, period: PeriodAggregates) -> bool:
    sums = {name: arm.of(metric.name) for name, arm in period.arms.items()}
    return any(not estimates.is_enough(sums[arm], sums[against]) for arm, against in design.pairs)
