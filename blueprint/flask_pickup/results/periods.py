"""Which callers may be held against each other: those who drew from the same arms, with the same words and weights."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from flask_pickup.catalog.definition import CONTROL

Body = Mapping[str, Any]
"""An experiment as it stood, as ``pickup_definitions`` keeps it."""

_BEGINS_ANOTHER = ("arms", "files", "audience", "seed", "callers")
"""What of a definition begins a new period. ``traffic`` does not: more callers come in, under the same conditions for
all arms. Nor do the base's words, which are not in the definition: they change for all arms at once."""


@dataclass(frozen=True)
class Definition:
    """A row of ``pickup_definitions``."""

    fingerprint: str
    body: Body
    first_seen_at: datetime


@dataclass(frozen=True)
class Period:
    """Definitions of an experiment between which nothing changed that its callers could tell.

    :param weights: arm to weight, control first.
    :param definitions: their fingerprints.
    :param per_call: those under which calls without a number were drawn one by one.
    """

    weights: Mapping[str, float]
    definitions: frozenset[str]
    per_call: frozenset[str] = frozenset()
    uses_customer: bool = False

    def with_those_of(self, others: Iterable[Period]) -> Period:
        """Return this period together with others."""
        found = [self, *others]
        definitions = (one.definitions for one in found)
        per_call = (one.per_call for one in found)
        return replace(self, definitions=frozenset().union(*definitions), per_call=frozenset().union(*per_call))

    def has_weights_of(self, other: Period) -> bool:
        """Return whether both share callers out over the same arms in the same proportions."""
        return _shares(self.weights) == _shares(other.weights)


def periods(definitions: Sequence[Definition], first_assigned: Mapping[str, datetime]) -> list[Period]:
    """Return the periods in the order of their first callers; the one in force, without a caller perhaps, is the last.

    :param definitions: all of one experiment, the one in force last.
    :param first_assigned: fingerprint to the first time that a new caller was assigned under it.
    """
    grouped: dict[str, list[Definition]] = {}
    for definition in definitions:
        grouped.setdefault(_key(definition.body), []).append(definition)
    in_force = grouped.pop(_key(definitions[-1].body))
    began = {key: _began(members, first_assigned) for key, members in grouped.items()}
    earlier = sorted((start, key) for key, start in began.items() if start is not None)
    return [*(_period(grouped[key]) for _, key in earlier), _period(in_force)]


def _control_first(weights: Mapping[str, float]) -> dict[str, float]:
    """Return control first: PostgreSQL keeps a definition's keys in an order of its own."""
    return dict(sorted(weights.items(), key=lambda arm: arm[0] != CONTROL))


def _key(body: Body) -> str:
    return json.dumps([body.get(name) for name in _BEGINS_ANOTHER], sort_keys=True)


def _began(members: Iterable[Definition], first_assigned: Mapping[str, datetime]) -> datetime | None:
    return min(
        (first_assigned[each.fingerprint] for each in members if each.fingerprint in first_assigned), default=None
    )


def _period(members: Sequence[Definition]) -> Period:
    body = members[-1].body
    fingerprints = frozenset(member.fingerprint for member in members)
    per_call = frozenset(one.fingerprint for one in members if one.body.get("unidentified") == "per-call")
    uses_customer = "customer" in (body.get("audience") or "")
    return Period(_control_first(body["arms"]), fingerprints, per_call, uses_customer)


def _shares(weights: Mapping[str, float]) -> dict[str, float]:
    total = sum(weights.values())
    return {arm: round(weight / total, 9) for arm, weight in weights.items()}
