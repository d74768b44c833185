"""The outcomes that reports bring: their names, what an analysis can find, and the values that an outcome can have."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

UNREAD: Mapping[Literal["messages", "analysis"], str] = {"messages": "unread.messages", "analysis": "unread.analysis"}
"""Parts of a report, and the outcomes that say how many of their values could not be read; absent if all could."""

REPORTED_NUMBERS = ("duration_seconds", "user_messages", *UNREAD.values())
HUNG_UP = "early_hang_up"
REPORTED_FLAGS = (HUNG_UP, "completed", "transferred", "voicemail", "silence", "error")
ANALYSED = "analysis."
"""How the names of outcomes begin that the platform's analysis of a call found."""

_LARGEST, _SMALLEST = 1e15, 1e-15
_TYPES = {str: "string", bool: "boolean", int: "integer", float: "number"}
_ALL_TYPES = {*_TYPES.values(), "array", "object", "null"}


def is_reported(outcome: str) -> bool:
    """Return whether an outcome of this name comes from reports. All other names are the host's own."""
    return outcome in REPORTED_NUMBERS or outcome in REPORTED_FLAGS or outcome.startswith(ANALYSED)


def is_measurable(value: float) -> bool:
    """Return whether a number can be the value of an outcome: the sum of its squares overflows in no database."""
    return value == 0 or _SMALLEST <= abs(value) <= _LARGEST


def schema_values(*schemas: Mapping[str, Any]) -> tuple[list[str], list[str]]:
    """Return the types and the words that JSON Schemas of one value allow, also those in ``anyOf`` and its like.

    An ``enum`` or ``const`` without a type has the types of its values. A type that JSON Schema does not have is none.
    """
    types, words = list[str](), list[str]()
    for schema in schemas:
        within = ("anyOf", "oneOf", "allOf")
        parts = [each for key in within for each in _as_list(schema.get(key)) if isinstance(each, Mapping)]
        for part in (schema, *parts):
            choices = [*_as_list(part.get("enum")), part.get("const")]
            named = part.get("type") or [_TYPES[type(choice)] for choice in choices if type(choice) in _TYPES]
            types += (name for name in map(str, _as_list(named)) if name in _ALL_TYPES)
            words += [choice for choice in choices if isinstance(choice, str)]
    return types, words


def _as_list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]
