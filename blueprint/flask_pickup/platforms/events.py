"""What platforms send and get, in neutral terms: events in, an answer out.

Each platform parses its own JSON into these types and writes its own JSON from them. A field that the platform did not
send, or sent in an unknown shape, is ``None`` or empty. No ``repr`` shows a caller's number or words.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, ClassVar, Literal

from werkzeug.datastructures import Headers

JsonObject = Mapping[str, Any]

Ending = Literal["caller", "agent", "completed", "transferred", "voicemail", "silence", "limit", "error"]
"""Who or what ended a call; ``completed`` where the platform says only that it ended normally."""

Unread = Literal["analysis", "end reasons", "messages", "text", "times", "tool calls"]
"""Kinds of what a platform sends and Pickup does not read; ``docs/outcomes.md`` explains them."""


@dataclass(frozen=True, slots=True)
class Delivery:
    """One HTTP request of a platform: its headers, and its body as it arrived.

    :param signed_at: the Unix time that was signed, in seconds, once it is verified; ``None`` if none is signed.
    """

    headers: Headers | Mapping[str, str]
    body: bytes = field(repr=False)
    signed_at: float | None = None


# --- events -----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """Something that a platform tells of a call.

    :param call_id: as the platform gave it; empty if it gave none.
    :param platform_call_id: the platform's own id, where a call is known by another: the one that Pickup gave it, or the carrier's.
    :param timestamp: the event's own time, aware, in UTC.
    :param call_type: with underscores, such as ``inbound_phone_call``.
    :param caller_number: as the carrier spelled it.
    :param line_number: the number that was called.
    :param body: what the platform sent, in its own keys.
    :param unread: how many values of each kind could not be read.
    """

    name: ClassVar[str]
    """The name by which :meth:`Pickup.on` takes a handler."""

    call_id: str = field(repr=False)
    platform_call_id: str | None = field(default=None, repr=False)
    timestamp: datetime | None = None
    call_type: str | None = None
    caller_number: str | None = field(default=None, repr=False)
    line_number: str | None = None
    line_name: str | None = None
    body: JsonObject = field(default_factory=dict, repr=False)
    unread: Mapping[Unread, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class IncomingCall(Event):
    """A call rings, and the platform waits for the answer."""

    name = "assistant-request"


@dataclass(frozen=True, slots=True, kw_only=True)
class StatusChanged(Event):
    """A call has another status.

    :param status: with hyphens, such as ``in-progress``.
    :param has_ended: whether the call is over.
    """

    name = "status-update"

    status: str | None = None
    has_ended: bool = False
    end_reason: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ToolCall:
    """One use of a tool by the agent; its ``id`` goes back with the result.

    :param name: empty if it could not be read, as are ``arguments``; the event's ``body`` has them as they were sent.
    """

    id: str
    name: str
    arguments: JsonObject = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class ToolCalls(Event):
    """The agent uses tools."""

    name = "tool-calls"

    tool_calls: tuple[ToolCall, ...] = ()


@dataclass(frozen=True, slots=True)
class Words:
    """The two texts of an answer; ``None`` is left to the saved agent."""

    greeting: str | None = field(default=None, repr=False)
    prompt: str | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class CallEnded(Event):
    """The report on a call that is over, or a part of it.

    :param is_whole: whether it is the call's only report. Parts complete one another, in any order.
    :param duration_seconds: never negative.
    :param ending: who or what ended the call; ``None`` if the platform's reason is missing or unknown.
    :param user_messages: how often the caller said something; ``None`` if that is unknown.
    :param analysis: what the platform's analysis found, flat.
    :param analysis_fields: key to JSON Schema of what the analysis could find, if the report shows it.
    :param transcript: what was said, each with ``role`` (``user`` for the caller) and ``content``; ``None`` if the report
        has none.
    :param metadata: Pickup's own metadata as it came back; empty if nothing came back.
    :param applied: the greeting and prompt that the platform used; ``None`` if the report does not show them.
    """

    name = "end-of-call-report"

    is_whole: bool = True
    status: str | None = None
    ended_at: datetime | None = None
    duration_seconds: float | None = None
    end_reason: str | None = None
    ending: Ending | None = None
    user_messages: int | None = None
    analysis: JsonObject = field(default_factory=dict, repr=False)
    analysis_fields: Mapping[str, JsonObject] = field(default_factory=dict, repr=False)
    transcript: Sequence[JsonObject] | None = field(default=None, repr=False)
    summary: str | None = field(default=None, repr=False)
    metadata: JsonObject = field(default_factory=dict, repr=False)
    applied: Words | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class OtherEvent(Event):
    """An event that Pickup acknowledges and ignores."""

    name = "other"


# --- answers ----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Answer:
    """What a call is answered with.

    :param words: the greeting and prompt, whether templates or the settings supply them.
    :param settings: the merged, rendered override in the platform's own JSON.
    :param metadata: Pickup's own, to be brought back by the report; ``None`` if it is not needed.
    """

    words: Words
    language: str
    settings: JsonObject = field(default_factory=dict)
    metadata: JsonObject | None = None


@dataclass(frozen=True, slots=True)
class Rejection:
    """The call is turned away with these words.

    :param metadata: as of an :class:`Answer`, as are the ``settings``, with which a platform that cannot reject says them.
    """

    words: str
    metadata: JsonObject | None = None
    settings: JsonObject = field(default_factory=dict)


# --- samples ----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class SampleCall:
    """A made-up call, for rehearsals and tests.

    :param caller: as a carrier spells it; ``None`` for a withheld number.
    :param at: when, aware.
    :param answer: the platform's JSON that the call was answered with, for a report to bring back.
    :param status: the call's; empty for the one that suits the event.
    :param tool: the tool that the agent uses; ``None`` for one that no host has.
    :param analysis: what the platform's analysis finds, flat.
    """

    id: str
    caller: str | None
    line: str | None
    at: datetime
    answer: JsonObject | None = None
    status: str = ""
    tool: ToolCall | None = None
    analysis: JsonObject = field(default_factory=lambda: {"rehearsed": True}, repr=False)


@dataclass(frozen=True, slots=True)
class Sample:
    """A body that the platform sends, or might send.

    :param title: what it is, for people.
    :param event: the type that it parses into.
    :param call: the call that it is about; ``None`` if it names none.
    :param is_refused: whether it cannot be read, and gets a 400.
    """

    title: str
    body: bytes
    event: type[Event]
    call: SampleCall | None = None
    is_refused: bool = False
