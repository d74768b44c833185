"""Reading a platform's JSON leniently: unknown keys pass, and a value of a wrong type is unknown."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from math import isfinite
from typing import Any, TypeVar

import orjson
from marshmallow import ValidationError, fields

from flask_pickup.errors import BadWebhook
from flask_pickup.outcome_names import is_measurable
from flask_pickup.platforms.events import JsonObject, Unread

T = TypeVar("T")

LONGEST_ID = 256
LONGEST_NAME = 200
LONGEST_REASON = 1000

_MILLISECONDS = 100_000_000_000
"""From here on a Unix time is in milliseconds: as seconds it would be in the year 5138."""

_WORD = re.compile(r"[^\W\d_]+|\d+")
_HUMP = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])")
_NUMBER, _BOOLEAN = fields.Float(allow_nan=False), fields.Boolean()


def read_object(body: bytes) -> dict[str, Any]:
    """Return the JSON object in a verified body.

    What is not UTF-8 and a lone surrogate become U+FFFD; NaN, infinities and numbers beyond a float become null.

    :raises BadWebhook: if the body is not JSON, or no object.
    """
    value = _read(body)
    if not isinstance(value, dict):
        raise BadWebhook("The body is not a JSON object.")
    return value


def _read(body: bytes) -> Any:
    with suppress(ValueError):
        return orjson.loads(body)
    # Python accepts what orjson does not, so that no signed report is lost.
    with suppress(ValueError, RecursionError):
        value = json.loads(
            body.decode("utf-8-sig", "replace"),
            parse_constant=lambda _: None,
            parse_float=_finite,
            parse_int=lambda digits: None if _finite(digits) is None else int(digits),
            strict=False,
        )
        text = json.dumps(value, ensure_ascii=False)
        return json.loads(text.encode("utf-16", "surrogatepass").decode("utf-16", "replace"))
    # Not within the handler of an error, which holds the whole body.
    raise BadWebhook("The body is not JSON.")


def _finite(digits: str) -> float | None:
    found = float(digits)
    return found if isfinite(found) else None


def text(value: Any, longest: int | None = LONGEST_NAME) -> str | None:
    """Return the beginning of a text; all of it if ``longest`` is None."""
    return value[:longest] if isinstance(value, str) else None


def identifier(value: Any) -> str | None:
    """Return an id or a phone number as the platform spelled it; too long a one is unknown, as its beginning is another."""
    if type(value) is int and 0 <= value < 10**LONGEST_ID:
        return str(value)
    return value if isinstance(value, str) and len(value) <= LONGEST_ID else None


def mapping(value: Any) -> Mapping[str, Any]:
    """Return an object; an empty one for any other value."""
    return value if isinstance(value, Mapping) else {}


def object_at(value: Any, *path: str) -> Mapping[str, Any]:
    """Return the object at a path of keys; an empty one if there is none."""
    for key in path:
        value = mapping(value).get(key)
    return mapping(value)


def mappings(value: Any) -> tuple[Mapping[str, Any], ...] | None:
    """Return the objects in a list."""
    return tuple(item for item in value if isinstance(item, Mapping)) if isinstance(value, list) else None


def moment(value: Any) -> datetime | None:
    """Return a time as an aware one in UTC: ISO 8601, where one without a zone is UTC, or Unix seconds or milliseconds."""
    try:
        if isinstance(value, int | float) and not isinstance(value, bool):
            return datetime.fromtimestamp(value / 1000 if value >= _MILLISECONDS else value, UTC)
        found = datetime.fromisoformat(value)
        return (found if found.tzinfo else found.replace(tzinfo=UTC)).astimezone(UTC)
    except (TypeError, ValueError, OverflowError, OSError):
        return None


def as_number(value: Any) -> float | None:
    """Return a finite number, also one that is written as a text, such as ``"67"`` or ``"7.5"``."""
    return _deserialized(_NUMBER, value)


def as_integer(value: Any) -> float | None:
    """Return a whole number, also one that is written as a text or with zeros after the point."""
    found = as_number(value)
    return found if found is not None and found.is_integer() else None


def as_boolean(value: Any) -> bool | None:
    """Return true or false, also where it is written as a text or as 1 or 0."""
    return _deserialized(_BOOLEAN, value)


def _deserialized(field: fields.Field[T], value: Any) -> T | None:
    try:
        found: T = field.deserialize(value.strip().lower() if isinstance(value, str) else value)
    except ValidationError:
        return None
    return found


def seconds(value: Any) -> float | None:
    """Return a number of at least 0 that can be an outcome."""
    found = as_number(value)
    return found if found is not None and found >= 0 and is_measurable(found) else None


def json_value(value: Any) -> Any:
    """Return what a JSON text says; any other value as it is."""
    if isinstance(value, str):
        with suppress(BadWebhook):
            return _read(value.encode())
    return value


def json_object(value: Any) -> JsonObject | None:
    """Return an object, also one that is written as a JSON text; ``null`` is an empty one."""
    found = json_value(value)
    return {} if found is None else found if isinstance(found, Mapping) else None


def words_of(name: str) -> list[str]:
    """Return the words of a name in lower case, split at anything that is no letter or digit, and in camelCase."""
    return _WORD.findall(_HUMP.sub(" ", name).lower())


@dataclass(frozen=True)
class SentValues:
    """The values of an object. Those that were sent and cannot be read are counted by kind."""

    of: JsonObject
    unread: Counter[Unread] = field(default_factory=Counter)

    def get(self, key: str, read: Callable[[Any], T | None], kind: Unread) -> T | None:
        """Return the value of a key as ``read`` reads it; ``None`` if it is missing, blank or cannot be read."""
        sent = self.of.get(key)
        if sent is None or (isinstance(sent, str) and not sent.strip()):
            return None
        found = read(sent)
        if found is None:
            self.unread[kind] += 1
        return found
