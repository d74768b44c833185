"""One call: what happened in a sentence, what was sent, what came of it, and why."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from flask import Response, abort, request
from sqlalchemy import RowMapping

from flask_pickup.dashboard import rows
from flask_pickup.dashboard.definitions import definition
from flask_pickup.dashboard.frame import Frame
from flask_pickup.dashboard.outcome_words import OutcomeWords, duration
from flask_pickup.rendering import split_variant
from flask_pickup.translation import PageFormat, gettext


@dataclass(frozen=True)
class SentArm:
    """An arm that a call was given.

    :param texts: its greeting and system prompt as templates, by ``first_message.j2`` and ``system_prompt.j2``; of those
        that it has none, the base's were sent.
    :param is_known: whether the definition at the time is there.
    """

    assignment: RowMapping
    texts: Mapping[str, str]
    is_known: bool


def call_page(frame: Frame) -> Response:
    """Return the page of a call."""
    # In the query, because servers and browsers change a path with a line break, '..' or '//' in it.
    row, transcript = rows.one_call(frame.webhook.engine, request.args.get("id", "")) or abort(404)
    return frame.page(
        "call",
        row=row,
        transcript=transcript,
        sent=[_sent(frame, row, assignment) for assignment in row.assignments],
        summary=_summary(row, frame.formats),
        outcomes=OutcomeWords(frame.catalog),
        experiments=[each.name for each in frame.catalog.experiments],
    )


def _sent(frame: Frame, row: rows.CallRow, assignment: RowMapping) -> SentArm:
    found = definition(frame.webhook.engine, assignment["definition"])
    files: Mapping[str, str] = found["body"].get("files", {}).get(assignment["arm"], {}) if found else {}
    texts: dict[str, str] = {}
    # The plain file first, which a language's own replaces.
    for path, text in sorted(files.items(), key=lambda file: split_variant(file[0])[1]):
        name, language = split_variant(path)
        if language in ("", row.call["language"]):
            texts[name] = text
    return SentArm(assignment, texts, found is not None)


def _summary(row: rows.CallRow, formats: PageFormat) -> str:
    """Return a sentence: who called, what was heard, whether it was delivered, and how long it took."""
    seconds = row.outcomes.get("duration_seconds")
    clauses = [
        _delivery(row),
        gettext("the call lasted %(duration)s", duration=duration(seconds)) if seconds is not None else "",
    ]
    rest = gettext(", and ").join(clause for clause in clauses if clause)
    return f"{_heard(row, formats)}; {rest}." if rest else f"{_heard(row, formats)}."


def _delivery(row: rows.CallRow) -> str:
    delivered = {assignment["delivered"] for assignment in row.assignments}
    if row.call["decision"] != "arm" or not delivered:
        return ""
    if False in delivered:
        return gettext("it was not delivered")
    return gettext("it was delivered") if delivered == {True} else gettext("whether it was delivered is not known")


def _heard(row: rows.CallRow, formats: PageFormat) -> str:
    call = row.call
    values: dict[str, Any] = {"who": _who(call, formats), "arms": gettext(" and ").join(map(_arm, row.assignments))}
    if not call["decision"]:
        return gettext("Only the report of this call has arrived")
    if call["decision"] == "arm" and row.assignments:
        was_heard = all(assignment["delivered"] is not False for assignment in row.assignments)
        return (
            gettext("%(who)s heard %(arms)s", **values)
            if was_heard
            else gettext("%(who)s should have heard %(arms)s", **values)
        )
    sentences = {
        "closed": gettext("%(who)s called outside opening hours and was rejected", **values),
        "fallback": gettext("%(who)s heard the fallback because of a fault", **values),
    }
    return sentences.get(call["decision"], gettext("%(who)s heard the base", **values))


def _arm(assignment: RowMapping) -> str:
    text = gettext("%(arm)s of %(experiment)s", arm=assignment["arm"], experiment=assignment["experiment"])
    return gettext("%(arm)s (pinned)", arm=text) if assignment["source"] == "pin" else text


def _who(call: RowMapping, formats: PageFormat) -> str:
    if not call["caller_key"]:
        return gettext("A caller without a number")
    if not call["country"]:
        return gettext("A caller")
    return gettext("A caller (%(country)s)", country=formats.country(call["country"]))
