"""What the ledger writes: rows as plain values, which go into SQL statements as well as into the spool."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import orjson

Row = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class CallEntry:
    """A decided call and its assignments: rows of ``pickup_calls`` and ``pickup_assignments``.

    :param requested_at: when the platform signed the request, or else when it came.
    """

    call: Row
    assignments: Sequence[Row]
    requested_at: datetime


@dataclass(frozen=True, slots=True)
class ReportEntry:
    """What an event says about a call after it was decided.

    :param call: a row of ``pickup_calls`` without a decision.
    :param assignments: rows of ``pickup_assignments`` as the platform returned them.
    :param outcomes: name to value; None if the event is not a report.
    :param delivered: whether the platform applied the call's arms; None if that is unknown.
    :param transcript: a row of ``pickup_transcripts``, if they are kept.
    :param is_whole: whether a report's outcomes take the place of all that were reported before.
    """

    call: Row
    reported_at: datetime
    assignments: Sequence[Row] = ()
    outcomes: Mapping[str, float] | None = None
    delivered: bool | None = None
    transcript: Row | None = None
    is_whole: bool = True


@dataclass(frozen=True, slots=True)
class DefinitionEntry:
    """A row of ``pickup_definitions``."""

    definition: Row


@dataclass(frozen=True, slots=True)
class OutcomeEntry:
    """An outcome that the host reports, of a call or of a caller's latest call before it happened.

    :param call_id: as the platform gave it; the call's row may have the ``pseudonym`` in place of it.
    :param caller_keys: the caller's pseudonyms under every secret; used without a ``call_id``.
    :param reported_at: when it happened.
    :param since: the beginning of the day, if only the day is known.
    """

    name: str
    value: float
    reported_at: datetime
    call_id: str | None = None
    pseudonym: str | None = None
    caller_keys: Sequence[str] = ()
    since: datetime | None = None

    @property
    def begins(self) -> datetime:
        """From when until ``reported_at`` an outcome of this name is the same one, recorded before."""
        return self.since or self.reported_at


Entry = OutcomeEntry | CallEntry | ReportEntry | DefinitionEntry

_KINDS = {kind.__name__: kind for kind in (OutcomeEntry, CallEntry, ReportEntry, DefinitionEntry)}
_MOMENTS = {"requested_at", "reported_at"}


def to_json(entry: Entry) -> str:
    """Return the entry as JSON: the name of its type, and its fields."""
    return orjson.dumps([type(entry).__name__, entry]).decode()


def from_json(text: str) -> Entry | None:
    """Return the entry of a text of :func:`to_json`; None if it is not one, as from another version."""
    try:
        kind, values = orjson.loads(text)
        # Rows keep their times as text, which the tables' columns take as well.
        moments = {name: datetime.fromisoformat(values[name]) for name in _MOMENTS & values.keys()}
        return _KINDS[kind](**{**values, **moments})
    except (ValueError, KeyError, TypeError, AttributeError):
        return None
