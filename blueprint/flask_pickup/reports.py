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
from flask_pickup.outcome_names import ANALYSED, is_measurable
from flask_pickup.platforms import CallEnded, Ending, JsonObject, Platform, StatusChanged

Choices = Mapping[str, Sequence[str]]

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


def report_entry(event: CallEnded, call: CallFacts, returned: Metadata | None, reading: Reading) -> ReportEntry:
    """Return the rows of a report.

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
    return ReportEntry(
        row,
        reported_at,
        assignments=without_nul(assignments),
        outcomes=outcomes_of(event, reading, call.caller.number),
        delivered=delivered,
        transcript=without_nul(transcript) if reading.transcripts else None,
    )


@dataclass(frozen=True)
class Reading:
    """What reading a report needs beside the report itself.

    :param early: a caller who hangs up within so many seconds has said nothing; None if the greetings' length is unknown.
    :param choices: the words that the folders' analysis plans let the analysis choose from, by key.
    :param transcripts: whether they are kept.
    :param dropped: counts what made no outcome, by the reason why.
    """

    early: float | None = None
    choices: Choices = field(default_factory=dict)
    transcripts: bool = False
    dropped: Counter[str] = field(default_factory=Counter)

    @classmethod
    def of(cls, catalog: Catalog, platforms: Collection[Platform], *, transcripts: bool) -> Reading:
        """Return how to read the reports of calls that were answered from ``catalog``."""
        spoken = longest_greeting(catalog, platforms)
        choices: dict[str, tuple[str, ...]] = {}
        for platform in platforms:
            for _, patch in catalog.overrides():
                for key, words in _choices(platform.analysis_fields(patch)).items():
                    choices[key] = (*choices.get(key, ()), *words)
        return cls(None if spoken is None else spoken + _TIME_TO_SPEAK, choices, transcripts)


def outcomes_of(event: CallEnded, reading: Reading, number: str | None = None) -> dict[str, float]:
    """Return a report's outcomes: one number per name; ``docs/outcomes.md`` lists them.

    :param number: the caller's in E.164, which makes none.
    """
    found: dict[str, float] = {}
    if event.duration_seconds is not None:
        found |= _measured("duration_seconds", event.duration_seconds, reading.dropped)
    if event.user_messages is not None:
        found["user_messages"] = float(event.user_messages)
    found |= _endings(event, reading)
    choices = _choices(event.analysis_fields) or reading.choices
    for key, value in event.analysis.items():
        if isinstance(value, int | float) and is_written_as(number, value):
            reading.dropped["phone number"] += 1
            continue
        found |= _analysed(key, value, choices, reading.dropped)
    if len(found) > _MOST_OUTCOMES:
        reading.dropped["too many"] += len(found) - _MOST_OUTCOMES
    return dict(islice(found.items(), _MOST_OUTCOMES))


def _endings(event: CallEnded, reading: Reading) -> dict[str, float]:
    found = {}
    if event.ending is not None:
        found = {name: float(event.ending in endings) for name, endings in ENDINGS.items()}
    elif event.end_reason:
        reading.dropped["end reason"] += 1
    early = _is_early_hang_up(event, reading.early)
    return found if early is None else {**found, "early_hang_up": float(early)}


def _is_early_hang_up(event: CallEnded, threshold: float | None) -> bool | None:
    """Return whether the caller hung up without a word; None where that is unknown."""
    if event.ending not in {None, "caller", "completed"}:
        return False
    if event.user_messages is not None:
        silent = event.user_messages == 0
    elif threshold is None or event.duration_seconds is None:
        return None
    else:
        silent = event.duration_seconds < threshold
    # An unknown reason does not say who ended the call; without a reason, callers end most calls.
    return None if silent and event.ending is None and event.end_reason else silent


def _analysed(key: str, value: object, choices: Choices, dropped: Counter[str]) -> dict[str, float]:
    """Return the outcomes of one finding. Free text makes none: it would put a person's words into the tables."""
    if not _KEY.fullmatch(key) or could_hold_number(key):
        dropped["key"] += 1
    elif isinstance(value, bool | int | float):
        return _measured(f"{ANALYSED}{key}", value, dropped)
    elif isinstance(value, str) and value in choices.get(key, ()):
        return {f"{ANALYSED}{key}.{word}": float(word == value) for word in choices[key]}
    elif value is not None:
        dropped["text"] += 1
    return {}


def _measured(name: str, value: float, dropped: Counter[str]) -> dict[str, float]:
    if is_measurable(value):
        return {name: float(value)}
    dropped["number"] += 1
    return {}


def _choices(analysis_fields: Mapping[str, JsonObject]) -> Choices:
    """Return the words that an analysis chooses from; they are the author's, not a caller's."""
    found = {}
    for key, schema in analysis_fields.items():
        words = schema.get("enum")
        if isinstance(words, list):
            found[key] = tuple(word for word in words[:_MOST_CHOICES] if isinstance(word, str) and _is_name(word))
    return found


def _is_name(word: str) -> bool:
    return 0 < len(word) <= _LONGEST_CHOICE and word.isprintable() and not could_hold_number(word)
