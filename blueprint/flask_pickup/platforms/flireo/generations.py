"""The three generations of the platform's key names, each brought into the current one.

The current generation writes ``phone_number`` under ``message``; the one before wrote ``phoneNumber`` there; the first
had no ``message`` and no call id, only ``eventType`` and its like side by side.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from flask_pickup.errors import BadWebhook
from flask_pickup.platforms.reading import words_of

# Customers choose the names below these keys, not the platform.
_NAMED_BY_CUSTOMERS = frozenset({"analysis", "metadata", "arguments", "schema", "parameters"})

_DEPTH = 12

_FLAT_NAMES = {
    "event_type": "type",
    "call_length_seconds": "duration_seconds",
    "summary_text": "summary",
    "transcript_text": "transcript",
}

_CAMEL = re.compile(r"[a-z][a-z0-9]*[A-Z][A-Za-z0-9]*")


def current_message(payload: Mapping[str, Any]) -> dict[str, Any]:
    """Return the payload's ``message`` with the keys and values of the current generation.

    A flat message without a call id gets an empty one.

    :raises BadWebhook: if there is no message.
    """
    if isinstance(payload.get("message"), dict):
        message: dict[str, Any] = _snake_keys(payload["message"])
    elif isinstance(payload.get("eventType"), str) and payload["eventType"]:
        message = _unflattened(_snake_keys(payload))
    else:
        raise BadWebhook("The body has no object 'message'.", "message")
    message["type"] = _hyphens(message.get("type"))
    if isinstance(call := message.get("call"), dict):
        message["call"] = {**call, "type": _snake(call.get("type")), "status": _hyphens(call.get("status"))}
    if reason := _snake(message.get("end_reason")):
        message["end_reason"] = reason
    return message


def _unflattened(message: dict[str, Any]) -> dict[str, Any]:
    flat = {_FLAT_NAMES.get(key, key): value for key, value in message.items()}
    call_id = flat.pop("call_id", None)
    return {
        "call": {
            "id": call_id if isinstance(call_id, str) else "",
            "type": flat.pop("call_type", None),
            "status": flat.pop("call_status", None),
        },
        "phone_number": {"number": flat.pop("to_assistant", None)},
        "customer": {"number": flat.pop("from_caller", None)},
        "is_flat": True,
        **flat,
    }


def _hyphens(name: object) -> str | None:
    return (_snake(name) or "").replace("_", "-") or None


def _snake_keys(value: Any, depth: int = _DEPTH) -> Any:
    """Return a value with the current keys; what lies too deep to be read stays as it is."""
    if not depth or not isinstance(value, list | dict):
        return value
    if isinstance(value, list):
        return [_snake_keys(item, depth - 1) for item in value]
    snake = ((_snake(key), child) for key, child in value.items())
    return {key: child if key in _NAMED_BY_CUSTOMERS else _snake_keys(child, depth - 1) for key, child in snake}


def _snake(name: object) -> str | None:
    if not isinstance(name, str):
        return None
    return "_".join(words_of(name)) if _CAMEL.fullmatch(name) else name
