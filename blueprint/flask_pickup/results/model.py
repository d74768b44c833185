"""Results as frozen, typed objects, and as the JSON that ``flask pickup results --format json`` prints.

What is undefined is ``None``: never NaN, infinity or an invented 0.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field
from datetime import datetime
from typing import Any, Literal

from flask_pickup.catalog.definition import Goal, Per
from flask_pickup.results import wording
from flask_pickup.results.amounts import Unit, unit_of
from flask_pickup.translation import in_language

Interval = tuple[float, float]
ComparisonState = Literal[
    "better", "better below smallest", "worse", "no difference", "undecided", "too few", "suppressed", "exploratory",
    "safe", "harmed", "unknown",
]  # fmt: skip
VerdictState = Literal[
    "better", "better below smallest", "worse", "no difference", "choice", "cannot tell yet",
    "cannot tell at your number of calls", "broken",
]  # fmt: skip
CSV_COLUMNS = (
    *("experiment", "period", "metric", "unit", "arm", "callers", "calls", "missing", "mean", "standard_error"),
    *("against", "difference", "low", "high", "fixed_low", "fixed_high", "detectable", "state"),
)
_CSV_UNITS: Mapping[str, str] = {"share": "percent", "caller": "per caller", "call": "per call"}


@dataclass(frozen=True)
class ArmCounts:
    """Who is in an arm.

    :param callers: those who count; pinned and unidentified ones do not.
    :param calls: theirs, from their first assignment on.
    :param delivered: the share of the calls with known delivery in which the arm was really spoken.
    :param unidentified: calls drawn one by one (``unidentified = "per-call"``), which do not count.
    :param pinned: calls of pinned numbers, which do not count.
    :param without_report: the share of calls without any report, of those of which one should be here by now.
    :param reported: those of the callers of whom a report has arrived.
    :param unassigned: later calls of counted callers that were in no arm: outside the audience or the traffic.
    """

    arm: str
    weight: float
    callers: int
    calls: int
    delivered: float | None = None
    unidentified: int = 0
    pinned: int = 0
    without_report: float | None = None
    unassigned: int = 0
    reported: int = 0


@dataclass(frozen=True)
class SampleRatio:
    """Whether the callers are spread over the arms as the weights say."""

    p_value: float | None
    ok: bool


@dataclass(frozen=True)
class ArmMean:
    """A metric in one arm.

    :param callers: None of calls without a number: nobody knows how many callers made them.
    :param missing: calls or callers left out, in the metric's unit.
    """

    arm: str
    callers: int | None
    calls: int
    missing: int
    mean: float | None
    standard_error: float | None


@dataclass(frozen=True)
class Spending:
    """What a weekly look spent of the error of each end of an interval.

    :param information: one over the squared standard error.
    :param boundaries: the standard errors to the lower and the upper end; None where nothing could be spent.
    :param spent: the two-sided error spent on either end by now.
    """

    information: float
    boundaries: tuple[float | None, float | None]
    spent: tuple[float, float]


@dataclass(frozen=True)
class Comparison:
    """An arm compared with another.

    :param interval: right however often anybody looks; the state follows from it alone. It is the intersection of the
        intervals of all weekly looks with the always-valid ones.
    :param own_interval: that of this moment alone.
    :param fixed_interval: fixed-horizon (Welch): right for one look at a size that was set beforehand.
    :param relative: the difference as a share of the other arm's mean, with the interval that goes with ``interval``.
    :param detectable: the difference that would be found at the present size with a chance of 80 %.
    :param has_changed: whether an interval and those of the weeks before it ever had nothing in common.
    :param basis: a hash of the rules that the interval follows from. Intervals of other rules are no part of it.
    :param spending: None where the moment is no look, or the look was skipped.
    """

    arm: str
    against: str
    difference: float | None
    standard_error: float | None
    interval: Interval | None
    own_interval: Interval | None
    fixed_interval: Interval | None
    relative: float | None
    relative_interval: Interval | None
    detectable: float | None
    state: ComparisonState
    has_changed: bool = False
    basis: str = ""
    spending: Spending | None = None


@dataclass(frozen=True)
class Metric:
    """A metric in all arms, and their comparisons."""

    metric: str
    outcome: str
    goal: Goal
    guardrail: bool
    per: Per
    is_proportion: bool
    arms: tuple[ArmMean, ...]
    comparisons: tuple[Comparison, ...]

    @property
    def unit(self) -> Unit:
        """The unit of the metric's differences."""
        return unit_of(self.is_proportion, self.per)

    def arm(self, name: str) -> ArmMean:
        """Return one arm's mean."""
        return next(arm for arm in self.arms if arm.arm == name)


@dataclass(frozen=True)
class Finding:
    """Something that a reader must know, as plain values; :mod:`~flask_pickup.results.wording` has its words.

    :param code: for programs; does not change.
    """

    code: str
    values: Mapping[str, Any] = field(default_factory=dict)

    @property
    def message(self) -> str:
        """The finding in words."""
        return wording.finding_text(asdict(self))


@dataclass(frozen=True)
class Coverage:
    """How much of the line a result is about, in calls since the period began."""

    calls: int
    counted: int
    unidentified: int


@dataclass(frozen=True)
class Choice:
    """The arm to keep where the horizon ended without a verdict: a decision, not a finding.

    :param cost: what the choice is expected to cost, weighted by the chance that another arm is better, under a normal
        prior of each difference about 0 with ``smallest`` as its standard deviation. In the metric's unit.
    """

    arm: str
    metric: str
    cost: float
    smallest: float
    unit: Unit


