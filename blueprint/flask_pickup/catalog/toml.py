"""TOML files, read through marshmallow schemas: each mistake becomes a complaint with its line."""

from __future__ import annotations

import re
import sys
import textwrap
import tomllib
from collections.abc import Callable, Collection, Iterator, Mapping
from typing import Any, NamedTuple

from marshmallow import Schema, ValidationError, fields
from marshmallow.exceptions import SCHEMA

from flask_pickup.catalog.complaints import Complaint, Level, suggest, toml_line

NAME = re.compile(r"[a-z0-9][a-z0-9_-]*")
NAME_RULE = "lower-case letters, digits, '-' and '_', beginning with a letter or digit"

_SYNTAX = (
    "write key = value, each key once; put text in straight quotes (\"…\", with '…' inside), and a key with a + too; "
    "write decimals with a point"
)
_UNKNOWN_KEY = "unknown key"


class Mistake(NamedTuple):
    """What a field raises in a :class:`~marshmallow.ValidationError`, as an item of its list.

    :param problem: ``{key}`` and ``{value}`` stand for what the file has.
    """

    problem: str
    remedy: str = "fix the value"


class TableSchema(Schema):
    """A TOML table that has no other keys than these."""

    error_messages = {"unknown": _UNKNOWN_KEY, "type": "a table"}  # noqa: RUF012 (as marshmallow declares it)


class TableOf(fields.Dict):
    """A TOML table whose keys are the author's."""

    default_error_messages = {"invalid": "a table"}  # noqa: RUF012 (as marshmallow declares it)


class Value(fields.Field[Any]):
    """A value that stays as it is written.

    :param rule: what it must be, in the words of a complaint.
    """

    def __init__(self, rule: str | Mistake, fits: Callable[[Any], bool], **options: Any) -> None:
        super().__init__(**options)
        self._rule, self._fits = rule, fits

    def _deserialize(self, value: Any, *_: Any, **__: Any) -> Any:
        if not self._fits(value):
            raise ValidationError([self._rule])
        return value


def string() -> Value:
    """Return a field for a string."""
    return Value("text in quotes", lambda value: isinstance(value, str))


def name() -> Value:
    """Return a field for a name."""
    return Value(NAME_RULE, lambda value: isinstance(value, str) and bool(NAME.fullmatch(value)))


def choice(*choices: str) -> Value:
    """Return a field for one of ``choices``."""
    return Value("one of " + ", ".join(f'"{each}"' for each in choices), lambda value: value in choices)


def flag() -> Value:
    """Return a field for a boolean."""
    return Value("true or false", lambda value: isinstance(value, bool))


def number(rule: str | Mistake, fits: Callable[[float], bool]) -> Value:
    """Return a field for a finite number that ``fits``."""
    return Value(rule, lambda value: _is_number(value) and fits(value))


def whole(least: int) -> Value:
    """Return a field for a whole number of at least ``least``."""
    return number(f"a whole number of at least {least}", lambda value: isinstance(value, int) and value >= least)


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
            last = source.count("\n") + 1
            complaints.append(Complaint(file, int(line[1]) if line else last, f"invalid TOML: {message}", _SYNTAX))

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
            for path, message, known in _mistakes(error.messages, schema):
                self._complain_about(path, message, known)
            valid = dict(error.valid_data or {})
        return valid

    def _complain_about(self, path: tuple[str, ...], message: str | Mistake, known: list[str]) -> None:
        key = _masked(path[-1])
        if message == _UNKNOWN_KEY:
            self.complain(f"unknown key '{key}'", suggest(key, known), *path)
            return
        value: Any = self._values
        for each in path:
            value = value.get(each)
        mistake = Mistake(f"{{key}} must be {message}, not {{value}}") if isinstance(message, str) else message
        problem = mistake.problem.replace("{key}", f'"{key}"').replace("{value}", _shown(value))
        self.complain(problem, mistake.remedy, *path)


def _mistakes(
    messages: Any, of: Schema | fields.Field[Any] | None, path: tuple[str, ...] = ()
) -> Iterator[tuple[tuple[str, ...], str | Mistake, list[str]]]:
    """Yield each message with its path, and the keys that its table can have."""
    table = of.schema if isinstance(of, fields.Nested) else of
    for key, found in messages.items():
        place = path if key == SCHEMA else (*path, key)
        below, field, known = [found], None, list[str]()
        if isinstance(table, TableOf):
            # Marshmallow tells mistakes in the key from those in its value.
            below, field = list(found.values()), table.value_field
        elif isinstance(table, Schema):
            field, known = table.fields.get(key), list(table.fields)
        for each in below:
            if isinstance(each, dict):
                yield from _mistakes(each, field, place)
            else:
                yield from ((place, message, known) for message in each)


def _is_number(value: object) -> bool:
    # TOML has integers that no float holds; a weight such as that would raise on a call.
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) <= sys.float_info.max


def _shown(value: object) -> str:
    shown = f'"{value}"' if isinstance(value, str) else str(value).lower() if isinstance(value, bool) else str(value)
    return textwrap.shorten(_masked(shown), 40, placeholder="…")


def _masked(words: str) -> str:
    """Return ``words`` without what could be a phone number: complaints end in logs."""
    return re.sub(r"\+?\d(?:[\s().-]*\d){6,}", "…", words)
