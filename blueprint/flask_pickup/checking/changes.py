"""A running experiment against what the database has of it: what changed, and what that does to its results."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from threading import Thread
from typing import Any, TypeVar

from sqlalchemy import Engine, create_engine, func, select
from sqlalchemy.engine import make_url
from sqlalchemy.pool import NullPool

from flask_pickup.catalog import Catalog, Complaint, Experiment
from flask_pickup.catalog.complaints import toml_line
from flask_pickup.models import Call, Definition

T = TypeVar("T")

Recorded = Mapping[str, Mapping[str, Any]]
"""The last definition that was served of each experiment, by its name."""

_NEW_PERIOD = "a new period of the results begins with it: callers from before are counted apart"
_OTHER_RULE = "a rule that is chosen after its data is seen finds what is not there: keep the old one, or begin anew"
_CONSEQUENCES = {
    "arms": ("weights", _NEW_PERIOD),
    "audience": ("audience", _NEW_PERIOD),
    "seed": ("seed", _NEW_PERIOD),
    "primary": ("primary metric", _OTHER_RULE),
    "decision": ("rule of decision", _OTHER_RULE),
}
"""What of a definition matters while callers ring, its name, and what changing it does."""


def check_changes(catalog: Catalog, recorded: Recorded) -> Iterator[Complaint]:
    """Yield what differs in each running experiment from its last definition that callers heard."""
    for experiment in catalog.experiments:
        before = recorded.get(experiment.name)
        if experiment.is_running and before and before.get("status") in {"running", "paused"}:
            yield from _changes(catalog, experiment, before)


def _changes(catalog: Catalog, experiment: Experiment, before: Mapping[str, Any]) -> Iterator[Complaint]:
    file = f"experiments/{experiment.name}/experiment.toml"
    source = catalog.texts[file]
    for key, (name, consequence) in _CONSEQUENCES.items():
        if key in before and before[key] != experiment.body[key]:
            problem = f"the {name} changed while the experiment is running"
            yield Complaint(file, toml_line(source, key), problem, consequence, "warning")
    yield from _changed_words(experiment, before.get("files") or {})


def _changed_words(experiment: Experiment, before: Mapping[str, Mapping[str, str]]) -> Iterator[Complaint]:
    for arm, files in experiment.files.items():
        old = before.get(arm, {})
        for name in sorted(old.keys() | files.keys()):
            if old.get(name) != files.get(name):
                how = "are new" if name not in old else "were removed" if name not in files else "changed"
                problem = f"the words of arm '{arm}' {how} while the experiment is running"
                file = f"experiments/{experiment.name}/{arm}/{name}"
                yield Complaint(file, _first_difference(old.get(name, ""), files.get(name, "")), problem, _NEW_PERIOD,
                                "warning")  # fmt: skip


def _first_difference(old: str, new: str) -> int:
    for number, (was, now) in enumerate(zip(old.splitlines(), new.splitlines(), strict=False), 1):
        if was != now:
            return number
    return min(len(old.splitlines()), len(new.splitlines())) + 1


FEWEST = 30
"""Calls with a caller below which no look at results is worth its time."""

PATIENCE = 2
"""Seconds that a database has to answer. Without one all else is checked."""


def recorded_definitions(url: str) -> Recorded:
    """Return the last definition that each experiment was served from; nothing if the database does not say in time.

    :param url: an SQLAlchemy URL; of SQLite only a file that is there is opened, and never written.
    """
    return ask(url, last_definitions) or {}


def ask(url: str, question: Callable[[Engine], T]) -> T | None:
    """Return what a database answers; None if there is none, or it does not answer in time."""
    answers: list[T] = []

    def asking() -> None:
        # Whatever fails here, the content is checked all the same.
        with suppress(Exception):
            answers.append(question(_engine(url)))

    thread = Thread(target=asking, daemon=True)
    thread.start()
    thread.join(PATIENCE)
    return answers[0] if answers else None


def has_callers(engine: Engine) -> bool:
    """Return whether enough calls are there to measure anything on."""
    some = select(Call.call_id).where(Call.caller_key.is_not(None)).limit(FEWEST).subquery()
    with engine.connect() as connection:
        return connection.execute(select(func.count()).select_from(some)).scalar_one() >= FEWEST


def last_definitions(engine: Engine) -> Recorded:
    """Return the last definition that each experiment was served from.

    :raises sqlalchemy.exc.SQLAlchemyError: if the database does not answer.
    """
    last = func.row_number().over(
        partition_by=Definition.experiment,
        order_by=(Definition.first_seen_at.desc(), Definition.fingerprint.desc()),
    )
    numbered = select(Definition.experiment, Definition.body, last.label("place")).subquery()
    with engine.connect() as connection:
        rows = connection.execute(select(numbered.c.experiment, numbered.c.body).where(numbered.c.place == 1))
        return dict(tuple(row) for row in rows)


def _engine(url: str) -> Engine:
    parsed = make_url(url)
    if parsed.get_backend_name() == "sqlite":
        parsed = parsed.set(database=f"file:{parsed.database}", query={"mode": "ro", "uri": "true"})
        return create_engine(parsed, poolclass=NullPool)
    return create_engine(parsed, poolclass=NullPool, connect_args={"connect_timeout": PATIENCE})
