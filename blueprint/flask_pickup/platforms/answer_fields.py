"""Fields of the platforms' answers. No value is coerced into another type; keys that a schema does not know pass."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any

from marshmallow import EXCLUDE, Schema, ValidationError, fields


class LenientSchema(Schema):
    """A schema that lets unknown keys pass: the platforms grow faster than our schemas."""

    error_messages = {"type": "It has to be an object: {…}."}  # noqa: RUF012 (marshmallow declares it so)

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


class VariablesField(StrictField):
    """An object of names and plain values, such as those for the platform's own template engine.

    :param reserved: how the names begin that the platform keeps for itself.
    """

    def __init__(self, reserved: str | None = None, **options: Any) -> None:
        super().__init__(Mapping, "an object: {…}", **options)
        self._reserved = reserved

    def _deserialize(self, value: Any, *_: Any, **__: Any) -> Any:
        found: Mapping[str, Any] = super()._deserialize(value)
        if problems := {name: [problem] for name, each in found.items() if (problem := self._problem(name, each))}:
            raise ValidationError(problems)
        return found

    def _problem(self, name: str, value: Any) -> str:
        if self._reserved and name.startswith(self._reserved):
            return f"Choose another name: the platform reserves those that begin with {self._reserved}."
        return "" if isinstance(value, str | int | float) else "It has to be a text, a number, true or false."


TextField = partial(StrictField, str, "a text, in quotes")
BooleanField = partial(StrictField, bool, "true or false, without quotes")
IntegerField = partial(StrictField, int, "a whole number, without quotes: a template gives a text")
NumberField = partial(StrictField, (int, float), "a number, without quotes: a template gives a text")
ObjectField = partial(StrictField, Mapping, "an object: {…}")
ListField = partial(StrictField, (list, tuple), "a list: […]")


def object_of(**keys: fields.Field[Any]) -> type[Schema]:
    """Return the schema of an object with these keys."""
    return LenientSchema.from_dict(keys)
