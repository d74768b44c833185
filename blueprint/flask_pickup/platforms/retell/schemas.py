"""The schema of the answer to ``call_inbound``, from the platform's page on its inbound webhook and its SDK.

Answers are validated strictly: one invalid variable makes the platform drop the whole answer.
"""

from __future__ import annotations

from typing import Any

from marshmallow import fields
from marshmallow.validate import Length, OneOf, Range

from flask_pickup.platforms.answer_fields import (
    BooleanField,
    IntegerField,
    LenientSchema,
    NumberField,
    ObjectField,
    TextField,
    VariablesField,
    object_of,
)

_SAID = Length(min=1)
_SHARE = Range(min=0, max=1)
_UP_TO_2 = Range(min=0, max=2)
_APP_ONLY = {"app_only": True}

_FINDING = object_of(
    name=TextField(required=True, validate=_SAID),
    type=TextField(required=True, validate=OneOf(("string", "enum", "boolean", "number", "system-presets"))),
    choices=fields.List(TextField()),
)
_AGENT = object_of(
    language=fields.Raw(),  # a locale, or a list of them
    voice_id=TextField(validate=_SAID),
    voice_temperature=NumberField(validate=_UP_TO_2),
    voice_speed=NumberField(validate=Range(min=0.5, max=2)),
    volume=NumberField(validate=_UP_TO_2),
    responsiveness=NumberField(validate=_SHARE),
    interruption_sensitivity=NumberField(validate=_SHARE),
    ambient_sound=TextField(validate=_SAID),
    boosted_keywords=fields.List(TextField()),
    begin_message_delay_ms=IntegerField(validate=Range(min=0, max=5000)),
    end_call_after_silence_ms=IntegerField(validate=Range(min=10_000)),
    max_call_duration_ms=IntegerField(validate=Range(min=60_000, max=7_200_000)),
    post_call_analysis_data=fields.List(fields.Nested(_FINDING)),
    webhook_url=TextField(metadata=_APP_ONLY),
    webhook_events=fields.List(TextField(), metadata=_APP_ONLY),
)
_ENGINE: dict[str, fields.Field[Any]] = {
    "start_speaker": TextField(validate=OneOf(("user", "agent"))),
    "begin_after_user_silence_ms": IntegerField(validate=Range(min=0)),
    "model_config": ObjectField(),
    "model_temperature": NumberField(validate=_SHARE),
}
_AGENT_OVERRIDE = object_of(
    agent=fields.Nested(_AGENT),
    retell_llm=fields.Nested(object_of(**_ENGINE, begin_message=TextField(), model=TextField(validate=_SAID))),
    conversation_flow=fields.Nested(object_of(**_ENGINE)),
)
_CALL_INBOUND = object_of(
    reject=BooleanField(),
    override_agent_id=TextField(validate=_SAID),
    override_agent_version=fields.Raw(),  # a number, or a tag
    dynamic_variables=VariablesField(),
    metadata=ObjectField(),
    agent_override=fields.Nested(_AGENT_OVERRIDE),
)


class CallInboundResponseSchema(LenientSchema):
    """The answer to ``call_inbound``: ``validate(answer)`` returns what the platform would not understand."""

    call_inbound = fields.Nested(_CALL_INBOUND)
