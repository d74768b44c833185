"""Reading a platform's JSON leniently: unknown keys pass, and a value of a wrong type is unknown."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from contextlib import suppress
from datetime import UTC, datetime
from math import isfinite
from typing import Any

import orjson

from flask_pickup.errors import BadWebhook

LONGEST_ID = 256
LONGEST_NAME = 200
LONGEST_REASON = 1000


def read_object(body: bytes) -> dict[str, Any]:
    """Return the JSON object in a verified body.

    A lone surrogate becomes U+FFFD; NaN and infinities become null.

    :raises BadWebhook: if the body is not UTF-8, not JSON, or no object.
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
        value = json.loads(body, parse_constant=lambda _: None, parse_float=_finite)
        text = json.dumps(value, ensure_ascii=False)
        return json.loads(text.encode("utf-16", "surrogatepass").decode("utf-16", "replace"))
    # Not within the handler of an error, which holds the whole body.
    raise BadWebhook("The body is not JSON.")


def _finite(digits: str) -> float | None:
    number = float(digits)
    return number if isfinite(number) else None


def text(value: Any, longest: int | None = LONGEST_NAME) -> str | None:
    """Return the beginning of a text; all of it if ``longest`` is None."""
    return value[:longest] if isinstance(value, str) else None


def identifier(value: Any) -> str | None:
    """Return an id or a phone number as the platform spelled it; too long a one is unknown, as its beginning is another."""
    return value if isinstance(value, str) and len(value) <= LONGEST_ID else None


def mapping(value: Any) -> Mapping[str, Any]:
    """Return an object; an empty one for any other value."""
    return value if isinstance(value, Mapping) else {}


def mappings(value: Any) -> tuple[Mapping[str, Any], ...] | None:
    """Return the objects in a list."""
    return tuple(item for item in value if isinstance(item, Mapping)) if isinstance(value, list) else None


def moment(value: Any) -> datetime | None:
    """Return an ISO 8601 time as an aware one in UTC; a time without a zone is UTC."""
    try:
        found = datetime.fromisoformat(value)
        return (found if found.tzinfo else found.replace(tzinfo=UTC)).astimezone(UTC)
    except (TypeError, ValueError, OverflowError):
        return None


def seconds(value: Any) -> float | None:
    """Return a finite number of at least 0."""
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    return float(value) if is_number and 0 <= value <= sys.float_info.max else None
