"""What the platform tells of a call afterwards, as rows: how it ended, what came of it, which arm was spoken."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from itertools import islice
from typing import Any

from flask_pickup.caller import could_hold_number, is_written_as, without_numbers
from flask_pickup.catalog import Catalog
from flask_pickup.catalog.openings import longest_opening
from flask_pickup.flireo import EndOfCallReport, StatusUpdate
from flask_pickup.flireo.answer import was_applied
from flask_pickup.flireo.report import Ending, caller_messages, ending, findings, is_measurable
from flask_pickup.ledger import ReportEntry
from flask_pickup.models import Call

Choices = Mapping[str, Sequence[str]]

ENDINGS: Mapping[str, frozenset[Ending]] = {
    "completed": frozenset({"caller", "agent", "completed"}),
    "transferred": frozenset({"transferred"}),
    "voicemail": frozenset({"voicemail"}),
    "silence": frozenset({"silence"}),
    "error": frozenset({"error"}),
}
"""Outcomes that follow from how a call ended, each 0 or 1."""

_ENDED = {"ended", "ended-with-error"}

# Seconds in which a caller who has heard the opening would have begun to speak.
_TIME_TO_SPEAK = 5.0

_PLATFORMS_WORDS = ("call_type", "status", "end_reason")

_KEY = re.compile(r"[A-Za-z0-9_.-]{1,64}")
_LONGEST_CHOICE = 64
_MOST_CHOICES = 50
_MOST_OUTCOMES = 200


def status_entry(message: StatusUpdate, call_id: str, now: datetime) -> ReportEntry | None:
    """Return what a status update changes: nothing before the call has ended."""
    if message.call_status not in _ENDED:
        return None
    ended_at = message.timestamp or now
    row = call_row(call_id, status=message.call_status, end_reason=message.end_reason, ended_at=ended_at)
    return ReportEntry(row, now)


def report_entry(
    message: EndOfCallReport, call_id: str, reading: Reading, *, now: datetime, number: str | None
) -> ReportEntry:
    """Return the rows of an end-of-call report.

    :param number: the caller's in E.164, if it is known: nothing that the analysis found may be it.
    :param now: stands in for a report's own time where it has none.
    """
    row = call_row(call_id, status=message.call_status, end_reason=message.end_reason, ended_at=message.ended_at)
    reported_at = message.timestamp or now
    return ReportEntry(
        row,
        reported_at,
        assignments=_brought_back(message, call_id, reported_at),
        outcomes=outcomes(message, reading, number),
        delivered=_delivered(message),
        transcript=_transcript(message, call_id) if reading.transcripts else None,
    )


def with_caller(entry: ReportEntry, key: str | None) -> ReportEntry:
    """Return ``entry`` with the caller's key in the call's row: whoever asks for what is held on them finds it by that.

    :param key: by the message's number; where it has none, the one that the report brought back has to do.
    """
    brought_back = (row["caller_key"] for row in entry.assignments if row["caller_key"])
    return replace(entry, call={**entry.call, "caller_key": key or next(brought_back, None)})


def call_row(call_id: str, **values: Any) -> dict[str, Any]:
    """Return a row of ``pickup_calls`` with all its columns, None where nothing is said.

    The platform's own words are kept without what could be a number: a carrier's reason may quote an address.
    """
    words = {name: without_numbers(values[name]) for name in _PLATFORMS_WORDS if values.get(name)}
    return {**dict.fromkeys(Call.__table__.columns.keys()), "call_id": call_id, **values, **words}


@dataclass(frozen=True)
class Reading:
    """What is needed to read a report beside the report itself.

    :param early: a caller who hangs up within so many seconds has said nothing; None if nobody knows how long the
        openings take.
    :param choices: the words that the folders' analysis plans let the analysis choose from, by key.
    :param transcripts: whether they are kept.
    :param dropped: counts what made no outcome, by the reason why.
    """

    early: float | None = None
    choices: Choices = field(default_factory=dict)
    transcripts: bool = False
    dropped: Counter[str] = field(default_factory=Counter)

    @classmethod
    def of(cls, catalog: Catalog, *, transcripts: bool) -> Reading:
        """Return how to read the reports of calls that were answered from ``catalog``."""
        spoken = longest_opening(catalog)
        choices: dict[str, tuple[str, ...]] = {}
        for _, patch in catalog.overrides():
            for key, words in _choices(patch.get("assistant")).items():
                choices[key] = (*choices.get(key, ()), *words)
        return cls(None if spoken is None else spoken + _TIME_TO_SPEAK, choices, transcripts)


def outcomes(message: EndOfCallReport, reading: Reading, number: str | None = None) -> dict[str, float]:
    """Return a report's outcomes: one number per name; ``docs/outcomes.md`` lists them.

    :param number: the caller's in E.164, which makes none.
    """
    found: dict[str, float] = {}
    if message.duration_seconds is not None:
        found |= _measured("duration_seconds", message.duration_seconds, reading.dropped)
    said = caller_messages(message)
    if said is not None:
        found["user_messages"] = float(said)
    found |= _endings(message, said, reading)
    for key, value in message.analysis.items():
        if isinstance(value, int | float) and is_written_as(number, value):
            reading.dropped["phone number"] += 1
            continue
        found |= _analysed(key, value, _choices(message.assistant) or reading.choices, reading.dropped)
    if len(found) > _MOST_OUTCOMES:
        reading.dropped["too many"] += len(found) - _MOST_OUTCOMES
    return dict(islice(found.items(), _MOST_OUTCOMES))


def _endings(message: EndOfCallReport, said: int | None, reading: Reading) -> dict[str, float]:
    how = ending(message)
    found = {}
    if how is not None:
        found = {name: float(how in endings) for name, endings in ENDINGS.items()}
    elif message.end_reason:
        reading.dropped["end reason"] += 1
    early = _is_early_hang_up(message, how, said, reading.early)
    return found if early is None else {**found, "early_hang_up": float(early)}


def _is_early_hang_up(
    message: EndOfCallReport, how: Ending | None, said: int | None, threshold: float | None
) -> bool | None:
    """Return whether the caller hung up without a word; None where nobody can know."""
    if how not in {None, "caller", "completed"}:
        return False
    if said is not None:
        silent = said == 0
    elif threshold is None or message.duration_seconds is None:
        return None
    else:
        silent = message.duration_seconds < threshold
    # Of a reason in unknown words nobody can say whose it was; where there is none, callers end most calls.
    return None if silent and how is None and message.end_reason else silent


def _analysed(key: str, value: object, choices: Choices, dropped: Counter[str]) -> dict[str, float]:
    """Return the outcomes of one finding. Free text makes none: it would put a person's words into the tables."""
    if not _KEY.fullmatch(key) or could_hold_number(key):
        dropped["key"] += 1
    elif isinstance(value, bool | int | float):
        return _measured(f"analysis.{key}", value, dropped)
    elif isinstance(value, str) and value in choices.get(key, ()):
        return {f"analysis.{key}.{word}": float(word == value) for word in choices[key]}
    elif value is not None:
        dropped["text"] += 1
    return {}


