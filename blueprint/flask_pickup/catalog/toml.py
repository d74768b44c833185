"""TOML files, read through marshmallow schemas: each mistake becomes a complaint with its line."""

from __future__ import annotations

import dataclasses
import re
import sys
import textwrap
import tomllib
from collections.abc import Callable, Collection, Mapping
from typing import Any

from marshmallow import Schema, ValidationError, fields
from marshmallow.exceptions import SCHEMA

from flask_pickup.catalog.complaints import CURLY, STRAIGHT, Complaint, Level, suggest, toml_line

NAME = re.compile(r"[a-z0-9][a-z0-9_-]*")
NAME_RULE = "lower-case letters, digits, '-' and '_', beginning with a letter or digit"

_SYNTAX = (
    "write key = value, each key once; put text in straight quotes (\"…\", with '…' inside), and a key with a + too; "
    "write decimals with a point"
)
_UNKNOWN = "unknown key"
LANGUAGE_CODE = re.compile("[a-z]{2,3}")
_BY_LANGUAGE = 'text in quotes, or a text for each language, as {key}.en = "…" and {key}.nl = "…"'
_NO_LANGUAGE = "'{key}' is not a language code; write one such as en or nl"
_BOTH = 'write label = "…" for every language, or label.en = "…" and label.nl = "…", not both'
_LABEL = re.compile(r"\s*label\b")
_IN_QUOTES = re.compile(r"\"[^\"]*\"|'[^']*'|#.*")


def must_be(rule: str) -> str:
    """Return the message about a value that breaks a rule.

    A message is a complaint's problem and remedy, with a semicolon between; ``{key}`` and ``{value}`` are filled in.
    """
    return f'"{{key}}" must be {rule}, not {{value}}; fix the value'


class TableSchema(Schema):
    """A TOML table that has no other keys than these."""

    error_messages = {"unknown": _UNKNOWN, "type": must_be("a table")}  # noqa: RUF012 (as marshmallow declares it)

    def handle_error(self, error: ValidationError, *_: Any, **__: Any) -> None:
        """Say of an unknown key which one was probably meant."""
        for key, messages in error.messages_dict.items():
            if messages == [_UNKNOWN]:
                messages[:] = [f"{_UNKNOWN} '{{key}}'; {self.remedy(_masked(key))}"]

    def remedy(self, key: str) -> str:
        """Return what to write for an unknown key."""
        return suggest(key, (field.data_key or name for name, field in self.fields.items()))


def key(rule: fields.Field[Any], **options: Any) -> Any:
    """Return a dataclass's attribute that is also a key of its TOML table.

    :param options: those of :func:`dataclasses.field`.
    """
    return dataclasses.field(metadata={"rule": rule}, **options)


def schema_of(kind: type) -> type[Schema]:
    """Return the schema of the table that a dataclass holds: its attributes that are a :func:`key`."""
    keys = {each.name: each.metadata["rule"] for each in dataclasses.fields(kind) if "rule" in each.metadata}
    return TableSchema.from_dict(keys)


class TableOf(fields.Dict):
    """A TOML table whose keys are the author's."""

    def _deserialize(self, value: Any, *arguments: Any, **options: Any) -> Any:
        if not isinstance(value, dict):
            raise ValidationError(must_be("a table"))
        try:
            return super()._deserialize(value, *arguments, **options)  # type: ignore[no-untyped-call]
        except ValidationError as error:
            # Marshmallow tells mistakes in a key from those in its value.
            error.messages = {key: next(iter(found.values())) for key, found in error.messages_dict.items()}
            raise


class TextByLanguage(TableOf):
    """A text for every language, or a table of language to text."""

    def __init__(self) -> None:
        super().__init__(keys=Value(_NO_LANGUAGE, _language_code), values=_checked("text in quotes", _is_text))

    def _deserialize(self, value: Any, *arguments: Any, **options: Any) -> Any:
        if _is_text(value):
            return value
        if not value or not isinstance(value, dict):
            raise ValidationError(must_be(_BY_LANGUAGE))
        return super()._deserialize(value, *arguments, **options)


class Value(fields.Field[Any]):
    """A value that ``read`` makes of what is written.

    :param message: the error for a value for which ``read`` returns None.
    """

    def __init__(self, message: str, read: Callable[[Any], Any], **options: Any) -> None:
        super().__init__(**options)
        self._message, self._read = message, read

    def _deserialize(self, value: Any, *_: Any, **__: Any) -> Any:
        found = self._read(value)
        if found is None:
            raise ValidationError(self._message)
        return found


