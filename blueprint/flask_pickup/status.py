"""How an app does: its platforms, database, content, waiting rows and experiments, and what of it is not well."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from datetime import datetime, timedelta
from time import monotonic
from typing import Any, Literal

from sqlalchemy import inspect, select
from sqlalchemy.exc import SQLAlchemyError

from flask_pickup import migrating
from flask_pickup.blueprint import State
from flask_pickup.catalog import Experiment
from flask_pickup.engines import reading, reason_of
from flask_pickup.ledger.spool import Spool, SpoolUnavailable
from flask_pickup.models import Base, Call, Definition
from flask_pickup.platform_status import PlatformStatus, platform_statuses
from flask_pickup.results.snapshots import Latest
from flask_pickup.results.wording import headline
from flask_pickup.translation import format_day

_NONE = Latest()
_OLD = timedelta(days=1)
"""The age from which results are computed anew."""
_PATIENCE = 3.0
"""Seconds that computing the results of all experiments may take."""
_NEXT = {"missing": "There are no tables yet", "behind": "The tables are not up to date"}

Tables = Literal["current", "behind", "newer", "missing", "unknown"]


@dataclass(frozen=True)
class DatabaseStatus:
    """The database as this process meets it.

    :param kind: such as ``postgresql``; None where the host's engine is not there.
    :param error: why it does not answer; empty where it does.
    :param lacking: the names of tables that its revision has, and that are not there.
    :param tables: ``newer`` than this version of Pickup, which they serve too; ``unknown`` while it does not answer.
    """

    kind: str | None
    tables: Tables = "unknown"
    revision: str | None = None
    error: str = ""
    lacking: tuple[str, ...] = ()


@dataclass(frozen=True)
class SpoolStatus:
    """What this host's spool holds; ``error`` says why that is not known, or why no row could be kept there."""

    waiting: int = 0
    dead_letters: int = 0
    error: str = ""


@dataclass(frozen=True)
class ExperimentStatus:
    """An experiment and its latest results.

    :param callers: those who count; None while there are no results.
    :param verdict: the state of its verdict, None while there is none; ``headline`` is the verdict in words.
    :param as_of: when the results were computed.
    """

    name: str
    status: str
    callers: int | None = None
    verdict: str | None = None
    headline: str = ""
    as_of: datetime | None = None


@dataclass(frozen=True)
class AppStatus:
    """How an app does.

    :param content: as in ``/health``: names of broken greetings, of experiments that do not load, and of those that lack
        callers of their range.
    :param unserved: experiments of whose content in the folder no call was answered yet, though calls came.
    """

    platforms: Mapping[str, PlatformStatus]
    database: DatabaseStatus
    spool: SpoolStatus
    content: Mapping[str, list[str]]
    experiments: tuple[ExperimentStatus, ...]
    unserved: tuple[str, ...] = ()

    @property
    def problems(self) -> list[str]:
        """What is not well, each in a sentence or two that say what to do."""
        return [
            *self._of_database(),
            *self._of_spool(),
            *self._of_content(),
            *self._of_platforms(),
            *(
                f"{each.name}: {each.headline.lower()}. Run: flask pickup results {each.name}"
                for each in self.experiments
                if each.verdict in {"broken", "failed"}
            ),
        ]

    @property
    def not_computed(self) -> list[str]:
        """The experiments whose results are not known yet."""
        return [each.name for each in self.experiments if each.status != "draft" and each.verdict is None]

    def as_json(self) -> dict[str, Any]:
        """Return all of it as plain values."""
        platforms = {
            name: {
                "state": each.state,
                "last_call": each.last_call,
                "last_report": each.last_report,
                "calls_today": each.calls_today,
            }
            for name, each in self.platforms.items()
        }
        parts = {name: asdict(getattr(self, name)) for name in ("database", "spool")}
        experiments = [asdict(each) for each in self.experiments]
        problems = self.problems
        return {
            "well": not problems,
            "problems": problems,
            "platforms": platforms,
            **parts,
            "content": dict(self.content),
            "experiments": experiments,
            "unserved": list(self.unserved),
        }

    def _of_database(self) -> Iterator[str]:
        if self.database.error:
            yield f"The database does not answer: {self.database.error}"
        elif self.database.tables in _NEXT:
            yield f"{_NEXT[self.database.tables]}. Run: flask pickup db upgrade"
        for name in self.database.lacking:
            yield f"The database lacks the table {name}. Restore it from a backup, or make it as in: flask pickup db sql"

    def _of_spool(self) -> Iterator[str]:
        if self.spool.error:
            yield self.spool.error
        if waiting := self.spool.waiting:
            rows = "1 row waits" if waiting == 1 else f"{waiting:,} rows wait"
            yield f"{rows} in the spool: no process has brought them to the database yet. See the log of the server."
        if dead := self.spool.dead_letters:
            rows = "1 row is" if dead == 1 else f"{dead:,} rows are"
            yield f"{rows} in quarantine, because the database refuses them: table dead_letter of the spool's spool.db."

    def _of_content(self) -> Iterator[str]:
        says = {
            "broken": "Greetings do not load, so callers hear the saved agent",
            "left_out": "Experiments do not load",
            "overlapping": "Experiments lack callers of their range, which others have",
        }
        for kind, text in says.items():
            if names := self.content[kind]:
                yield f"{text}: {', '.join(names)}. Run: flask pickup check"

    def _of_platforms(self) -> Iterator[str]:
        for name, each in self.platforms.items():
            if each.state == "unknown" and self.database.tables in {"current", "newer"}:
                yield f"{name}: its calls cannot be read: the database is too slow, or lacks the table pickup_calls."
            elif each.state == "silent":
                since = f"since {format_day(each.last_call.isoformat())}" if each.last_call else "for a long time"
                yield f"{name}: no call {since}. Is the webhook still set at the platform?"
            elif each.state == "unreported":
                yield f"{name}: calls come without their reports. Does the platform still send them to the webhook?"


