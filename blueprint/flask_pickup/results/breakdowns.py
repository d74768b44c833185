"""Exploratory breakdowns of the primary metric: by who had called before, and by platform."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from functools import reduce
from math import isfinite, sqrt
from operator import add
from typing import Any

from sqlalchemy import ColumnElement, Connection, Double, Row, Select, cast, exists, func, null, select

from flask_pickup.catalog.definition import CONTROL
from flask_pickup.models import Call
from flask_pickup.results import estimates
from flask_pickup.results.aggregates import Sums
from flask_pickup.results.amounts import Unit, unit_of
from flask_pickup.results.assembling import Analysis
from flask_pickup.results.calls import was_heard
from flask_pickup.results.counting import centred_callers
from flask_pickup.results.distributions import student_quantile
from flask_pickup.results.model import Interval
from flask_pickup.results.statement import WHO, Scale

_GROUPS: Mapping[str, Callable[[Row[Any]], str | None]] = {
    "callers": lambda row: "returning" if row.had_called else "new",
    "platform": lambda row: row.platform,
}


@dataclass(frozen=True)
class GroupMean:
    """The metric of a group of an arm's callers; its mean is None if none of them has a value."""

    group: str
    arm: str
    callers: int
    mean: float | None


@dataclass(frozen=True)
class Interaction:
    """How much larger an arm's difference from control is in a group than among all other callers.

    :param interval: fixed-horizon; None where there are too few callers.
    """

    group: str
    arm: str
    difference: float | None
    interval: Interval | None


@dataclass(frozen=True)
class Breakdown:
    """A metric by group of callers.

    :param by: ``callers``: ``new`` ones and ``returning`` ones, who had called before their first assignment; or
        ``platform``: the one of that call.
    :param confidence: that of each interval by itself.
    :param interactions: of two groups only those of the second.
    """

    by: str
    metric: str
    unit: Unit
    confidence: float
    groups: tuple[GroupMean, ...]
    interactions: tuple[Interaction, ...]


@dataclass(frozen=True)
class CallerGroups:
    """The callers of the period in force by hour of their assignment, arm, whether they called again, and group.

    :param rows: for each their number and the sums of the primary metric.
    :param scale: the primary metric's.
    """

    rows: Sequence[Row[Any]]
    scale: Scale


def caller_groups(found: Analysis) -> CallerGroups:
    """Return the groups of an experiment's callers."""
    primary = found.experiment.metric(found.experiment.primary)
    query = replace(found.query, metrics=(primary,) if primary else ())
    callers, scales = centred_callers(found.connection, query, found.period.definitions)
    who = callers.c
    s, d = list(who)[WHO:] or (cast(null(), Double), cast(null(), Double))
    their_calls = (Call.caller_key == who.caller, query.includes(Call.call_id))
    first_platform: Any = null()
    if len(found.platforms) > 1:
        at_first = select(func.min(Call.platform)).where(*their_calls, Call.decided_at == who.since)
        first_platform = at_first.scalar_subquery()
    each = select(
        _hour(found.connection, who.since).label("hour"),
        who.arm,
        (who.calls > 1).label("again"),
        exists().where(*their_calls, Call.decided_at < who.since, was_heard()).label("had_called"),
        first_platform.label("platform"),
        s.label("s"),
        d.label("d"),
    ).subquery()
    rows = found.connection.execute(_summed(each.c)).all()
    return CallerGroups(rows, scales[primary.name] if primary else Scale())


def _summed(each: Any) -> Select[Any]:
    by = (each.hour, each.arm, each.again, each.had_called, each.platform)
    sums = {"s": each.s, "d": each.d, "ss": each.s * each.s, "dd": each.d * each.d, "sd": each.s * each.d}
    columns = (func.sum(product).label(name) for name, product in sums.items())
    counts = (func.count().label("callers"), func.count(each.s).label("counted"))
    return select(*by, *counts, *columns).group_by(*by).order_by(each.hour)


def _hour(connection: Connection, moment: ColumnElement[datetime]) -> ColumnElement[str]:
    """Return the hour in UTC. SQLite knows no time zones, so the day is found in Python."""
    if connection.dialect.name == "postgresql":
        return func.to_char(func.timezone("UTC", moment), "YYYY-MM-DD HH24")
    return func.strftime("%Y-%m-%d %H", moment)


def breakdowns_of(found: Analysis, groups: CallerGroups) -> tuple[Breakdown, ...]:
    """Return the breakdowns of an experiment's primary metric, of those by which its callers differ."""
    broken_down = (_breakdown(found, groups, by) for by in _GROUPS)
    return tuple(each for each in broken_down if each)


def _breakdown(found: Analysis, groups: CallerGroups, by: str) -> Breakdown | None:
    primary, callers = found.experiment.metric(found.experiment.primary), Counter[tuple[str, str]]()
    nobody = Sums(centre=groups.scale.centre, is_proportion=groups.scale.is_proportion)
    sums: dict[tuple[str, str], Sums] = {}
    for row in groups.rows:
        if group := _GROUPS[by](row):
            callers[group, row.arm] += row.callers
            sums[group, row.arm] = sums.get((group, row.arm), nobody) + _sums(row, nobody)
    names, arms = sorted({group for group, _ in callers}), sorted(found.period.weights, key=lambda arm: arm != CONTROL)
    if primary is None or len(names) < 2:  # noqa: PLR2004
        return None

    def together(members: Sequence[str], arm: str) -> Sums:
        return reduce(add, (sums.get((group, arm), nobody) for group in members))

    confidence, told = found.experiment.decision.confidence, names[1:] if len(names) == 2 else names  # noqa: PLR2004
    interactions = []
    for group in told:
        others = [name for name in names if name != group]
        for arm in arms[1:]:
            four = [together(members, each) for members in ([group], others) for each in (arm, CONTROL)]
            interactions.append(Interaction(group, arm, *_interaction(four, 1 - confidence)))
    means = [
        GroupMean(name, arm, callers[name, arm], estimates.finite(estimates.ratio(together([name], arm))))
        for name in names
        for arm in arms
    ]
    unit = unit_of(groups.scale.is_proportion, primary.per)
    return Breakdown(by, primary.name, unit, confidence, tuple(means), tuple(interactions))


def _sums(row: Row[Any], like: Sums) -> Sums:
    products: dict[str, Any] = {name: float(getattr(row, name) or 0) for name in ("s", "d", "ss", "dd", "sd")}
    return replace(like, callers=row.counted, **products)


def _interaction(four: Sequence[Sums], alpha: float) -> tuple[float | None, Interval | None]:
    """Return the difference of two differences, and its interval: Welch's, of four means (Satterthwaite 1946).

    :param four: arm and control in the group, and among the others.
    """
    means, variances = map(estimates.ratio, four), [estimates.cautious_variance(each) for each in four]
    difference = sum(sign * mean for sign, mean in zip((1, -1, -1, 1), means, strict=True))
    spread = sum(variances)
    if not isfinite(difference + spread):
        return estimates.finite(difference), None
    parts = (each * each / (x.callers - 1) for each, x in zip(variances, four, strict=True))
    reach = sqrt(spread) * student_quantile(alpha / 2, spread * spread / sum(parts))
    return difference, (difference - reach, difference + reach)
