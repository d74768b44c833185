"""A running experiment against what the database has of it: what changed, and what that does to its results."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from threading import Thread
from typing import Any

from sqlalchemy import Engine, create_engine, func, select
from sqlalchemy.engine import make_url
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.pool import NullPool

from flask_pickup.catalog import Catalog, Complaint, Experiment
from flask_pickup.catalog.complaints import toml_line
from flask_pickup.models import Definition

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
    for arm, files in experiment.body["files"].items():
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


PATIENCE = 2
"""Seconds that a database has to answer. Without one all else is checked."""


def recorded_definitions(url: str) -> Recorded:
    """Return the last definition that each experiment was served from; nothing if the database does not say in time.

    :param url: an SQLAlchemy URL; of SQLite only a file that is there is opened, and never written.
    """
    found: dict[str, Mapping[str, Any]] = {}
    asking = Thread(target=lambda: found.update(_ask(url)), daemon=True)
    asking.start()
    asking.join(PATIENCE)
    return dict(found)


def _ask(url: str) -> Recorded:
    try:
        engine = _engine(url)
        with engine.connect() as connection:
            last = func.row_number().over(
                partition_by=Definition.experiment,
                order_by=(Definition.first_seen_at.desc(), Definition.fingerprint.desc()),
            )
            numbered = select(Definition.experiment, Definition.body, last.label("place")).subquery()
            rows = connection.execute(select(numbered.c.experiment, numbered.c.body).where(numbered.c.place == 1))
            return dict(tuple(row) for row in rows)
    except (SQLAlchemyError, ImportError, OSError):
        return {}


def _engine(url: str) -> Engine:
    parsed = make_url(url)
    if parsed.get_backend_name() == "sqlite":
        parsed = parsed.set(database=f"file:{parsed.database}", query={"mode": "ro", "uri": "true"})
        return create_engine(parsed, poolclass=NullPool)
    return create_engine(parsed, poolclass=NullPool, connect_args={"connect_timeout": PATIENCE})
