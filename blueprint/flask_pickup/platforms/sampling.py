"""What the platforms' made-up deliveries share."""

from __future__ import annotations

import json
from datetime import UTC, datetime

from flask_pickup.platforms.events import JsonObject, ToolCall

TOOL = ToolCall(id="tool-1", name="pickup_rehearsal", arguments={})
"""No host has a tool of this name, so no tool acts on a rehearsal."""


def encode(payload: JsonObject) -> bytes:
    """Return a payload as the bytes of a body."""
    return json.dumps(payload).encode()


def iso(at: datetime) -> str:
    """Return a time as platforms write it: in UTC, with milliseconds and ``Z``."""
    return at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.000Z")
