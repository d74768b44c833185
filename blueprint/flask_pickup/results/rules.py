"""Which rules of a period were in force when, and what was changed midway."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from itertools import pairwise
from typing import Any, NamedTuple

from sqlalchemy import Connection, func, select

from flask_pickup.models import Assignment
from flask_pickup.results.calls import CountQuery
from flask_pickup.results.model import Finding
from flask_pickup.results.periods import Body, StoredDefinition

_OF_METRICS = ("goal", "guardrail", "margin", "smallest", "cap", "within", "missing", "per", "outcome")
_OF_DECISION = ("confidence", "expected_callers", "maximum_weeks", "arm_to_arm")


class Served(NamedTuple):
    """A definition, and from when on calls were answered from it."""

    at: datetime
    definition: StoredDefinition


class Change(NamedTuple):
    """A change of rules.

    :param is_decisive: whether a verdict may follow from it: of the primary metric, the guardrails or ``[decision]``.
    """

    at: datetime
    is_decisive: bool
    finding: Finding


def served(connection: Connection, query: CountQuery, members: Sequence[StoredDefinition]) -> list[Served]:
    """Return which of a period's definitions calls were answered from, in their order; some may return.

    Of calls that two processes answer from two definitions at one time, the day's last one tells.
    """
    if len(members) == 1:
        return [Served(members[0].first_seen_at, members[0])]
    at, known = Assignment.assigned_at, {each.fingerprint: each for each in members}
    is_sqlite = connection.dialect.name == "sqlite"
    day = func.date(at) if is_sqlite else func.date(func.timezone("UTC", at))
    statement = (
        select(Assignment.definition, func.min(at), func.max(at).label("last"))
        .where(Assignment.experiment == query.experiment, Assignment.definition.in_(sorted(known)), at < query.until)
        .where(query.includes(Assignment.call_id))
        .group_by(Assignment.definition, day)
        .order_by("last")
    )
    found: list[Served] = []
    for fingerprint, first, _ in connection.execute(statement):
        if not found or found[-1].definition.fingerprint != fingerprint:
            found.append(Served(first, known[fingerprint]))
    return found


def in_force(served_from: Sequence[Served], at: datetime) -> StoredDefinition:
    """Return the definition that calls were answered from at a moment."""
    return next((each.definition for each in reversed(served_from) if each.at < at), served_from[0].definition)


def changed_rules(served_from: Sequence[Served]) -> Iterator[Change]:
    """Yield each change of rules, with the values before and after."""
    for (_, before), (at, after) in pairwise(served_from):
        old, new = _rules(before.body), _rules(after.body)
        names = [name for name in {**old, **new} if _is_changed(name, old, new)]
        if names:
            changes = [(name, _shown(old.get(name)), _shown(new.get(name))) for name in names]
            decisive = {name for body in (before.body, after.body) for name in _decisive(body)}
            is_decisive = any(name.partition(".")[0] in decisive for name in names)
            yield Change(at, is_decisive, Finding("rules-changed", {"changes": changes, "on": f"{at:%Y-%m-%d}"}))


def _rules(body: Body) -> Mapping[str, Any]:
    found = {"primary": body.get("primary")}
    for name, metric in body["metrics"].items():
        found |= {f"{name}.{key}": metric.get(key) for key in _OF_METRICS}
    return found | {key: body["decision"].get(key) for key in _OF_DECISION}


def _is_changed(name: str, old: Mapping[str, Any], new: Mapping[str, Any]) -> bool:
    """Return whether a rule is another; a metric that is added or removed is none, unless it is a guardrail."""
    if name in old and name in new:
        return bool(old[name] != new[name])
    return name.endswith(".guardrail") and bool(old.get(name) or new.get(name))


def _decisive(body: Body) -> Iterator[str]:
    yield from ("primary", body.get("primary") or "", *_OF_DECISION)
    yield from (name for name, metric in body["metrics"].items() if metric.get("guardrail"))


def _shown(value: Any) -> str:
    return "none" if value in {None, ""} else f"{value:g}" if isinstance(value, float) else str(value)
