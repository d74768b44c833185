"""``flask pickup simulate``: results before the first real call."""

from __future__ import annotations

import re
import tempfile
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import click
from rich.console import Console
from rich.progress import track
from rich.table import Table
from rich.text import Text
from sqlalchemy import Engine
from sqlalchemy.exc import ArgumentError

from flask_pickup import simulation
from flask_pickup.blueprint import State
from flask_pickup.catalog import CONTROL, Catalog, Experiment
from flask_pickup.catalog.definition import MetricDefinition
from flask_pickup.cli.group import (
    USAGE_ERROR,
    Number,
    experiment_named,
    fail,
    formatted,
    layer_ranges,
    plural,
    show,
    with_state,
    wrapped,
)
from flask_pickup.engines import make_engine
from flask_pickup.results import amounts, wording
from flask_pickup.simulation import Truth, is_number

_EFFECT = re.compile(r"(?P<arm>[^:=]+)(?::(?P<metric>[^=]+))?=(?P<size>[+-]?(\d+\.?\d*|\.\d+))")


@click.command()
@click.argument("name")
@click.option("--callers", type=click.IntRange(1), default=2000, show_default=True, help="How many callers to make up.")
@click.option("--weeks", type=click.IntRange(1, 520), default=12, show_default=True, help="How long they take to call.")
@click.option("--effect", "effects", multiple=True, help="What is true: warm=+0.05, or warm:early_hang_up=-0.02.")
@click.option(
    "--baseline", type=Number(-1e9, 1e9), help="The primary metric in control; by default 0.3, or 90 of a number."
)
@click.option("--into", help="An empty database to fill, as an SQLAlchemy URL; by default one that is thrown away.")
@click.option("--seed", type=int, default=0, show_default=True, help="Another seed makes up other callers.")
@formatted
@with_state
def simulate_command(
    state: State,
    name: str,
    callers: int,
    weeks: int,
    effects: Sequence[str],
    baseline: float | None,
    into: str | None,
    seed: int,
    style: str,
) -> None:
    """Simulate an experiment with made-up callers.

    Shows the verdict of the experiment NAME, which callers did not count and why, and the results week by week, as if it
    were running. Decisions and rows are the real ones; only callers and outcomes are made up, with the differences of
    --effect. Calls come in the hours of hours.toml, or else in office hours. A database that has calls is left as it is.

    \b
    flask pickup simulate warm-opening --effect warm=+0.05
    """
    status = experiment_named(state, name).status
    experiment = replace(experiment_named(state, name), status="running", winner="")
    catalog = state.catalog.with_experiment(experiment)
    try:
        truth = simulation.truth(experiment, dict(_effect(each, experiment) for each in effects), baseline)
    except ValueError as error:
        fail(f"This cannot be simulated: {error}.", USAGE_ERROR)
    until = state.now
    contents = {simulation.beginning(catalog, weeks, until): catalog}
    planned = simulation.Simulation(state, contents, [truth], callers, until, seed)
    with _database(into) as engine:
        if not simulation.prepare(engine):
            fail("This database has calls already. Name an empty one.")
        went: Counter[str] = sum(
            _shown(planned.fill(engine), -(-callers // simulation.BATCH), "Simulating callers", style), Counter()
        )
        lost = list(_lost(went, catalog, experiment))
        try:
            seen = [wording.with_messages(each) for each in simulation.looks(engine, experiment, until)]
        except ValueError as error:
            fail("\n".join([f"There are no results: {error}.", *(wrapped(each).plain for each in lost)]))
    as_if = [f"'{name}' is {status}; this is as if it were running."] if status != "running" else []
    assumed = (
        f"Assumed: {plural(callers, 'caller')} over {plural(weeks, 'week')} (--callers, --weeks), and these rates and "
        "means (--baseline for control, --effect for the other arms; pp are percentage points):"
    )
    show(style, _as_json(truth, went, seen), *_parts(truth, [*as_if, *lost, "", assumed], seen))


def _effect(text: str, experiment: Experiment) -> tuple[tuple[str, str], float]:
    found = _EFFECT.fullmatch(text)
    if found is None:
        fail(f"--effect {text} must be an arm and a difference, such as warm=+0.05.", USAGE_ERROR)
    return (found["arm"], found["metric"] or experiment.primary), float(found["size"])


@contextmanager
def _database(url: str | None) -> Iterator[Engine]:
    with tempfile.TemporaryDirectory(prefix="pickup-simulation-") as folder:
        try:
            engine = make_engine(url or f"sqlite:///{Path(folder, 'pickup.db')}")
        except (ArgumentError, ModuleNotFoundError):
            # The URL may hold a password: it is not repeated.
            fail(
                "--into must be an SQLAlchemy URL of SQLite or PostgreSQL, such as sqlite:////tmp/try.db.",
                USAGE_ERROR,
            )
        try:
            yield engine
        finally:
            engine.dispose()


def _shown(steps: Iterable[Any], total: int, what: str, style: str) -> Iterable[Any]:
    screen = Console(stderr=True)
    return track(steps, what, total, console=screen, transient=True, disable=style == "json" or not screen.is_terminal)


def _lost(went: Counter[str], catalog: Catalog, experiment: Experiment) -> Iterator[str]:
    """Yield how many callers count, and why others do not, by the reasons of their calls' decisions."""
    layer = experiment.layer
    why = {
        "layer": f"outside its range of the layer '{layer}': {layer_ranges(catalog, layer)}" if layer else "",
        "traffic": f"not in its traffic = {experiment.traffic:g}",
        "audience": f"not in its audience: {experiment.audience}",
        "fallback": "answered by the saved agent, as the greetings do not load",
        "closed": "turned away, as they rang only outside the hours",
    }
    yield f"{went['enrolled']:,} of {plural(went.total(), 'made-up caller')} {'counts' if went['enrolled'] == 1 else 'count'}."
    for reason, number in went.most_common():
        if reason != "enrolled":
            yield f"{number:,} {'does' if number == 1 else 'do'} not: {why.get(reason, reason)}."


def _as_json(truth: Truth, went: Counter[str], seen: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    return {
        "callers": went,
        "truth": [
            {"arm": arm, "metric": metric, "baseline": truth.baselines[metric], "difference": effect}
            for (arm, metric), effect in truth.effects.items()
        ],
        "weeks": seen,
    }


def _parts(truth: Truth, notes: Sequence[str], seen: Sequence[Mapping[str, Any]]) -> Iterator[str | Text | Table]:
    last = seen[-1]["verdict"]
    yield Text(_headline(last, seen), "bold")
    yield wrapped(f"{last['message']} {last['detectable']}".strip())
    if last["claims"]:
        yield wrapped(
            "The verdict names the end of its interval that is nearest to zero, so it can say less than is assumed."
        )
    yield wrapped(f"What to do then: {last['advice']}")
    yield ""
    yield from map(wrapped, notes)
    experiment = truth.experiment
    for metric in experiment.metrics:
        yield wrapped(f"  {metric.name}: {', '.join(_truth(metric, truth))}")
    yield ""
    table = Table(box=None, pad_edge=False)
    for name in ("week", "callers", "arm", experiment.primary, "verdict"):
        table.add_column(name, justify="right" if name in {"week", "callers"} else "left")
    for each in seen:
        callers = sum(arm["callers"] for arm in each["arms"])
        label = "now" if each is seen[-1] else f"{each['week']}"
        for index, (arm, interval) in enumerate(_intervals(each, experiment)):
            of_all = (
                ("", "", "") if index else (label, f"{callers:,}", wording.headline({**each["verdict"], "found": None}))
            )
            table.add_row(*of_all[:2], arm, interval, of_all[2])
    yield table


def _headline(verdict: Mapping[str, Any], seen: Sequence[Mapping[str, Any]]) -> str:
    """Return a verdict in a few words, with the week of the simulation instead of a date."""
    week = next((each["week"] for each in seen if verdict["found"] and each["until"] == verdict["found"]), None)
    text = wording.headline({**verdict, "found": None})
    return f"{text} ({'since' if verdict['state'] == 'choice' else 'found in'} week {week})" if week else text


def _truth(metric: MetricDefinition, truth: Truth) -> Iterator[str]:
    unit = metric.per if is_number(metric) else "share"
    yield f"control {amounts.level(truth.baselines[metric.name], unit)}"
    for arm in truth.experiment.weights:
        if arm != CONTROL:
            effect = truth.effects.get((arm, metric.name), 0.0)
            mean = amounts.level(truth.of(metric.name, arm), unit)
            yield f"{arm} {mean} ({amounts.difference(effect, unit)})" if effect else f"{arm} the same"


def _intervals(of: Mapping[str, Any], experiment: Experiment) -> Iterator[tuple[str, str]]:
    """Yield each comparison and its interval of the primary metric."""
    metric = next((each for each in of["metrics"] if each["metric"] == experiment.primary), None)
    found = {(each["arm"], each["against"]): each["interval"] for each in (metric["comparisons"] if metric else ())}
    unit = amounts.unit_of(metric["is_proportion"], metric["per"]) if metric else ""
    for arm, against in experiment.pairs:
        name = arm if against == CONTROL else f"{arm} - {against}"
        yield name, amounts.interval_text(found.get((arm, against)), unit)
