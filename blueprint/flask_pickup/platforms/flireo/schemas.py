"""The payloads and the answers of the webhook, named as the platform's own pages name them.

Payloads are read leniently: a call must not be lost because a field is not as documented. Answers are validated
strictly: the platform does not say what it does with an invalid one.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from math import isfinite
from typing import Any, ClassVar

import orjson
from marshmallow import EXCLUDE, Schema, ValidationError, fields, post_load, validates_schema
from marshmallow import missing as MISSING  # noqa: N812 (it is a constant)
from marshmallow.validate import Length, OneOf, Range

from flask_pickup.platforms import reading
from flask_pickup.platforms.events import CallEnded, Event, IncomingCall, OtherEvent, StatusChanged, ToolCall, ToolCalls
from flask_pickup.platforms.flireo import report
from flask_pickup.platforms.reading import (
    LONGEST_ID,
    LONGEST_REASON,
    mapping,
    mappings,
    moment,
    seconds,
    text,
)

Reader = Callable[[Any], Any]


class _Lenient(Schema):
    class Meta:
        unknown = EXCLUDE


# --- payloads ---------------------------------------------------------------------------------------------------------


class Read(fields.Field[Any]):
    """A field with the value that its reader makes; the reader gets ``None`` for a missing one.

    Nested schemas would take three times as long as nested readers.
    """

    def __init__(self, reader: Reader, **options: Any) -> None:
        super().__init__(**options)
        self._reader = reader

    def deserialize(self, value: Any, *_: Any, **__: Any) -> Any:
        """Return what the reader makes of ``value``."""
        return self._reader(None if value is MISSING else value)


def _block(**readers: Reader) -> Reader:
    def read(value: Any) -> dict[str, Any]:
        known = mapping(value)
        return {key: reader(known.get(key)) for key, reader in readers.items()}

    return read


def _identifier(value: Any) -> str:
    return value if isinstance(value, str) and len(value) <= LONGEST_ID else ""


def _reason(value: Any) -> str | None:
    return text(value, LONGEST_REASON)


_read_tool = _block(id=_identifier, function=_block(name=text, arguments=mapping))


def _tool_calls(value: Any) -> tuple[ToolCall, ...]:
    calls = (_read_tool(call) for call in mappings(value) or ())
    return tuple(
        ToolCall(id=c["id"], name=c["function"]["name"] or "", arguments=c["function"]["arguments"]) for c in calls
    )


class _MessageSchema(_Lenient):
    event: ClassVar[type[Event]] = OtherEvent

    timestamp = Read(moment)
    call = Read(_block(id=_identifier, type=text, status=text))
    phone_number = Read(_block(number=reading.phone_number, name=text))
    customer = Read(_block(number=reading.phone_number))

    @post_load(pass_original=True)
    def _make(self, found: dict[str, Any], body: Mapping[str, Any], **_: Any) -> Event:
        call, line, customer = found.pop("call"), found.pop("phone_number"), found.pop("customer")
        return self.event(
            call_id=call["id"],
            call_type=call["type"],
            caller_number=customer["number"],
            line_number=line["number"],
            line_name=line["name"],
            body=body,
            **self.fields_of(found, call["status"], body),
        )

    def fields_of(self, found: dict[str, Any], status: str | None, body: Mapping[str, Any]) -> dict[str, Any]:  # noqa: ARG002
        """Return the event's own fields."""
        return found


class _AssistantRequestSchema(_MessageSchema):
    event = IncomingCall


class _ToolCallsSchema(_MessageSchema):
    event = ToolCalls

    tool_calls = Read(_tool_calls, data_key="tool_call_list")


class _StatusUpdateSchema(_MessageSchema):
    event = StatusChanged

    end_reason = Read(_reason)

    def fields_of(self, found: dict[str, Any], status: str | None, body: Mapping[str, Any]) -> dict[str, Any]:  # noqa: ARG002
        return {**found, "status": status, "has_ended": status in {"ended", report.ENDED_WITH_ERROR}}


class _EndOfCallReportSchema(_MessageSchema):
    event = CallEnded

    duration_seconds = Read(seconds)
    end_reason = Read(_reason)
    summary = Read(lambda value: value if isinstance(value, str) else None)
    transcript = Read(mappings, data_key="messages")
    analysis = Read(mapping)
    ended_at = Read(moment)

    def fields_of(self, found: dict[str, Any], status: str | None, body: Mapping[str, Any]) -> dict[str, Any]:
        return {
            **found,
            "status": status,
            "ending": report.ending(status, found["end_reason"]),
            "user_messages": report.user_messages(found["transcript"]),
            **report.brought_back(body),
        }


class _PayloadSchema(_Lenient):
    @post_load
    def _unwrap(self, found: dict[str, Any], **_: Any) -> Event:
        event: Event = found["message"]
        return event


class AssistantRequestPayloadSchema(_PayloadSchema):
    """Loads the current generation's ``assistant-request`` into an :class:`.IncomingCall`."""

    message = Read(_AssistantRequestSchema().load, required=True)


class StatusUpdatePayloadSchema(_PayloadSchema):
    """Loads the current generation's ``status-update`` into a :class:`.StatusChanged`."""

    message = Read(_StatusUpdateSchema().load, required=True)


class ToolCallsPayloadSchema(_PayloadSchema):
    """Loads the current generation's ``tool-calls`` into :class:`.ToolCalls`."""

    message = Read(_ToolCallsSchema().load, required=True)


