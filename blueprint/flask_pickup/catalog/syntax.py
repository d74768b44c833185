"""Jinja's syntax errors, as a problem and a remedy for an author."""

from __future__ import annotations

import re

from jinja2 import TemplateSyntaxError

from flask_pickup.catalog.complaints import CURLY, STRAIGHT, suggest
from flask_pickup.rendering import REFUSED_FILTERS, Environment

_BLOCKS = ("if", "for", "block", "macro", "set", "with", "call", "filter", "raw")
_TAGS = (*_BLOCKS, *(f"end{block}" for block in _BLOCKS), "elif", "else", "include", "extends", "import", "from")

_EXPLAINED = (
    (r"^Unexpected end .* closed is '(\w+)'", r"{% \1 %} is never closed", r"write {% end\1 %} where it ends"),
    (r"^Missing end of comment", "{# is never closed", "write #} where it ends"),
    (r"unknown tag '(elseif)'", r"unknown tag '\1'", "did you mean 'elif'?"),
    (r"got '='", "a single = compares nothing", "write == to compare"),
    ("^a file's name has no quotes", "a file's name has no quotes", 'write {% include "greetings/…" %}'),
    ("^braces in an expression", "an expression has no braces", "write the expression without braces"),
    (f"^unexpected char .[{CURLY}]", *STRAIGHT),
    (r"^unexpected char (?:\"'\"|'\"')", "a quote is never closed", "put text in two quotes of one kind"),
    (r"^chunk after|^expected token 'end of", "it goes on after its end", "compare with ==, and put and, or or ~ between two values"),
    (r"^unexpected (?:end of template|'[%})\]]')", "a bracket is never closed", "close {{ with }}, {% with %} and ( with )"),
    (r"'end of", "a value or name is missing", "write it, or remove what asks for it"),
)  # fmt: skip
"""A pattern of Jinja's message, and the problem and remedy that it stands for; the first that fits counts."""


def unknown(kind: str, name: str, environment: Environment) -> tuple[str, str]:
    """Return problem and remedy for a ``filter`` or ``test`` that does not exist."""
    known = environment.filters if kind == "filter" else environment.tests
    problem = f"unknown {kind} '{name}'"
    if kind == "filter" and name in REFUSED_FILTERS:
        return problem, REFUSED_FILTERS[name]
    return problem, suggest(name, (each for each in known if each.isidentifier()))


def unreadable(error: TemplateSyntaxError, environment: Environment) -> tuple[str, str]:
    """Return problem and remedy for a template or expression that does not compile."""
    # Jinja's second sentence guesses what was meant.
    message = (error.message or "invalid syntax").partition(". ")[0].rstrip(".")
    if missing := re.fullmatch(r"No (filter|test) named '(.+)'", message):
        return unknown(missing[1], missing[2], environment)
    for pattern, problem, remedy in _EXPLAINED:
        if match := re.search(pattern, error.message or ""):
            return match.expand(problem), match.expand(remedy)
    if tag := re.search(r"unknown tag '(\w+)'", message):
        if tag[1] in _TAGS:
            return f"misplaced tag '{tag[1]}'", "close the block before it, or remove it"
        return f"unknown tag '{tag[1]}'", suggest(tag[1], _TAGS)
    return message[:1].lower() + message[1:], "fix the line"


def line_of(error: TemplateSyntaxError) -> int:
    """Return the line to look at: of a tag that is never closed its own, for which Jinja names the last one."""
    unclosed = re.search(r"^Unexpected end .* closed is '(\w+)'", error.message or "")
    if not unclosed:
        return error.lineno
    depth, source = 0, error.source or ""
    for tag in reversed(list(re.finditer(rf"\{{%[-+]?\s*(end)?{unclosed[1]}\b", source))):
        depth += 1 if tag[1] else -1
        if depth < 0:
            return source.count("\n", 0, tag.start()) + 1
    return error.lineno
