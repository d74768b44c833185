"""The engine that Pickup writes through: its own, or the host's."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from flask import Flask
from sqlalchemy import Engine
from sqlalchemy.exc import SQLAlchemyError

from flask_pickup.errors import ConfigurationError
from flask_pickup.models import DATABASES, make_engine

EngineSource = Engine | Callable[[], Engine]


def engine_maker(app: Flask, source: EngineSource | None, url: str) -> Callable[[], Engine]:
    """Return a function that gives the engine, on any thread.

    :param source: the host's engine, or a function that returns it, called inside the app's context.
    :param url: the database of Pickup's own engine, where ``source`` is None.
    :raises ConfigurationError: if the host's engine is for another kind of database. What the host's function raises or
        returns is an ``SQLAlchemyError``, once the engine is needed: to a call, a database that does not answer.
    """
    if source is None:
        return lambda: _own_engine(url)
    if isinstance(source, Engine):
        _refuse_other_databases(source, ConfigurationError)
        return lambda: source

    def ask() -> Engine:
        try:
            with app.app_context():
                engine = source()
        except Exception as error:
            raise SQLAlchemyError(f"The function given as Pickup(engine=…) raised {type(error).__name__}") from error
        if not isinstance(engine, Engine):
            raise SQLAlchemyError(f"The function given as Pickup(engine=…) returned {type(engine).__name__}")
        _refuse_other_databases(engine, SQLAlchemyError)
        return engine

    return ask


def _refuse_other_databases(engine: Engine, refusal: type[Exception]) -> None:
    if engine.dialect.name not in DATABASES:
        raise refusal(
            f"Pickup(engine=…) got {engine.dialect.name}. Pickup writes to SQLite and PostgreSQL; leave the engine out "
            "and set 'PICKUP_DATABASE_URL' to one of them."
        )


def _own_engine(url: str) -> Engine:
    engine = make_engine(url)
    if engine.dialect.name == "sqlite" and engine.url.database:
        Path(engine.url.database).parent.mkdir(parents=True, exist_ok=True)
    return engine
