"""``flask pickup plan``: how long an experiment takes, before it begins."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict, replace
from typing import TypeVar

import click
from rich.table import Column, Table
from sqlalchemy.exc import SQLAlchemyError

from flask_pickup.blueprint import State
from flask_pickup.catalog.definition import Experiment, MetricDefinition
from flask_pickup.cli.group import USAGE_ERROR, Number, experiment_named, fail, formatted, show, with_state
from flask_pickup.enrolment import Enrolment, enrolment, measured
from flask_pickup.results import planning
from flask_pickup.results.planning import Plan
from flask_pickup.results.wording import amount, percent

T = TypeVar("T")

_POSITIVE = Number(1e-9, 1e9)


@click.command()
@click.argument("name")
@click.option("--metric", "of", help="The metric to plan; by default the primary one.")
@click.option(
    "--baseline", type=Number(-1e9, 1e9), help="The rate or mean today; by default the last twelve weeks', measured."
)
@click.option("--deviation", type=_POSITIVE, help="A mean's standard deviation over callers, with --baseline.")
@click.option("--lift", type=_POSITIVE, help="The difference to detect; by default the metric's smallest.")
@click.option("--callers-a-week", type=Number(0.1, 1e9), help="New callers a week; by default the last four weeks'.")
@formatted
@with_state
def plan_command(
    state: State, /, name: str, of: str | None, lift: float | None, style: str, **today: float | None
) -> None:
    """Plan how long an experiment takes.

    Shows the callers and weeks that the experiment NAME needs, and the differences that it can detect in 4, 12 and 26
    weeks, each with a power of 80 %. The verdict uses the always-valid interval, which holds however often anybody
    looks; the fixed one holds for a single look, on a day set beforehand.
    """
    experiment = experiment_named(state, name)
    metric = _metric(experiment, of)
    now = state.now
    if today["baseline"] is None:
        start = _if_reached(lambda: measured(state.engine, metric, now=now))
    else:
        start = planning.stated(today["baseline"], deviation=today["deviation"])
    if start is None:
        fail(f"There are too few calls to measure {metric.name}. State its value today: --baseline 0.3", USAGE_ERROR)
    pace, expected = today["callers_a_week"], None
    if pace is None:
        expected = _if_reached(lambda: enrolment(state.engine, state.catalog, experiment, now=now))
        pace = expected.enrolled if expected else None
    try:
        found = planning.plan(experiment, metric, replace(start, new_callers_a_week=pace), lift)
    except ValueError as error:
        fail(f"Nothing can be planned from a baseline of {start.mean:g}: {error}.", USAGE_ERROR)
    show(style, {**found.as_json(), "enrolment": expected and asdict(expected)}, *_parts(found, expected))


def _metric(experiment: Experiment, name: str | None) -> MetricDefinition:
    wanted = name or experiment.primary
    metric = experiment.metric(wanted)
    if metric is None:
        there = ", ".join(each.name for each in experiment.metrics) or "none"
        fail(f"'{experiment.name}' has no metric '{wanted}'. Name one with --metric: {there}.", USAGE_ERROR)
    return metric


def _if_reached(action: Callable[[], T]) -> T | None:
    """Return what the database says; None if it does not answer, because all of it can be stated instead."""
    try:
        return action()
    except SQLAlchemyError:
        return None


def _parts(found: Plan, expected: Enrolment | None) -> Iterator[str | Table]:
    yield f"{found.experiment}: {found.metric}, {_now(found, expected)}."
    yield from _enrolled(expected) if expected else ()
    if found.lift is None:
        yield "Set the smallest relevant difference: --lift, or smallest in the metric."
    else:
        yield f"\nTo detect a difference of {amount(found.lift, found.unit)}:"
        yield _needed(found)
    if found.detectable:
        unit = "pp" if found.is_proportion else f"per {found.per}"
        yield f"\nThe smallest detectable difference, {unit}:"
        yield _detectable(found)
    else:
        none = "" if expected else "No calls are recorded, or the database does not answer. "
        yield f"\n{none}--callers-a-week adds the weeks, and the differences that each can detect."


def _enrolled(expected: Enrolment) -> Iterator[str]:
    numbers = f"{expected.enrolled:,.0f} of {expected.callers:,.0f}"
    yield f"By the calls of the last four weeks, {numbers} new callers a week would be enrolled."
    if expected.is_upper_bound:
        yield (
            "This is the most there can be: the audience asks for the customer or the number, which are not recorded. "
            "If you know how many there are: --callers-a-week 100"
        )
    if expected.unidentified:
        yield f"{expected.unidentified:,.0f} calls a week without a number do not count."


def _now(found: Plan, expected: Enrolment | None) -> str:
    baseline = found.baseline
    stated = None if expected else baseline.new_callers_a_week
    facts = {
        f"now {percent(baseline.mean)} of {found.per}s": found.is_proportion,
        f"now {baseline.mean:,.4g} per {found.per}": not found.is_proportion,
        f"measured on {baseline.callers or 0:,} callers": baseline.callers,
        f"{baseline.calls_per_caller or 0:.2f} calls per caller": baseline.calls_per_caller,
        f"{stated or 0:,.0f} new callers a week": stated,
        f"{found.arms} arms": True,
    }
    return ", ".join(fact for fact, known in facts.items() if known)


def _needed(found: Plan) -> Table:
    table = _table("confidence", "interval", numbers=["callers", "weeks"])
    for each in found.needed:
        weeks = "" if each.weeks is None else f"{each.weeks:,}"
        callers = "never" if each.callers is None else f"{each.callers:,}"
        table.add_row(_confidence(each.confidence), each.interval, callers, weeks)
    return table


def _detectable(found: Plan) -> Table:
    rows: dict[int, list[str]] = {}
    for each in found.detectable:
        value = (each.difference or 0) * (100 if found.is_proportion else 1)
        cell = "none" if each.difference is None else f"{float(f'{value:.2g}'):,g}"
        rows.setdefault(each.weeks, [f"{each.weeks}", f"{each.callers:,}"]).append(cell)
    kinds = dict.fromkeys(f"{_confidence(each.confidence)}\n{each.interval}" for each in found.detectable)
    table = _table("weeks", "callers", numbers=kinds)
    for row in rows.values():
        table.add_row(*row)
    return table


def _table(*texts: str, numbers: Iterable[str]) -> Table:
    return Table(*texts, *(Column(name, justify="right") for name in numbers), box=None, pad_edge=False)


def _confidence(value: float) -> str:
    return f"{100 * value:.0f} %"
