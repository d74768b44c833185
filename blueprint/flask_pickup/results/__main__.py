"""Computes results for another process: a line of JSON in, a line of JSON out, until nobody asks for a minute.

The first line is the settings: ``{"database_url"}``. Then each line is a question: ``{"do": "overview", "bodies"}``,
``{"do": "experiment", "body"}`` or ``{"do": "plan", "baseline", "lift", "callers_a_week"}``.
"""

from __future__ import annotations

import json
import os
import select
import sys
from collections.abc import Mapping
from datetime import UTC, datetime
from io import FileIO
from typing import Any

from sqlalchemy import Engine

from flask_pickup.models import make_engine
from flask_pickup.results import planning
from flask_pickup.results.assembling import results
from flask_pickup.results.model import Design, MetricDesign, Results
from flask_pickup.results.periods import Body
from flask_pickup.results.story import story

LINGERS = 60.0
"""Seconds that the process waits for another question."""
_GIVES_WAY = 10


def main() -> None:
    """Answer questions."""
    os.nice(_GIVES_WAY)
    # Without a buffer: select cannot see what has been read ahead.
    with FileIO(sys.stdin.fileno(), closefd=False) as lines:
        settings = json.loads(lines.readline())
        engine = make_engine(settings["database_url"])
        for question in iter(lambda: _next_line(lines), b""):
            sys.stdout.write(json.dumps(answer(engine, json.loads(question))) + "\n")
            sys.stdout.flush()


def answer(engine: Engine, question: Mapping[str, Any]) -> dict[str, Any]:
    """Return the answer to a question; what fails is told by its kind alone, for the message may quote a row."""
    try:
        return _ANSWERS[question["do"]](engine, question)
    except Exception as error:  # noqa: BLE001 (another process waits for this line)
        return {"failed": type(error).__name__}


def _next_line(lines: FileIO) -> bytes:
    ready, _, _ = select.select([lines], [], [], LINGERS)
    return lines.readline() if ready else b""


def _overview(engine: Engine, question: Mapping[str, Any]) -> dict[str, Any]:
    return {"results": [_brief(results(engine, body["experiment"], body)) for body in question["bodies"]]}


def _brief(found: Results) -> dict[str, Any]:
    days = (datetime.now(UTC) - found.since).days if found.since else 0
    return {**found.as_json(), "callers": sum(arm.callers for arm in found.arms), "days": days}


def _experiment(engine: Engine, question: Mapping[str, Any]) -> dict[str, Any]:
    body: Body = question["body"]
    found = results(engine, body["experiment"], body)
    told = story(engine, body, found).as_json() if found.since else None
    return {"results": found.as_json(), "story": told}


def _plan(_: Engine, question: Mapping[str, Any]) -> dict[str, Any]:
    metric = MetricDesign("rate", "rate")
    design = Design("", "draft", weights={"control": 1, "other": 1}, metrics=(metric,), primary="rate")
    start = planning.said(question["baseline"], deviation=None, callers_a_week=question["callers_a_week"])
    return planning.plan(design, metric, start, question["lift"]).as_json()


_ANSWERS = {"overview": _overview, "experiment": _experiment, "plan": _plan}

if __name__ == "__main__":
    main()
