"""The voice platforms: the protocol, the neutral types, and the registry of those that there are."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from time import time

from marshmallow import Schema

from flask_pickup.errors import ConfigurationError
from flask_pickup.options import ConfigReader
from flask_pickup.platforms.elevenlabs import ElevenLabs
from flask_pickup.platforms.events import (
    Answer,
    CallEnded,
    Delivery,
    Ending,
    Event,
    IncomingCall,
    JsonObject,
    OtherEvent,
    Rejection,
    Sample,
    SampleCall,
    StatusChanged,
    ToolCall,
    ToolCalls,
    Unread,
    Words,
)
from flask_pickup.platforms.flireo import Flireo
from flask_pickup.platforms.protocol import Platform
from flask_pickup.platforms.retell import Retell
from flask_pickup.platforms.starter import Starter, StarterOption
from flask_pickup.platforms.telnyx import Telnyx
from flask_pickup.platforms.vapi import Vapi

__all__ = [
    "ANSWER_SCHEMAS",
    "DEFAULT",
    "REGISTRY",
    "STARTERS",
    "UNTOLD",
    "Answer",
    "CallEnded",
    "Delivery",
    "Ending",
    "Event",
    "IncomingCall",
    "JsonObject",
    "OtherEvent",
    "Platform",
    "Rejection",
    "Sample",
    "SampleCall",
    "Starter",
    "StarterOption",
    "StatusChanged",
    "ToolCall",
    "ToolCalls",
    "Unread",
    "Words",
    "content_platforms",
    "enabled_platforms",
    "endpoint_of",
]

Clock = Callable[[], float]
FromConfig = Callable[[ConfigReader, Clock], Platform | None]

DEFAULT = Flireo.name
"""The platform that answers at ``/webhook``; every other answers at its own name."""

_ALL = (Flireo, Retell, Telnyx, ElevenLabs, Vapi)

REGISTRY: dict[str, FromConfig] = {each.name: each.from_config for each in _ALL}
"""Each platform's name, and what makes it from an app's configuration: ``None`` if it is not enabled."""

ANSWER_SCHEMAS: Mapping[str, Schema] = {each.name: each.answer_schema for each in _ALL}
"""Each platform's name, and the schema of its answers, whether it is enabled or not."""

STARTERS: Mapping[str, Starter] = {each.name: each.starter for each in _ALL}
"""Each platform's name, and how an app begins on it."""

UNTOLD: Mapping[str, frozenset[str]] = {each.name: each.untold for each in _ALL}
"""Each platform's name, and the reported outcomes that no report of it brings."""


def title_of(name: str) -> str:
    """Return how a platform writes its own name."""
    return {"elevenlabs": "ElevenLabs"}.get(name, name.capitalize())


def endpoint_of(name: str) -> str:
    """Return the name of a platform's endpoint, which is also the last part of its URL."""
    return "webhook" if name == DEFAULT else name


def enabled_platforms(config: ConfigReader, clock: Clock = time) -> Mapping[str, Platform]:
    """Return the platforms whose secrets are configured, by name.

    :raises ConfigurationError: if there is none.
    """
    enabled = _configured(config, clock)
    if not enabled:
        raise ConfigurationError(
            "No voice platform is configured. Set the secret of yours: 'PICKUP_WEBHOOK_SECRET' for Flireo, "
            "'PICKUP_VAPI_SECRET', 'PICKUP_RETELL_API_KEY', 'PICKUP_ELEVENLABS_TOKEN' or 'PICKUP_TELNYX_PUBLIC_KEY'."
        )
    return enabled


def content_platforms(config: ConfigReader) -> tuple[Platform, ...]:
    """Return the platforms that content is read for where there is no app: those whose secrets are set, else Flireo."""
    return tuple(_configured(config, time).values()) or (Flireo(()),)


def _configured(config: ConfigReader, clock: Clock) -> dict[str, Platform]:
    found = {name: make(config, clock) for name, make in REGISTRY.items()}
    return {name: platform for name, platform in found.items() if platform is not None}
