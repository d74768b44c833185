"""From rows to aggregates, in SQL. No row of a call comes into Python."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Connection, Double, RowMapping, Select, case, cast, func, select

from flask_pickup.models import Outcome
from flask_pickup.outcome_names import REPORTED_FLAGS
from flask_pickup.results.aggregates import ArmAggregates, Sums
from flask_pickup.results.calls import CountQuery
from flask_pickup.results.statement import SUMS_OF_CALLS, WHO, Scale, Statement

_DIGITS = 6
_WHOLE = ("callers", "calls", "missing", "asked", "incomplete")
_PRODUCTS = ("s", "d", "ss", "dd", "sd")

Counted = Mapping[tuple[str, str, bool], ArmAggregates]
"""Fingerprint of a definition, arm, and whether they were assigned another arm later, to what the callers come to."""


def aggregate(connection: Connection, query: CountQuery, *earlier: datetime) -> list[Counted]:
    """Return what the rows of an experiment come to up to ``query.until``, and up to each earlier moment.

    All at once, because what takes time is to bring a caller's calls together.
    """
    scales = _scales(connection, query)
    moments = (query.until, *earlier)
    rows = connection.execute(Statement(connection.dialect.name, query, scales).by_arm(moments)).mappings().all()
    return [
        {
            (row["definition"], row["arm"], bool(row["two_armed"])): _aggregates(row, moment, scales)
            for row in rows
            if row[f"callers_calls_per_caller_{moment}"]
        }
        for moment in range(len(moments))
    ]


def callers(connection: Connection, query: CountQuery) -> Select[Any]:
    """Return the statement of all who count: pseudonym, arm, definition, first call, calls, and each metric's pair.

    A metric is the sum of its column over the sum of the column ``…_of``; where both are null the caller is left out.
    """
    scales = {name: replace(scale, centre=0.0) for name, scale in _scales(connection, query).items()}
    return Statement(connection.dialect.name, query, scales).by_caller()


def means_by_arm(connection: Connection, query: CountQuery, definitions: Collection[str]) -> Select[Any]:
    """Return a statement of the numbers that results show, to be executed elsewhere: a row for each arm.

    Each metric has its mean, and the square of the mean's standard error: by the definition, not by sums of squares, so
    that large values keep their digits.
    """
    found = callers_of(connection, query, definitions)
    arm, columns_of_metrics = found.c.arm, list(found.c)[WHO:]
    pairs = list(zip(columns_of_metrics[::2], columns_of_metrics[1::2], strict=True))
    ratios = [_ratio(s, d).label(f"ratio_{i}") for i, (s, d) in enumerate(pairs)]
    means = select(arm, *ratios).group_by(arm).cte("means")
    columns: list[ColumnElement[Any]] = []
    for metric, (s, d), mean in zip(query.metrics, pairs, list(means.c)[1:], strict=True):
        n, squares = cast(func.count(s), Double), func.sum((s - mean * d) * (s - mean * d))
        error = n / func.nullif(n - 1, 0) * squares / func.nullif(func.sum(d) * func.sum(d), 0)
        columns += [func.max(mean).label(f"{metric.name}_mean"), error.label(f"{metric.name}_squared_error")]
    counts = (func.count().label("callers"), func.sum(found.c.calls).label("calls"))
    together = found.join(means, means.c.arm == arm)
    return select(arm, *counts, *columns).select_from(together).group_by(arm).order_by(arm)


def callers_of(connection: Connection, query: CountQuery, definitions: Collection[str]) -> Any:
    """Return :func:`callers` of some definitions, to select from."""
    everybody = callers(connection, query)
    return everybody.where(everybody.selected_columns.definition.in_(sorted(definitions))).cte("pairs")


def _ratio(s: Any, d: Any) -> ColumnElement[Any]:
    return func.sum(s) / func.nullif(func.sum(d), 0)


# --- what a metric is measured in -------------------------------------------------------------------------------------


def _scales(connection: Connection, query: CountQuery) -> dict[str, Scale]:
    names = {metric.outcome for metric in query.metrics}.difference(REPORTED_FLAGS)
    beyond = func.max(case((Outcome.value.in_((0, 1)), 0), else_=1)).label("is_number")
    statement = select(Outcome.name, func.avg(Outcome.value).label("mean"), beyond).where(Outcome.name.in_(names))
    found = {row.name: row for row in connection.execute(statement.group_by(Outcome.name))} if names else {}
    scales = {}
    for metric in query.metrics:
        row = found.get(metric.outcome)
        if row is None or not row.is_number:
            scales[metric.name] = Scale(is_proportion=row is not None or metric.outcome in REPORTED_FLAGS)
        else:
            scales[metric.name] = Scale(float(f"{row.mean:.{_DIGITS}g}"), cap=_cap(connection, query, metric))
    return scales


def _cap(connection: Connection, query: CountQuery, metric: Any) -> float | None:
    """Return the percentile of what callers or calls have in all arms together; None where values are not cut."""
    if not metric.cap:
        return None
    values = Statement(connection.dialect.name, query, {metric.name: Scale()}).values_of(metric).subquery()
    place, number = func.row_number().over(order_by=values.c.value), func.count().over()
    ordered = select(values.c.value, place.label("place"), number.label("number")).subquery().c
    beyond = ordered.place > cast(metric.cap, Double) * (ordered.number - 1)
    return connection.execute(select(func.min(ordered.value)).where(beyond)).scalar()


# --- from a row of the statement ----------------------------------------------------------------------------------------


def _aggregates(row: RowMapping, moment: int, scales: Mapping[str, Scale]) -> ArmAggregates:
    found: dict[str, Any] = {name: _sums(row, f"{name}_{moment}", Scale()) for name in SUMS_OF_CALLS}
    found |= {name: int(row[f"{name}_{moment}"] or 0) for name in ("recent", "most_calls", "reported", "unassigned")}
    sums = {name: _sums(row, f"{index}_{moment}", scale) for index, (name, scale) in enumerate(scales.items())}
    return ArmAggregates(sums, since=row[f"since_{moment}"], **found)


def _sums(row: RowMapping, suffix: str, scale: Scale) -> Sums:
    found: dict[str, Any] = {name: int(row[f"{name}_{suffix}"] or 0) for name in _WHOLE}
    found |= {name: float(row[f"{name}_{suffix}"] or 0) for name in _PRODUCTS}
    return Sums(**found, centre=scale.centre, is_proportion=scale.is_proportion)
