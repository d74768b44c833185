"""Whose calls are counted, and the numbers of calls that are not."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Literal

from sqlalchemy import ColumnElement, Connection, Select, and_, case, func, or_, select, true

from flask_pickup.caller import REHEARSAL
from flask_pickup.catalog.definition import MetricDefinition
from flask_pickup.models import Assignment, Call, Outcome
from flask_pickup.outcome_names import UNREAD
from flask_pickup.results.aggregates import ArmAggregates
from flask_pickup.results.model import Coverage


@dataclass(frozen=True)
class CountQuery:
    """Whose calls are counted.

    :param experiment: its name; None for all callers, whose first call takes the place of an assignment.
    :param until: calls and callers from then on do not count.
    :param after: calls before that do not count.
    :param rehearsals: whether rehearsed calls count.
    :param unidentified: whether calls without a number are counted instead, each as a caller.
    :param scaled_by: the definitions whose callers set the scales of all; by default every definition.
    :param platform: the one whose calls count; None for all.
    :param delivered_on: the platforms whose delivery is counted.
    """

    experiment: str | None
    metrics: tuple[MetricDefinition, ...]
    until: datetime
    after: datetime | None = None
    rehearsals: bool = False
    unidentified: bool = False
    scaled_by: frozenset[str] = frozenset()
    platform: str | None = None
    delivered_on: tuple[str, ...] = ()

    @property
    def unit(self) -> Literal["caller_key", "call_id"]:
        """The column by which a unit is known: the caller that an arm was drawn for, or the call."""
        return "call_id" if self.unidentified else "caller_key"

    @property
    def source(self) -> Literal["hash", "unidentified"]:
        """The source of the assignments that count."""
        return "unidentified" if self.unidentified else "hash"

    def includes(self, call_id: Any) -> ColumnElement[bool]:
        """Return whether a call may count: rehearsals do only if asked for."""
        found = true() if self.rehearsals else ~call_id.startswith(REHEARSAL)
        if self.platform is None:
            return found
        return and_(found, call_id.in_(select(Call.call_id).where(Call.platform == self.platform)))


def was_heard() -> ColumnElement[bool]:
    """Return whether a call was not turned away. A call that only its report tells of was not."""
    return or_(Call.decision != "closed", Call.decision.is_(None))


def platforms_of(connection: Connection) -> tuple[str, ...]:
    """Return the names of the platforms that any call came from."""
    return tuple(sorted(connection.scalars(select(Call.platform).distinct())))


def first_assigned(connection: Connection, query: CountQuery) -> Mapping[str, datetime]:
    """Return for each definition when it first gave an arm to a caller who counts, and had had none before."""
    hashed, pinned = _drawn(query, "hash").subquery(), _drawn(query, "pin").subquery()
    end = select(pinned.c.key, func.min(pinned.c.at).label("end")).group_by(pinned.c.key).subquery()
    counts = or_(end.c.end.is_(None), hashed.c.at < end.c.end)
    together = hashed.outerjoin(end, end.c.key == hashed.c.key)
    by = hashed.c.definition
    statement = select(by, func.min(hashed.c.at).label("at")).select_from(together).where(counts).group_by(by)
    found = {row.definition: row.at for row in connection.execute(statement)}
    if len(found) > 1:
        # Who is new takes a second per half a million rows; where there is one definition, everybody is.
        each = _drawn(query, "hash").subquery()
        first = select(each.c.key, func.min(each.c.at).label("at")).group_by(each.c.key).subquery()
        statement = statement.where(first.c.key == hashed.c.key, first.c.at == hashed.c.at)
        found = {row.definition: row.at for row in connection.execute(statement)}
    return found


def _drawn(query: CountQuery, source: str) -> Select[str, str | None, datetime]:
    """Return the definition, caller and time of each call that was given an arm, and was heard."""
    at = func.coalesce(Call.decided_at, Assignment.assigned_at)
    return (
        select(Assignment.definition, Assignment.caller_key.label("key"), at.label("at"))
        .join(Call, Call.call_id == Assignment.call_id)
        .where(*_assigned(query, source), was_heard(), at < query.until)
    )


def excluded_calls(connection: Connection, query: CountQuery) -> Mapping[tuple[str, str], ArmAggregates]:
    """Return the numbers of calls that are not counted, by definition and arm: pinned, or assigned one by one."""
    by = (Assignment.definition, Assignment.arm)
    numbers = [func.sum(case((Assignment.source == source, 1), else_=0)) for source in ("pin", "unidentified")]
    statement = select(*by, *numbers).where(
        *_assigned(query), Assignment.source != "hash", Assignment.assigned_at < query.until
    )
    return {
        (definition, arm): ArmAggregates(pinned=pinned, unidentified=unidentified)
        for definition, arm, pinned, unidentified in connection.execute(statement.group_by(*by))
    }


def rehearsed_calls(connection: Connection, query: CountQuery) -> int:
    """Return how many calls of the experiment were rehearsed."""
    with_them = replace(query, rehearsals=True)
    statement = select(func.count()).where(*_assigned(with_them), Assignment.call_id.startswith(REHEARSAL))
    return connection.execute(statement).scalar_one()


def unread_calls(connection: Connection, query: CountQuery, definitions: Collection[str]) -> Mapping[str, int]:
    """Return how many calls that count have a report that was not read as a whole, by the outcome that says so."""
    name, is_counted = Outcome.name, Assignment.definition.in_(sorted(definitions))
    statement = (
        select(name, func.count())
        .join(Assignment, Assignment.call_id == Outcome.call_id)
        .where(name.in_(UNREAD.values()), Outcome.reported_at < query.until)
        .where(*_assigned(query, query.source), is_counted, Assignment.assigned_at < query.until)
        .group_by(name)
    )
    return {row[0]: row[1] for row in connection.execute(statement)}


def calls_by_reason(connection: Connection, query: CountQuery, since: datetime) -> Mapping[str, int]:
    """Return the calls on the line from ``since`` on by why they are in the experiment or not, the most first."""
    reason = Call.reasons[query.experiment].as_string()
    statement = select(reason, func.count()).where(*_on_the_line(query, since), reason.is_not(None)).group_by(reason)
    return {row[0]: row[1] for row in connection.execute(statement.order_by(func.count().desc()))}


def coverage(connection: Connection, query: CountQuery, since: datetime, counted: int) -> Coverage:
    """Return how much of the line the result is about."""
    without = func.sum(case((Call.caller_key.is_(None), 1), else_=0))
    statement = select(func.count(), without).where(*_on_the_line(query, since))
    calls, unidentified = connection.execute(statement).one()
    return Coverage(calls, counted, int(unidentified or 0))


def _assigned(query: CountQuery, source: str | None = None) -> list[ColumnElement[bool]]:
    found = [Assignment.experiment == query.experiment, query.includes(Assignment.call_id)]
    return found if source is None else [*found, Assignment.source == source]


def _on_the_line(query: CountQuery, since: Any) -> list[ColumnElement[bool]]:
    return [Call.decided_at >= since, Call.decided_at < query.until, query.includes(Call.call_id)]
