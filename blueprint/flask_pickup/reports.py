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
from flask_pickup.outcome_names import ANALYSED, UNREAD_ANALYSIS, UNREAD_MESSAGES, is_measurable, schema_values
from flask_pickup.platforms import CallEnded, Ending, JsonObject, Platform, StatusChanged, Unread
from flask_pickup.platforms.reading import as_boolean, as_number

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
_READERS = {"boolean": as_boolean, "number": as_number, "integer": as_number}
"""Types of JSON Schema, and how their values are read."""


def call_row(call: CallFacts, **values: Any) -> dict[str, Any]:
    """Return a row of ``pickup_calls`` with all its columns, None where nothing is known.

    The platform's own words lose what could be a number: a carrier's reason may quote an address.
    """
    words = {name: without_numbers(values[name]) for name in _PLATFORMS_WORDS if values.get(name)}
    facts = {"call_id": call.id, "platform": call.platform, "caller_key": call.caller.key}
    row = {**_EMPTY_CALL, **facts, **values, **words}
    # Flat: all that lies deeper in a call's row is Pickup's own.
    return {name: value.replace("\0", "") if isinstance(value, str) else value for name, value in row.items()}


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
    if event.applied is not None:
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
            for _, patch in catalog.overrides():
                for key, schema in platform.analysis_fields(patch).items():
                    schemas.setdefault(key, []).append(schema)
        return cls(None if spoken is None else spoken + _TIME_TO_SPEAK, schemas, transcripts)


def outcomes_of(
    event: CallEnded, reading: Reading, phone_number: str | None = None
) -> tuple[dict[str, float], Counter[Unread]]:
    """Return a report's outcomes, one number per name, and how many values make none; ``docs/outcomes.md`` lists both.

    :param phone_number: the caller's in E.164, which makes no outcome.
    """
    found, unread = dict[str, float](), Counter[Unread]()
    if event.duration_seconds is not None:
        found |= _measured("duration_seconds", event.duration_seconds, "duration", unread)
    if event.user_messages is not None:
        found["user_messages"] = float(event.user_messages)
    if event.ending is not None:
        found |= {name: float(event.ending in endings) for name, endings in ENDINGS.items()}
    elif event.end_reason:
        unread["end reason"] += 1
    early = _is_early_hang_up(event, reading.early)
    if early is not None:
        found["early_hang_up"] = float(early)
    schemas = {key: [schema] for key, schema in event.analysis_fields.items()} or reading.schemas
    for key, value in event.analysis.items():
        found |= _analysed(key, value, schemas.get(key, ()), phone_number, unread)
    if len(found) > _MOST_OUTCOMES:
        unread["too many"] += len(found) - _MOST_OUTCOMES
    found = dict(islice(found.items(), _MOST_OUTCOMES))
    total = unread + Counter(event.unread)
    told = {UNREAD_MESSAGES: total["message"], UNREAD_ANALYSIS: total["analysis value"]}
    return found | {name: float(count) for name, count in told.items() if count}, unread


def _is_early_hang_up(event: CallEnded, threshold: float | None) -> bool | None:
    """Return whether the caller hung up without a word; None where that is unknown."""
    if event.has_caller_spoken or event.ending not in {None, "caller", "completed"}:
        return False
    if event.unread.get("message"):
        return None
    if event.user_messages is not None:
        silent = event.user_messages == 0
    elif threshold is None or event.duration_seconds is None:
        return None
    else:
        silent = event.duration_seconds < threshold
    # An unknown reason does not say who ended the call; without a reason, callers end most calls.
    has_unknown_reason = event.ending is None and (event.end_reason or event.unread.get("end reason"))
    return None if silent and has_unknown_reason else silent


def _analysed(
    key: str, value: Any, schemas: Sequence[JsonObject], phone_number: str | None, unread: Counter[Unread]
) -> dict[str, float]:
    """Return the outcomes of one finding. Free text makes none: it would put a person's words into the tables."""
    types, words = schema_values(*schemas)
    choices = [word for word in words[:_MOST_CHOICES] if _is_name(word)]
    amount = _amount(value, types)
    if not _KEY.fullmatch(key) or could_hold_number(key):
        unread["key"] += 1
    elif isinstance(value, str) and value in choices:
        return {f"{ANALYSED}{key}.{word}": float(word == value) for word in choices}
    elif amount is not None and is_written_as(phone_number, amount):
        unread["phone number"] += 1
    elif amount is not None:
        return _measured(f"{ANALYSED}{key}", amount, "analysis value", unread)
    elif value is not None:
        is_text = not words and ("string" in types or _READERS.keys().isdisjoint(types))
        unread["text" if is_text else "analysis value"] += 1
    return {}


def _amount(value: Any, types: Collection[str]) -> float | None:
    """Return a finding as the number that its schema expects; if it expects none, a number is one all the same."""
    if _READERS.keys().isdisjoint(types):
        return float(value) if isinstance(value, bool | int | float) else None
    read = (_READERS[name](value) for name in types if name in _READERS)
    return next((amount for amount in read if amount is not None), None)


def _measured(name: str, value: float, kind: Unread, unread: Counter[Unread]) -> dict[str, float]:
    if is_measurable(value):
        return {name: float(value)}
    unread[kind] += 1
    return {}


def _is_name(word: str) -> bool:
    return 0 < len(word) <= _LONGEST_CHOICE and word.isprintable() and not could_hold_number(word)
