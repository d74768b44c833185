"""``settings.toml``: languages, and the numbers that are called."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from jinja2 import TemplateSyntaxError

from flask_pickup.caller import e164
from flask_pickup.catalog.complaints import MEND, Complaint, unreadable
from flask_pickup.catalog.reader import Table, read_toml
from flask_pickup.rendering import BASE, Environment, Expression, expression

SPEAKS = "customer.language or line.language or caller.language"


@dataclass(frozen=True)
class Line:
    """A number that is called, as templates see it.

    :param number: E.164, or as the platform gave it; None on a call without one.
    :param folder: the folder that is laid over the base for its calls.
    """

    number: str | None
    name: str | None = None
    language: str | None = None
    folder: str | None = None


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


def read_settings(
    file: str, source: str, complaints: list[Complaint], *, environment: Environment, region: str
) -> Settings:
    """Read ``settings.toml``; an empty one is valid."""
    table = read_toml(file, source, complaints)
    language = table.get("language", "en", _is_language, 'a language code such as "nl"')
    speaks, speaks_source = _speaks(table, environment)
    numbers = table.table("lines")
    lines: dict[str, Line] = {}
    for number in numbers:
        known, line = _line(numbers, number, region)
        if known in lines:
            numbers.complain(f"'{number}' is a line already, spelled in another way", "keep one of the two", number)
        lines[known] = line
    numbers.accept()
    table.finish()
    return Settings(language, speaks, speaks_source, lines)


def _is_language(value: object) -> bool:
    return isinstance(value, str) and value.isascii() and value.islower() and len(value) in (2, 3)


def _speaks(table: Table, environment: Environment) -> tuple[Expression, str]:
    source = table.text("speaks", SPEAKS)
    try:
        return expression(environment, source), source
    except TemplateSyntaxError as error:
        problem, remedy = unreadable(error, environment, "speaks")
        table.complain(problem, f'write an expression such as "{SPEAKS}"' if remedy == MEND else remedy, "speaks")
        return expression(environment, SPEAKS), SPEAKS


def _line(numbers: Table, number: str, region: str) -> tuple[str, Line]:
    table = numbers.table(number)
    known = e164(number, region)
    if known is None:
        numbers.complain(f"'{number}' is no phone number", 'write it as [lines."+31850835037"]', number)
    language = table.get("language", "", _is_language, 'a language code such as "nl"')
    folder = table.text("greetings")
    line = Line(known, table.text("name") or None, language or None, f"{BASE}/{folder.strip('/')}" if folder else None)
    table.finish()
    return known or number, line
