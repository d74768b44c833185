"""What may stand in the platform's messages and in our answers, under the names of the platform's own pages.

Messages are read leniently: a call must not be lost because a field is not as documented. Answers are held to the
letter: the platform does not say what it does with a wrong one, and the caller is on the line.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from math import isfinite
from typing import Any, ClassVar

import orjson
from marshmallow import EXCLUDE, Schema, ValidationError, fields, post_load, validates_schema
from marshmallow import missing as MISSING  # noqa: N812 (it is a constant)
from marshmallow.validate import Length, OneOf, Range

from flask_pickup.flireo.messages import AssistantRequest, EndOfCallReport, Message, StatusUpdate, ToolCall, ToolCalls

Reader = Callable[[Any], Any]

LONGEST_ID = 256
LONGEST_NUMBER = 256
LONGEST_NAME = 200
LONGEST_REASON = 1000


class _Lenient(Schema):
    class Meta:
        unknown = EXCLUDE


# --- messages ---------------------------------------------------------------------------------------------------------


class Read(fields.Field[Any]):
    """A field that is whatever its reader makes of the value; a missing one is read as null.

    One schema for each object within a message would take three times as long as readers within readers.
    """

    def __init__(self, reader: Reader, **options: Any) -> None:
        super().__init__(**options)
        self._reader = reader

    def deserialize(self, value: Any, *_: Any, **__: Any) -> Any:
        """Return what the reader makes of ``value``."""
        return self._reader(None if value is MISSING else value)


def _text(longest: int) -> Reader:
    return lambda value: value[:longest] if isinstance(value, str) else None


def _number(value: Any) -> str | None:
    # Cut short, it would be somebody else's.
    return value if isinstance(value, str) and len(value) <= LONGEST_NUMBER else None


def _identifier(value: Any) -> str:
    if isinstance(value, str) and 0 < len(value) <= LONGEST_ID:
        return value
    raise ValidationError(f"It has to be a text of 1 to {LONGEST_ID} characters.")


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _moment(value: Any) -> datetime | None:
    try:
        moment = datetime.fromisoformat(value)
        return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).astimezone(UTC)
    except (TypeError, ValueError, OverflowError):
        return None


def _seconds(value: Any) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    try:
        seconds = float(value)
    except OverflowError:
        return None
    return seconds if isfinite(seconds) and seconds >= 0 else None


def _block(**readers: Reader) -> Reader:
    """Return a reader of an object; complaints name the key below it."""

    def read(value: Any) -> dict[str, Any]:
        known = _mapping(value)
        found = {}
        for key, reader in readers.items():
            try:
                found[key] = reader(known.get(key))
            except ValidationError as error:
                raise ValidationError({key: error.messages}) from None
        return found

    return read


def _mappings(value: Any) -> tuple[Mapping[str, Any], ...] | None:
    return tuple(item for item in value if isinstance(item, Mapping)) if isinstance(value, list) else None


_read_call = _block(id=_text(LONGEST_ID), function=_block(name=_text(LONGEST_NAME), arguments=_mapping))


def _tool_call(value: Mapping[str, Any]) -> ToolCall:
    call = _read_call(value)
    return ToolCall(id=call["id"] or "", name=call["function"]["name"] or "", arguments=call["function"]["arguments"])


def _tool_calls(value: Any) -> tuple[ToolCall, ...]:
    return tuple(_tool_call(call) for call in _mappings(value) or ())


class _MessageSchema(_Lenient):
    builds: ClassVar[type[Message]] = Message

    type = Read(_identifier)
    timestamp = Read(_moment)
    call = Read(_block(id=_identifier, type=_text(LONGEST_NAME), status=_text(LONGEST_NAME)))
    phone_number = Read(_block(number=_number, name=_text(LONGEST_NAME)))
    customer = Read(_block(number=_number))

    @post_load(pass_original=True)
    def _build(self, found: dict[str, Any], body: Mapping[str, Any], **_: Any) -> Message:
        call, line, customer = found.pop("call"), found.pop("phone_number"), found.pop("customer")
        return self.builds(
            call_id=call["id"] or "",
            call_type=call["type"],
            call_status=call["status"],
            customer_number=customer["number"],
            line_number=line["number"],
            line_name=line["name"],
            body=body,
            **found,
        )


class _AssistantRequestSchema(_MessageSchema):
    builds = AssistantRequest


class _StatusUpdateSchema(_MessageSchema):
    builds = StatusUpdate

    error = Read(_text(LONGEST_REASON))
    end_reason = Read(_text(LONGEST_REASON))


class _ToolCallsSchema(_MessageSchema):
    builds = ToolCalls

    tool_calls = Read(_tool_calls, data_key="tool_call_list")


class _EndOfCallReportSchema(_MessageSchema):
    builds = EndOfCallReport

    duration_seconds = Read(_seconds)
    end_reason = Read(_text(LONGEST_REASON))
    summary = Read(lambda value: value if isinstance(value, str) else None)
    messages = Read(_mappings)
    analysis = Read(_mapping)
    started_at = Read(_moment)
    ended_at = Read(_moment)
    assistant = Read(lambda value: value if isinstance(value, Mapping) else None)


class _OtherSchema(_MessageSchema):
    call = Read(_block(id=_text(LONGEST_ID), type=_text(LONGEST_NAME), status=_text(LONGEST_NAME)))


class _PayloadSchema(_Lenient):
    @post_load
    def _unwrap(self, found: dict[str, Any], **_: Any) -> Message:
        message: Message = found["message"]
        return message


class AssistantRequestPayloadSchema(_PayloadSchema):
    """Loads the current generation's ``assistant-request`` into an :class:`.AssistantRequest`."""

    message = Read(_AssistantRequestSchema().load, required=True)


