"""Dashboards over databases of which it is known what they should say, on one server, each below a path of its own."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from threading import Thread
from typing import Any

from flask import Flask
from sqlalchemy import Engine, insert
from werkzeug.exceptions import NotFound
from werkzeug.middleware.dispatcher import DispatcherMiddleware
from werkzeug.serving import WSGIRequestHandler, make_server

from conftest import BOOKED, CALLER_SECRET, CONTENT, DASHBOARD_TOKEN, WEBHOOK_SECRET, Phone, write
from flask_pickup import Pickup, migrating
from flask_pickup.catalog import Experiment
from flask_pickup.models import Definition
from result_rows import Rows

TOKEN = DASHBOARD_TOKEN

EXPERIMENT = (
    'description = "Does a warm opening book more appointments?"\n'
    + BOOKED
    + """\
goal = "increase"
[metrics.early_hang_up]
outcome = "early_hang_up"
goal = "decrease"
guardrail = true
margin = 0.05
[metrics.length]
outcome = "duration_seconds"
goal = "decrease"
per = "call"
guardrail = true
margin = 30
"""
)

SETTINGS = """\
[lines."+31850835037"]
name = "Front desk"
"""

FILES: Mapping[str, Any] = {
    **CONTENT,
    "greetings/settings.toml": SETTINGS,
    "greetings/first_message.j2": "Good day {{ customer.first_name }}. How can I help you?",
    "greetings/hours.toml": 'timezone = "Europe/Amsterdam"\n[week]\nmonday = "09:00-17:00"\n',
    "greetings/closed.j2": "We are closed.",
    "experiments/warm-opening/experiment.toml": EXPERIMENT,
    "experiments/warm-opening/warm/first_message.j2": "Hello, how lovely that you call! How can I help you?",
    "experiments/later/experiment.toml": 'status = "draft"\n[arms]\ncontrol = 1\nshort = 1\n',
    "experiments/later/short/first_message.j2": "Yes?",
}

SHORT: Mapping[str, Any] = {
    **FILES,
    "experiments/warm-opening/experiment.toml": EXPERIMENT + "[decision]\nmaximum_weeks = 4\n",
}
"""The same, with a horizon that is over."""

_LONG = "an-experiment-with-a-name-that-somebody-thought-about-for-a-long-time"
_ARMS = [f"arm-number-{index}-of-ten-of-them" for index in range(9)]
_PROMPT = ("You are a receptionist who notes everything down. " * 250)[:10_000]
MUCH: Mapping[str, Any] = {
    **FILES,
    "experiments/warm-opening/experiment.toml": EXPERIMENT.replace("warm = 1\n", "warm = 1\n" + "".join(f"{arm} = 1\n" for arm in _ARMS[:-1])),
    **{f"experiments/warm-opening/{arm}/first_message.j2": f"Arm {arm} " + "speaks at length. " * 20 for arm in _ARMS[:-1]},
    "experiments/warm-opening/warm/system_prompt.j2": _PROMPT,
    **{f"experiments/broken-{index}/experiment.toml": "arms =" for index in range(50)},
    f"experiments/{_LONG}/experiment.toml": 'description = "' + "Words and more words. " * 30 + '"\n[arms]\ncontrol = 1\n',
}  # fmt: skip


@dataclass(frozen=True)
class Told:
    """The outcomes of an arm's callers.

    :param rate: of a hundred of them, how many booked.
    """

    callers: int
    rate: int
    hung_up: int = 8


SAID: Mapping[str, Mapping[str, Told]] = {
    "winner": {"control": Told(1500, 30), "warm": Told(1500, 42, 6)},
    "same": {"control": Told(3000, 30), "warm": Told(3000, 30)},
    "undecided": {"control": Told(300, 30), "warm": Told(300, 33)},
    "broken": {"control": Told(900, 30), "warm": Told(600, 42)},
    "little": {"control": Told(1, 0)},
    "empty": {},
}
"""Database to what happened in it."""


def app_of(folder: Path, said: Mapping[str, Told], files: Mapping[str, Any] = FILES) -> Flask:
    """Make an app whose experiment has run for five weeks."""
    root = write(folder, files)
    app = Flask(__name__, instance_path=str(folder / "instance"))
    app.config.update(
        PICKUP_WEBHOOK_SECRET=WEBHOOK_SECRET,
        PICKUP_CALLER_SECRET=CALLER_SECRET,
        PICKUP_EXPERIMENTS=str(root / "experiments"),
        PICKUP_GREETINGS=str(root / "greetings"),
        PICKUP_DATABASE_URL=f"sqlite:///{root / 'pickup.db'}",
        PICKUP_DASHBOARD_TOKEN=TOKEN,
    )
    app.register_blueprint(Pickup(), url_prefix="/pickup")
    state = app.extensions["pickup"]
    migrating.upgrade(state.engine)
    experiment = next(one for one in state.catalog.experiments if one.name == "warm-opening")
    _calls(experiment, said).write(state.engine)
    _definitions(experiment, state.engine)
    return app


def _calls(experiment: Experiment, said: Mapping[str, Told]) -> Rows:
    rows = Rows()
    now = datetime.now(UTC)
    for arm, told in said.items():
        for index in range(told.callers):
            at = now - timedelta(days=35 * (1 - (index + 0.5) / told.callers))
            outcomes = {
                # Spread evenly, and not in the same callers.
                "analysis.booked": float(37 * index % 100 < told.rate),
                "early_hang_up": float(53 * index % 100 < told.hung_up),
                "duration_seconds": 60.0 + 7 * index % 60,
            }
            rows.call(
                f"{arm}-{index}", at, arm, outcomes, experiment=experiment.name, definition=experiment.fingerprint,
                reasons={experiment.name: "enrolled"}, call_id=f"{arm}-{'abcdefghij'[index % 10]}{index:x}",
            )  # fmt: skip
    if said:
        rows.call(
            None, now - timedelta(days=1), None, None, reasons={experiment.name: "unidentified"}, call_id="anonymous"
        )
    return rows


def _definitions(experiment: Experiment, engine: Engine) -> None:
    """Write the definition, and an earlier one without assignments."""
    before = {**experiment.body, "status": "draft", "traffic": 0.5}
    began = datetime.now(UTC) - timedelta(days=36)
    values = [
        {"fingerprint": "0" * 32, "experiment": experiment.name, "body": before, "first_seen_at": began},
        {
            "fingerprint": experiment.fingerprint, "experiment": experiment.name, "body": experiment.body,
            "first_seen_at": began + timedelta(hours=1),
        },
    ]  # fmt: skip
    with engine.begin() as connection:
        connection.execute(insert(Definition), values)


class Dashboards:
    """Apps that several tests only read, each made once, and open to their author's browser."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._made: dict[str, Phone] = {}

    def __call__(self, name: str, said: Mapping[str, Told], files: Mapping[str, Any] = FILES) -> Phone:
        """Return the app of a name."""
        if name not in self._made:
            self._made[name] = Phone(app_of(self._folder / name, said, files))
            self._made[name].client.get(f"/pickup/?token={TOKEN}")
        return self._made[name]

    def close(self) -> None:
        """Close the apps."""
        for phone in self._made.values():
            phone.app.extensions["pickup"].close()


class _Quiet(WSGIRequestHandler):
    def log(self, *_: Any, **__: Any) -> None:
        """Say nothing."""


@contextmanager
def served(apps: Mapping[str, Flask]) -> Iterator[str]:
    """Serve apps, each below a path of its name, and give the server's address."""
    dispatch = DispatcherMiddleware(NotFound(), {f"/{name}": app.wsgi_app for name, app in apps.items()})
    server = make_server("127.0.0.1", 0, dispatch, threaded=True, request_handler=_Quiet)
    thread = Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
        for app in apps.values():
            app.extensions["pickup"].close()
