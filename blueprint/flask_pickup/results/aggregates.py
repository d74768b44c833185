"""What the rows of an arm come to: a few numbers, from which everything else is computed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from datetime import datetime, timedelta
from functools import cached_property

from flask_pickup.results.model import ArmCounts

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
    :param missing: calls (per call) or callers (per caller) without a value, left out.
    :param asked: callers who could have had a value; those for whom ``within`` has not passed are not asked yet.
    :param incomplete: callers of whom something is missing.
    :param centre: a rounded number near the mean; 0 for proportions.
    :param s: Σx
    :param d: Σd
    :param ss: Σx²
    :param dd: Σd²
    :param sd: Σxd
    :param is_proportion: whether each value is 0 or 1.
    """

    callers: int
    calls: int
    s: float
    d: float
    ss: float
    dd: float
    sd: float
    centre: float = 0.0
    is_proportion: bool = False
    missing: int = 0
    asked: int = 0
    incomplete: int = 0

    def __add__(self, other: Sums) -> Sums:
        """Return the sums of both together.

        :raises ValueError: if the centres differ.
        """
        if self.centre != other.centre:
            raise ValueError("Sums about two centres cannot be added.")
        added = {each.name: getattr(self, each.name) + getattr(other, each.name) for each in fields(self)}
        return Sums(**added | {"centre": self.centre, "is_proportion": self.is_proportion and other.is_proportion})


EMPTY = Sums(callers=0, calls=0, s=0.0, d=0.0, ss=0.0, dd=0.0, sd=0.0)


@dataclass(frozen=True)
class ArmAggregates:
    """What the callers of one arm come to, up to a moment.

    :param calls_per_caller: s is a caller's calls, d is 1.
    :param reports: s is a caller's calls without a report, d their calls of which one is due.
    :param metrics: metric to its sums.
    :param since: the first assignment.
    :param recent: callers who came in the last four weeks.
    :param most_calls: those of the caller who called most.
    :param reported: callers with a report of at least one call.
    :param known: callers with a call of which it is known whether the arm was delivered.
    :param undelivered: callers with a call in which it was not.
    :param unassigned: later calls in no arm.
    """

    calls_per_caller: Sums = EMPTY
    reports: Sums = EMPTY
    metrics: Mapping[str, Sums] = field(default_factory=dict)
    since: datetime | None = None
    recent: int = 0
    most_calls: int = 0
    reported: int = 0
    known: int = 0
    undelivered: int = 0
    known_calls: int = 0
    undelivered_calls: int = 0
    unassigned: int = 0

    @property
    def callers(self) -> int:
        """The callers who count."""
        return self.calls_per_caller.callers

    @property
    def calls(self) -> int:
        """Their calls."""
        return self.calls_per_caller.calls

    def __add__(self, other: ArmAggregates) -> ArmAggregates:
        """Return both together."""
        added = ("calls_per_caller", "reports", *ADDED)
        return replace(
            self,
            since=min(filter(None, (self.since, other.since)), default=None),
            most_calls=max(self.most_calls, other.most_calls),
            metrics={name: sums + other.metrics[name] for name, sums in self.metrics.items()},
            **{name: getattr(self, name) + getattr(other, name) for name in added},
        )


ADDED = (*("recent", "reported", "known", "undelivered", "known_calls", "undelivered_calls", "unassigned"),)
"""Plain numbers of callers and calls."""


@dataclass(frozen=True)
class PeriodAggregates:
    """One period's rows, up to a moment.

    :param number: the period's, from 1.
    :param weights: arm to weight, in the order of the definition.
    :param arms: arm to what its callers come to; an arm without a caller may be absent.
    :param excluded: arm and source to its calls that are not counted: pinned, or drawn one by one.
    """

    number: int
    weights: Mapping[str, float]
    until: datetime
    arms: Mapping[str, ArmAggregates]
    excluded: Mapping[tuple[str, str], int] = field(default_factory=dict)

    @property
    def since(self) -> datetime | None:
        """The period's first assignment; None where there is none."""
        return min((arm.since for arm in self.arms.values() if arm.since), default=None)

    @cached_property
    def arm_counts(self) -> tuple[ArmCounts, ...]:
        """Who is in each arm, in the order of the definition."""
        return tuple(self._arm_counts(name, self.arms.get(name, ArmAggregates())) for name in self.weights)

    def _arm_counts(self, name: str, arm: ArmAggregates) -> ArmCounts:
        reports = arm.reports
        return ArmCounts(
            arm=name,
            weight=self.weights[name],
            callers=arm.callers,
            calls=arm.calls,
            delivered=1 - arm.undelivered_calls / arm.known_calls if arm.known_calls else None,
            unidentified=self.excluded.get((name, "unidentified"), 0),
            pinned=self.excluded.get((name, "pin"), 0),
            reported=arm.reported,
            without_report=reports.s / reports.calls if reports.calls else None,
            unreported=reports.incomplete,
            known=arm.known,
            undelivered=arm.undelivered,
            unassigned=arm.unassigned,
        )

    @property
    def callers(self) -> int:
        """The callers of all arms."""
        return sum(arm.callers for arm in self.arms.values())

    @property
    def new_callers_a_week(self) -> float | None:
        """Those of the last four weeks, or since the start, a week; None on the first day."""
        passed = min(self.until - self.since, RECENT) if self.since else timedelta()
        recent = sum(arm.recent for arm in self.arms.values())
        return recent / (passed / timedelta(weeks=1)) if passed >= timedelta(days=1) else None

    def sums(self, metric: str) -> dict[str, Sums]:
        """Return the sums of a metric by arm."""
        return {name: arm.metrics[metric] for name, arm in self.arms.items() if metric in arm.metrics}
