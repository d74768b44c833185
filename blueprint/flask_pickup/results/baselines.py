"""A metric before anything is changed: measured, stated or assumed."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from sqlalchemy import Engine

from flask_pickup.catalog.definition import MetricDefinition
from flask_pickup.engines import reading
from flask_pickup.results import estimates
from flask_pickup.results.aggregates import ArmAggregates
from flask_pickup.results.calls import CountQuery
from flask_pickup.results.counting import aggregate

_WEEKS = 12
_FEWEST = 30
"""Callers below which nothing is measured."""
_ASSUMED = 0.1
"""The rate that a guardrail is taken to have before there are calls."""


@dataclass(frozen=True)
class Baseline:
    """What is known of a metric before anything is changed: measured or stated.

    :param mean: a rate, or a mean in the metric's unit.
    :param spread: the variance that one caller adds: an arm's squared standard error times its callers.
    :param calls_per_caller: None if it is not known.
    :param callers: on how many it was measured; None if it was stated.
    """

    mean: float
    spread: float
    is_proportion: bool
    calls_per_caller: float | None = None
    callers: int | None = None

    def spread_at(self, mean: float) -> float:
        """Return the spread of an arm with another mean: a rate's own follows from the rate."""
        plain = self.mean * (1 - self.mean)
        if not self.is_proportion or not plain:
            return self.spread
        # What regulars add to a rate of calls, they add in every arm.
        return self.spread / plain * max(mean * (1 - mean), 0.0)

    def with_events(self) -> Baseline:
        """Return a measured rate of 0 or 1 with one event and one non-event more, as comparisons do; others as they are."""
        if not (self.is_proportion and self.callers) or 0 < self.mean < 1:
            return self
        rate = (self.mean * self.callers + 1) / (self.callers + 2)
        return replace(self, mean=rate, spread=rate * (1 - rate))


def stated(mean: float, *, deviation: float | None = None) -> Baseline:
    """Return a baseline that an author states.

    :param deviation: a mean's standard deviation over callers; None for a rate.
    """
    spread = mean * (1 - mean) if deviation is None else deviation**2
    return Baseline(mean, spread, is_proportion=deviation is None)


def with_assumed(found: Mapping[str, Baseline], guardrails: Iterable[MetricDefinition]) -> dict[str, Baseline]:
    """Return the baselines of guardrails: measured, or else assumed if the margin is one of a rate of callers."""
    assumed = {each.name: stated(_ASSUMED) for each in guardrails if each.per == "caller" and each.margin < 1}
    return assumed | {each.name: found[each.name] for each in guardrails if each.name in found}


def measured(engine: Engine, metrics: Sequence[MetricDefinition], *, now: datetime) -> dict[str, Baseline]:
    """Return by metric what the callers of the last twelve weeks did; without metrics of which too few say anything.

    :raises sqlalchemy.exc.SQLAlchemyError: if the database does not answer.
    """
    query = CountQuery(None, tuple(metrics), until=now + timedelta(seconds=1), after=now - timedelta(weeks=_WEEKS))
    with reading(engine) as connection:
        [found] = aggregate(connection, query)
    everybody = next(iter(found.values()), ArmAggregates())
    sums = {metric.name: everybody.of(metric.name) for metric in metrics}
    return {
        name: Baseline(
            mean=estimates.ratio(each),
            spread=estimates.variance(each) * each.callers,
            is_proportion=each.is_proportion,
            calls_per_caller=everybody.calls / everybody.callers,
            callers=each.callers,
        )
        for name, each in sums.items()
        if each.callers >= _FEWEST
    }
