"""Texts, numbers and days in the reader's language, from the message catalogs in ``translations/``. English needs no catalog."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import date, datetime
from functools import cache, lru_cache
from gettext import NullTranslations
from io import BytesIO
from pathlib import Path

from babel import dates, numbers
from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po
from babel.support import Format, Translations
from markupsafe import Markup, escape

LANGUAGES = ("en", "nl")
DASH = "\N{EN DASH}"
"""Stands for a missing value."""

_DAY = "d MMM y"
_DOMAIN = "pickup"
_FOLDER = Path(__file__).with_name("translations")
_language: ContextVar[str] = ContextVar("language", default=LANGUAGES[0])


@contextmanager
def in_language(language: str) -> Iterator[None]:
    """Translate into a language until the end of the block; outside such a block texts are English."""
    before = _language.set(language)
    try:
        yield
    finally:
        _language.reset(before)


def reader_language() -> str:
    """Return the language that texts are in now."""
    return _language.get()


def gettext(text: str, /, **values: object) -> str:
    """Return a text in the reader's language, with its ``%(names)s`` filled in: as markup, if a value is."""
    return _filled(_catalog(_language.get()).gettext(text), values)


def ngettext(singular: str, plural: str, number: int, /, **values: object) -> str:
    """Return the text for a number of things; ``%(n)s`` is the number."""
    text = _catalog(_language.get()).ngettext(singular, plural, number)
    return _filled(text, {"n": format_number(number), **values})


def format_number(number: float | None, pattern: str = "#,##0") -> str:
    """Return a number as the reader's language writes it, in one of Babel's patterns: "12,345"; a dash for None."""
    # Adding 0 makes one zero of two: they are equal, but are not written alike.
    return DASH if number is None else _formatted_number(number + 0, pattern, _language.get())


def format_day(day: str) -> str:
    """Return the day of a day or a moment in ISO 8601, as the reader's language writes it: "3 Mar 2026"."""
    return _formatted_day(day[:10], _DAY, _language.get())


# A page has hundreds of small counts and of days, and Babel reads its pattern anew for each.
@lru_cache(maxsize=4096)
def _formatted_number(number: float, pattern: str, language: str) -> str:
    return numbers.format_decimal(number, pattern, language)


@lru_cache(maxsize=1024)
def _formatted_day(day: str, pattern: str, language: str) -> str:
    return dates.format_date(date.fromisoformat(day), pattern, language)


class PageFormat(Format):
    """Babel's formats, in the reader's language and the business's time zone. A missing value is a dash."""

    def moment(self, at: datetime | str | None, pattern: str = "d MMM y HH:mm:ss") -> str:
        """Return day and time, also of a moment in ISO 8601."""
        if at is None:
            return DASH
        return self.datetime(datetime.fromisoformat(at) if isinstance(at, str) else at, pattern)

    def day(self, at: datetime | str | None, pattern: str = _DAY) -> str:
        """Return the day, also of a moment or a day in ISO 8601."""
        if isinstance(at, str) and len(at) == len("2026-01-01"):
            return _formatted_day(at, pattern, self.locale.language)
        return self.moment(at, pattern)

    def country(self, code: str | None) -> str:
        """Return a country's name."""
        return self.locale.territories.get(code, code) if code else DASH

    def language(self, code: str | None) -> str:
        """Return a language's name."""
        return self.locale.languages.get(code, code) if code else DASH


def _filled(text: str, values: Mapping[str, object]) -> str:
    # What a template's macro gives is escaped: as a plain text it would be escaped again.
    is_markup = any(isinstance(value, Markup) for value in values.values())
    return (escape(text) if is_markup else text) % values


@cache
def _catalog(language: str) -> NullTranslations:
    source = _FOLDER / language / "LC_MESSAGES" / f"{_DOMAIN}.po"
    if not source.exists():
        # English, or an installed wheel: it has compiled catalogs alone.
        return Translations.load(_FOLDER, [language], _DOMAIN)
    compiled = BytesIO()
    with source.open("rb") as file:
        write_mo(compiled, read_po(file, locale=language))
    compiled.seek(0)
    return Translations(compiled, _DOMAIN)