def _measured(name: str, value: float, dropped: Counter[str]) -> dict[str, float]:
    if is_measurable(value):
        return {name: float(value)}
    dropped["number"] += 1
    return {}


def _choices(assistant: object) -> Choices:
    """Return the words that an assistant's analysis chooses from; they are the author's, not a caller's."""
    found = {}
    for key, schema in findings(assistant):
        words = schema.get("enum")
        if isinstance(words, list):
            found[key] = tuple(word for word in words[:_MOST_CHOICES] if isinstance(word, str) and _is_name(word))
    return found


def _is_name(word: str) -> bool:
    return 0 < len(word) <= _LONGEST_CHOICE and word.isprintable() and not could_hold_number(word)


def original_call_id(message: EndOfCallReport) -> str | None:
    """Return the call's id as our answer named it; a flat message has no other."""
    call_id = _metadata(message).get("call")
    return call_id if isinstance(call_id, str) and 0 < len(call_id) <= 256 else None  # noqa: PLR2004


def _metadata(message: EndOfCallReport) -> Mapping[str, Any]:
    pickup = message.metadata.get("pickup")
    return pickup if isinstance(pickup, Mapping) and pickup.get("v") == 1 else {}


def _delivered(message: EndOfCallReport) -> bool | None:
    """Return whether the answer was applied; None where the report does not show what was."""
    if message.assistant is None:
        return None
    return was_applied(_metadata(message).get("sent"), message.assistant)


def _brought_back(message: EndOfCallReport, call_id: str, reported_at: datetime) -> list[dict[str, Any]]:
    """Return the assignments in the metadata of our answer, which a lost table gets back from it."""
    metadata = _metadata(message)
    assignments = metadata.get("assignments")
    key = metadata.get("caller_key")
    if not isinstance(assignments, Mapping):
        return []
    return [
        {
            "call_id": call_id,
            "experiment": experiment,
            **{name: assigned[name] for name in ("arm", "definition", "source")},
            "caller_key": key if isinstance(key, str) else None,
            "assigned_at": reported_at,
            "delivered": _delivered(message),
        }
        for experiment, assigned in assignments.items()
        if isinstance(assigned, Mapping)
        and all(isinstance(assigned.get(n), str) for n in ("arm", "definition", "source"))
    ]


def _transcript(message: EndOfCallReport, call_id: str) -> dict[str, Any]:
    said = None if message.messages is None else [dict(one) for one in message.messages]
    return {"call_id": call_id, "summary": message.summary, "messages": said}
