"""An experiment's results as the rows of one table, and the checks of what they rest on."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal

from flask_pickup.catalog import CONTROL, Experiment
from flask_pickup.results.looks import WEEK

_Json = Mapping[str, Any]
Tone = Literal["good", "bad", ""]

_BETWEEN_LOOKS = {
    **dict.fromkeys(("better", "better below smallest", "worse", "no difference"), "undecided"),
    "harmed": "unknown",
}
"""States that stand from a weekly look on, and what is said before: the interval of a day may already say more."""
_TONES: Mapping[str, Tone] = {
    **dict.fromkeys(("better", "better below smallest", "safe"), "good"),
    **dict.fromkeys(("worse", "harmed"), "bad"),
}
_ROOM = 1.08
"""How much wider than its intervals a metric's picture is."""


@dataclass(frozen=True)
class Cell:
    """A metric in one arm.

    :param of: callers, or calls of a metric per call, with a value.
    :param count: those of them with the outcome; None of means.
    :param missing: callers or calls without a value, which are left out.
    """

    arm: str
    mean: float | None
    of: int
    count: int | None
    missing: int


@dataclass(frozen=True)
class ScorecardRow:
    """A comparison of two arms on a metric.

    :param metric: as plain values, for its unit.
    :param state: the comparison's, as far as the verdict has it.
    :param edge: the difference at the ends of the row's picture; None where there is no interval.
    :param mark: the smallest relevant difference, or the harm that is no longer accepted, with its sign; None if not set.
    """

    metric: _Json
    base: Cell
    arm: Cell
    comparison: _Json
    state: str
    tone: Tone
    edge: float | None
    mark: float | None


@dataclass(frozen=True)
class Scorecard:
    """The rows by what they are for: the primary metric, the other ones, and guardrails."""

    primary: tuple[ScorecardRow, ...]
    others: tuple[ScorecardRow, ...]
    guardrails: tuple[ScorecardRow, ...]

    @classmethod
    def of(cls, result: _Json, experiment: Experiment) -> Scorecard:
        """Return the rows of results as plain values."""
        groups: dict[str, list[ScorecardRow]] = {"primary": [], "others": [], "guardrails": []}
        claimed = {(claim["arm"], claim["metric"]) for claim in result["verdict"]["claims"]}
        for metric in result["metrics"]:
            is_primary = metric["metric"] == experiment.primary
            group = "primary" if is_primary else "guardrails" if metric["guardrail"] else "others"
            groups[group] += _rows(metric, experiment, claimed)
        return cls(**{name: tuple(rows) for name, rows in groups.items()})

    def told(self, verdict: _Json) -> Sequence[ScorecardRow]:
        """Return the rows that a verdict is about.

        Those with the harm of a harmful arm; else the primary metric's, of the verdict's arms or of all of them.
        """
        rows = [row for row in self.primary if row.base.arm == CONTROL]
        harms = [row for row in (*rows, *self.guardrails) if row.tone == "bad" and row.arm.arm in verdict["arms"]]
        if verdict["state"] == "worse" and harms:
            return harms
        return [row for row in rows if row.arm.arm in verdict["arms"]] or rows


@dataclass(frozen=True)
class Elapsed:
    """Where an experiment is on the way to its horizon: in which week, of how many."""

    week: int
    of: int

    @classmethod
    def at(cls, result: _Json, experiment: Experiment) -> Elapsed:
        """Return the week of results that have callers."""
        since, until = (datetime.fromisoformat(result[name]) for name in ("since", "until"))
        return cls((until - since) // WEEK + 1, experiment.decision.maximum_weeks)


@dataclass(frozen=True)
class Check:
    """Whether something that results rest on is sound; None where it is not known yet.

    :param name: ``split``, ``delivery``, ``reports`` or ``rules``.
    :param shares: arm to the share that was checked.
    :param counts: of reports that are not due yet: the callers with one, and all callers.
    """

    name: str
    is_sound: bool | None
    shares: Mapping[str, float] = field(default_factory=dict)
    counts: tuple[int, int] | None = None


def checks(result: _Json) -> Iterator[Check]:
    """Yield the four checks of results."""
    found, split = {finding["code"] for finding in result["warnings"]}, result["sample_ratio"]
    yield Check("split", None if split["p_value"] is None else split["ok"])
    for name, code, attribute in (("delivery", "delivery", "delivered"), ("reports", "missing", "without_report")):
        shares = {arm["arm"]: arm[attribute] for arm in result["arms"] if arm[attribute] is not None}
        if name == "reports" and not shares:
            reported, callers = (sum(arm[count] for arm in result["arms"]) for count in ("reported", "callers"))
            yield Check(name, True if reported == callers else None, counts=(reported, callers))
        else:
            yield Check(name, code not in found if shares else None, shares)
    yield Check("rules", "rules-changed" not in found)


def _rows(metric: _Json, experiment: Experiment, claimed: Collection[tuple[str, str]]) -> Iterator[ScorecardRow]:
    cells = {arm["arm"]: _cell(arm, metric) for arm in metric["arms"]}
    mark = _mark(metric, experiment)
    ends = [abs(end) for each in metric["comparisons"] for end in each["interval"] or ()]
    edge = _ROOM * max(*ends, abs(mark or 0)) if ends else None
    for each in metric["comparisons"]:
        has_claim = each["against"] != CONTROL or (each["arm"], metric["metric"]) in claimed
        state = each["state"] if has_claim else _BETWEEN_LOOKS.get(each["state"], each["state"])
        base, arm = cells[each["against"]], cells[each["arm"]]
        yield ScorecardRow(metric, base, arm, each, state, _TONES.get(state, ""), edge or None, mark)


def _cell(arm: _Json, metric: _Json) -> Cell:
    of = arm["calls"] if metric["per"] == "call" else arm["callers"]
    has_count = metric["is_proportion"] and arm["mean"] is not None
    return Cell(arm["arm"], arm["mean"], of, round(arm["mean"] * of) if has_count else None, arm["missing"])


def _mark(metric: _Json, experiment: Experiment) -> float | None:
    design = experiment.metric(metric["metric"])
    sign = 1 if metric["goal"] == "increase" else -1
    if design and design.guardrail:
        return -sign * design.margin or None
    return sign * design.smallest if design and design.smallest else None
