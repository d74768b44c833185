"""The platform's wire, and nothing else: each key name of Flireo's JSON stands in this folder.

A second platform would be a folder beside it.
"""

from __future__ import annotations

from flask_pickup.flireo.generations import read
from flask_pickup.flireo.messages import AssistantRequest, EndOfCallReport, Message, StatusUpdate, ToolCall, ToolCalls
from flask_pickup.flireo.schemas import (
    AssistantRequestPayloadSchema,
    AssistantRequestResponseSchema,
    EndOfCallReportPayloadSchema,
    StatusUpdatePayloadSchema,
    ToolCallsPayloadSchema,
)
from flask_pickup.flireo.signature import sign, verify

__all__ = [
    "AssistantRequest",
    "AssistantRequestPayloadSchema",
    "AssistantRequestResponseSchema",
    "EndOfCallReport",
    "EndOfCallReportPayloadSchema",
    "Message",
    "StatusUpdate",
    "StatusUpdatePayloadSchema",
    "ToolCall",
    "ToolCalls",
    "ToolCallsPayloadSchema",
    "read",
    "sign",
    "verify",
]
