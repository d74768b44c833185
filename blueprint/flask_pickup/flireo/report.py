"""What an end-of-call report says of the call's end, and what an analysis plan can find."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Literal

from flask_pickup.flireo.messages import EndOfCallReport

Ending = Literal["caller", "agent", "completed", "transferred", "voicemail", "silence", "limit", "error"]
"""Who or what ended a call; ``completed`` where the platform says only that it ended as calls do."""

REPORTED_NUMBERS = ("duration_seconds", "user_messages")
REPORTED_FLAGS = ("early_hang_up", "completed", "transferred", "voicemail", "silence", "error")
ANALYSED = "analysis."
"""Outcomes of these names, or whose names begin so, are the report's; all others are the host's own."""

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
_ENDED_WITH_ERROR = "ended-with-error"

_MOST, _LEAST = 1e15, 1e-15


def is_reported(outcome: str) -> bool:
    """Return whether an outcome of this name comes from reports, and is replaced by a later one."""
    return outcome in REPORTED_NUMBERS or outcome in REPORTED_FLAGS or outcome.startswith(ANALYSED)


def is_measurable(value: float) -> bool:
    """Return whether a number can be the value of an outcome: one whose square no database refuses to add up."""
    return value == 0 or _LEAST <= abs(value) <= _MOST


def ending(report: EndOfCallReport) -> Ending | None:
    """Return who or what ended the call; None if the report does not say, or in words that Pickup does not know."""
    reason = (report.end_reason or "").replace("-", "_").lower()
    if report.call_status == _ENDED_WITH_ERROR or not _ERRORS.isdisjoint(reason.split("_")):
        return "error"
    return _ENDINGS.get(reason)


def caller_messages(report: EndOfCallReport) -> int | None:
    """Return how often the caller said something; None if the report has no transcript."""
    if not report.messages:
        return None
    return sum(1 for message in report.messages if message.get("role") == "user" and _says_something(message))


def _says_something(message: Mapping[str, Any]) -> bool:
    content = message.get("content")
    return isinstance(content, str) and bool(content.strip())


def findings(assistant: object) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Yield what the analysis plan of an assistant can find: each property of its JSON Schema, by its key."""
    found: Any = assistant
    for key in ("analysis_plan", "structured_data_plan", "schema", "properties"):
        found = found.get(key) if isinstance(found, Mapping) else None
    if isinstance(found, Mapping):
        yield from ((key, schema) for key, schema in found.items() if isinstance(schema, Mapping))
