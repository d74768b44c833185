"""The schemas of the platform's own page on ``assistant-request``: its payload, and the answer to it.

Answers are validated strictly: the platform does not say what it does with an invalid one.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from marshmallow import ValidationError, fields, post_load, validates_schema
from marshmallow.validate import Length, OneOf, Range

from flask_pickup.platforms.answer_fields import (
    BooleanField,
    IntegerField,
    LenientSchema,
    ListField,
    NumberField,
    ObjectField,
    TextField,
    object_of,
)
from flask_pickup.platforms.events import Event
from flask_pickup.platforms.flireo.payloads import read_event

_SAID = Length(min=1)
_POSITIVE = Range(min=0, min_inclusive=False)
_SHARE = Range(min=0, max=1)
_APP_ONLY = {"app_only": True}
_WHOLE: dict[str, Any] = {"required": "The platform replaces the whole llm_config: write provider and model as well."}

_TURN = object_of(
    role=TextField(required=True, validate=OneOf(("system", "user", "assistant"))),
    content=TextField(required=True),
)
_TURNS = fields.List(fields.Nested(_TURN))
_LLM_CONFIG = object_of(
    provider=TextField(required=True, validate=_SAID, error_messages=_WHOLE),
    model=TextField(required=True, validate=_SAID, error_messages=_WHOLE),
    temperature=NumberField(validate=Range(min=0, max=2)),
    messages=_TURNS,
    tools=ListField(),
)
_STT_CONFIG = object_of(
    provider=TextField(required=True, validate=_SAID),
    model=TextField(required=True, validate=_SAID),
    language=TextField(required=True, validate=_SAID),
)
_TTS_CONFIG = object_of(
    provider=TextField(required=True, validate=_SAID),
    voice_id=TextField(required=True, validate=_SAID),
    stability=NumberField(validate=_SHARE),
    similarity_boost=NumberField(validate=_SHARE),
    style=NumberField(validate=_SHARE),
    speed=NumberField(validate=Range(min=0.5, max=2)),
)
_ANALYSIS_PLAN = object_of(
    structured_data_plan=fields.Nested(object_of(enabled=BooleanField(), schema=ObjectField(), messages=_TURNS)),
    min_messages_threshold=IntegerField(validate=Range(min=0)),
)
_ASSISTANT = object_of(
    first_message=TextField(),
    llm_config=fields.Nested(_LLM_CONFIG),
    stt_config=fields.Nested(_STT_CONFIG),
    tts_config=fields.Nested(_TTS_CONFIG),
    analysis_plan=fields.Nested(_ANALYSIS_PLAN),
    metadata=ObjectField(),
    voicemail_message=TextField(),
    silence_timeout_seconds=NumberField(validate=_POSITIVE),
    max_duration_seconds=IntegerField(validate=_POSITIVE),
    webhook_url=TextField(metadata=_APP_ONLY),
    webhook_secret=TextField(metadata=_APP_ONLY),
    webhook_events=fields.List(TextField(), metadata=_APP_ONLY),
)


class AssistantRequestPayloadSchema(LenientSchema):
    """Loads a payload of the current generation, ``{"message": {"type": "assistant-request", …}}``, into its event."""

    message = fields.Dict(required=True)

    @post_load
    def _read(self, found: dict[str, Any], **_: Any) -> Event:
        return read_event(found["message"])


class AssistantRequestResponseSchema(LenientSchema):
    """The answer to ``assistant-request``: ``validate(answer)`` returns what the platform would not understand.

    Keys and providers that it does not know pass, because the platform grows faster than this page; no value is
    coerced into another type.
    """

    error = TextField(validate=_SAID)
    assistant = fields.Nested(_ASSISTANT)
    assistant_id = TextField(validate=_SAID)
    assistant_override = fields.Nested(_ASSISTANT, metadata={"write_instead": "assistant"})
    max_duration_seconds = IntegerField(validate=_POSITIVE)

    @validates_schema(pass_original=True)
    def _check_override(self, _: Any, answer: Mapping[str, Any], **__: Any) -> None:
        if "assistant_override" in answer and "assistant_id" not in answer:
            raise ValidationError("It overrides nothing: there is no assistant_id.", "assistant_override")