def _checked(rule: str, fits: Callable[[Any], bool], **options: Any) -> Value:
    return Value(must_be(rule), lambda value: value if fits(value) else None, **options)


def _is_text(value: Any) -> bool:
    return isinstance(value, str) and bool(value.strip())


def _language_code(value: Any) -> str | None:
    return value if LANGUAGE_CODE.fullmatch(value) else None


def string(**options: Any) -> Value:
    """Return a field for a string."""
    return _checked("text in quotes", lambda value: isinstance(value, str), **options)


def matching(pattern: re.Pattern[str], rule: str) -> Value:
    """Return a field for a string that a pattern matches as a whole."""
    return _checked(rule, lambda value: isinstance(value, str) and bool(pattern.fullmatch(value)))


def slug() -> Value:
    """Return a field for the name of something."""
    return matching(NAME, NAME_RULE)


def choice(*choices: str) -> Value:
    """Return a field for one of ``choices``."""
    return _checked("one of " + ", ".join(f'"{each}"' for each in choices), lambda value: value in choices)


def flag() -> Value:
    """Return a field for a boolean."""
    return _checked("true or false", lambda value: isinstance(value, bool))


def number(rule: str, fits: Callable[[float], bool]) -> Value:
    """Return a field for a finite number that ``fits``."""
    return _checked(rule, lambda value: is_finite_number(value) and fits(value))


def whole(least: int) -> Value:
    """Return a field for a whole number of at least ``least``."""
    return number(f"a whole number of at least {least}", lambda value: isinstance(value, int) and value >= least)


def is_finite_number(value: object) -> bool:
    """Return whether a value is a finite number, and within what a float holds: a weight beyond it raises on a call."""
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) <= sys.float_info.max


class TomlFile:
    """A TOML file. What is wrong with it is added to ``complaints``.

    :param file: its path as complaints name it.
    """

    def __init__(self, file: str, source: str, complaints: list[Complaint]) -> None:
        self.file = file
        self._source, self._complaints = source, complaints
        self._values: Mapping[str, Any] = {}
        self.is_readable = True
        """False of a file that is not TOML."""
        try:
            self._values = tomllib.loads(source)
        except tomllib.TOMLDecodeError as error:
            self.is_readable = False
            message, _, place = str(error).partition(" (at ")
            line = re.match(r"line (\d+)", place)
            number = int(line[1]) if line else source.count("\n") + 1
            is_label = message.startswith("Cannot overwrite") and _LABEL.match(source.splitlines()[number - 1])
            found = Complaint(file, number, f"invalid TOML: {message}", _BOTH if is_label else _SYNTAX)
            unquoted = enumerate((_IN_QUOTES.sub("", text) for text in source.splitlines()), 1)
            curly = (number for number, text in unquoted if not set(CURLY).isdisjoint(text))
            complaints.append(next((Complaint(file, number, *STRAIGHT) for number in curly), found))

    def complain(self, problem: str, remedy: str, *path: str, level: Level = "error") -> None:
        """Complain about the key at ``path``."""
        line = toml_line(self._source, *path)
        self._complaints.append(Complaint(self.file, line, problem, remedy, level))

    def keys(self, table: str) -> Collection[str]:
        """Return the keys of a table, whatever their values are."""
        values = self._values.get(table)
        return values.keys() if isinstance(values, Mapping) else ()

    def load(self, schema: Schema) -> dict[str, Any]:
        """Return the values that are valid, without defaults; complain about all others."""
        if not self.is_readable:
            return {}
        try:
            valid: dict[str, Any] = schema.load(self._values)
        except ValidationError as error:
            self._complain_about(error.messages, self._values)
            valid = dict(error.valid_data or {})
        return valid

    def _complain_about(self, messages: Any, value: Any, *path: str) -> None:
        if isinstance(messages, dict):
            for key, below in messages.items():
                if key == SCHEMA:
                    self._complain_about(below, value, *path)
                else:
                    self._complain_about(below, value.get(key), *path, key)
            return
        for message in messages:
            problem, remedy = message.split("; ", 1)
            key = _masked(path[-1])
            self.complain(problem.replace("{key}", key).replace("{value}", _shown(value)), remedy, *path)


def _shown(value: object) -> str:
    shown = f'"{value}"' if isinstance(value, str) else str(value).lower() if isinstance(value, bool) else str(value)
    return textwrap.shorten(_masked(shown), 40, placeholder="…")


def _masked(words: str) -> str:
    """Return ``words`` without what could be a phone number: complaints end in logs."""
    return re.sub(r"\+?\d(?:[\s().-]*\d){6,}", "…", words)
