"""``flask pickup results`` and ``export``: what the rows say, for people and for programs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, NoReturn

import click
from rich.table import Column, Table
from rich.text import Text

from flask_pickup.blueprint import State
from flask_pickup.catalog import Experiment
from flask_pickup.catalog.definition import MetricDefinition
from flask_pickup.cli.group import FAILED, USAGE_ERROR, WIDTH, fail, plural, show, with_state, wrapped
from flask_pickup.errors import UnknownExperiment
from flask_pickup.platforms import REGISTRY
from flask_pickup.results import amounts
from flask_pickup.results.amounts import Unit
from flask_pickup.results.assembling import recorded
from flask_pickup.results.breakdowns import Breakdown, breakdowns_of, caller_groups
from flask_pickup.results.calls import rehearsed_calls
from flask_pickup.results.model import (
    CSV_COLUMNS,
    ArmCounts,
    Comparison,
    Interval,
    Metric,
    Results,
    Unidentified,
    csv_rows,
)
from flask_pickup.simulation import is_number
from flask_pickup.spreadsheets import csv_text
from flask_pickup.translation import format_day

_COLOURS = {
    "better": "green",
    "better below smallest": "cyan",
    "worse": "red",
    "broken": "red",
    "no difference": "cyan",
}
_NO_VERDICT = "No verdict: it comes from weekly looks at all real calls of one period, and these are other calls."
_STATES = {"too few": "too few callers to compare", "suppressed": "not compared, because the arms lose calls unevenly"}
"""What a comparison's state is called, where its own word does not tell."""
_COUNTED = {
    (True, "caller"): "share of callers with at least one",
    (True, "call"): "share of calls",
    (False, "caller"): "mean of callers' totals",
    (False, "call"): "mean of calls",
}
"""What a metric is, by whether it is a share and by what it is measured."""
_NOT_COUNTED = "rehearsal-excluded"
_EXTRA = ("pinned", "unidentified", "unassigned", "without_report")
"""Columns of arms that are shown only where there is something in them."""


@click.command()
@click.argument("name", required=False)
@click.option("--pool", is_flag=True, help="Include earlier periods of equal weights.")
@click.option("--rehearsals", is_flag=True, help="Include rehearsed calls.")
@click.option("--platform", metavar="NAME", help="Include only this platform's calls; no verdict.")
@click.option("--breakdowns", is_flag=True, help="Add new and returning callers, and platforms.")
@click.option(
    "--format", "style", type=click.Choice(["text", "json", "csv"]), default="text", show_default=True,
    help="Text; JSON or CSV for programs.",
)  # fmt: skip
@with_state
def results_command(
    state: State,
    name: str | None,
    *,
    pool: bool,
    rehearsals: bool,
    platform: str | None,
    breakdowns: bool,
    style: str,
) -> None:
    """Show which arm is better.

    Shows the verdict of the experiment NAME, each metric by arm, and warnings. Without NAME shows all experiments that
    are not drafts. The exit status is 1 if results are not reliable.

    \b
    flask pickup results warm-opening
    flask pickup results --format csv > results.csv
    """
    if platform not in {None, *REGISTRY}:
        fail(f"No platform is called '{platform}'. There are: {', '.join(sorted(REGISTRY))}.", USAGE_ERROR)
    if breakdowns and style == "csv":
        fail("--breakdowns is there as text and JSON only.", USAGE_ERROR)
    options = {"pool": pool, "rehearsals": rehearsals, "platform": platform}
    try:
        found = [_read(state, each, options, breakdowns=breakdowns) for each in ([name] if name else _names(state))]
    except UnknownExperiment as error:
        _fail(error, state)
    broken = any(each.results.verdict and each.results.verdict.state == "broken" for each in found)
    if style == "csv":
        lines = [line for each in found for line in csv_rows(each.results.as_data())]
        click.echo(csv_text([CSV_COLUMNS, *lines]), nl=False)
        raise click.exceptions.Exit(FAILED if broken else 0)
    values = [each.as_json() for each in found]
    texts = [part for each in found for part in _parts(each)] or ["All experiments are drafts."]
    show(style, values[0] if name else values, *texts, failed=broken)


@dataclass(frozen=True)
class _Found:
    """What is printed of an experiment.

    :param rehearsed: how many rehearsed calls it has that are not counted.
    :param breakdowns: None where nobody asked for them.
    """

    results: Results
    experiment: Experiment
    rehearsed: int
    breakdowns: Sequence[Breakdown] | None

    def as_json(self) -> dict[str, Any]:
        more = {} if self.breakdowns is None else {"breakdowns": [asdict(each) for each in self.breakdowns]}
        return self.results.as_json() | {"rehearsals_not_counted": self.rehearsed} | more


