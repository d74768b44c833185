"""Every text has its Dutch, and every Dutch text its place in the code or a template."""

from __future__ import annotations

from pathlib import Path

import pytest
from babel.messages.catalog import Catalog
from babel.messages.extract import extract_from_dir
from babel.messages.pofile import read_po

import flask_pickup
from flask_pickup.translation import LANGUAGES, gettext, in_language, ngettext

PACKAGE = Path(flask_pickup.__file__).parent
METHODS = [("**.py", "python"), ("templates/**.html", "jinja2")]
KEYWORDS = {"gettext": None, "ngettext": (1, 2), "_": None, "_one": None, "_plural": (2, 3)}


def catalog_of(language: str) -> Catalog:
    with (PACKAGE / "translations" / language / "LC_MESSAGES/pickup.po").open("rb") as file:
        return read_po(file, locale=language, abort_invalid=True)


@pytest.mark.parametrize("language", LANGUAGES[1:])
def test_every_text_is_translated(language: str) -> None:
    """The catalog has the texts that Babel finds in the package, and no others."""
    found = {message for _, _, message, *_ in extract_from_dir(PACKAGE, METHODS, keywords=KEYWORDS)}
    assert {message.id for message in catalog_of(language) if message.id} == found


@pytest.mark.parametrize("language", LANGUAGES[1:])
def test_every_translation_is_finished(language: str) -> None:
    """No translation is empty or marked as fuzzy, and each has the values of its text."""
    catalog = catalog_of(language)
    assert not [message.id for message in catalog if message.id and (message.fuzzy or not message.string)]
    assert [str(error) for _, errors in catalog.check() for error in errors] == []


def test_language_holds_for_a_block() -> None:
    """A text is Dutch inside the block, with its plural and its numbers, and English after it."""
    weeks = ("one more week", "%(n)s more weeks")
    with in_language("nl"):
        assert gettext("and") == "en"
        assert (ngettext(*weeks, 1), ngettext(*weeks, 1200)) == ("nog een week", "nog 1.200 weken")
    assert ngettext(*weeks, 1200) == "1,200 more weeks"
