"""``flask pickup simulate``: results before the first real call."""

from __future__ import annotations

import re
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click
from flask.cli import with_appcontext
from rich.console import Console
from rich.progress import track
from rich.table import Table
from sqlalchemy import Engine
from sqlalchemy.exc import ArgumentError

from flask_pickup import simulation
from flask_pickup.catalog.definition import CONTROL, Experiment
from flask_pickup.cli.group import (
    ASKED_WRONGLY,
    console,
    experiment_named,
    fail,
    formatted,
    mounted,
    print_json,
    reaching,
)
from flask_pickup.engines import make_engine
from flask_pickup.results import wording
from flask_pickup.results.model import Results
from flask_pickup.simulation import Truth

_EFFECT = re.compile(r"(?P<arm>[^:=]+)(?::(?P<metric>[^=]+))?=(?P<size>[+-]?(\d+\.?\d*|\.\d+))")


@click.command()
@click.argument("name")
@click.option("--callers", type=click.IntRange(1), default=2000, show_default=True, help="How many callers to make up.")
@click.option("--weeks", type=click.IntRange(1, 520), default=12, show_default=True, help="How long they take to call.")
@click.option("--effect", "effects", multiple=True, help="What is true: warm=+0.05, or warm:early_hang_up=-0.02.")
@click.option("--baseline", type=float, help="The primary metric in control; by default 0.3, or 90 of a number.")
@click.option("--into", help="An empty database to fill, as an SQLAlchemy URL; by default one that is thrown away.")
@click.option("--seed", type=int, default=0, show_default=True, help="Another seed makes up other callers.")
@formatted
@with_appcontext
def simulate_command(
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
    state = mounted()
    experiment = experiment_named(state, name)
    if not experiment.is_running:
        fail(f"'{name}' is {experiment.status}: it enrols nobody. Set status = \"running\".", ASKED_WRONGLY)
    try:
        truth = simulation.truth(experiment, dict(_effect(each, experiment) for each in effects), baseline)
    except ValueError as error:
        fail(f"This cannot be simulated: {error}.", ASKED_WRONGLY)
    until = datetime.fromtimestamp(state.webhook.clock(), UTC)
    planned = simulation.Simulation(state.webhook, experiment, truth, callers, weeks, until, seed)
    with _database(into) as engine:
        if not reaching(lambda: simulation.prepare(engine)):
            fail("This database has calls already. Name an empty one.")
        batches = -(-callers // simulation.BATCH)
        reaching(lambda: list(_shown(planned.fill(engine), batches, "Making up callers", style)))
        try:
            seen = list(_shown(simulation.looks(engine, experiment, until), weeks, "Looking at each week", style))
        except ValueError as error:
            fail(f"There are no results: {error}. Look at its audience, traffic, layer and hours.")
    if style == "json":
        print_json(_as_json(truth, seen))
    else:
        _print(experiment, truth, seen)


def _effect(text: str, experiment: Experiment) -> tuple[tuple[str, str], float]:
    found = _EFFECT.fullmatch(text)
    if found is None:
        fail(f"--effect {text} must be an arm and a difference, such as warm=+0.05.", ASKED_WRONGLY)
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
                ASKED_WRONGLY,
            )
        try:
            yield engine
        finally:
            engine.dispose()


def _shown(steps: Iterable[Any], total: int, what: str, style: str) -> Iterable[Any]:
    screen = Console(stderr=True)
    return track(steps, what, total, console=screen, transient=True, disable=style == "json" or not screen.is_terminal)


def _as_json(truth: Truth, seen: Sequence[Results]) -> dict[str, Any]:
    return {
        "truth": [
            {"arm": arm, "metric": metric, "baseline": truth.baselines[metric], "difference": effect}
            for (arm, metric), effect in truth.effects.items()
        ],
        "weeks": [each.as_json() for each in seen],
    }


def _print(experiment: Experiment, truth: Truth, seen: Sequence[Results]) -> None:
    screen = console()
    for metric in (each.name for each in experiment.metrics):
        parts = [f"{arm} {truth.effects.get((arm, metric), 0):+g}" for arm in experiment.weights if arm != CONTROL]
        screen.print(f"true {metric}: control {truth.baselines[metric]:g}, {', '.join(parts)}")
    screen.print()
    table = Table("week", "callers", *(f"{arm} - {against}" for arm, against in experiment.pairs), "verdict", box=None)
    for week, each in enumerate(seen, 1):
        callers = sum(arm.callers for arm in each.arms)
        state = each.verdict.state if each.verdict else ""
        table.add_row(
            f"{week}" if each is not seen[-1] else "now", f"{callers:,}", *_intervals(each, experiment), state
        )
    screen.print(table)
    last = seen[-1].verdict
    screen.print(f"\n{last.message}" if last else "")


def _intervals(of: Results, experiment: Experiment) -> Iterator[str]:
    metric = of.metric(experiment.primary)
    found = {(each.arm, each.against): each.always_valid_interval for each in (metric.comparisons if metric else ())}
    for pair in experiment.pairs:
        interval = found.get(pair)
        yield (
            " to ".join(wording.difference(end, metric.unit) for end in interval) if metric and interval else "none yet"
        )
