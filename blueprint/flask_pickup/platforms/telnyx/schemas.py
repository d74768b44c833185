"""The schema of the answer to ``assistant.initialization``."""

from __future__ import annotations

from marshmallow import fields

from flask_pickup.platforms.answer_fields import LenientSchema, TextField, VariablesField, object_of


class InitializationResponseSchema(LenientSchema):
    """The answer: ``validate(answer)`` returns what the platform would not understand."""

    dynamic_variables = VariablesField(reserved="telnyx_")
    memory = fields.Nested(object_of(conversation_query=TextField(), insight_query=TextField()))
    conversation = fields.Nested(object_of(metadata=VariablesField(reserved="telnyx_")))
