"""Which callers can be compared: those who were assigned from the same arms, with the same templates and weights."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from functools import cached_property
from hashlib import sha256
from operator import itemgetter
from typing import Any

from flask_pickup.catalog.definition import CONTROL

Body = Mapping[str, Any]
"""An experiment as it stood, as ``pickup_definitions`` keeps it."""

_BEGINS_ANOTHER = ("arms", "files", "audience", "seed", "callers")
"""What of a definition begins a new period. ``traffic`` and ``layer_range`` do not: other callers come in, under the same
conditions for all arms. Nor do the base's templates, which are not in the definition: they change for all arms at once."""


@dataclass(frozen=True)
class StoredDefinition:
    """A row of ``pickup_definitions``."""

    fingerprint: str
    body: Body
    first_seen_at: datetime


@dataclass(frozen=True)
class Period:
    """Definitions of an experiment between which nothing changed that its callers could notice.

    :param number: the period's, from 1.
    :param members: the latest is the last.
    """

    number: int
    members: tuple[StoredDefinition, ...]

    @cached_property
    def definitions(self) -> frozenset[str]:
        """Their fingerprints."""
        return frozenset(each.fingerprint for each in self.members)

    @property
    def key(self) -> str:
        """A hash of what its definitions have in common: 32 hexadecimal digits."""
        return sha256(_key(self.members[-1].body).encode()).hexdigest()[:32]

    @cached_property
    def weights(self) -> dict[str, float]:
        """Arm to weight, control first: PostgreSQL keeps a definition's keys in an order of its own."""
        return dict(sorted(self.members[-1].body["arms"].items(), key=lambda arm: arm[0] != CONTROL))

    @property
    def shares(self) -> dict[str, float]:
        """Arm to its share of the callers."""
        total = sum(self.weights.values())
        return {arm: round(weight / total, 9) for arm, weight in self.weights.items()}

    @property
    def per_call(self) -> Period:
        """The definitions under which each call without a number is assigned by itself; perhaps none."""
        return Period(self.number, tuple(each for each in self.members if each.body.get("unidentified") == "per-call"))

    @property
    def uses_customer(self) -> bool:
        """Whether the audience needs the customer."""
        return "customer" in (self.members[-1].body.get("audience") or "")


def periods(definitions: Sequence[StoredDefinition], first_assigned: Mapping[str, datetime]) -> list[Period]:
    """Return the periods in the order of their first callers; the one in force, without a caller perhaps, is the last.

    :param definitions: all of one experiment, the one in force last.
    :param first_assigned: fingerprint to the first time that a new caller was assigned under it.
    """
    grouped: dict[str, list[StoredDefinition]] = {}
    for definition in definitions:
        grouped.setdefault(_key(definition.body), []).append(definition)
    in_force = grouped.pop(_key(definitions[-1].body))
    began = [
        (min(times), members)
        for members in grouped.values()
        if (times := [first_assigned[each.fingerprint] for each in members if each.fingerprint in first_assigned])
    ]
    ordered = [*(members for _, members in sorted(began, key=itemgetter(0))), in_force]
    return [Period(number, tuple(members)) for number, members in enumerate(ordered, 1)]


def as_it_ran(last: StoredDefinition, earlier: Sequence[StoredDefinition]) -> StoredDefinition:
    """Return the definition in force; of a concluded experiment with the arms, templates and audience with which it ran.

    What is edited after its end, such as an arm that is deleted, begins no period.

    :param earlier: the definitions before it.
    """
    ran = [each for each in earlier if each.body["status"] != "concluded"]
    is_known = any(_key(each.body) == _key(last.body) for each in ran)
    if last.body["status"] != "concluded" or is_known or not ran:
        return last
    return replace(last, body={**last.body, **{name: ran[-1].body.get(name) for name in _BEGINS_ANOTHER}})


def _key(body: Body) -> str:
    return json.dumps([body.get(name) for name in _BEGINS_ANOTHER], sort_keys=True)
