"""``flask pickup results`` and ``export``: what the rows say, for people and for programs."""

from __future__ import annotations

import csv
import sys
import textwrap
from collections.abc import Iterator, Mapping, Sequence

import click
from rich.table import Table
from rich.text import Text

from flask_pickup.blueprint import State
from flask_pickup.cli.group import (
    ASKED_WRONGLY,
    NOT_WELL,
    console,
    count,
    fail,
    mounted,
    print_json,
    print_table,
    reaching,
    with_pickup,
)
from flask_pickup.errors import UnknownExperiment
from flask_pickup.results import table, wording
from flask_pickup.results.assembling import recorded
from flask_pickup.results.model import ArmCounts, Comparison, Interval, Metric, Results, Unidentified

_WIDTH = 80
_COLOURS = {"better": "green", "worse": "red", "broken": "red", "no difference": "cyan"}
_EXTRA = ("pinned", "unidentified", "unassigned", "without_report")
"""Columns of arms that are shown only where there is something in them."""


@click.command()
@click.argument("name", required=False)
@click.option("--pool", is_flag=True, help="Count earlier periods of equal weights too.")
@click.option("--rehearsals", is_flag=True, help="Count rehearsed calls too.")
@click.option(
    "--format", "style", type=click.Choice(["text", "json", "csv"]), default="text", show_default=True,
    help="For people, or for programs.",
)  # fmt: skip
@with_pickup
def results_command(name: str | None, *, pool: bool, rehearsals: bool, style: str) -> None:
    """Show which arm is better.

    Shows what is known of the experiment NAME, or of all that are no drafts: the verdict, each metric by arm, and what
    a reader must know. The exit status is 1 where results are not reliable.
    """
    state = mounted()
    names = [name] if name else _names(state)
    try:
        found = reaching(lambda: [state.results(each, pool=pool, rehearsals=rehearsals) for each in names])
    except UnknownExperiment as error:
        _fail(error, state)
    if style == "json":
        values = [each.as_json() for each in found]
        print_json(values[0] if name else values)
    elif style == "csv":
        lines = [line for each in found for line in table.rows(each.as_data())]
        csv.writer(sys.stdout).writerows([table.COLUMNS, *lines])
    elif not found:
        console().print("There is no experiment but drafts.")
    for each in found if style == "text" else ():
        _print(each)
    if any(each.verdict and each.verdict.state == "broken" for each in found):
        raise click.exceptions.Exit(NOT_WELL)


@click.command()
@click.argument("name")
@click.option("--rehearsals", is_flag=True, help="Count rehearsed calls too.")
@click.option(
    "--format", "style", type=click.Choice(["csv"]), default="csv", show_default=True, help="The only one there is."
)
@with_pickup
def export_command(name: str, *, rehearsals: bool, style: str) -> None:  # noqa: ARG001
    """Print a row for each caller of an experiment.

    The rows of the experiment NAME hold pseudonyms, no numbers: period, arm, the first call, and for each metric the
    caller's sum and what it is divided by (``…_of``); both are empty where the caller is left out. docs/results.md
    shows how the figures follow from them.
    """
    state = mounted()
    try:
        reaching(lambda: _write(state.export(name, rehearsals=rehearsals)))
    except UnknownExperiment as error:
        _fail(error, state)


def _write(rows: Iterator[Mapping[str, object]]) -> None:
    writer = csv.writer(sys.stdout)
    for index, row in enumerate(rows):
        if index == 0:
            writer.writerow(row)
        writer.writerow(row.values())


def _names(state: State) -> list[str]:
    here = {each.name for each in state.catalog.experiments if each.status != "draft"}
    return sorted(here | set(reaching(lambda: recorded(state.engine))))


def _fail(error: UnknownExperiment, state: State) -> None:
    fail(f"{error} There are: {', '.join(_names(state)) or 'none'}.", ASKED_WRONGLY)


# --- for people -------------------------------------------------------------------------------------------------------