def status_of(state: State) -> AppStatus:
    """Return how an app does, from its database, its folders and its spool. It starts no thread.

    Results are the latest that are kept. Where there are none of the last day they are computed, if that takes no longer
    than a few seconds; new weekly looks are kept then.
    """
    database = _database(state)
    can_read = database.tables in {"current", "newer"}
    unknown = {name: PlatformStatus(activity, "unknown") for name, activity in state.activity.items()}
    return AppStatus(
        platform_statuses(state) if can_read else unknown,
        database,
        _spool(state),
        state.catalog.problems,
        tuple(_experiments(state)) if can_read else tuple(map(_experiment, state.catalog.experiments)),
        tuple(_unserved(state)) if can_read else (),
    )


def _unserved(state: State) -> Iterator[str]:
    served = {each.fingerprint: each.name for each in state.catalog.experiments if each.status != "draft"}
    with suppress(SQLAlchemyError), reading(state.engine, _PATIENCE) as connection:
        if connection.execute(select(Call.call_id).limit(1)).first():
            query = select(Definition.fingerprint).where(Definition.fingerprint.in_(served))
            known = set(connection.scalars(query))
            yield from (name for fingerprint, name in served.items() if fingerprint not in known)


def _database(state: State) -> DatabaseStatus:
    kind = None
    try:
        kind = state.engine.dialect.name
        revision = migrating.current(state.engine)
    except SQLAlchemyError as error:
        return DatabaseStatus(kind, error=reason_of(error))
    lacking: list[str] = []
    tables: Tables = "behind"
    if revision is None:
        tables = "missing"
    elif revision == migrating.newest():
        tables = "current"
    elif migrating.is_newer(revision):
        tables = "newer"
    if tables in {"current", "newer"}:
        with suppress(SQLAlchemyError):
            known = inspect(state.engine)
            lacking = [name for name in Base.metadata.tables if not known.has_table(name)]
    return DatabaseStatus(kind, tables, revision, lacking=tuple(lacking))


def _spool(state: State) -> SpoolStatus:
    spool = Spool(state.options.spool)
    try:
        spool.check()
        return SpoolStatus(*spool.count())
    except SpoolUnavailable as error:
        return SpoolStatus(error=str(error))


def _experiments(state: State) -> Iterator[ExperimentStatus]:
    names = [each.name for each in state.catalog.experiments if each.status != "draft"]
    latest = state.snapshots.stored(names)
    end = monotonic() + _PATIENCE
    for each in state.catalog.experiments:
        found = latest.get(each.name, _NONE)
        left = end - monotonic()
        if each.name in latest and left > 0 and (found.at is None or state.now - found.at > _OLD):
            # With more calls than can be counted in time the older ones are shown, with their age.
            with suppress(SQLAlchemyError):
                found = Latest(state.now, {"results": state.results(each.name, patience=left).as_data()})
        yield _experiment(each, found)


def _experiment(experiment: Experiment, latest: Latest = _NONE) -> ExperimentStatus:
    shown = ExperimentStatus(experiment.name, experiment.status, as_of=latest.at)
    if latest.body is None:
        return shown
    if "failed" in latest.body:
        return replace(shown, verdict="failed", headline="The results could not be computed")
    results = latest.body["results"]
    callers = sum(arm["callers"] for arm in results["arms"])
    verdict = results["verdict"]
    words = headline(verdict) if results["since"] else "No callers yet"
    return replace(shown, callers=callers, verdict=verdict["state"], headline=words)
