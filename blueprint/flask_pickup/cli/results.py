"""``flask pickup results`` and ``export``: what the rows say, for people and for programs."""

from __future__ import annotations

import csv
import sys
import textwrap
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

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
    with_results,
)
from flask_pickup.errors import UnknownExperiment
from flask_pickup.results import numbers
from flask_pickup.results.model import ArmCounts, ArmMean, Comparison, Interval, Metric, Results, Unidentified

_WIDTH = 80
_COLOURS = {"better": "green", "worse": "red", "broken": "red", "no difference": "cyan"}


@click.command()
@click.argument("name", required=False)
@click.option("--pool", is_flag=True, help="Count earlier periods of equal weights too.")
@click.option("--rehearsals", is_flag=True, help="Count rehearsed calls too.")
@click.option(
    "--format", "style", type=click.Choice(["text", "json", "csv"]), default="text", show_default=True,
    help="For people, or for programs.",
)  # fmt: skip
@with_pickup
@with_results
def results(name: str | None, *, pool: bool, rehearsals: bool, style: str) -> None:
    """Say which opening works.

    Shows what is known of the experiment NAME, or of all that are no drafts: the verdict, each metric by arm, and what
    a reader must know. The exit status is 1 where a result is broken.
    """
    state = mounted()
    names = [name] if name else _names(state)
    try:
        found = reaching(lambda: [state.results(each, pool=pool, rehearsals=rehearsals) for each in names])
    except UnknownExperiment as error:
        fail(f"{error} There are: {', '.join(_names(state)) or 'none'}.", ASKED_WRONGLY)
    if style == "json":
        values = [each.as_json() for each in found]
        print_json(values[0] if name else values)
    elif style == "csv":
        _print_csv(found)
    else:
        _print_all(found)
    if any(each.verdict and each.verdict.state == "broken" for each in found):
        raise click.exceptions.Exit(NOT_WELL)


@click.command()
@click.argument("name")
@click.option("--rehearsals", is_flag=True, help="Count rehearsed calls too.")
@click.option(
    "--format", "style", type=click.Choice(["csv"]), default="csv", show_default=True, help="The only one there is."
)
@with_pickup
@with_results
def export(name: str, *, rehearsals: bool, style: str) -> None:  # noqa: ARG001
    """Print a row for each caller of an experiment.

    The rows of the experiment NAME hold pseudonyms, no numbers: period, arm, the first call, and for each metric the
    caller's sum and what it is divided by (``…_of``); both are empty where the caller is left out. docs/results.md
    shows how the figures follow from them.
    """
    state = mounted()
    try:
        rows = reaching(lambda: state.export(name, rehearsals=rehearsals))
        writer = csv.writer(sys.stdout)
        reaching(lambda: _write(writer, rows))
    except UnknownExperiment as error:
        fail(f"{error} There are: {', '.join(_names(state)) or 'none'}.", ASKED_WRONGLY)


def _write(writer: Any, rows: Iterator[Mapping[str, object]]) -> None:
    for index, row in enumerate(rows):
        if index == 0:
            writer.writerow(row)
        writer.writerow(row.values())


def _names(state: State) -> list[str]:
    from flask_pickup.results.assembling import recorded  # noqa: PLC0415 (only who asks for results pays for numpy)

    here = {each.name for each in state.catalog.experiments if each.status != "draft"}
    return sorted(here | set(reaching(lambda: recorded(state.engine))))


# --- for programs -----------------------------------------------------------------------------------------------------


def _print_csv(found: Sequence[Results]) -> None:
    writer = csv.writer(sys.stdout)
    writer.writerow(numbers.COLUMNS)
    for each in found:
        writer.writerows(numbers.lines(each.as_json()))


# --- for people -------------------------------------------------------------------------------------------------------


def _print_all(found: Sequence[Results]) -> None:
    if not found:
        console().print("There is no experiment but drafts.")
    for index, each in enumerate(found):
        if index:
            console().print()
        _print(each)


def _print(found: Results) -> None:
    since = f" since {found.since:%Y-%m-%d}" if found.since else ""
    console().print(Text(f"{found.experiment}: {found.status}, period {found.period}{since}", "bold"))
    if found.verdict:
        _say(found.verdict.message, _COLOURS.get(found.verdict.state, "yellow"))
        if found.verdict.bet:
            _say(found.verdict.bet.message)
    console().print()
    print_table(_arms(found.arms))
    for metric in found.metrics:
        console().print()
        _print_metric(metric)
    if found.unidentified:
        _print_unidentified(found.unidentified)
    if found.warnings:
        console().print()
    for warning in found.warnings:
        _say(f"{warning.code}: {warning.message}", "yellow")
    console().print()
    for line in _around(found):
        _say(line)


