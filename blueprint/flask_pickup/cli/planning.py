"""``flask pickup plan``: how long an experiment takes, before it begins."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import click
from flask.cli import with_appcontext
from rich.table import Table
from sqlalchemy.exc import SQLAlchemyError

from flask_pickup.blueprint import State
from flask_pickup.catalog.definition import Experiment, MetricDefinition
from flask_pickup.cli.group import (
    ASKED_WRONGLY,
    console,
    experiment_named,
    fail,
    formatted,
    mounted,
    print_json,
    print_table,
    with_results,
)
from flask_pickup.results.wording import amount

if TYPE_CHECKING:
    from flask_pickup.results.planning import Baseline, Plan

_AT_LEAST_ONE = click.FloatRange(min=0, min_open=True)


@click.command()
@click.argument("name")
@click.option("--metric", "of", help="The metric to plan; by default the primary one.")
@click.option("--baseline", type=float, help="The rate or mean today; by default the last twelve weeks', measured.")
@click.option("--deviation", type=_AT_LEAST_ONE, help="A mean's standard deviation over callers, with --baseline.")
@click.option("--lift", type=_AT_LEAST_ONE, help="The difference to find; by default the metric's smallest.")
@click.option("--callers-a-week", type=_AT_LEAST_ONE, help="New callers a week; by default the last four weeks'.")
@formatted
@with_appcontext
@with_results
def plan(
    name: str,
    of: str | None,
    baseline: float | None,
    deviation: float | None,
    lift: float | None,
    callers_a_week: float | None,
    style: str,
) -> None:
    """Say how long an experiment takes.

    Shows how many callers and weeks the experiment NAME takes, and what it could find in 4, 12 and 26 weeks. What is found is found with a chance of 80 %. The always-valid interval is the verdict's, right however often anybody
    looks; the fixed one is right for a single look, on a day set beforehand.
    """
    from flask_pickup.results import planning  # noqa: PLC0415 (only who plans pays for numpy)

    state = mounted()
    experiment = experiment_named(state, name)
    metric = _metric(experiment, of)
    start = _baseline(state, experiment, metric, baseline, deviation, callers_a_week)
    try:
        found = planning.plan(experiment, metric, start, lift)
    except ValueError as error:
        fail(f"Nothing can be planned from a baseline of {start.mean:g}: {error}.", ASKED_WRONGLY)
    if style == "json":
        print_json(found.as_json())
    else:
        _print(found)


def _metric(experiment: Experiment, name: str | None) -> MetricDefinition:
    known = {metric.name: metric for metric in experiment.metrics}
    wanted = name or experiment.primary
    if wanted not in known:
        there = ", ".join(known) or "none"
        fail(
            f"'{experiment.name}' has no metric '{wanted}'. There are: {there}. Name one with --metric.",
            ASKED_WRONGLY,
        )
    return known[wanted]


def _baseline(
    state: State,
    experiment: Experiment,
    metric: MetricDefinition,
    mean: float | None,
    deviation: float | None,
    callers_a_week: float | None,
) -> Baseline:
    from flask_pickup.results import measuring, planning  # noqa: PLC0415

    now = datetime.fromtimestamp(state.webhook.clock(), UTC)
    try:
        pace = callers_a_week or measuring.new_callers_a_week(
            state.engine, experiment.name, traffic=experiment.traffic, now=now
        )
        found = measuring.measured(state.engine, metric, now=now) if mean is None else None
    except SQLAlchemyError:
        pace, found = callers_a_week, None
    if mean is not None:
        return planning.said(mean, deviation=deviation, callers_a_week=pace)
    if found is None:
        fail(f"There are no calls yet to measure {metric.name} on. Say what it is today: --baseline 0.3", ASKED_WRONGLY)
    return replace(found, new_callers_a_week=pace)


def _print(found: Plan) -> None:
    screen = console()
    screen.print(f"{found.experiment}: {found.metric}, {_now(found)}.")
    if found.lift is None:
        screen.print("Say which difference would matter: --lift, or smallest in the metric.")
    else:
        screen.print(f"\nTo find a difference of {amount(found.lift, found.unit)}:")
        print_table(_needed(found))
    if found.detectable:
        unit = f"in a hundred {found.per}s" if found.is_proportion else f"a {found.per}"
        screen.print(f"\nThe least difference that would be found, {unit}:")
        print_table(_detectable(found))
    else:
        screen.print("\nWith --callers-a-week it also says what could be found when.")


def _now(found: Plan) -> str:
    baseline = found.baseline
    mean = f"{baseline.mean:.1%} of {found.per}s" if found.is_proportion else f"{baseline.mean:,.4g} a {found.per}"
    facts = [f"now {mean}"]
    if baseline.callers:
        facts.append(f"measured on {baseline.callers:,} callers")
    if baseline.calls_per_caller:
        facts.append(f"{baseline.calls_per_caller:.2f} calls a caller")
    if baseline.new_callers_a_week:
        facts.append(f"{baseline.new_callers_a_week:,.0f} new callers a week")
    return ", ".join([*facts, f"{found.arms} arms"])


def _needed(found: Plan) -> Table:
    table = Table("confidence", "interval", box=None, pad_edge=False)
    table.add_column("callers", justify="right")
    table.add_column("weeks", justify="right")
    for each in found.needed:
        weeks = "" if each.weeks is None else f"{each.weeks:,}"
        callers = "never" if each.callers is None else f"{each.callers:,}"
        table.add_row(f"{each.confidence:.0%}", each.interval, callers, weeks)
    return table


def _detectable(found: Plan) -> Table:
    table = Table("weeks", "callers", box=None, pad_edge=False)
    kinds: dict[tuple[float, str], dict[int, Any]] = {}
    rows: dict[int, int] = {}
    scale = 100 if found.is_proportion else 1
    for each in found.detectable:
        kinds.setdefault((each.confidence, each.interval), {})[each.weeks] = each.difference
        rows[each.weeks] = each.callers
    for confidence, interval in kinds:
        table.add_column(f"{confidence:.0%}\n{interval}", justify="right")
    for weeks, callers in rows.items():
        differences = [kind[weeks] for kind in kinds.values()]
        cells = ["none" if each is None else f"{float(f'{scale * each:.2g}'):,g}" for each in differences]
        table.add_row(f"{weeks}", f"{callers:,}", *cells)
    return table