class StatusUpdatePayloadSchema(_PayloadSchema):
    """Loads the current generation's ``status-update`` into a :class:`.StatusUpdate`."""

    message = Read(_StatusUpdateSchema().load, required=True)


class ToolCallsPayloadSchema(_PayloadSchema):
    """Loads the current generation's ``tool-calls`` into :class:`.ToolCalls`."""

    message = Read(_ToolCallsSchema().load, required=True)


class EndOfCallReportPayloadSchema(_PayloadSchema):
    """Loads the current generation's ``end-of-call-report`` into an :class:`.EndOfCallReport`."""

    message = Read(_EndOfCallReportSchema().load, required=True)


class OtherPayloadSchema(_PayloadSchema):
    """Loads a message of a type that Pickup does not know into a plain :class:`.Message`; it needs no call."""

    message = Read(_OtherSchema().load, required=True)


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


class _TurnSchema(_Lenient):
    role = _Text(required=True, validate=OneOf(("system", "user", "assistant")))
    content = _Text(required=True)


class _LlmConfigSchema(_Lenient):
    provider = _Text(required=True, validate=_SAID)
    model = _Text(required=True, validate=_SAID)
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
    webhook_url = _Text()
    webhook_secret = _Text()
    webhook_events = fields.List(_Text())


class AssistantRequestResponseSchema(_Lenient):
    """The answer to ``assistant-request``: ``validate(answer)`` returns what the platform would not understand.

    Keys and providers that it does not know pass, because the platform grows faster than this page; no value is
    coerced into another type.
    """

    error = _Text(validate=_SAID)
    assistant = fields.Nested(_AssistantSchema)
    assistant_id = _Text(validate=_SAID)
    assistant_override = fields.Nested(_AssistantSchema)
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
    def _check_together(self, _: Any, answer: Mapping[str, Any], **__: Any) -> None:
        if "error" in answer and len(answer) > 1:
            raise ValidationError("A rejection stands alone.", "error")
        if "assistant" in answer and "assistant_id" in answer:
            raise ValidationError("Either an assistant or the id of a saved one.", "assistant")
        if "assistant_override" in answer and "assistant_id" not in answer:
            raise ValidationError("It overrides nothing: there is no assistant_id.", "assistant_override")