def _read(state: State, name: str, options: Mapping[str, Any], *, breakdowns: bool) -> _Found:
    with state.analysis(name, **options) as found:
        rehearsed = 0 if options["rehearsals"] else rehearsed_calls(found.connection, found.query)
        shown = breakdowns_of(found, caller_groups(found)) if breakdowns else None
        return _Found(found.results(), found.experiment, rehearsed, shown)


@click.command()
@click.argument("name")
@click.option("--rehearsals", is_flag=True, help="Include rehearsed calls.")
@click.option("--format", type=click.Choice(["csv"]), expose_value=False, help="CSV is the only format.")
@with_state
def export_command(state: State, name: str, *, rehearsals: bool) -> None:
    """Print a row for each caller of an experiment, as CSV.

    The rows of the experiment NAME hold the period, the arm, the first call, and for each metric the caller's sum and its
    divisor, such as booked and booked_of. Both are empty where the metric excludes the caller. Callers are pseudonyms. docs/results.md shows
    how to compute the results from the rows.

    \b
    flask pickup export warm-opening > callers.csv
    """
    try:
        for row in state.export(name, rehearsals=rehearsals):
            click.echo(csv_text([row]), nl=False)
    except UnknownExperiment as error:
        _fail(error, state)


def _names(state: State) -> list[str]:
    here = {each.name for each in state.catalog.experiments if each.status != "draft"}
    return sorted(here | set(recorded(state.engine)))


def _fail(error: UnknownExperiment, state: State) -> NoReturn:
    fail(f"{error} There are: {', '.join(_names(state)) or 'none'}.", USAGE_ERROR)


# --- text -------------------------------------------------------------------------------------------------------------


def _parts(shown: _Found) -> Iterator[str | Text | Table]:
    found, breakdowns = shown.results, shown.breakdowns
    designs = {each.name: each for each in shown.experiment.metrics}
    since = f" since {format_day(found.since.isoformat())}" if found.since else ""
    on = f", on {found.platform} alone" if found.platform else ""
    yield wrapped(f"{found.experiment}: {found.status}, period {found.period} of {found.period}{since}{on}", "bold")
    yield from _verdict(found)
    if shown.rehearsed:
        calls, verb = plural(shown.rehearsed, "rehearsed call"), "is" if shown.rehearsed == 1 else "are"
        yield wrapped(f"{calls} {verb} not counted; --rehearsals counts {'it' if verb == 'is' else 'them'}.")
    yield from ("", _arms(found.arms))
    for metric in found.metrics:
        yield from _metric(metric, designs[metric.metric])
    for breakdown in breakdowns or ():
        yield from _breakdown(breakdown)
    if breakdowns is not None and not breakdowns:
        yield "\nNo breakdowns: all callers are new, and on one platform."
    if found.unidentified:
        yield from _unidentified(found.unidentified, designs)
    yield ""
    told = found.verdict.findings if found.verdict else ()
    warnings = [each for each in found.warnings if each not in told and each.code != _NOT_COUNTED]
    yield from (wrapped(warning.message, "yellow") for warning in warnings)
    yield from map(wrapped, _context(found))
    yield ""


def _verdict(found: Results) -> Iterator[Text]:
    verdict = found.as_json()["verdict"]
    if verdict is None:
        yield wrapped(_NO_VERDICT, "yellow")
        return
    yield wrapped(verdict["headline"], f"bold {_COLOURS.get(verdict['state'], 'yellow')}")
    yield wrapped(f"{verdict['message']} {verdict['detectable']}".strip())
    yield wrapped(f"What to do: {verdict['advice']}")


def _table(*names: str) -> Table:
    return Table("arm", *(Column(name, justify="right") for name in names), box=None, pad_edge=False)


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


