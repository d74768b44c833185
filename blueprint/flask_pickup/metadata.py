"""Pickup's own metadata: what an answer carries to the platform, and its report brings back."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
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
        assignments = {each.experiment: each._asdict() for each in self.assignments}
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
        with suppress(AttributeError, KeyError, TypeError):
            assignments = tuple(Assigned(experiment, **each) for experiment, each in value["assignments"].items())
            return cls(call_id, value["caller_key"], value["language"], assignments, value["sent"])
        return None

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
