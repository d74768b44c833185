"""Texts and numbers in the reader's language, from the message catalogs in ``translations/``. English needs no catalog."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from functools import cache
from gettext import NullTranslations
from io import BytesIO
from pathlib import Path

from babel import numbers
from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po
from babel.support import Translations

LANGUAGES = ("en", "nl")
DASH = "\N{EN DASH}"
"""Stands for a missing value."""

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


def gettext(text: str, /, **values: object) -> str:
    """Return a text in the reader's language, with its ``%(names)s`` filled in."""
    return _catalog(_language.get()).gettext(text) % values


def ngettext(singular: str, plural: str, number: int, /, **values: object) -> str:
    """Return the text for a number of things; ``%(n)s`` is the number."""
    text = _catalog(_language.get()).ngettext(singular, plural, number)
    return text % {"n": format_number(number), **values}


def format_number(number: float | None, pattern: str = "#,##0") -> str:
    """Return a number as the reader's language writes it, in one of Babel's patterns: "12,345"; a dash for None."""
    return DASH if number is None else numbers.format_decimal(number, pattern, _language.get())


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
