"""The generations of the platform's key names: each is brought into the current one, and then read by its schema.

The current generation writes ``phone_number`` under ``message``; the one before wrote ``phoneNumber`` there; the first
had no ``message`` and no call's id, only ``eventType`` and its like beside one another.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

from marshmallow import ValidationError

from flask_pickup.errors import BadWebhook
from flask_pickup.flireo import schemas, wire
from flask_pickup.flireo.messages import Message

FlatCallId = Callable[[], str]

# What stands below these keys is named by customers, not by the platform.
_NAMED_BY_CUSTOMERS = frozenset({"analysis", "metadata", "arguments", "schema", "parameters"})

_FLAT_NAMES = {"event_type": "type", "call_length_seconds": "duration_seconds", "summary_text": "summary"}

_CAMEL = re.compile(r"[a-z][a-z0-9]*[A-Z][A-Za-z0-9]*")
_HUMP = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")

_SCHEMAS = {
    "assistant-request": schemas.AssistantRequestPayloadSchema(),
    "status-update": schemas.StatusUpdatePayloadSchema(),
    "tool-calls": schemas.ToolCallsPayloadSchema(),
    "end-of-call-report": schemas.EndOfCallReportPayloadSchema(),
}
_ANY_OTHER = schemas.OtherPayloadSchema()


def read(raw: bytes, *, flat_call_id: FlatCallId) -> Message:
    """Return the message in ``raw``, of whichever generation.

    :param raw: a body whose signature has been verified.
    :param flat_call_id: makes an id for a flat message, which brings none.
    :raises BadWebhook: ``raw`` is no JSON object within bounds, or it lacks its type or its call's id. Any other field
        that is missing or of a wrong type is unknown, not an error.
    """
    message = _current(wire.loads(raw), flat_call_id)
    try:
        loaded: Message = _SCHEMAS.get(message["type"], _ANY_OTHER).load({"message": message})
    except ValidationError as error:
        path, complaint = _first(error.messages)
    else:
        return loaded
    # Raised out here because the error above carries the message with it.
    raise BadWebhook(complaint, path)


def _current(payload: Mapping[str, Any], flat_call_id: FlatCallId) -> dict[str, Any]:
    if isinstance(payload.get("message"), dict):
        message = _snake_keys(payload["message"])
    elif "eventType" in payload:
        message = _unflattened(payload, flat_call_id)
    else:
        raise BadWebhook("The body has no object 'message'.", "message")
    return _with_values(message)


def _unflattened(payload: Mapping[str, Any], flat_call_id: FlatCallId) -> dict[str, Any]:
    if not (isinstance(payload["eventType"], str) and payload["eventType"]):
        raise BadWebhook("'eventType' has to be a text.", "eventType")
    flat = {_FLAT_NAMES.get(key, key): value for key, value in _snake_keys(payload).items()}
    call_id = flat.pop("call_id", None)
    return {
        "call": {
            "id": call_id if isinstance(call_id, str) and call_id else flat_call_id(),
            "type": flat.pop("call_type", None),
            "status": flat.pop("call_status", None),
        },
        "phone_number": {"number": flat.pop("to_assistant", None)},
        "customer": {"number": flat.pop("from_caller", None)},
        **flat,
    }


def _with_values(message: dict[str, Any]) -> dict[str, Any]:
    """Bring the values that name something into the current spelling too; ``message`` is changed."""
    message["type"] = _hyphens(message.get("type"))
    if isinstance(call := message.get("call"), dict):
        message["call"] = {**call, "type": _underscores(call.get("type")), "status": _hyphens(call.get("status"))}
    if "end_reason" in message:
        message["end_reason"] = _underscores(message["end_reason"])
    return message


def _hyphens(name: object) -> str | None:
    return _snake(name).replace("_", "-") if isinstance(name, str) else None


def _underscores(name: object) -> str | None:
    return _snake(name) if isinstance(name, str) else None


def _snake_keys(value: Any) -> Any:
    if isinstance(value, dict):
        return _with_snake_keys(value)
    if isinstance(value, list):
        return [_snake_keys(item) for item in value]
    return value


def _with_snake_keys(value: Mapping[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key, child in value.items():
        snake = key if key.islower() else _snake(key)
        current = child if snake in _NAMED_BY_CUSTOMERS else _snake_keys(child)
        if snake in wire.MATTERING and found.get(snake, current) != current:
            raise BadWebhook(f"'{snake}' stands in one object in two spellings, with two values.", snake)
        found[snake] = current
    return found


def _snake(name: str) -> str:
    return _HUMP.sub("_", name).lower() if _CAMEL.fullmatch(name) else name


def _first(complaints: Mapping[Any, Any] | list[Any], path: str = "") -> tuple[str, str]:
    if isinstance(complaints, list):
        return path, complaints[0]
    key, below = next(iter(complaints.items()))
    return _first(below, f"{path}.{key}" if path else str(key))
