"""The sample content with three months of made-up calls, in a folder of its own: what a dashboard looks like in use."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from random import Random
from secrets import token_urlsafe
from time import sleep
from typing import Any

from flask import Flask

from flask_pickup import simulation
from flask_pickup.blueprint import EXTENSION, Pickup, State
from flask_pickup.catalog.definition import CONTROL, Status
from flask_pickup.customer import UNKNOWN, Customer
from flask_pickup.ledger import CallEntry

PREFIX = "/demo"
"""The path of the dashboard: another than a real one's, whose cookie it would replace."""
_CALLERS = 3000
_HISTORY: Mapping[int, Mapping[str, Status]] = {
    13: {"short-calls": "running"},
    8: {"short-calls": "concluded", "warm-opening": "running"},
    6: {"greet-by-name": "running"},
    5: {"saved-agent": "running"},
}
"""Weeks ago to the experiments whose status changed then, and how."""
_NOW = {name: status for changes in _HISTORY.values() for name, status in changes.items()}
SHOWN = ("warm-opening", "greet-by-name", "saved-agent", "short-calls")
_WINNER = "five-minutes"
_EFFECTS: Mapping[str, Mapping[tuple[str, str], float]] = {
    "warm-opening": {("warm", "appointment_booked"): 0.16, ("warm", "early_hang_up"): -0.05},
    "short-calls": {(_WINNER, "duration_seconds"): -45, (_WINNER, "appointment_booked"): 0.1},
}
_BASELINES = {"short-calls": 150.0}
_LIMITS: Mapping[str, float] = {CONTROL: 600.0, _WINNER: 300.0}
_LOSING = ("saved-agent", "saved-voice")
"""The experiment and the arm of which one caller in three is lost, as a sample ratio mismatch comes about."""
_NAMES = ("Anna", "Daan", "Emma", "Finn", "Julia", "Lucas", "Mila", "Noah", None, None)
_CALLER_SECRET = "the same callers are made up in each demo"  # noqa: S105 (it is nobody's pseudonym)


class SampleChanged(Exception):
    """The sample content lacks what the demo shows."""


class _Calls(simulation.Simulation):
    """The demo's callers: most are known customers, and some of one arm are lost."""

    def calls(self, number: int) -> Iterator[tuple[CallEntry, Mapping[str, float]]]:
        """Yield each call of a caller, and what comes of it."""
        made = list(super().calls(number))
        arms = {(row["experiment"], row["arm"]) for entry, _ in made for row in entry.assignments}
        if number % 3 or _LOSING not in arms:
            yield from made

    def customer(self, number: int) -> Customer:
        """Return a customer with a first name, or nobody."""
        name = _NAMES[number % len(_NAMES)]
        return Customer({"first_name": name}, {"first_name": name}) if name else UNKNOWN

    def outcomes(self, arms: Mapping[str, str], random: Random) -> Iterator[Mapping[str, float]]:
        """Yield what comes of each call, which ends at the limit. Who hangs up early is gone in seconds, and books nothing."""
        limit = _LIMITS.get(arms.get("short-calls", _WINNER), _LIMITS[CONTROL])
        for values in super().outcomes(arms, random):
            gone = {"duration_seconds": random.uniform(3, 12), "analysis.appointment_booked": 0.0}
            lasted = {"duration_seconds": min(values["duration_seconds"], limit)}
            yield {**values, **(gone if values["early_hang_up"] else lasted)}


def sample() -> Path:
    """Return the folder of the sample content: inside the wheel, or in a checkout two folders up."""
    here = Path(__file__).parent
    packaged = here / "sample"
    return packaged if packaged.is_dir() else here.parents[1]


def make_app(folder: Path) -> Flask:
    """Return an app that mounts Pickup on the sample content and its calls, all of it in an empty ``folder``.

    :raises SampleChanged: if the content does not load, or lacks an experiment.
    """
    needed = ["greetings", *(f"experiments/{name}/experiment.toml" for name in _NOW)]
    if missing := [name for name in needed if not (sample() / name).exists()]:
        raise SampleChanged(f"There is no {', '.join(missing)}.")
    for name in ("greetings", "experiments"):
        shutil.copytree(sample() / name, folder / name)
    for name, status in _NOW.items():
        winner = f'\nwinner = "{_WINNER}"' if status == "concluded" else ""
        file = folder / "experiments" / name / "experiment.toml"
        text = file.read_text("utf-8")
        file.write_text(
            re.sub("^status = .*$", f'status = "{status}"{winner}', text, count=1, flags=re.MULTILINE), "utf-8"
        )
    app = Flask(__name__, root_path=str(folder), instance_path=str(folder / "instance"))
    app.config.update(
        PICKUP_WEBHOOK_SECRET=token_urlsafe(16),
        PICKUP_CALLER_SECRET=_CALLER_SECRET,
        PICKUP_DASHBOARD_TOKEN=token_urlsafe(16),
        # Its callers hear English, which most who look at the demo read.
        PICKUP_REGION="GB",
    )
    app.register_blueprint(Pickup(), url_prefix=PREFIX)
    catalog = app.extensions[EXTENSION].catalog
    if catalog.broken or _NOW.keys() - {each.name for each in catalog.experiments}:
        raise SampleChanged("It does not load.")
    return app


def make_calls(state: State) -> None:
    """Make the calls of three months, into an empty database.

    :raises SampleChanged: if an experiment lacks an arm or a metric.
    """
    simulation.prepare(state.engine)
    now, catalog, contents = state.now, state.catalog, {}
    known = {each.name: each for each in catalog.experiments}
    for name in _NOW:
        catalog = catalog.with_experiment(replace(known[name], status="draft", winner=""))
    for weeks, changes in _HISTORY.items():
        for name, status in changes.items():
            winner = _WINNER if status == "concluded" else ""
            catalog = catalog.with_experiment(replace(known[name], status=status, winner=winner))
        contents[now - timedelta(weeks=weeks)] = catalog
    try:
        truths = [simulation.truth(known[name], _EFFECTS.get(name, {}), _BASELINES.get(name)) for name in SHOWN]
    except ValueError as error:
        raise SampleChanged(f"{error}.") from error
    for _ in _Calls(state, contents, truths, _CALLERS, now).fill(state.engine):
        pass


def computed_results(state: State) -> list[Mapping[str, Any]]:
    """Return the results of :data:`SHOWN` as the dashboard has them, once it has them."""
    while True:
        bodies = [each.body for each in state.snapshots.latest(SHOWN).values()]
        if all(bodies):
            return [body["results"] for body in bodies if body]
        sleep(0.05)


def dashboard_url(app: Flask, port: int) -> str:
    """Return the address that opens the dashboard."""
    return f"http://127.0.0.1:{port}{PREFIX}/?token={app.config['PICKUP_DASHBOARD_TOKEN']}"