class EndOfCallReportPayloadSchema(_PayloadSchema):
    """Loads the current generation's ``end-of-call-report`` into a :class:`.CallEnded`."""

    message = Read(_EndOfCallReportSchema().load, required=True)


class OtherPayloadSchema(_PayloadSchema):
    """Loads an event of any other type into an :class:`.OtherEvent`."""

    message = Read(_MessageSchema().load, required=True)


# --- answers ----------------------------------------------------------------------------------------------------------


class _Strict(fields.Field[Any]):
    """A field that is of its type already: marshmallow's own take ``"1"`` for 1 and ``"yes"`` for true."""

    kinds: ClassVar[tuple[type, ...]]
    right: ClassVar[str]

    def _deserialize(self, value: Any, *_: Any, **__: Any) -> Any:
        if not isinstance(value, self.kinds) or isinstance(value, bool) is not (bool in self.kinds):
            raise ValidationError(f"It has to be {self.right}.")
        return value


class _Text(_Strict):
    kinds = (str,)
    right = "a text, in quotes"


class _Boolean(_Strict):
    kinds = (bool,)
    right = "true or false, without quotes"


class _Integer(_Strict):
    kinds = (int,)
    right = "a whole number, without quotes: a template gives a text"


class _Number(_Strict):
    kinds = (int, float)
    right = "a number, without quotes: a template gives a text"

    def _deserialize(self, value: Any, *_: Any, **__: Any) -> Any:
        if isinstance(value, float) and not isfinite(value):
            raise ValidationError("Not a number that JSON has.")
        return super()._deserialize(value)


class _Object(_Strict):
    kinds = (Mapping,)
    right = "an object: {…}"


class _List(_Strict):
    kinds = (list, tuple)
    right = "a list: […]"


_SAID = Length(min=1)
_POSITIVE = Range(min=0, min_inclusive=False)
_SHARE = Range(min=0, max=1)
_APP_ONLY = {"app_only": True}
_WHOLE: dict[str, Any] = {"required": "The platform replaces the whole llm_config: write provider and model as well."}


class _TurnSchema(_Lenient):
    role = _Text(required=True, validate=OneOf(("system", "user", "assistant")))
    content = _Text(required=True)


class _LlmConfigSchema(_Lenient):
    provider = _Text(required=True, validate=_SAID, error_messages=_WHOLE)
    model = _Text(required=True, validate=_SAID, error_messages=_WHOLE)
    temperature = _Number(validate=Range(min=0, max=2))
    messages = fields.List(fields.Nested(_TurnSchema))
    tools = _List()


class _SttConfigSchema(_Lenient):
    provider = _Text(required=True, validate=_SAID)
    model = _Text(required=True, validate=_SAID)
    language = _Text(required=True, validate=_SAID)


class _TtsConfigSchema(_Lenient):
    provider = _Text(required=True, validate=_SAID)
    voice_id = _Text(required=True, validate=_SAID)
    stability = _Number(validate=_SHARE)
    similarity_boost = _Number(validate=_SHARE)
    style = _Number(validate=_SHARE)
    speed = _Number(validate=Range(min=0.5, max=2))


class _StructuredDataPlanSchema(_Lenient):
    enabled = _Boolean()
    schema = _Object()
    messages = fields.List(fields.Nested(_TurnSchema))


class _AnalysisPlanSchema(_Lenient):
    structured_data_plan = fields.Nested(_StructuredDataPlanSchema)
    min_messages_threshold = _Integer(validate=Range(min=0))


class _AssistantSchema(_Lenient):
    first_message = _Text()
    llm_config = fields.Nested(_LlmConfigSchema)
    stt_config = fields.Nested(_SttConfigSchema)
    tts_config = fields.Nested(_TtsConfigSchema)
    analysis_plan = fields.Nested(_AnalysisPlanSchema)
    metadata = _Object()
    voicemail_message = _Text()
    silence_timeout_seconds = _Number(validate=_POSITIVE)
    max_duration_seconds = _Integer(validate=_POSITIVE)
    webhook_url = _Text(metadata=_APP_ONLY)
    webhook_secret = _Text(metadata=_APP_ONLY)
    webhook_events = fields.List(_Text(), metadata=_APP_ONLY)


class AssistantRequestResponseSchema(_Lenient):
    """The answer to ``assistant-request``: ``validate(answer)`` returns what the platform would not understand.

    Keys and providers that it does not know pass, because the platform grows faster than this page; no value is
    coerced into another type.
    """

    error = _Text(validate=_SAID)
    assistant = fields.Nested(_AssistantSchema)
    assistant_id = _Text(validate=_SAID)
    assistant_override = fields.Nested(_AssistantSchema, metadata={"write_instead": "assistant"})
    max_duration_seconds = _Integer(validate=_POSITIVE)

    @validates_schema(pass_original=True)
    def _check_json(self, _: Any, answer: Mapping[str, Any], **__: Any) -> None:
        # Unknown keys pass, but only as JSON: half a surrogate pair or an integer beyond 64 bits cannot leave at all.
        for key, value in answer.items():
            try:
                orjson.dumps(value)
            except TypeError as error:
                raise ValidationError("Not a value that JSON has.", key) from error

    @validates_schema(pass_original=True)
    def _check_override(self, _: Any, answer: Mapping[str, Any], **__: Any) -> None:
        if "assistant_override" in answer and "assistant_id" not in answer:
            raise ValidationError("It overrides nothing: there is no assistant_id.", "assistant_override")
