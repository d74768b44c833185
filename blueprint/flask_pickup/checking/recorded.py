"""What the database knows of the experiments: asked briefly, and never written."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import suppress
from threading import Thread
from typing import Any, TypeVar

from sqlalchemy import Engine, create_engine, func, select
from sqlalchemy.engine import make_url
from sqlalchemy.pool import NullPool

from flask_pickup.models import Call, Definition

T = TypeVar("T")

LastDefinitions = Mapping[str, Mapping[str, Any]]
"""The last definition that was served of each experiment, by its name."""

FEWEST = 30
"""Calls with a caller below which detectable effects are not worth computing."""

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


def has_callers(engine: Engine) -> bool:
    """Return whether there are enough calls to measure anything."""
    some = select(Call.call_id).where(Call.caller_key.is_not(None)).limit(FEWEST).subquery()
    with engine.connect() as connection:
        return connection.execute(select(func.count()).select_from(some)).scalar_one() >= FEWEST


def last_definitions(engine: Engine) -> LastDefinitions:
    """Return the last definition that each experiment was served from.

    :raises sqlalchemy.exc.SQLAlchemyError: if the database does not answer.
    """
    query = select(Definition.experiment, Definition.body).order_by(Definition.first_seen_at, Definition.fingerprint)
    with engine.connect() as connection:
        # The last row of each experiment stays.
        return dict(tuple(row) for row in connection.execute(query))


def _engine(url: str) -> Engine:
    parsed = make_url(url)
    if parsed.get_backend_name() == "sqlite":
        parsed = parsed.set(database=f"file:{parsed.database}", query={"mode": "ro", "uri": "true"})
    return create_engine(parsed, poolclass=NullPool)
