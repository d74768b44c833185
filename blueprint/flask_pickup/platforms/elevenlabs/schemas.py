"""The schema of the answer to the request before a call, from the platform's page on personalization and its SDK.

Answers are validated strictly: the platform ends a call whose answer it does not understand.
"""

from __future__ import annotations

from marshmallow import fields
from marshmallow.validate import Equal, Length, Range

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
from flask_pickup.platforms.elevenlabs.answer import TYPE

_SAID = Length(min=1)
_SHARE = Range(min=0, max=1)
_POSITIVE = Range(min=0, min_inclusive=False)

_PROMPT = object_of(
    prompt=TextField(),
    llm=TextField(validate=_SAID),
    tool_ids=fields.List(TextField()),
)
_AGENT = object_of(
    first_message=TextField(),
    language=TextField(validate=_SAID),
    prompt=fields.Nested(_PROMPT),
)
_TTS = object_of(
    voice_id=TextField(validate=_SAID),
    stability=NumberField(validate=_SHARE),
    similarity_boost=NumberField(validate=_SHARE),
    speed=NumberField(validate=_POSITIVE),
)
_OVERRIDE = object_of(
    agent=fields.Nested(_AGENT),
    tts=fields.Nested(_TTS),
    asr=fields.Nested(object_of(keywords=fields.List(TextField()))),
    conversation=fields.Nested(
        object_of(text_only=BooleanField(), max_duration_seconds=IntegerField(validate=_POSITIVE))
    ),
)


class ConversationInitiationSchema(LenientSchema):
    """The answer: ``validate(answer)`` returns what the platform would not understand."""

    type = TextField(validate=Equal(TYPE, error=f"It is always {TYPE}: remove it."))
    conversation_config_override = fields.Nested(_OVERRIDE)
    dynamic_variables = VariablesField(reserved="system__")
    custom_llm_extra_body = ObjectField()
    user_id = TextField(validate=_SAID)
    branch_id = TextField(validate=_SAID)
    environment = TextField(validate=_SAID)
