"""What is said to people, in their language. Each text is written in English, and found by it in ``translations/``."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from functools import cache
from pathlib import Path

from babel import Locale, numbers
from babel.messages.pofile import read_po

LANGUAGES = ("en", "nl")
"""English is what the texts are written in; each other language is a file in ``translations/``."""

_FOLDER = Path(__file__).with_name("translations")
_language: ContextVar[str] = ContextVar("language", default=LANGUAGES[0])


def say(text: str, /, **values: object) -> str:
    """Return a text in the language that is spoken, with its ``%(names)s`` filled in."""
    return translated(_language.get(), text, values)


@contextmanager
def speaking(language: str) -> Iterator[None]:
    """Speak a language until the end of the block; English is spoken everywhere else."""
    before = _language.set(language)
    try:
        yield
    finally:
        _language.reset(before)


def translated(language: str, text: str, values: Mapping[str, object]) -> str:
    """Return a text in a language, with its ``%(names)s`` filled in; in English where there is no translation."""
    return words(language).get(text, text) % values


def count(number: float) -> str:
    """Return a whole number as the spoken language writes it: "12,345"."""
    return number_as("#,##0", number)


def number_as(pattern: str, number: float) -> str:
    """Return a number in one of Babel's patterns."""
    return numbers.format_decimal(number, pattern, Locale(_language.get()))


@cache
def words(language: str) -> Mapping[str, str]:
    """Return what there is of a language: English text to its translation."""
    path = _FOLDER / f"{language}.po"
    if not path.exists():
        return {}
    with path.open("rb") as file:
        return {str(message.id): str(message.string) for message in read_po(file) if message.id and message.string}
