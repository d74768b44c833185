"""What the platforms' made-up deliveries share."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from flask_pickup.platforms.events import (
    CallEnded,
    Event,
    IncomingCall,
    JsonObject,
    OtherEvent,
    Sample,
    SampleCall,
    StatusChanged,
    ToolCall,
    ToolCalls,
)

TOOL = ToolCall(id="tool-1", name="pickup_rehearsal", arguments={})
"""No host has a tool of this name, so no tool acts on a rehearsal."""

STATUSES: Mapping[type[Event], str] = {
    IncomingCall: "ringing",
    StatusChanged: "ended",
    ToolCalls: "in-progress",
    CallEnded: "ended",
}
"""The status of a call at each event."""

SECONDS_LONG = 42
"""How long every made-up call lasts."""


def encode(payload: JsonObject) -> bytes:
    """Return a payload as the bytes of a body."""
    return json.dumps(payload).encode()


def iso(at: datetime) -> str:
    """Return a time as platforms write it: in UTC, with milliseconds and ``Z``."""
    return at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.000Z")


def another(call: SampleCall, name: str, **changes: Any) -> SampleCall:
    """Return a call with changes and an id of its own, which ends with ``name``."""
    return replace(call, id=f"{call.id}-{name}", **changes)


def strange_samples(
    payload: Callable[[type[Event], SampleCall], bytes], call: SampleCall, unknown: JsonObject
) -> Iterator[Sample]:
    """Yield what every platform might send: a call without numbers, a new event, and a body that is damaged.

    :param unknown: the payload of an event of an unknown type.
    """
    nobody = another(call, "no-numbers", caller=None, line=None)
    yield Sample("a call without numbers", payload(IncomingCall, nobody), IncomingCall, nobody)
    yield Sample("an event of an unknown type", encode(unknown), OtherEvent)
    yield Sample("a report that is not JSON", b"Hello?", CallEnded, is_refused=True)
