"""The schema of the answer to ``assistant.initialization``."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from marshmallow import ValidationError, fields

from flask_pickup.platforms.answer_fields import LenientSchema, StrictField, TextField, object_of

_RESERVED = "telnyx_"


class _Values(StrictField):
    """An object of names and plain values."""

    def __init__(self, **options: Any) -> None:
        super().__init__(Mapping, "an object: {…}", **options)

    def _deserialize(self, value: Any, *_: Any, **__: Any) -> Any:
        found: Mapping[str, Any] = super()._deserialize(value)
        problems = {name: [problem] for name, each in found.items() if (problem := _problem(name, each))}
        if problems:
            raise ValidationError(problems)
        return found


def _problem(name: str, value: Any) -> str:
    if name.startswith(_RESERVED):
        return f"Choose another name: the platform reserves those that begin with {_RESERVED}."
    return "" if isinstance(value, str | int | float) else "It has to be a text, a number, true or false."


class InitializationResponseSchema(LenientSchema):
    """The answer: ``validate(answer)`` returns what the platform would not understand."""

    dynamic_variables = _Values()
    memory = fields.Nested(object_of(conversation_query=TextField(), insight_query=TextField()))
    conversation = fields.Nested(object_of(metadata=_Values()))
