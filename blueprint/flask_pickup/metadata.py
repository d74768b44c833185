"""Pickup's own metadata: what an answer carries to the platform, and its report brings back."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from hashlib import sha256
from itertools import product
from typing import Any

import orjson

from flask_pickup.assignment import Assigned
from flask_pickup.platforms import Words

_VERSION = 1
_LONGEST_ID = 256


@dataclass(frozen=True, slots=True)
class Metadata:
    """The facts of an answered call.

    :param sent: the digest of the words that were sent.
    """

    call_id: str
    caller_key: str | None
    language: str
    assignments: tuple[Assigned, ...]
    sent: str

    def as_json(self) -> dict[str, Any]:
        """Return the metadata as it is sent."""
        assignments = {each.experiment: asdict(each) for each in self.assignments}
        for each in assignments.values():
            del each["experiment"]
        return {
            "v": _VERSION,
            "call": self.call_id,
            "caller_key": self.caller_key,
            "language": self.language,
            "assignments": assignments,
            "sent": self.sent,
        }

    @classmethod
    def read(cls, value: Mapping[str, Any]) -> Metadata | None:
        """Return the metadata that came back; ``None`` if nothing, or nothing of Pickup's, came back."""
        call_id = value.get("call")
        if value.get("v") != _VERSION or not isinstance(call_id, str) or not 0 < len(call_id) <= _LONGEST_ID:
            return None
        key, assignments = value.get("caller_key"), value.get("assignments")
        found = assignments.items() if isinstance(assignments, Mapping) else ()
        return cls(
            call_id,
            key if isinstance(key, str) else None,
            str(value.get("language") or ""),
            tuple(assigned for name, each in found if (assigned := _assigned(name, each))),
            str(value.get("sent") or ""),
        )

    def was_applied(self, applied: Words) -> bool:
        """Return whether the platform used the words that were sent.

        A greeting or prompt that the answer left out is the saved agent's, whatever it is.
        """
        pairs = product({applied.greeting, None}, {applied.prompt, None})
        return self.sent in {digest(Words(*pair)) for pair in pairs}


def digest(words: Words) -> str:
    """Return the SHA-256 of a greeting and a prompt, in hexadecimal.

    Both are a JSON list without blank space, ``null`` for a missing text, so that no two pairs are alike.
    """
    return sha256(orjson.dumps([words.greeting, words.prompt])).hexdigest()


def _assigned(experiment: str, value: object) -> Assigned | None:
    if not isinstance(value, Mapping):
        return None
    arm, source, definition = (value.get(name) for name in ("arm", "source", "definition"))
    if not (isinstance(arm, str) and isinstance(source, str) and isinstance(definition, str)):
        return None
    return Assigned(experiment, arm, source, definition)
