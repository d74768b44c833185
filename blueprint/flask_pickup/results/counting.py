"""From rows to aggregates, in SQL. No row of a call comes into Python."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Connection, Double, RowMapping, Select, and_, case, cast, func, select

from flask_pickup.catalog.definition import MetricDefinition
from flask_pickup.models import Outcome
from flask_pickup.outcome_names import REPORTED_FLAGS
from flask_pickup.results.aggregates import ArmAggregates, Sums
from flask_pickup.results.calls import CountQuery
from flask_pickup.results.statement import COUNTS_OF_CALLS, SUMS_OF_CALLS, WHO, Scale, Statement, delivery_on, lost_sums

_DIGITS = 6
_WHOLE = ("callers", "calls", "missing", "asked", "incomplete", "analysed", "lacking")
_COUNTS = ("recent", "most_calls", "reported")
_PRODUCTS = ("s", "d", "ss", "dd", "sd")

Counted = Mapping[tuple[str, str, bool], ArmAggregates]
"""Fingerprint of a definition, arm, and whether they were assigned another arm later, to what the callers come to."""


def aggregate(connection: Connection, query: CountQuery, *earlier: datetime) -> list[Counted]:
    """Return what the rows of an experiment come to up to ``query.until``, and up to each earlier moment.

    All at once, because what takes time is to bring a caller's calls together.
    """
    scales = _scales(connection, query)
    moments = (query.until, *earlier)
    statement = Statement(connection.dialect.name, query, scales, finds_lost=True).by_arm(moments)
    rows = connection.execute(statement).mappings().all()
    return [
        {
            (row["definition"], row["arm"], bool(row["two_armed"])): _aggregates(row, moment, query, scales)
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
    found = _of(callers(connection, query), definitions)
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


def centred_callers(
    connection: Connection, query: CountQuery, definitions: Collection[str]
) -> tuple[Any, Mapping[str, Scale]]:
    """Return :func:`callers` of some definitions, to select from, with values that are measured from the scales' centres."""
    scales = _scales(connection, query)
    return _of(Statement(connection.dialect.name, query, scales).by_caller(), definitions), scales


def _of(everybody: Select[Any], definitions: Collection[str]) -> Any:
    return everybody.where(everybody.selected_columns.definition.in_(sorted(definitions))).cte("pairs")


def _ratio(s: Any, d: Any) -> ColumnElement[Any]:
    return func.sum(s) / func.nullif(func.sum(d), 0)


# --- what a metric is measured in -------------------------------------------------------------------------------------


def _scales(connection: Connection, query: CountQuery) -> dict[str, Scale]:
    """Return the scale of each metric, in the query's order: by its kind, or else by the values of calls that count."""
    flags = [metric.name for metric in query.metrics if metric.kind == "flag" or metric.outcome in REPORTED_FLAGS]
    unknown = {metric.outcome for metric in query.metrics if metric.name not in flags and metric.kind is None}
    ever_flags = _only_flags(connection, unknown)
    flags += [metric.name for metric in query.metrics if metric.kind is None and metric.outcome in ever_flags]
    numbers = tuple(metric for metric in query.metrics if metric.name not in flags)
    # A flag that once was a number must not count for more than one.
    scales = dict.fromkeys(flags, Scale(is_proportion=True, cap=1.0)) | _scales_of_values(connection, query, numbers)
    return {metric.name: scales.get(metric.name, Scale()) for metric in query.metrics}


def _only_flags(connection: Connection, outcomes: Collection[str]) -> set[str]:
    """Return the outcomes that are 0 or 1 wherever there is one: one look at the table saves a look at all calls."""
    if not outcomes:
        return set()
    name, is_number = Outcome.name, case((Outcome.value.not_in((0, 1)), 1), else_=0)
    statement = select(name).where(name.in_(sorted(outcomes))).group_by(name).having(func.max(is_number) == 0)
    return set(connection.scalars(statement))


def _scales_of_values(
    connection: Connection, query: CountQuery, metrics: tuple[MetricDefinition, ...]
) -> dict[str, Scale]:
    """Return the scales of the metrics that have values; a period without any has those of the periods before it."""
    if not metrics:
        return {}
    scales, query = dict[str, Scale](), replace(query, metrics=metrics)
    row = iter(connection.execute(Statement(connection.dialect.name, query).means_of_calls()).one())
    for metric, mean, is_number in zip(metrics, row, row, strict=True):
        if is_number or (mean is not None and metric.kind == "number"):
            scales[metric.name] = _scale(connection, query, metric, mean)
        elif mean is not None:
            scales[metric.name] = Scale(is_proportion=True)
    if query.scaled_by:
        rest = tuple(metric for metric in metrics if metric.name not in scales)
        scales |= _scales_of_values(connection, replace(query, scaled_by=frozenset()), rest)
    return scales


def _scale(connection: Connection, query: CountQuery, metric: MetricDefinition, mean: float) -> Scale:
    """Return the scale of a number. Its cap is a percentile of what callers or calls have in all arms together."""
    cap = None
    if metric.cap:
        values = Statement(connection.dialect.name, query).values_of(metric).subquery()
        place, number = func.row_number().over(order_by=values.c.value), func.count().over()
        ordered = select(values.c.value, place.label("place"), number.label("number")).subquery().c
        beyond = ordered.place > cast(metric.cap, Double) * (ordered.number - 1)
        # A refund far below zero must not move the centre, from which all are measured.
        within = and_(~beyond, ordered.value >= 0)
        cut = select(func.min(case((beyond, ordered.value))), func.avg(case((within, ordered.value))))
        cap, mean_below = connection.execute(cut).one()
        mean = cap if mean_below is None else mean_below
    return Scale(float(f"{mean:.{_DIGITS}g}"), cap=cap)


# --- from a row of the statement ----------------------------------------------------------------------------------------


def _aggregates(row: RowMapping, moment: int, query: CountQuery, scales: Mapping[str, Scale]) -> ArmAggregates:
    names = (*SUMS_OF_CALLS, *lost_sums(query))
    found: dict[str, Any] = {name: _sums(row, f"{name}_{moment}", Scale()) for name in names}
    found |= {name: int(row[f"{name}_{moment}"] or 0) for name in (*_COUNTS, *COUNTS_OF_CALLS)}
    sums = {name: _sums(row, f"{index}_{moment}", scale) for index, (name, scale) in enumerate(scales.items())}
    delivery = {each: _sums(row, f"{delivery_on(each)}_{moment}", Scale()) for each in query.delivered_on}
    return ArmAggregates(sums, since=row[f"since_{moment}"], delivery=delivery, **found)


def _sums(row: RowMapping, suffix: str, scale: Scale) -> Sums:
    found: dict[str, Any] = {name: int(row.get(f"{name}_{suffix}") or 0) for name in _WHOLE}
    found |= {name: float(row[f"{name}_{suffix}"] or 0) for name in _PRODUCTS}
    return Sums(**found, centre=scale.centre, is_proportion=scale.is_proportion)
