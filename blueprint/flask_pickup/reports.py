"""A finished call as rows: how it ended, what came of it, whether its arm was delivered."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import Any

from flask_pickup.assignment import Assigned
from flask_pickup.caller import could_hold_number, is_written_as, without_numbers
from flask_pickup.calls import CallFacts
from flask_pickup.catalog import Catalog
from flask_pickup.catalog.greeting_length import longest_greeting
from flask_pickup.ledger import ReportEntry
from flask_pickup.metadata import Metadata
from flask_pickup.models import Call
from flask_pickup.outcome_names import ANALYSED, UNREAD, is_measurable, schema_values
from flask_pickup.platforms import CallEnded, Ending, JsonObject, Platform, StatusChanged, Unread
from flask_pickup.platforms.reading import as_boolean, as_integer, as_number

Schemas = Mapping[str, Sequence[JsonObject]]

ENDINGS: Mapping[str, frozenset[Ending]] = {
    "completed": frozenset({"caller", "agent", "completed"}),
    "transferred": frozenset({"transferred"}),
    "voicemail": frozenset({"voicemail"}),
    "silence": frozenset({"silence"}),
    "error": frozenset({"error"}),
}
"""Outcomes that follow from how a call ended, each 0 or 1."""

# Seconds in which a caller who has heard the greeting would have begun to speak.
_TIME_TO_SPEAK = 5.0

_EMPTY_CALL = dict.fromkeys(Call.__table__.columns.keys())
_PLATFORMS_WORDS = ("call_type", "status", "end_reason")

_KEY = re.compile(r"[A-Za-z0-9_.-]{1,64}")
_LONGEST_CHOICE = 64
_MOST_CHOICES = 50
_MOST_OUTCOMES = 200
_READERS = {"boolean": as_boolean, "number": as_number, "integer": as_integer}
"""Types of JSON Schema, and how their values are read."""


def call_row(call: CallFacts, **values: Any) -> dict[str, Any]:
    """Return a row of ``pickup_calls`` with all its columns, None where nothing is known.

    The platform's own words lose what could be a number: a carrier's reason may quote an address.
    """
    words = {name: without_numbers(values[name]) for name in _PLATFORMS_WORDS if values.get(name)}
    ids = {"call_id": call.id, "platform_call_id": call.platform_call_id, "caller_key": call.caller.key}
    return without_nul({**_EMPTY_CALL, "platform": call.platform, **ids, **values, **words})  # type: ignore[no-any-return]


def without_nul(value: Any) -> Any:
    """Return a value without NUL characters, which PostgreSQL does not store."""
    if isinstance(value, str):
        return value.replace("\0", "")
    if isinstance(value, Mapping):
        return {without_nul(key): without_nul(child) for key, child in value.items()}
    return [without_nul(child) for child in value] if isinstance(value, list | tuple) else value


def assignment_rows(assignments: Iterable[Assigned], **shared: Any) -> list[dict[str, Any]]:
    """Return rows of ``pickup_assignments`` with the values that they share."""
    return [{**assigned._asdict(), **shared} for assigned in assignments]


def status_entry(event: StatusChanged, call: CallFacts) -> ReportEntry:
    """Return what the end of a call changes."""
    ended_at = event.timestamp or call.at
    return ReportEntry(call_row(call, status=event.status, end_reason=event.end_reason, ended_at=ended_at), call.at)


def report_entry(
    event: CallEnded, call: CallFacts, returned: Metadata | None, reading: Reading
) -> tuple[ReportEntry, Mapping[Unread, int]]:
    """Return the rows of a report, and how many of its values make no outcome, by kind.

    :param returned: our metadata as the report brought it back.
    """
    key = call.caller.key or (returned.caller_key if returned else None)
    row = call_row(call, status=event.status, end_reason=event.end_reason, ended_at=event.ended_at, caller_key=key)
    reported_at = event.timestamp or call.at
    delivered = None
    if event.applied is not None and (returned or event.is_whole):
        # A report that shows other words than ours, or nothing of ours at all, is of a call that our answer missed.
        delivered = returned is not None and returned.was_applied(event.applied)
    assignments = []
    if returned is not None:
        shared = {"call_id": call.id, "caller_key": returned.caller_key, "delivered": delivered}
        assignments = assignment_rows(returned.assignments, **shared, assigned_at=reported_at)
    transcript = {"call_id": call.id, "summary": event.summary, "messages": event.transcript}
    outcomes, unread = outcomes_of(event, reading, call.caller.number)
    entry = ReportEntry(
        row,
        reported_at,
        assignments=without_nul(assignments),
        outcomes=outcomes,
        delivered=delivered,
        transcript=without_nul(transcript) if reading.transcripts else None,
        is_whole=event.is_whole,
    )
    return entry, unread


@dataclass(frozen=True)
class Reading:
    """What reading a report needs beside the report itself.

    :param early: a caller who hangs up within so many seconds has said nothing; None if the greetings' length is unknown.
    :param schemas: what the folders' analysis plans let the analysis find, by key.
    :param transcripts: whether they are kept.
    """

    early: float | None = None
    schemas: Schemas = field(default_factory=dict)
    transcripts: bool = False

    @classmethod
    def of(cls, catalog: Catalog, platforms: Collection[Platform], *, transcripts: bool) -> Reading:
        """Return how to read the reports of calls that were answered from ``catalog``."""
        spoken = longest_greeting(catalog, platforms)
        schemas: dict[str, list[JsonObject]] = {}
        for platform in platforms:
            for patch in catalog.overrides.of(platform):
                for key, schema in platform.analysis_fields(patch).items():
                    schemas.setdefault(key, []).append(schema)
        return cls(None if spoken is None else spoken + _TIME_TO_SPEAK, schemas, transcripts)


def outcomes_of(
    event: CallEnded, reading: Reading, phone_number: str | None = None
) -> tuple[dict[str, float], Counter[Unread]]:
    """Return a report's outcomes, one number per name, and how many values make none; ``docs/outcomes.md`` lists both.

    :param phone_number: the caller's in E.164, which makes no outcome.
    """
    facts: dict[str, float | None] = {
        "duration_seconds": event.duration_seconds,
        "user_messages": event.user_messages,
        **{name: None if event.ending is None else event.ending in endings for name, endings in ENDINGS.items()},
        "early_hang_up": _is_early_hang_up(event, reading.early),
    }
    found, unread = {name: float(fact) for name, fact in facts.items() if fact is not None}, Counter[Unread]()
    schemas = {key: [schema] for key, schema in event.analysis_fields.items()} or reading.schemas
    for key, value in event.analysis.items():
        found |= _analysed(key, value, schemas.get(key, ()), phone_number, unread)
    unread["analysis"] += max(len(found) - _MOST_OUTCOMES, 0)
    found = dict(islice(found.items(), _MOST_OUTCOMES))
    total = unread + Counter(event.unread)
    return found | {name: float(total[kind]) for kind, name in UNREAD.items() if total[kind]}, +unread


def _is_early_hang_up(event: CallEnded, threshold: float | None) -> bool | None:
    """Return whether the caller hung up without a word; None where that is unknown."""
    has_messages = event.transcript is not None or event.user_messages is not None
    if not event.is_whole and (event.ending is None or not has_messages):
        # The other fact is in another part. One of them alone would find only calls that are none.
        return None
    has_spoken = event.user_messages or any(said.get("role") == "user" for said in event.transcript or ())
    if has_spoken or event.ending not in {None, "caller", "completed"}:
        return False
    if event.unread.get("messages"):
        return None
    if event.user_messages is None:
        if threshold is None or event.duration_seconds is None:
            return None
        if event.duration_seconds >= threshold:
            return False
    # An unknown reason does not say who ended the call; without a reason, callers end most calls.
    return None if event.unread.get("end reasons") else True


def _analysed(
    key: str, value: Any, schemas: Sequence[JsonObject], phone_number: str | None, unread: Counter[Unread]
) -> dict[str, float]:
    """Return the outcomes of one finding. Free text makes none: it would put a person's words into the tables."""
    types, words = schema_values(*schemas)
    readers = [_READERS[name] for name in types if name in _READERS]
    choices = [word for word in words[:_MOST_CHOICES] if _is_name(word)]
    amount = next((float(number) for read in readers if (number := read(value)) is not None), None)
    if not types and isinstance(value, bool | int | float):
        # No schema says what to expect.
        amount = float(value)
    if _KEY.fullmatch(key) and not could_hold_number(key):
        if isinstance(value, str) and value in choices:
            return {f"{ANALYSED}{key}.{word}": float(word == value) for word in choices}
        if amount is not None and is_measurable(amount) and not _could_be_number(amount, phone_number):
            return {f"{ANALYSED}{key}": amount}
    if value is not None:
        expects_text = not words and ("string" in types or not readers)
        is_text = amount is None and isinstance(value, str | list | Mapping) and expects_text
        unread["text" if is_text else "analysis"] += 1
    return {}


def _could_be_number(amount: float, phone_number: str | None) -> bool:
    # An analysis may find the number to call back, which need not be the caller's.
    return is_written_as(phone_number, amount) or (amount.is_integer() and could_hold_number(f"{amount:.0f}"))


def _is_name(word: str) -> bool:
    return 0 < len(word) <= _LONGEST_CHOICE and word.isprintable() and not could_hold_number(word)