def _print(found: Results) -> None:
    since = f" since {found.since:%Y-%m-%d}" if found.since else ""
    _say(f"{found.experiment}: {found.status}, period {found.period}{since}", "bold")
    if found.verdict:
        _say(found.verdict.message, _COLOURS.get(found.verdict.state, "yellow"))
        if found.verdict.bet:
            _say(found.verdict.bet.message)
    _say("")
    print_table(_arms(found.arms))
    for metric in found.metrics:
        _print_metric(metric)
    if found.unidentified:
        _print_unidentified(found.unidentified)
    _say("")
    for warning in found.warnings:
        _say(f"{warning.code}: {warning.message}", "yellow")
    for line in _around(found):
        _say(line)
    _say("")


def _say(text: str, style: str = "") -> None:
    for line in textwrap.wrap(text, _WIDTH) or [""]:
        console().print(Text(line, style))


def _table(*names: str) -> Table:
    table = Table("arm", box=None, pad_edge=False)
    for name in names:
        table.add_column(name, justify="right")
    return table


def _arms(arms: Sequence[ArmCounts]) -> Table:
    extra = [name for name in _EXTRA if any(getattr(arm, name) for arm in arms)]
    table = _table("weight", "callers", "calls", "delivered", *(name.replace("without_", "no ") for name in extra))
    for arm in arms:
        cells = {
            "pinned": f"{arm.pinned:,}",
            "unidentified": f"{arm.unidentified:,}",
            "unassigned": _part(arm.unassigned, arm.calls),
            "without_report": _share(arm.without_report),
        }
        counts = (f"{arm.weight:g}", f"{arm.callers:,}", f"{arm.calls:,}", _share(arm.delivered))
        table.add_row(arm.arm, *counts, *(cells[name] for name in extra))
    return table


def _print_metric(metric: Metric) -> None:
    kind = "guardrail" if metric.guardrail else f"to {metric.goal}"
    _say("")
    console().print(Text.assemble((metric.metric, "bold"), f"  {metric.outcome}, per {metric.per}, {kind}"))
    table = _table(f"{metric.per}s", "missing", "mean", "± error")
    for arm in metric.arms:
        units = (arm.callers if metric.per == "caller" else arm.calls) or 0
        missing = _part(arm.missing, units + arm.missing)
        table.add_row(arm.arm, f"{units:,}", missing, _mean(arm.mean, metric), _mean(arm.standard_error, metric))
    print_table(table)
    for one in metric.comparisons:
        _say(f"  {one.arm} against {one.against}: {_comparison(one, metric)}")


def _print_unidentified(found: Unidentified) -> None:
    _say("")
    _say("Calls without a number, each assigned and counted by itself. The verdict does not include them.", "bold")
    if not found.sample_ratio.ok:
        _say("Their weights do not explain how they are split over the arms: they cannot be compared.", "yellow")
    for metric in found.metrics:
        _print_metric(metric)


def _comparison(one: Comparison, metric: Metric) -> str:
    if one.difference is None:
        return one.state
    difference = wording.difference(one.difference, metric.unit)
    valid, fixed = _interval(one.always_valid_interval, metric), _interval(one.interval, metric)
    return f"{one.state}, {difference} (always valid: {valid}; fixed horizon: {fixed})"


def _interval(interval: Interval | None, metric: Metric) -> str:
    if interval is None:
        return "none yet"
    return " to ".join(wording.difference(end, metric.unit) for end in interval)


def _mean(value: float | None, metric: Metric) -> str:
    if value is None:
        return "-"
    return wording.percent(value) if metric.is_proportion else f"{value:,.4g}"


def _part(number: int, whole: int) -> str:
    return f"{number:,} ({wording.percent(number / whole)})" if number else "0"


def _share(value: float | None) -> str:
    return "-" if value is None else wording.percent(value)


def _around(found: Results) -> Iterator[str]:
    if found.coverage and found.coverage.calls:
        calls = found.coverage.calls
        yield (
            f"These results include {found.coverage.counted / calls:.0%} of the {count(calls, 'call')} since the period "
            f"began; {found.coverage.unidentified / calls:.0%} had no number."
        )
    for period in found.earlier_periods:
        callers = sum(arm.callers for arm in period.arms)
        since = f" from {period.since:%Y-%m-%d} on" if period.since else ""
        yield f"Period {period.period}{since} had {count(callers, 'caller')}."
