"""What is written: rows as plain values, that fit a statement as well as a frame of the spool."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from datetime import datetime
from typing import Any

import orjson

Row = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class CallEntry:
    """A decided call and its assignments: rows of ``pickup_calls`` and ``pickup_assignments``."""

    call: Row
    assignments: Sequence[Row]


@dataclass(frozen=True, slots=True)
class ReportEntry:
    """What a message told of a call after it was decided.

    :param call: a row of ``pickup_calls`` without a decision.
    :param assignments: rows of ``pickup_assignments`` as the platform brought them back.
    :param outcomes: name to value; None where the message is no report.
    :param delivered: whether the call's arms were really spoken; None where nobody knows.
    :param transcript: a row of ``pickup_transcripts``, if they are kept.
    """

    call: Row
    reported_at: datetime
    assignments: Sequence[Row] = ()
    outcomes: Mapping[str, float] | None = None
    delivered: bool | None = None
    transcript: Row | None = None


@dataclass(frozen=True, slots=True)
class DefinitionEntry:
    """A row of ``pickup_definitions``."""

    definition: Row


@dataclass(frozen=True, slots=True)
class WithdrawnEntry:
    """A call that was answered with the base because its row seemed lost: if it is there after all, it says so.

    :param decided_at: tells the row from that of another delivery of the call, which may have been answered with it.
    """

    call_id: str
    decided_at: datetime


@dataclass(frozen=True, slots=True)
class OutcomeEntry:
    """An outcome that the host tells: of a call, or of a caller's latest call before it happened.

    :param caller_keys: the caller's pseudonyms, under every secret; used where there is no ``call_id``.
    :param reported_at: when it happened.
    """

    name: str
    value: float
    reported_at: datetime
    call_id: str | None = None
    caller_keys: Sequence[str] = ()


Entry = OutcomeEntry | CallEntry | ReportEntry | DefinitionEntry | WithdrawnEntry

_KINDS: dict[str, type[Entry]] = {
    "call": CallEntry, "report": ReportEntry, "definition": DefinitionEntry, "withdrawn": WithdrawnEntry,
    "outcome": OutcomeEntry,
}  # fmt: skip
_NAMES = {kind: name for name, kind in _KINDS.items()}
_MOMENTS = ("decided_at", "ended_at", "assigned_at", "first_seen_at", "reported_at")
_NAMED_BY_OTHERS = ("body", "reasons", "outcomes", "messages")


def to_frame(entry: Entry) -> bytes:
    """Return the entry as one JSON object."""
    values = {field.name: getattr(entry, field.name) for field in fields(entry)}
    return orjson.dumps({"kind": _NAMES[type(entry)], **values})


def from_frame(frame: bytes) -> Entry:
    """Return the entry of a frame.

    :raises ValueError: if the frame is none of ours.
    """
    try:
        values = orjson.loads(frame)
        kind = _KINDS[values.pop("kind")]
        return kind(**{name: _with_moments(name, value) for name, value in values.items()})
    except (KeyError, TypeError, AttributeError) as error:
        raise ValueError("a frame that is not Pickup's") from error


def _with_moments(name: str, value: Any) -> Any:
    if name in _MOMENTS and isinstance(value, str):
        return datetime.fromisoformat(value)
    if name in _NAMED_BY_OTHERS:
        return value
    if isinstance(value, dict):
        return {key: _with_moments(key, child) for key, child in value.items()}
    if isinstance(value, list):
        return [_with_moments("", child) for child in value]
    return value
