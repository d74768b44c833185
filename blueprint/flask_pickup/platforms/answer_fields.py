"""Fields of the platforms' answers. No value is coerced into another type; keys that a schema does not know pass."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any

from marshmallow import EXCLUDE, Schema, ValidationError, fields


class LenientSchema(Schema):
    """A schema that lets unknown keys pass: the platforms grow faster than our schemas."""

    class Meta:
        """Marshmallow's options."""

        unknown = EXCLUDE


class StrictField(fields.Field[Any]):
    """A field that is of its type already: marshmallow's own take ``"1"`` for 1 and ``"yes"`` for true.

    :param right: what the value has to be, for the error.
    """

    def __init__(self, kind: type | tuple[type, ...], right: str, **options: Any) -> None:
        super().__init__(**options)
        self._kind, self._right = kind, right

    def _deserialize(self, value: Any, *_: Any, **__: Any) -> Any:
        # Python takes true for a number.
        if not isinstance(value, self._kind) or isinstance(value, bool) is not (self._kind is bool):
            raise ValidationError(f"It has to be {self._right}.")
        return value


class VariablesField(fields.Field[Any]):
    """Values for the platform's own template engine, by name: no objects and no lists."""

    def _deserialize(self, value: Any, *_: Any, **__: Any) -> Any:
        if not isinstance(value, Mapping):
            raise ValidationError("It has to be an object: {…}.")
        if wrong := [name for name, each in value.items() if not isinstance(each, str | int | float)]:
            raise ValidationError({name: ["It has to be a text, a number, true or false."] for name in wrong})
        return value


TextField = partial(StrictField, str, "a text, in quotes")
BooleanField = partial(StrictField, bool, "true or false, without quotes")
IntegerField = partial(StrictField, int, "a whole number, without quotes: a template gives a text")
NumberField = partial(StrictField, (int, float), "a number, without quotes: a template gives a text")
ObjectField = partial(StrictField, Mapping, "an object: {…}")
ListField = partial(StrictField, (list, tuple), "a list: […]")


def object_of(**keys: fields.Field[Any]) -> type[Schema]:
    """Return the schema of an object with these keys."""
    return LenientSchema.from_dict(keys)
