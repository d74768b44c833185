"""What the rows of an arm come to: a few numbers, from which everything else is computed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from datetime import datetime, timedelta

RECENT = timedelta(weeks=4)
"""Time in which the new callers a week are counted."""


@dataclass(frozen=True)
class Sums:
    """One arm's sufficient statistics of one metric, over pairs (s, d), one pair a caller.

    s is the sum of the caller's values; d is the number of their calls that count (``per = "call"``) or 1
    (``per = "caller"``). What is summed is the shifted x = s less centre times d: sums of squares of large values would
    lose their digits. The metric is the ratio centre + Σx/Σd: one form serves both units.

    :param callers: those who have a pair.
    :param calls: those that count.
    :param s: Σx
    :param d: Σd
    :param ss: Σx²
    :param dd: Σd²
    :param sd: Σxd
    :param centre: a rounded number near the mean; 0 for proportions.
    :param is_proportion: whether each value is 0 or 1.
    :param missing: calls (per call) or callers (per caller) without a value, left out.
    :param asked: callers who could have had a value; those for whom ``within`` has not passed are not asked yet.
    :param incomplete: callers of whom something is missing.
    :param analysed: callers with a call of which an analysis was reported; of metrics of an analysis.
    :param lacking: those of them with such a call in which this metric's outcome was not found.
    """

    callers: int = 0
    calls: int = 0
    s: float = 0.0
    d: float = 0.0
    ss: float = 0.0
    dd: float = 0.0
    sd: float = 0.0
    centre: float = 0.0
    is_proportion: bool = False
    missing: int = 0
    asked: int = 0
    incomplete: int = 0
    analysed: int = 0
    lacking: int = 0

    def __add__(self, other: Sums) -> Sums:
        """Return the sums of both together.

        :raises ValueError: if the centres differ.
        """
        if self.centre != other.centre:
            raise ValueError("Sums about two centres cannot be added.")
        added = {each.name: getattr(self, each.name) + getattr(other, each.name) for each in fields(self)}
        return Sums(**added | {"centre": self.centre, "is_proportion": self.is_proportion and other.is_proportion})


@dataclass(frozen=True)
class ArmAggregates:
    """What the callers of one arm come to, up to a moment.

    :param sums: metric to its sums.
    :param calls_per_caller: s is a caller's calls, d is 1.
    :param reports: s is a caller's calls without a report, d their calls of which one is due.
    :param analyses: s is a caller's reported calls of which no analysis was reported, d their reported calls in which they
        said something twice, as far as that is known; empty where no metric is of an analysis.
    :param hang_ups: s is a caller's reported calls of which nobody knows whether they were hung up early, d their reported
        calls; empty where no metric is of that.
    :param delivery: platform to sums: s is a caller's calls in which the arm was not delivered, d those of which that
        is known.
    :param since: the first assignment.
    :param recent: callers who came in the last four weeks.
    :param most_calls: those of the caller who called most.
    :param reported: callers with a report of at least one call.
    :param unassigned: later calls in no arm, which count: the audience excluded them.
    :param unreached: later calls that no arm could reach, which do not count.
    :param pinned: calls of pinned numbers, which do not count.
    :param unidentified: calls without a number that were assigned one by one, which do not count.
    """

    sums: Mapping[str, Sums] = field(default_factory=dict)
    calls_per_caller: Sums = Sums()
    reports: Sums = Sums()
    analyses: Sums = Sums()
    hang_ups: Sums = Sums()
    delivery: Mapping[str, Sums] = field(default_factory=dict)
    since: datetime | None = None
    recent: int = 0
    most_calls: int = 0
    reported: int = 0
    unassigned: int = 0
    unreached: int = 0
    pinned: int = 0
    unidentified: int = 0

    @property
    def callers(self) -> int:
        """The callers who count."""
        return self.calls_per_caller.callers

    @property
    def calls(self) -> int:
        """Their calls."""
        return self.calls_per_caller.calls

    def of(self, metric: str) -> Sums:
        """Return the sums of a metric."""
        return self.sums.get(metric, Sums())

    def __add__(self, other: ArmAggregates) -> ArmAggregates:
        """Return both together."""
        found = {name: getattr(self, name) + getattr(other, name) for name in _ADDED}
        return ArmAggregates(
            sums=_together(self.sums, other.sums),
            delivery=_together(self.delivery, other.delivery),
            since=min(filter(None, (self.since, other.since)), default=None),
            most_calls=max(self.most_calls, other.most_calls),
            **found,
        )


def _together(one: Mapping[str, Sums], other: Mapping[str, Sums]) -> dict[str, Sums]:
    return {**one, **other, **{name: sums + other[name] for name, sums in one.items() if name in other}}


_ADDED = {each.name for each in fields(ArmAggregates)} - {"sums", "delivery", "since", "most_calls"}


@dataclass(frozen=True)
class PeriodAggregates:
    """One period's rows, up to a moment.

    :param number: the period's, from 1.
    :param weights: arm to weight, in the order of the definition.
    :param arms: each of these arms to what its callers come to.
    """

    number: int
    weights: Mapping[str, float]
    until: datetime
    arms: Mapping[str, ArmAggregates]

    @property
    def since(self) -> datetime | None:
        """The period's first assignment; None where there is none."""
        return min((arm.since for arm in self.arms.values() if arm.since), default=None)

    @property
    def callers(self) -> int:
        """The callers of all arms."""
        return sum(arm.callers for arm in self.arms.values())

    @property
    def calls(self) -> int:
        """Their calls."""
        return sum(arm.calls for arm in self.arms.values())

    @property
    def new_callers_a_week(self) -> float | None:
        """Those of the last four weeks, or since the start, a week; None on the first day."""
        passed = min(self.until - self.since, RECENT) if self.since else timedelta()
        recent = sum(arm.recent for arm in self.arms.values())
        return recent / (passed / timedelta(weeks=1)) if passed >= timedelta(days=1) else None
