"""Bytes into JSON, strictly: what a stranger sends ends as an object within bounds or as a refusal."""

from __future__ import annotations

import json
import re
from math import isfinite
from typing import Any, NoReturn

from flask_pickup.errors import BadWebhook

DEEPEST = 64
MOST_KEYS = 10_000

MATTERING = frozenset(
    {
        *("message", "type", "timestamp", "call", "id", "status", "customer", "phone_number", "phoneNumber", "number"),
        *("assistant", "assistant_override", "assistantOverride", "metadata", "pickup", "analysis"),
        *("eventType", "fromCaller", "toAssistant", "callId", "duration_seconds", "durationSeconds"),
        *("callLengthSeconds", "tool_call_list", "toolCallList", "function", "name", "arguments"),
    }
)
"""Keys that no object may have twice: two readers of one message must not come to two meanings."""

_BIGGEST = 2**63 - 1
_SMALLEST = -(2**63)
_LONGEST_INTEGER = len(str(_SMALLEST))

# The closing quote is optional so that text without one is passed over once, not once for every quote in it.
_STRING = re.compile(rb'"[^"\\]*+(?:\\.[^"\\]*+)*+"?', re.DOTALL)
_BRACKETS = bytes.maketrans(b"{}", b"[]")
_NO_BRACKETS = bytes(set(range(256)) - set(b"[]{}"))

# Escapes are taken whole and from the left, so that an escaped backslash before a "u" is not mistaken for one.
_ESCAPE = re.compile(
    r"\\(?:u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}|(u(?:0000|[dD][89a-fA-F][0-9a-fA-F]{2}))|.)"
)


def loads(raw: bytes) -> dict[str, Any]:
    """Return the JSON object in ``raw``.

    Integers beyond 64 bits become floats; NUL characters and lone surrogates, which no database takes, become U+FFFD.

    :raises BadWebhook: not UTF-8, not JSON (``NaN`` and ``Infinity`` are not), not an object, nested more than 64
        levels deep, more than 10,000 keys, a number that no float holds, or a key twice that must stand once.
    """
    _check_bounds(raw)
    try:
        value = _DECODER.decode(_clean(raw.decode()))
    except UnicodeDecodeError as error:
        refusal = f"The body is not UTF-8 (byte {error.start})."
    except json.JSONDecodeError as error:
        refusal = f"The body is not JSON (character {error.pos})."
    else:
        if isinstance(value, dict):
            return value
        refusal = "The body is not a JSON object."
    # Raised out here because both errors above carry the whole body with them.
    raise BadWebhook(refusal)


def _check_bounds(raw: bytes) -> None:
    # Counting bytes is enough for an ordinary body: what they cannot exceed need not be looked at closer.
    if raw.count(b"[") + raw.count(b"{") > DEEPEST or raw.count(b":") > MOST_KEYS:
        _check_skeleton(_STRING.sub(b"", raw))


def _check_skeleton(skeleton: bytes) -> None:
    if skeleton.count(b":") > MOST_KEYS:
        raise BadWebhook(f"The body has more than {MOST_KEYS} keys.")
    brackets = skeleton.translate(_BRACKETS, _NO_BRACKETS)
    for _ in range(DEEPEST):
        brackets = brackets.replace(b"[]", b"")
    if brackets:
        raise BadWebhook(f"The body is nested more than {DEEPEST} levels deep, or its brackets do not match.")


def _clean(text: str) -> str:
    return _ESCAPE.sub(_clean_escape, text) if "\\u" in text else text


def _clean_escape(escape: re.Match[str]) -> str:
    return r"\ufffd" if escape[1] else escape[0]


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        _check_repeated([key for key, _ in pairs])
    return found


def _check_repeated(keys: list[str]) -> None:
    for key in MATTERING.intersection(keys):
        if keys.count(key) > 1:
            raise BadWebhook(f"'{key}' stands twice in one object.", key)


def _integer(digits: str) -> int | float:
    if len(digits) <= _LONGEST_INTEGER and _SMALLEST <= (number := int(digits)) <= _BIGGEST:
        return number
    return _float(digits)


def _float(digits: str) -> float:
    number = float(digits)
    if not isfinite(number):
        raise BadWebhook("The body has a number that is too large.")
    return number


def _constant(name: str) -> NoReturn:
    raise BadWebhook(f"The body is not JSON: {name} is no number.")


_DECODER = json.JSONDecoder(object_pairs_hook=_object, parse_int=_integer, parse_float=_float, parse_constant=_constant)
