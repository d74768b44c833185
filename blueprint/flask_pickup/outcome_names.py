"""The outcomes that reports bring: their names, and the values that an outcome can have."""

from __future__ import annotations

REPORTED_NUMBERS = ("duration_seconds", "user_messages")
REPORTED_FLAGS = ("early_hang_up", "completed", "transferred", "voicemail", "silence", "error")
ANALYSED = "analysis."
"""How the names of outcomes begin that the platform's analysis of a call found."""

_LARGEST, _SMALLEST = 1e15, 1e-15


def is_reported(outcome: str) -> bool:
    """Return whether an outcome of this name comes from reports. All other names are the host's own."""
    return outcome in REPORTED_NUMBERS or outcome in REPORTED_FLAGS or outcome.startswith(ANALYSED)


def is_measurable(value: float) -> bool:
    """Return whether a number can be the value of an outcome: the sum of its squares overflows in no database."""
    return value == 0 or _SMALLEST <= abs(value) <= _LARGEST
