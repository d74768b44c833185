"""``settings.toml``: languages, and the numbers that are called."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from jinja2 import TemplateSyntaxError
from marshmallow import fields

from flask_pickup.catalog.syntax import unreadable
from flask_pickup.catalog.toml import LANGUAGE_CODE, TableOf, TableSchema, TomlFile, key, matching, schema_of, string
from flask_pickup.phone_numbers import e164
from flask_pickup.rendering import BASE, Environment, Expression, expression

_CODE_RULE = 'a language code such as "nl"'

SPEAKS = "customer.language or line.language or caller.language"


@dataclass(frozen=True)
class Line:
    """A number that is called, as templates see it.

    :param number: E.164, or as the platform gave it; None on a call without one.
    :param folder: the folder that is laid over the base for its calls.
    """

    number: str | None
    name: str | None = key(string(), default=None)
    language: str | None = key(matching(LANGUAGE_CODE, _CODE_RULE), default=None)
    folder: str | None = key(string(data_key="greetings"), default=None)


@dataclass(frozen=True)
class Settings:
    """What ``settings.toml`` says.

    :param language: ISO 639-1, what the plain files are written in.
    :param speaks: gives the language that a call should be in, if the folders have it; ``speaks_source`` is its text.
    """

    language: str
    speaks: Expression
    speaks_source: str
    lines: Mapping[str, Line]


class SettingsSchema(TableSchema):
    """``settings.toml``."""

    language = matching(LANGUAGE_CODE, _CODE_RULE)
    speaks = string()
    lines = TableOf(values=fields.Nested(schema_of(Line)))


def read_settings(toml: TomlFile, *, environment: Environment, region: str) -> Settings:
    """Read ``settings.toml``; an empty one is valid."""
    values = toml.load(SettingsSchema())
    lines: dict[str, Line] = {}
    for number, table in values.get("lines", {}).items():
        known = e164(number, region)
        if known is None:
            toml.complain(f"'{number}' is not a phone number", 'write it as [lines."+31850835037"]', "lines", number)
        elif known in lines:
            toml.complain(f"duplicate line '{number}', written in another way", "keep one of the two", "lines", number)
        folder = table.pop("folder", "").strip("/")
        written = {name: text for name, text in table.items() if text}
        lines[known or number] = Line(known, **written, folder=f"{BASE}/{folder}" if folder else None)
    source = values.get("speaks", SPEAKS)
    try:
        speaks = expression(environment, source)
    except TemplateSyntaxError as error:
        toml.complain(*unreadable(error, environment), "speaks")
        source, speaks = SPEAKS, expression(environment, SPEAKS)
    return Settings(values.get("language", "en"), speaks, source, lines)