def _metric(metric: Metric, design: MetricDefinition) -> Iterator[str | Text | Table]:
    label = design.label_in("en")
    name = label if label == metric.metric else f"{label} ({metric.metric})"
    unit = _unit(metric, design)
    about = f"{metric.outcome}, {_COUNTED[unit == 'share', metric.per]}, {_aim(metric, design, unit)}"
    yield ""
    if len(f"{name}  {about}") <= WIDTH:
        yield Text.assemble((name, "bold"), f"  {about}")
    else:
        yield from (wrapped(name, "bold"), wrapped(about))
    table = _table(f"{metric.per}s", "missing", "mean", "standard error")
    for arm in metric.arms:
        units = (arm.callers if metric.per == "caller" else arm.calls) or 0
        missing = _part(arm.missing, units + arm.missing)
        table.add_row(
            arm.arm, f"{units:,}", missing, _amount(arm.mean, metric.unit), _amount(arm.standard_error, metric.unit)
        )
    yield table
    for one in metric.comparisons:
        yield wrapped(f"  {one.arm} against {one.against}: {_comparison(one, metric)}")


def _unit(metric: Metric, design: MetricDefinition) -> Unit:
    """Return the unit of a metric's values; of one that has none yet, as far as its definition tells."""
    if any(arm.mean is not None for arm in metric.arms):
        return metric.unit
    return amounts.unit_of(not is_number(design), metric.per)


def _aim(metric: Metric, design: MetricDefinition, unit: Unit) -> str:
    if not metric.guardrail:
        return f"to {metric.goal}"
    harm = "decrease" if metric.goal == "increase" else "increase"
    least = f" by more than {amounts.amount(design.margin, unit)}" if design.margin else ""
    return f"guardrail: must not {harm}{least}"


def _breakdown(found: Breakdown) -> Iterator[str | Text | Table]:
    yield ""
    yield Text.assemble((f"{found.metric} by {found.by}", "bold"), "  exploratory: the verdict does not use it")
    table = _table("callers", "mean")
    table.columns[0].header = found.by
    for one in found.groups:
        table.add_row(f"{one.group}, {one.arm}", f"{one.callers:,}", _amount(one.mean, found.unit))
    yield table
    for each in found.interactions:
        if each.difference is not None:
            yield wrapped(
                f"  {each.arm} against control: {amounts.difference(each.difference, found.unit)} more among {each.group} than "
                f"others ({amounts.percent(found.confidence)} interval for one look: "
                f"{amounts.interval_text(each.interval, found.unit)})"
            )


def _unidentified(found: Unidentified, designs: Mapping[str, MetricDefinition]) -> Iterator[str | Text | Table]:
    yield ""
    yield wrapped("Calls without a number, each assigned and counted by itself. The verdict excludes them.", "bold")
    if not found.sample_ratio.ok:
        yield wrapped("Sample ratio mismatch: their weights do not explain their split over the arms.", "yellow")
    for metric in found.metrics:
        yield from _metric(metric, designs[metric.metric])


def _comparison(one: Comparison, metric: Metric) -> str:
    state = _STATES.get(one.state, one.state)
    if one.state == "unknown":
        state = "harm not ruled out yet" if one.interval else _STATES["too few"]
    if one.difference is None or one.state == "suppressed":
        return state
    difference = amounts.difference(one.difference, metric.unit)
    if state == _STATES["too few"]:
        return f"{state}, {difference} so far"
    interval = amounts.interval_text(_possible(one.interval, metric), metric.unit)
    fixed = amounts.interval_text(_possible(one.fixed_interval, metric), metric.unit)
    today = f"; could find today: {amounts.size(one.detectable, metric.unit)}" if one.detectable else ""
    return f"{state}, {difference} (interval: {interval}; for one look: {fixed}{today})"


def _possible(interval: Interval | None, metric: Metric) -> Interval | None:
    """Return the part of an interval that differences can lie in: those of two rates are 100 percentage points at most."""
    return (max(-1.0, interval[0]), min(1.0, interval[1])) if interval and metric.is_proportion else interval


def _amount(value: float | None, unit: Unit) -> str:
    return "-" if value is None else amounts.level(value, unit)


def _part(number: int, whole: int) -> str:
    return f"{number:,} ({amounts.percent(number / whole)})" if number else "0"


def _share(value: float | None) -> str:
    return "-" if value is None else amounts.percent(value)


def _context(found: Results) -> Iterator[str]:
    if found.coverage and found.coverage.calls:
        calls = found.coverage.calls
        yield (
            f"These results include {amounts.percent(found.coverage.counted / calls)} of the {plural(calls, 'call')} since "
            f"the period began; {amounts.percent(found.coverage.unidentified / calls)} had no number."
        )
    for period in found.earlier_periods:
        callers = sum(arm.callers for arm in period.arms)
        since = f" from {format_day(period.since.isoformat())} on" if period.since else ""
        yield f"Period {period.period}{since} had {plural(callers, 'caller')}."
