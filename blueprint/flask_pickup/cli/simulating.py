"""``flask pickup simulate``: results before the first real call."""

from __future__ import annotations

import re
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import click
from rich.console import Console
from rich.progress import track
from rich.table import Table
from sqlalchemy import Engine
from sqlalchemy.exc import ArgumentError

from flask_pickup import simulation
from flask_pickup.blueprint import State
from flask_pickup.catalog.definition import CONTROL, Experiment, MetricDefinition
from flask_pickup.cli.group import USAGE_ERROR, Number, experiment_named, fail, formatted, show, with_state
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

    Shows the results of the experiment NAME week by week. Decisions and rows are the real ones; only callers and
    outcomes are made up, with the differences of --effect. A database that has calls is left as it is.
    """
    experiment = experiment_named(state, name)
    if not experiment.is_running:
        fail(f"'{name}' is {experiment.status}: it enrols no callers. Set status = \"running\".", USAGE_ERROR)
    try:
        truth = simulation.truth(experiment, dict(_effect(each, experiment) for each in effects), baseline)
    except ValueError as error:
        fail(f"This cannot be simulated: {error}.", USAGE_ERROR)
    until = state.now
    planned = simulation.Simulation(state, experiment, truth, callers, weeks, until, seed)
    with _database(into) as engine:
        if not simulation.prepare(engine):
            fail("This database has calls already. Name an empty one.")
        list(_shown(planned.fill(engine), -(-callers // simulation.BATCH), "Simulating callers", style))
        try:
            seen = [wording.with_messages(each) for each in simulation.looks(engine, experiment, until)]
        except ValueError as error:
            fail(f"There are no results: {error}. Look at its audience, traffic, layer and hours.")
    show(style, _as_json(truth, seen), *_parts(experiment, truth, seen))


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


def _as_json(truth: Truth, seen: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    return {
        "truth": [
            {"arm": arm, "metric": metric, "baseline": truth.baselines[metric], "difference": effect}
            for (arm, metric), effect in truth.effects.items()
        ],
        "weeks": seen,
    }


def _parts(experiment: Experiment, truth: Truth, seen: Sequence[Mapping[str, Any]]) -> Iterator[str | Table]:
    for metric in experiment.metrics:
        yield f"true {metric.name}: {', '.join(_truth(metric, experiment, truth))}"
    yield ""
    table = Table("week", "callers", *(f"{arm} - {against}" for arm, against in experiment.pairs), "verdict", box=None)
    for each in seen:
        callers = sum(arm["callers"] for arm in each["arms"])
        label = "now" if each is seen[-1] else f"{each['week']}"
        table.add_row(label, f"{callers:,}", *_intervals(each, experiment), each["verdict"]["state"])
    yield table
    last = seen[-1]["verdict"]
    yield f"\n{last['headline']}\n{last['message']} {last['detectable']}".rstrip()


def _truth(metric: MetricDefinition, experiment: Experiment, truth: Truth) -> Iterator[str]:
    unit = metric.per if is_number(metric) else "share"
    yield f"control {amounts.level(truth.baselines[metric.name], unit)}"
    for arm in experiment.weights:
        if arm != CONTROL:
            yield f"{arm} {amounts.difference(truth.effects.get((arm, metric.name), 0.0), unit)}"


def _intervals(of: Mapping[str, Any], experiment: Experiment) -> Iterator[str]:
    metric = next((each for each in of["metrics"] if each["metric"] == experiment.primary), None)
    found = {(each["arm"], each["against"]): each["interval"] for each in (metric["comparisons"] if metric else ())}
    for pair in experiment.pairs:
        yield amounts.interval_text(
            found.get(pair), amounts.unit_of(metric["is_proportion"], metric["per"]) if metric else ""
        )
