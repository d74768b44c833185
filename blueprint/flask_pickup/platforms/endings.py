"""Reading who or what ended a call from the words of a platform's reason."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from flask_pickup.platforms.events import Ending
from flask_pickup.platforms.reading import words_of

_ENDED = {"disconnected", "ended", "end", "hang", "hangup", "hung", "hungup"}
_UNANSWERED = {"busy", "declined", "denied", "refused", "rejected", "unanswered", "unavailable", "unreachable"}
_RULES: Sequence[tuple[Ending, Sequence[set[str]]]] = (
    ("error", [{"error", "errored", "errors", "failed", "failure", "invalid", "shutdown"}]),
    ("voicemail", [{"voicemail", "ivr", "machine"}]),
    ("silence", [{"silence", "inactive", "inactivity"}]),
    ("limit", [{"max", "maximum"}, {"duration"}]),
    ("caller", [{"user", "caller", "client", "customer", "remote"}, _ENDED]),
    ("agent", [{"agent", "assistant"}, _ENDED]),
    ("agent", [{"hook"}, {"say"}]),
    ("agent", [{"tool"}, {"end"}]),
    # The caller was to be put through, and nobody answered.
    ("error", [{"forwarded", "forwarding", "transfer", "transferred"}, _UNANSWERED]),
    ("transferred", [{"transferred", "forwarded", "forwarding"}]),
    ("transferred", [{"call", "tool"}, {"transfer"}]),
    ("transferred", [{"transfer"}, {"bridged"}]),
    ("transferred", [{"concurrency"}, {"fallback"}]),
    ("transferred", [{"take"}, {"over"}]),
    ("completed", [{"completed"}]),
    ("completed", [{"user"}, {"requested"}]),
    ("error", [{"closed"}, {"websocket"}]),
    ("error", [{"not"}, {"allowed", "found", "valid"}]),
    ("error", [{"missing"}]),
    ("error", [{"returned"}, {"no"}]),
    ("error", [{"timed", "timeout"}]),
    ("error", [{"blocked", "budget", "busy", "concurrency", "credit", "declined", "denied", "dial", "payment"}]),
    ("error", [{"scam", "spam", "unavailable"}]),
)
"""An ending, and sets of words: the reason has at least one word of each set. The first rule that fits holds."""


def ending_of(reason: Any) -> Ending | None:
    """Return the ending that a reason names; ``None`` if its words are unknown."""
    words = words_of(reason) if isinstance(reason, str) else []
    return next((ending for ending, sets in _RULES if not any(each.isdisjoint(words) for each in sets)), None)
