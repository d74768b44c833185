"""How a call ended, in the platform's words, and what the report brings back of the answer."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from flask_pickup.platforms.events import Ending, JsonObject
from flask_pickup.platforms.flireo.answer import analysis_fields, words_of
from flask_pickup.platforms.reading import mapping

_ENDINGS: Mapping[str, Ending] = {
    **dict.fromkeys(("user_hangup", "caller_hangup", "customer_hangup"), "caller"),
    **dict.fromkeys(("user_ended_call", "caller_ended_call", "customer_ended_call"), "caller"),
    **dict.fromkeys(("agent_hangup", "assistant_hangup", "agent_ended_call", "assistant_ended_call"), "agent"),
    **dict.fromkeys(("completed", "call_completed"), "completed"),
    **dict.fromkeys(("transferred", "call_transferred", "call_transfer", "assistant_forwarded_call"), "transferred"),
    **dict.fromkeys(("voicemail", "voicemail_detected", "voicemail_reached"), "voicemail"),
    **dict.fromkeys(("silence_timeout", "silence_timed_out", "inactivity"), "silence"),
    **dict.fromkeys(("max_duration", "max_duration_reached", "exceeded_max_duration"), "limit"),
}
_ERRORS = frozenset({"error", "failed", "failure"})
ENDED_WITH_ERROR = "ended-with-error"


def ending(status: str | None, end_reason: str | None) -> Ending | None:
    """Return who or what ended the call."""
    reason = (end_reason or "").replace("-", "_").lower()
    if status == ENDED_WITH_ERROR or not _ERRORS.isdisjoint(reason.split("_")):
        return "error"
    return _ENDINGS.get(reason)


def user_messages(messages: tuple[JsonObject, ...] | None) -> int | None:
    """Return how often the caller said something; ``None`` without a transcript."""
    if not messages:
        return None
    return sum(1 for message in messages if message.get("role") == "user" and _is_spoken(message.get("content")))


def brought_back(body: JsonObject) -> dict[str, Any]:
    """Return the fields of a :class:`.CallEnded` that follow from the assistant which the report shows."""
    assistant = body.get("assistant")
    # An override replaces the agent's own metadata, so it comes first.
    metadata = _metadata(body.get("assistant_override")) or _metadata(assistant)
    return {
        "analysis_fields": analysis_fields(assistant),
        "metadata": mapping(metadata.get("pickup")),
        "applied": words_of(assistant) if isinstance(assistant, Mapping) else None,
    }


def _metadata(assistant: object) -> JsonObject:
    return mapping(mapping(assistant).get("metadata"))


def _is_spoken(content: object) -> bool:
    return isinstance(content, str) and bool(content.strip())
