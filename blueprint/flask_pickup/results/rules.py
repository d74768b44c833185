"""Which rules of a period were changed midway, from the stored definitions."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from itertools import pairwise
from typing import Any

from flask_pickup.results.model import Finding
from flask_pickup.results.periods import Body, StoredDefinition

_OF_METRICS = ("goal", "guardrail", "margin", "smallest", "cap", "within", "missing", "per", "outcome")
_OF_DECISION = ("confidence", "expected_callers", "maximum_weeks", "arm_to_arm")


def in_force(members: Sequence[StoredDefinition], at: datetime) -> StoredDefinition:
    """Return the definition of a period that calls were answered from at a moment."""
    seen = [each for each in members if each.first_seen_at < at]
    return max(seen or [members[0]], key=lambda each: each.first_seen_at)


def changed_rules(members: Sequence[StoredDefinition], since: datetime) -> Iterator[tuple[datetime, Finding]]:
    """Yield when rules were changed after the period began, and a finding with the values before and after."""
    ordered = [in_force(members, since), *(each for each in members if each.first_seen_at >= since)]
    for before, after in pairwise(ordered):
        old, new = _rules(before.body), _rules(after.body)
        # A metric that is added or removed changes no other one.
        names = [name for name in {**old, **new} if name in old and name in new and old[name] != new[name]]
        if names:
            changes = [(name, _shown(old[name]), _shown(new[name])) for name in names]
            on = f"{after.first_seen_at:%Y-%m-%d}"
            yield after.first_seen_at, Finding("rules-changed", {"changes": changes, "on": on})


def _rules(body: Body) -> Mapping[str, Any]:
    found = {"primary": body.get("primary")}
    for name, metric in body["metrics"].items():
        found |= {f"{name}.{key}": metric.get(key) for key in _OF_METRICS}
    return found | {key: body["decision"].get(key) for key in _OF_DECISION}


def _shown(value: Any) -> str:
    return "none" if value in {None, ""} else f"{value:g}" if isinstance(value, float) else str(value)
