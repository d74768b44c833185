"""What the database knows of the experiments: asked briefly, and never written."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from threading import Thread
from typing import TypeVar

from sqlalchemy import Engine, create_engine, func, select
from sqlalchemy.engine import make_url
from sqlalchemy.pool import NullPool

from flask_pickup.caller import REHEARSAL
from flask_pickup.catalog.layers import WHOLE, Range
from flask_pickup.models import Assignment, Call, Definition
from flask_pickup.platforms import JsonObject

T = TypeVar("T")

CARRY_OVER = timedelta(days=30)
"""How long what a caller heard in one experiment can show in another."""

_TIMEOUT = 2
"""Seconds that a database has to answer. Without an answer everything else is checked."""


def ask(url: str, question: Callable[[Engine], T]) -> T | None:
    """Return what a database answers; None if it does not answer in time.

    :param url: an SQLAlchemy URL; of SQLite only an existing file is opened.
    """
    answers: list[T] = []

    def asking() -> None:
        # Whatever fails here, the content is checked all the same.
        with suppress(Exception):
            answers.append(question(_engine(url)))

    thread = Thread(target=asking, daemon=True)
    thread.start()
    thread.join(_TIMEOUT)
    return answers[0] if answers else None


@dataclass(frozen=True)
class History:
    """What the database knows of the experiments.

    :param definitions: the last definition that each was served from, by its name.
    :param recent: the definitions that gave arms to callers within the last 30 days, each after the last day, in order.
    """

    definitions: Mapping[str, JsonObject] = field(default_factory=dict)
    recent: Sequence[tuple[str, JsonObject]] = ()


NO_HISTORY = History()


def history_of_experiments(engine: Engine) -> History:
    """Return what the database knows of the experiments.

    :raises sqlalchemy.exc.SQLAlchemyError: if it does not answer.
    """
    definitions = select(Definition.experiment, Definition.body).order_by(
        Definition.first_seen_at, Definition.fingerprint
    )
    last = (
        select(Assignment.definition, func.max(Assignment.assigned_at).label("at"))
        # Calls have an index on their time, assignments have none.
        .join(Call, Call.call_id == Assignment.call_id)
        .where(Call.decided_at >= datetime.now(UTC) - CARRY_OVER)
        .where(Assignment.source == "hash", ~Assignment.call_id.startswith(REHEARSAL))
        .group_by(Assignment.definition)
        .subquery()
    )
    query = select(last.c.at, Definition.body).join(last, last.c.definition == Definition.fingerprint).order_by("at")
    with engine.connect() as connection:
        recent = [(f"{at:%Y-%m-%d}", body) for at, body in connection.execute(query)]
        # The last row of each experiment stays.
        return History(dict(tuple(row) for row in connection.execute(definitions)), recent)


def carry_over(name: str, layer: str, layer_range: Range, recorded: History) -> Iterator[tuple[str, str]]:
    """Yield a problem and its remedy for each other experiment that lately had callers of an experiment's range."""
    in_layer = (
        (day, body) for day, body in recorded.recent if body.get("layer") == layer and body["experiment"] != name
    )
    sharing = ((day, body) for day, body in in_layer if layer_range.overlaps(Range(*body.get("layer_range", WHOLE))))
    for other, day in {body["experiment"]: day for day, body in sharing}.items():
        problem = f"carry-over: callers of {layer_range} were in '{other}' until {day}"
        yield problem, "what they heard there can still show: start 30 days after that, or use a range without them"


def _engine(url: str) -> Engine:
    parsed = make_url(url)
    if parsed.get_backend_name() == "sqlite":
        parsed = parsed.set(database=f"file:{parsed.database}", query={"mode": "ro", "uri": "true"})
    return create_engine(parsed, poolclass=NullPool)
