"""``flask pickup simulate``: results before the first real call, and whether nothing is taken for something."""

from __future__ import annotations

import re
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from flask.cli import with_appcontext
from rich.console import Console
from rich.progress import track
from rich.table import Table
from sqlalchemy import Engine
from sqlalchemy.exc import ArgumentError

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
    with_results,
)
from flask_pickup.engines import make_engine
from flask_pickup.results.model import Results

if TYPE_CHECKING:
    from flask_pickup.results.false_alarms import FalseAlarms
    from flask_pickup.simulation import Truth

_EFFECT = re.compile(r"(?P<arm>[^:=]+)(?::(?P<metric>[^=]+))?=(?P<size>[+-]?[0-9.]+)")


@click.command()
@click.argument("name")
@click.option("--callers", type=click.IntRange(1), default=2000, show_default=True, help="How many callers to invent.")
@click.option("--weeks", type=click.IntRange(1, 520), default=12, show_default=True, help="How long they take to call.")
@click.option("--effect", "effects", multiple=True, help="What is true: warm=+0.05, or warm:early_hang_up=-0.02.")
@click.option("--baseline", type=float, help="The primary metric in control; by default 0.3, or 90 of a number.")
@click.option("--into", help="An empty database to fill, as an SQLAlchemy URL; by default one that is thrown away.")
@click.option("--seed", type=int, default=0, show_default=True, help="Another one invents other callers.")
@click.option("--no-effect", is_flag=True, help="Count false alarms in 1,000 experiments without a difference.")
@formatted
@with_appcontext
@with_results
def simulate(
    name: str,
    callers: int,
    weeks: int,
    effects: Sequence[str],
    baseline: float | None,
    into: str | None,
    seed: int,
    no_effect: bool,
    style: str,
) -> None:
    """Send invented callers through an experiment.

    Shows week by week what results would say of the experiment NAME. Decisions and rows are the real ones; only callers and outcomes are invented, with the differences that --effect puts
    in. Nothing is written into a database that has calls.
    """
    from flask_pickup import simulation  # noqa: PLC0415 (only who simulates pays for numpy)

    state = mounted()
    experiment = experiment_named(state, name)
    if no_effect:
        _no_effect(experiment, style)
        return
    if not experiment.is_running:
        fail(f"'{name}' is {experiment.status}: nobody would be in it. Set status = \"running\".", ASKED_WRONGLY)
    try:
        truth = simulation.truth(experiment, dict(_effect(each, experiment) for each in effects), baseline)
    except ValueError as error:
        fail(f"This cannot be simulated: {error}.", ASKED_WRONGLY)
    until = datetime.fromtimestamp(state.webhook.clock(), UTC)
    planned = simulation.Simulation(state.webhook, experiment, truth, callers, weeks, until, seed)
    with _database(into) as engine:
        if not reaching(lambda: simulation.prepare(engine)):
            fail("This database has calls already, and invented ones would spoil them. Name an empty one.")
        batches = -(-callers // simulation.BATCH)
        reaching(lambda: _all(_shown(planned.fill(engine), batches, "Inventing callers", style)))
        try:
            seen = list(_shown(simulation.looks(engine, experiment, until), weeks, "Looking at each week", style))
        except ValueError as error:
            fail(f"There are no results: {error}. Look at its audience, traffic, layer and hours.")
    if style == "json":
        print_json(_as_json(truth, seen))
    else:
        _print(experiment, truth, seen)


def _effect(text: str, design: Experiment) -> tuple[tuple[str, str], float]:
    found = _EFFECT.fullmatch(text)
    try:
        size = float(found["size"]) if found else None
    except ValueError:
        size = None
    if found is None or size is None:
        fail(f"--effect {text} makes no sense. Write an arm and a difference: warm=+0.05", ASKED_WRONGLY)
    return (found["arm"], found["metric"] or design.primary), size


@contextmanager
def _database(url: str | None) -> Iterator[Engine]:
    with tempfile.TemporaryDirectory(prefix="pickup-simulation-") as folder:
        try:
            engine = make_engine(url or f"sqlite:///{Path(folder, 'pickup.db')}")
        except (ArgumentError, ModuleNotFoundError):
            # The URL may hold a password: it is not repeated.
            fail("--into is no SQLAlchemy URL of SQLite or PostgreSQL, such as sqlite:////tmp/try.db.", ASKED_WRONGLY)
        try:
            yield engine
        finally:
            engine.dispose()


def _shown(steps: Iterable[Any], total: int, what: str, style: str) -> Iterable[Any]:
    screen = Console(stderr=True)
    return track(steps, what, total, console=screen, transient=True, disable=style == "json" or not screen.is_terminal)


def _all(steps: Iterable[Any]) -> None:
    for _ in steps:
        pass


def _as_json(truth: Truth, seen: Sequence[Results]) -> dict[str, Any]:
    return {
        "truth": [
            {"arm": arm, "metric": metric, "baseline": truth.baselines[metric], "difference": effect}
            for (arm, metric), effect in truth.effects.items()
        ],
        "weeks": [each.as_json() for each in seen],
    }


def _print(design: Experiment, truth: Truth, seen: Sequence[Results]) -> None:
    screen = console()
    for metric in (each.name for each in design.metrics):
        parts = [f"{arm} {truth.effects.get((arm, metric), 0):+g}" for arm in design.weights if arm != CONTROL]
        screen.print(f"put in   {metric}: control {truth.baselines[metric]:g}, {', '.join(parts)}")
    screen.print()
    table = Table("week", "callers", *(f"{arm} - {against}" for arm, against in design.pairs), "verdict", box=None)
    for week, each in enumerate(seen, 1):
        callers = sum(arm.callers for arm in each.arms)
        state = each.verdict.state if each.verdict else ""
        table.add_row(f"{week}" if each is not seen[-1] else "now", f"{callers:,}", *_intervals(each, design), state)
    screen.print(table)
    last = seen[-1].verdict
    screen.print(f"\n{last.message}" if last else "")


def _intervals(of: Results, design: Experiment) -> Iterator[str]:
    metric = of.metric(design.primary)
    found = {(each.arm, each.against): each.always_valid_interval for each in (metric.comparisons if metric else ())}
    for pair in design.pairs:
        interval = found.get(pair)
        yield f"{interval[0]:+.3g} to {interval[1]:+.3g}" if interval else "nothing yet"


def _no_effect(design: Experiment, style: str) -> None:
    from flask_pickup.results.false_alarms import SCENARIOS, false_alarms  # noqa: PLC0415

    counted = false_alarms(confidence=design.decision.confidence, expected_callers=design.decision.expected_callers)
    found: list[FalseAlarms] = list(_shown(counted, 2 * len(SCENARIOS), "Looking for what is not there", style))
    if style == "json":
        print_json([vars(each) for each in found])
        return
    screen = console()
    screen.print(
        f"Of {found[0].runs:,} experiments without a difference, looked at 100 times, each is called decided in\n"
        f"({design.decision.confidence:.0%} confidence, {design.decision.expected_callers:,} callers expected)"
    )
    table = Table("", "weights", box=None)
    for column in ("always valid", "fixed"):
        table.add_column(column, justify="right")
    for each in found:
        weights = " to ".join(map(str, each.weights))
        table.add_row(each.scenario, weights, f"{each.always_valid:.1%}", f"{each.fixed:.1%}")
    screen.print(table)
