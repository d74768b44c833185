"""What the platform tells of a call afterwards, as rows: how it ended, what came of it, which arm was spoken."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from flask_pickup.flireo import EndOfCallReport, StatusUpdate
from flask_pickup.flireo.answer import sent
from flask_pickup.ledger import ReportEntry
from flask_pickup.models import Call

_ENDED = {"ended", "ended-with-error"}


def status_entry(message: StatusUpdate, call_id: str, now: datetime) -> ReportEntry | None:
    """Return what a status update changes: nothing before the call has ended."""
    if message.call_status not in _ENDED:
        return None
    return ReportEntry(call_row(call_id, status=message.call_status, end_reason=message.end_reason), now)


def report_entry(message: EndOfCallReport, call_id: str, *, now: datetime, transcripts: bool) -> ReportEntry:
    """Return the rows of an end-of-call report.

    :param now: stands in for a report's own time where it has none.
    """
    row = call_row(call_id, status=message.call_status, end_reason=message.end_reason, ended_at=message.ended_at)
    reported_at = message.timestamp or now
    return ReportEntry(
        row,
        reported_at,
        assignments=_brought_back(message, call_id, reported_at),
        outcomes=outcomes(message),
        transcript=_transcript(message, call_id) if transcripts else None,
    )


def call_row(call_id: str, **values: Any) -> dict[str, Any]:
    """Return a row of ``pickup_calls`` with all its columns, None where nothing is said."""
    return {**dict.fromkeys(Call.__table__.columns.keys()), "call_id": call_id, **values}


def outcomes(message: EndOfCallReport) -> dict[str, float]:
    """Return a report's outcomes: one number per name."""
    found: dict[str, float] = {}
    if message.duration_seconds is not None:
        found["duration_seconds"] = message.duration_seconds
    if message.messages is not None:
        found["user_messages"] = float(sum(said.get("role") == "user" for said in message.messages))
    for key, value in message.analysis.items():
        # Free text would put a person's words into the tables.
        if isinstance(value, bool | int | float):
            found[f"analysis.{key[:100]}"] = float(value)
    return found


def original_call_id(message: EndOfCallReport) -> str | None:
    """Return the call's id as our answer named it; a flat message has no other."""
    call_id = _metadata(message).get("call")
    return call_id if isinstance(call_id, str) and 0 < len(call_id) <= 256 else None  # noqa: PLR2004


def _metadata(message: EndOfCallReport) -> Mapping[str, Any]:
    pickup = message.metadata.get("pickup")
    return pickup if isinstance(pickup, Mapping) and pickup.get("v") == 1 else {}


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
            "delivered": metadata.get("sent") == sent(message.assistant or {}),
        }
        for experiment, assigned in assignments.items()
        if isinstance(assigned, Mapping)
        and all(isinstance(assigned.get(n), str) for n in ("arm", "definition", "source"))
    ]


def _transcript(message: EndOfCallReport, call_id: str) -> dict[str, Any]:
    said = None if message.messages is None else [dict(one) for one in message.messages]
    return {"call_id": call_id, "summary": message.summary, "messages": said}
