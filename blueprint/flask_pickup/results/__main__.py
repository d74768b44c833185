"""Computes results for another process: a line of JSON in, a line of JSON out, until nobody asks for a minute.

Each line is a question: ``{"do": "overview", "bodies"}``, ``{"do": "results", "body"}``, ``{"do": "story", "body",
"zone"}`` or ``{"do": "plan", "baseline", "lift", "callers_a_week"}``, with ``"database_url"``, and with ``"language"``
where it is not English that the answer should be in. The argument is the seconds that a statement may take. When the
asking process is gone this one ends, whatever it is doing.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Mapping
from contextlib import suppress
from datetime import UTC, datetime
from queue import Empty, SimpleQueue
from threading import Thread
from typing import Any
from zoneinfo import ZoneInfo

from sqlalchemy import Engine, event

from flask_pickup.catalog.definition import Experiment, MetricDefinition
from flask_pickup.models import make_engine
from flask_pickup.results import planning
from flask_pickup.results.assembling import results
from flask_pickup.results.model import Results
from flask_pickup.results.periods import Body
from flask_pickup.results.story import story
from flask_pickup.translation import in_language

LINGERS = 60.0
"""Seconds that the process waits for another question."""
_GIVES_WAY = 10


def main() -> None:
    """Answer questions."""
    os.nice(_GIVES_WAY)
    questions: SimpleQueue[bytes] = SimpleQueue()
    Thread(target=_listen, args=(questions,), daemon=True).start()
    with suppress(Empty):
        while True:
            question = json.loads(questions.get(timeout=LINGERS))
            engine = _bounded(question["database_url"], float(sys.argv[1]))
            sys.stdout.write(json.dumps(answer(engine, question)) + "\n")
            engine.dispose()
            sys.stdout.flush()


def answer(engine: Engine, question: Mapping[str, Any]) -> dict[str, Any]:
    """Return the answer to a question; what fails is told by its kind alone, for the message may quote a row."""
    try:
        with in_language(question.get("language", "en")):
            return _ANSWERS[question["do"]](engine, question)
    except Exception as error:  # noqa: BLE001 (another process waits for this line)
        return {"failed": type(error).__name__}


def _listen(questions: SimpleQueue[bytes]) -> None:
    for line in sys.stdin.buffer:
        questions.put(line)
    os._exit(0)


def _bounded(url: str, seconds: float) -> Engine:
    """Return an engine whose statements end when nobody waits for them any more."""
    engine = make_engine(url)
    if engine.dialect.name == "postgresql":

        @event.listens_for(engine, "connect")
        def limit(connection: Any, _record: object) -> None:
            connection.execute(f"SET statement_timeout = {int(1000 * seconds)}")
            # The database's other processors are for the calls; a page can wait twice as long.
            connection.execute("SET max_parallel_workers_per_gather = 0")
            connection.commit()

    return engine


def _overview(engine: Engine, question: Mapping[str, Any]) -> dict[str, Any]:
    return {"results": [_brief(results(engine, body["experiment"], body)) for body in question["bodies"]]}


def _brief(found: Results) -> dict[str, Any]:
    days = (datetime.now(UTC) - found.since).days if found.since else 0
    return {**found.as_json(), "callers": sum(arm.callers for arm in found.arms), "days": days}


def _results(engine: Engine, question: Mapping[str, Any]) -> dict[str, Any]:
    body: Body = question["body"]
    return {"results": results(engine, body["experiment"], body).as_json()}


def _story(engine: Engine, question: Mapping[str, Any]) -> dict[str, Any]:
    body: Body = question["body"]
    found = results(engine, body["experiment"], body)
    told = story(engine, body, found, ZoneInfo(question["zone"])).as_json() if found.since else None
    return {"story": told}


def _plan(_: Engine, question: Mapping[str, Any]) -> dict[str, Any]:
    metric = MetricDefinition("rate", "rate")
    design = Experiment("", "draft", weights={"control": 1, "other": 1}, metrics=(metric,), primary="rate")
    start = planning.said(question["baseline"], deviation=None, callers_a_week=question["callers_a_week"])
    return planning.plan(design, metric, start, question["lift"]).as_json()


_ANSWERS = {"overview": _overview, "results": _results, "story": _story, "plan": _plan}

if __name__ == "__main__":
    main()
    # At once: the interpreter, taking its leave, would die of the thread that reads, and say so in the server's log.
    os._exit(0)