def _say(text: str, style: str = "") -> None:
    for line in textwrap.wrap(text, _WIDTH):
        console().print(Text(line, style))


def _arms(arms: Sequence[ArmCounts]) -> Table:
    table = Table("arm", box=None, pad_edge=False)
    extra = {
        "pinned": any(arm.pinned for arm in arms),
        "unidentified": any(arm.unidentified for arm in arms),
        "unassigned": any(arm.unassigned for arm in arms),
        "no report": any(arm.without_report for arm in arms),
    }
    names = ["weight", "callers", "calls", "delivered", *(name for name, there in extra.items() if there)]
    for name in names:
        table.add_column(name, justify="right")
    for arm in arms:
        cells = {
            "weight": f"{arm.weight:g}", "callers": f"{arm.callers:,}", "calls": f"{arm.calls:,}",
            "delivered": _share(arm.delivered), "pinned": f"{arm.pinned:,}", "unidentified": f"{arm.unidentified:,}",
            "unassigned": _part(arm.unassigned, arm.calls), "no report": _share(arm.without_report),
        }  # fmt: skip
        table.add_row(arm.arm, *(cells[name] for name in names))
    return table


def _print_metric(metric: Metric) -> None:
    kind = "guardrail" if metric.guardrail else f"to {metric.goal}"
    console().print(Text.assemble((metric.metric, "bold"), f"  {metric.outcome}, per {metric.per}, {kind}"))
    table = Table("arm", box=None, pad_edge=False)
    for name in (f"{metric.per}s", "missing", "mean", "± error"):
        table.add_column(name, justify="right")
    for arm in metric.arms:
        table.add_row(arm.arm, *_mean(arm, metric))
    print_table(table)
    for one in metric.comparisons:
        _say(_comparison(one, metric))


def _print_unidentified(found: Unidentified) -> None:
    console().print()
    _say("Calls without a number, each drawn by itself and counted as one; they are no part of the verdict.", "bold")
    if not found.sample_ratio.ok:
        _say("They are not spread over the arms as the weights say, and cannot be compared.", "yellow")
    for metric in found.metrics:
        console().print()
        _print_metric(metric)


def _mean(arm: ArmMean, metric: Metric) -> tuple[str, ...]:
    units = arm.callers if metric.per == "caller" else arm.calls
    missing = _part(arm.missing, (units or 0) + arm.missing)
    return f"{units:,}", missing, _value(arm.mean, metric), _value(arm.standard_error, metric)


def _comparison(one: Comparison, metric: Metric) -> str:
    if one.difference is None:
        return f"  {one.arm} against {one.against}: {one.state}"
    valid = _interval(one.always_valid_interval, metric)
    fixed = _interval(one.interval, metric)
    return (
        f"  {one.arm} against {one.against}: {one.state}, {_value(one.difference, metric, sign='+')} "
        f"({valid}; for statisticians, at a single look: {fixed})"
    )


def _interval(interval: Interval | None, metric: Metric) -> str:
    if interval is None:
        return "nothing is said yet"
    return f"{_value(interval[0], metric, sign='+')} to {_value(interval[1], metric, sign='+')}"


def _value(value: float | None, metric: Metric, sign: str = "") -> str:
    if value is None:
        return "-"
    return f"{value:{sign}.2%}" if metric.is_proportion else f"{value:{sign},.4g}"


def _part(number: int, whole: int) -> str:
    return f"{number:,} ({number / whole:.1%})" if number else "0"


def _share(value: float | None) -> str:
    return "-" if value is None else f"{value:.1%}"


def _around(found: Results) -> Iterator[str]:
    if found.coverage and found.coverage.calls:
        calls = found.coverage.calls
        yield (
            f"This is about {found.coverage.counted / calls:.0%} of the {count(calls, 'call')} since the period began; "
            f"{found.coverage.unidentified / calls:.0%} had no number."
        )
    for period in found.earlier_periods:
        callers = sum(arm.callers for arm in period.arms)
        since = f" from {period.since:%Y-%m-%d} on" if period.since else ""
        yield f"Period {period.period}{since} had {count(callers, 'caller')}."