@dataclass(frozen=True)
class Claim:
    """What a look found of an arm against control. It stays.

    :param state: ``better``, ``better below smallest``, ``worse``, ``no difference`` or ``harmed``.
    :param at_least: the interval's end nearest to zero, at the last look that supports the claim.
    :param found: the end of the week in which it was found.
    """

    arm: str
    metric: str
    state: ComparisonState
    at_least: float
    found: str


@dataclass(frozen=True)
class Verdict:
    """What to do.

    :param arms: those that the state is about.
    :param findings: what the verdict rests on, in the order in which it is told.
    :param stop: whether nothing more is to be learnt that the author asked for.
    :param until: the end of the whole weeks that the verdict is about.
    :param found: the end of the week in which it was given; None while there is nothing to keep.
    :param claims: what it says of the arms, and what was said before.
    """

    state: VerdictState
    arms: tuple[str, ...] = ()
    findings: tuple[Finding, ...] = ()
    stop: bool = False
    until: datetime | None = None
    found: str | None = None
    claims: tuple[Claim, ...] = ()
    choice: Choice | None = None

    @property
    def headline(self) -> str:
        """The verdict in a few words: "warm is better"."""
        return wording.headline(asdict(self))

    @property
    def message(self) -> str:
        """The verdict in words."""
        return wording.verdict_text(asdict(self))


def verdict_of(data: Mapping[str, Any]) -> Verdict:
    """Return the verdict that :meth:`Results.as_data` made plain values of."""
    return Verdict(
        state=data["state"],
        arms=tuple(data["arms"]),
        findings=tuple(Finding(**each) for each in data["findings"]),
        stop=data["stop"],
        until=data["until"] and datetime.fromisoformat(data["until"]),
        found=data["found"],
        claims=tuple(Claim(**each) for each in data["claims"]),
        choice=data["choice"] and Choice(**data["choice"]),
    )


@dataclass(frozen=True)
class PeriodResults:
    """A period's callers, with a split test of their own.

    :param period: which one this is, from 1: a change of weights, arms, words, audience or caller secret begins another.
    :param since: when the period began.
    :param until: the moment up to which calls count.
    """

    period: int
    since: datetime | None
    until: datetime
    arms: tuple[ArmCounts, ...]
    sample_ratio: SampleRatio
    metrics: tuple[Metric, ...]


@dataclass(frozen=True)
class Unidentified:
    """What came of calls without a number that were drawn one by one (``unidentified = "per-call"``).

    Each call is a unit of its own, in ``sample_ratio`` too. No verdict, warning or other figure has any part of it.
    """

    sample_ratio: SampleRatio
    metrics: tuple[Metric, ...]


@dataclass(frozen=True)
class Results(PeriodResults):
    """All that is known of one experiment: the period in force, and what is about all of them.

    :param unidentified: None where there are no such calls.
    :param platform: the one whose calls these are; None for all.
    :param week: the number of the weekly look that these are, from 1; None on other days.
    :param rules: the fingerprint of the definition whose rules a weekly look was decided by.
    """

    experiment: str
    status: str
    platform: str | None = None
    week: int | None = None
    rules: str | None = None
    new_callers_a_week: float | None = None
    coverage: Coverage | None = None
    warnings: tuple[Finding, ...] = ()
    verdict: Verdict | None = None
    earlier_periods: tuple[PeriodResults, ...] = ()
    unidentified: Unidentified | None = None
    unit: Literal["caller"] = "caller"

    def metric(self, name: str) -> Metric | None:
        """Return a metric by its name."""
        return next((metric for metric in self.metrics if metric.metric == name), None)

    def as_data(self) -> dict[str, Any]:
        """Return plain values without words: to be kept, and shown in any language. Moments are in ISO 8601."""
        # Not by orjson: the weeks that a tiny difference takes can exceed 64 bits.
        return json.loads(json.dumps(asdict(self), default=datetime.isoformat))  # type: ignore[no-any-return]

    def as_json(self) -> dict[str, Any]:
        """Return what ``--format json`` prints: :meth:`as_data` with messages in English."""
        with in_language("en"):
            return wording.with_messages(self.as_data())


def csv_rows(results: Mapping[str, Any]) -> Iterator[tuple[Any, ...]]:
    """Yield a row of ``CSV_COLUMNS`` for each metric, arm and comparison; None for what is unknown.

    Rates are in per cent and their differences in percentage points; other amounts are in the metric's own unit.

    :param results: what :meth:`Results.as_data` returned.
    """
    for metric in results["metrics"]:
        unit = unit_of(metric["is_proportion"], metric["per"])
        about = (results["experiment"], results["period"], metric["metric"], _CSV_UNITS[unit])
        scale = 100 if unit == "share" else 1
        for arm in metric["arms"]:
            numbers = (arm["arm"], arm["callers"], arm["calls"], arm["missing"])
            means = _scaled(scale, arm["mean"], arm["standard_error"])
            compared = [_compared(each, scale) for each in metric["comparisons"] if each["arm"] == arm["arm"]]
            yield from ((*about, *numbers, *means, *each) for each in compared or [(None,) * 8])


def _compared(each: Mapping[str, Any], scale: float) -> tuple[Any, ...]:
    ends = (*(each["interval"] or (None, None)), *(each["fixed_interval"] or (None, None)))
    return each["against"], *_scaled(scale, each["difference"], *ends, each["detectable"]), each["state"]


def _scaled(scale: float, *values: float | None) -> tuple[float | None, ...]:
    return tuple(None if value is None else scale * value for value in values)
