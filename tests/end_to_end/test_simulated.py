"""``flask pickup simulate`` and then ``results``, as an author types them: the truth that was put in comes out."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from sqlalchemy import create_engine, text

from commands import pipe
from conftest import BOOKED, CALLER_SECRET, CONTENT, WEBHOOK_SECRET, write

APP = """\
import os
from flask import Flask
from flask_pickup import Pickup
app = Flask(__name__)
app.config.update({name: value for name, value in os.environ.items() if name.startswith("PICKUP_")})
app.register_blueprint(Pickup())
"""
EXPERIMENT = (
    BOOKED
    + """\
[metrics.early_hang_up]
goal = "decrease"
guardrail = true
margin = 0.05
[metrics.duration_seconds]
"""
)
TRUTH = {"booked": 0.05, "early_hang_up": -0.03, "duration_seconds": 20.0}
EFFECTS = ("--effect", "warm=+0.05", "--effect", "warm:early_hang_up=-0.03", "--effect", "warm:duration_seconds=20")


def test_results_recover_what_a_simulation_put_in(tmp_path: Path, database_url: str) -> None:
    """All callers who were invented are in the results right after it; they give each effect, within its intervals."""
    files = {**CONTENT, "app.py": APP, "experiments/warm-opening/experiment.toml": EXPERIMENT}
    folder = write(tmp_path / "host", files)
    secrets = {"PICKUP_WEBHOOK_SECRET": WEBHOOK_SECRET, "PICKUP_CALLER_SECRET": CALLER_SECRET}

    made = pipe(
        "simulate", "warm-opening", "--callers", "2000", *EFFECTS, "--into", database_url, folder=folder, **secrets
    )
    assert made.returncode == 0, made.stderr
    found = pipe(
        "results", "warm-opening", "--format", "json", folder=folder, **secrets, PICKUP_DATABASE_URL=database_url
    )
    assert found.returncode == 0, found.stderr

    shown: dict[str, Any] = json.loads(found.stdout)
    assert sum(arm["callers"] for arm in shown["arms"]) == 2000
    assert [(sum(arm["calls"] for arm in shown["arms"]),)] == rows(database_url, "SELECT COUNT(*) FROM pickup_calls")
    compared = {metric["metric"]: metric["comparisons"][0] for metric in shown["metrics"]}
    assert compared.keys() == TRUTH.keys()
    for name, one in compared.items():
        assert abs(one["difference"] - TRUTH[name]) < 3 * one["standard_error"], name
        low, high = one["always_valid_interval"]
        assert low < TRUTH[name] < high, name
    assert shown["warnings"] == []


def rows(url: str, query: str) -> list[tuple[Any, ...]]:
    engine = create_engine(url)
    with engine.connect() as connection:
        found = [tuple(row) for row in connection.execute(text(query))]
    engine.dispose()
    return found
