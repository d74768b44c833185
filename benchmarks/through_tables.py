"""The same simulated callers as rows in SQLite: whether `flask pickup results` says what their sums say."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import timedelta
from math import isclose
from pathlib import Path
from typing import Any

from flask import Flask

from arms import START
from flask_pickup import Pickup
from flask_pickup.cli import pickup
from flask_pickup.results.looks import PastLooks, WeeklyLook, looks_of
from flask_pickup.results.statistics import results_of
from result_rows import Rows, tables
from simulated import Setting, look_at, week_of


def says_the_same(setting: Setting, random: Any, folder: Path) -> bool:
    """Return whether each look's verdict and intervals, and those of the last day, are the same from rows."""
    folder.mkdir()
    calls = {arm: list(setting.calls(random, 1, arm)) for arm in setting.design.weights}
    arms = {arm: setting.arm(arm, 1, iter(each)) for arm, each in calls.items()}
    looks = list[WeeklyLook]()
    for day in range(6, setting.days, 7):
        history = PastLooks(looks, None, week_of(day))
        found = results_of(setting.design, setting.period(arms, 0, day), histories={1: history})
        looks.append(look_at(found, setting.design, history, everything=True))
    now = results_of(setting.design, setting.period(arms, 0, setting.days - 1), histories={1: PastLooks(looks)})
    url = f"sqlite:///{folder / 'pickup.db'}"
    _write(setting, calls, url)
    said, kept = _asked(setting, url, folder)
    return (
        [look.week for look in kept] == [look.week for look in looks]
        and all(_same(each.body, look.body) for each, look in zip(kept, looks, strict=True))
        and _same(said, {**now.as_data(), "verdict": looks[-1].body["verdict"]})
    )


def _write(setting: Setting, calls: dict[str, Any], url: str) -> None:
    """Write each caller's calls, at one time of day, with their reports."""
    rows = Rows()
    for arm, each in calls.items():
        for caller, came in enumerate(setting.callers(arm)):
            # The first caller begins the period; all others come later.
            first = START + timedelta(days=came, seconds=min(caller, 10_000))
            for number, (values, made) in enumerate(each):
                if caller < values.shape[1] and made[0, caller]:
                    booked = {"analysis.booked": float(values[0, caller])}
                    rows.call(f"{arm}-{caller}", first + timedelta(weeks=number), arm, booked)
    rows.write(tables(url), [("d", replace(setting.design, name="opening").body)])


def _asked(setting: Setting, url: str, folder: Path) -> tuple[Any, list[WeeklyLook]]:
    """Return what the command says at the end, and the looks that it kept."""
    for name in ("experiments", "greetings"):
        (folder / name).mkdir()
    app = Flask(__name__, root_path=str(folder), instance_path=str(folder / "instance"))
    secrets = {"PICKUP_WEBHOOK_SECRET": "benchmark-webhook-secret", "PICKUP_CALLER_SECRET": "benchmark-caller-secret"}
    app.config.update(secrets, PICKUP_DATABASE_URL=url)
    end = START + timedelta(days=setting.days)
    app.register_blueprint(Pickup(clock=end.timestamp))
    said = app.test_cli_runner().invoke(pickup, ["results", "opening", "--format", "json"])
    state = app.extensions["pickup"]
    with state.engine.connect() as connection:
        [history] = looks_of(connection, "opening").values()
    state.close()
    return json.loads(said.stdout), list(history.looks)


def _same(one: Any, other: Any) -> bool:
    """Return whether the verdicts are the same, and the states and intervals of all comparisons."""
    verdicts = [(each["verdict"]["state"], each["verdict"]["arms"], each["verdict"]["found"]) for each in (one, other)]
    compared = [[each for metric in found["metrics"] for each in metric["comparisons"]] for found in (one, other)]
    return verdicts[0] == verdicts[1] and all(
        x["state"] == y["state"] and all(_close(x[name], y[name]) for name in ("interval", "own_interval"))
        for x, y in zip(*compared, strict=True)
    )


def _close(x: Any, y: Any) -> bool:
    if x is None or y is None:
        return x is y
    return all(isclose(a, b, rel_tol=1e-9, abs_tol=1e-12) for a, b in zip(x, y, strict=True))
