"""Every text has its translation, and every translation its text."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from babel.messages.pofile import read_po
from jinja2 import Environment, nodes

import flask_pickup
from flask_pickup.saying import LANGUAGES, say, speaking, words

PACKAGE = Path(flask_pickup.__file__).parent
TEMPLATES = sorted((PACKAGE / "templates").rglob("*.html"))
MODULES = [*(PACKAGE / "dashboard").glob("*.py"), *(PACKAGE / "results").glob("*.py")]
SAY = {"say", "speech", "_problem", "_"}
_VALUE = re.compile(r"%\((\w+)\)s|%%")


def of_template(path: Path) -> Iterator[str]:
    for call in Environment().parse(path.read_text("utf-8")).find_all(nodes.Call):
        if isinstance(call.node, nodes.Name) and call.node.name == "_" and isinstance(call.args[0], nodes.Const):
            yield call.args[0].value


def of_module(path: Path) -> Iterator[str]:
    """Yield what is said, and what is first called a text or a problem."""
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Call):
            name = node.func.id if isinstance(node.func, ast.Name) else getattr(node.func, "attr", "")
            said = [*node.args[: name in SAY], *(word.value for word in node.keywords if word.arg == "problem")]
        elif isinstance(node, ast.Assign) and any(isinstance(x, ast.Name) and x.id == "text" for x in node.targets):
            said = [node.value]
        else:
            continue
        yield from (
            x.value
            for one in said
            for x in ast.walk(one)
            if isinstance(x, ast.Constant) and x.value and isinstance(x.value, str)
        )


def texts() -> set[str]:
    found = {text for path in TEMPLATES for text in of_template(path)}
    return found | {text for path in MODULES for text in of_module(path)}


@pytest.mark.parametrize("language", LANGUAGES[1:])
def test_every_text_is_translated(language: str) -> None:
    """There is a translation for each text that a page can say, and none for a text that is gone."""
    assert sorted(words(language)) == sorted(texts())


@pytest.mark.parametrize("language", LANGUAGES[1:])
def test_translations_keep_their_values(language: str) -> None:
    """A translation has the same values to fill in as its text."""
    for text, translation in words(language).items():
        assert set(_VALUE.findall(translation)) <= set(_VALUE.findall(text)), text
        assert re.sub(_VALUE, "", translation).count("%") == 0, translation


@pytest.mark.parametrize("language", LANGUAGES[1:])
def test_no_translation_is_in_doubt(language: str) -> None:
    """No translation is marked as fuzzy, or left empty."""
    with (PACKAGE / "translations" / f"{language}.po").open("rb") as file:
        catalog = read_po(file, abort_invalid=True)
    assert not [message.id for message in catalog if message.id and (message.fuzzy or not message.string)]


def test_a_language_is_spoken_until_the_end_of_its_block() -> None:
    """What is said in Dutch inside a block is said in English after it."""
    with speaking("nl"):
        assert say("callers") == "bellers"
    assert say("callers") == "callers"
