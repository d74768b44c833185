"""The platform's messages in their normal form, the same for all generations of its key names.

Only ``type`` and ``call_id`` are always there. What the platform left out, or sent in a shape that nobody documented, is
``None`` or empty. Nothing that can hold a caller's number or words is in a ``repr``.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """A message of any type, also of one that Pickup does not know.

    :param type: with hyphens, such as ``assistant-request``.
    :param timestamp: aware, in UTC.
    :param call_id: as the platform gave it, so perhaps with a number in it; empty if it gave none.
    :param call_type: with underscores, such as ``inbound_phone_call``.
    :param call_status: with hyphens, such as ``in-progress``.
    :param customer_number: the caller's, as the carrier spelled it.
    :param line_number: the number that was called.
    :param body: the whole message, the platform's own keys with underscores.
    """

    type: str
    timestamp: datetime | None
    call_id: str = field(repr=False)
    call_type: str | None
    call_status: str | None
    customer_number: str | None = field(repr=False)
    line_number: str | None
    line_name: str | None
    body: Mapping[str, Any] = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class AssistantRequest(Message):
    """A call rings, and the platform asks how to answer it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StatusUpdate(Message):
    """A call has come to another status."""

    error: str | None = field(repr=False)
    end_reason: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class ToolCall:
    """One use of a tool by the agent; its ``id`` goes back with the result."""

    id: str
    name: str
    arguments: Mapping[str, Any] = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class ToolCalls(Message):
    """The agent wants tools to be used."""

    tool_calls: tuple[ToolCall, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class EndOfCallReport(Message):
    """A call is over.

    :param duration_seconds: never negative.
    :param messages: what was said, each with ``role`` and ``content``; ``None`` if the report has no transcript.
    :param analysis: what the analysis plan found; empty if none ran.
    :param started_at: aware, in UTC; ``ended_at`` likewise.
    :param assistant: the configuration that the call had.
    """

    duration_seconds: float | None
    end_reason: str | None
    summary: str | None = field(repr=False)
    messages: tuple[Mapping[str, Any], ...] | None = field(repr=False)
    analysis: Mapping[str, Any] = field(repr=False)
    started_at: datetime | None
    ended_at: datetime | None
    assistant: Mapping[str, Any] | None = field(repr=False)

    @property
    def metadata(self) -> Mapping[str, Any]:
        """What the answer to the call's request put into its metadata; empty if nothing came back."""
        # An override replaces the agent's own metadata, so where both are there it is the later word.
        return _metadata(self.body.get("assistant_override")) or _metadata(self.assistant)


def _metadata(assistant: object) -> Mapping[str, Any]:
    metadata = assistant.get("metadata") if isinstance(assistant, Mapping) else None
    return metadata if isinstance(metadata, Mapping) else {}
