"""How weekly looks share out a comparison's error until a horizon, and what looks can find."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import inf, isfinite, sqrt

from flask_pickup.catalog.definition import Experiment, MetricDefinition
from flask_pickup.results import estimates
from flask_pickup.results.distributions import NORMAL
from flask_pickup.results.sequential import errors_of_ends
from flask_pickup.results.spending import BoundedLook, boundary, crossing_probabilities, spent

POWER = 0.8
"""The chance with which a difference is said to be found."""
_PRECISION = 1e-4


@dataclass(frozen=True)
class Horizon:
    """How a comparison's error is shared out.

    :param weekly: the two-sided error of the weekly looks.
    :param always: that of the always-valid interval.
    :param weeks: the week of the last look.
    :param expected: the callers of both arms at whom the always-valid interval is narrowest.
    """

    weekly: float
    always: float
    weeks: int
    expected: float

    @classmethod
    def of(cls, experiment: Experiment, metric: MetricDefinition) -> Horizon:
        """Return what finds a difference, or for a guardrail what calls it ``safe``."""
        weekly, always = estimates.split_error(max(errors_of_ends(experiment, metric)), metric)
        return cls(weekly, always, experiment.decision.maximum_weeks, experiment.decision.expected_callers)

    @property
    def error(self) -> float:
        """The error of a fixed-horizon interval in place of all looks."""
        return 5 * self.always

    def looks(  # noqa: PLR0913 (what is known of the weeks to come)
        self,
        *,
        pace: float,
        spread: float,
        least: float,
        past: Sequence[BoundedLook] = (),
        week: int = 0,
        information: float = 0.0,
    ) -> dict[int, BoundedLook]:
        """Return the looks to come by their week; each boundary is the nearer one of weekly looks and always-valid interval.

        :param pace: the information 1/SE² that a week adds.
        :param spread: the callers of both arms that make one unit of information.
        :param least: the callers of both arms from which they are compared.
        :param past: the looks that were made, with the boundaries of the weekly looks alone.
        :param week: the last week that is over.
        :param information: what there is of it by then.
        """
        looks, found = list(past), {}
        so_far = crossing_probabilities(past)[-1] if past else 0.0
        for number in range(week + 1, self.weeks + 1):
            seen = information + (number - week) * pace
            callers = seen * spread
            if callers < least or (looks and seen <= looks[-1][0]):
                continue
            by_then = spent(self.weekly, number / self.weeks)
            limit = boundary(looks, seen, by_then - so_far)
            if isfinite(limit):
                looks.append((seen, limit))
                so_far = by_then
            found[number] = (seen, min(limit, estimates.always_valid_factor(callers, self.always, self.expected)))
        return found


def minimum_detectable(looks: Sequence[BoundedLook]) -> float:
    """Return the least difference that these looks find with a chance of 80 %; infinite without a boundary."""
    most = min(((limit + NORMAL.inv_cdf(POWER)) / sqrt(information) for information, limit in looks), default=inf)
    return _where_enough(lambda each: crossing_probabilities(looks, each)[-1], 0.0, most) if isfinite(most) else inf


def _where_enough(power: Callable[[float], float], low: float, high: float) -> float:
    """Return where a rising power reaches ``POWER``, by false position with bisection; at most ``high``."""
    below, above = power(low) - POWER, power(high) - POWER
    if below >= 0:
        return low
    while above > _PRECISION and high - low > _PRECISION * high:
        for middle in (low - below * (high - low) / (above - below), (low + high) / 2):
            found = power(middle) - POWER
            if found < 0:
                low, below = middle, found
            else:
                high, above = middle, found
    return high
