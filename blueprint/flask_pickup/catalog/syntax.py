"""Jinja's syntax errors, as a problem and a remedy for an author."""

from __future__ import annotations

import re

from jinja2 import TemplateSyntaxError

from flask_pickup.catalog.complaints import suggest
from flask_pickup.rendering import REFUSED_FILTERS, Environment

_BLOCKS = ("if", "for", "block", "macro", "set", "with", "call", "filter", "raw")
_ENDS = "|".join(f"end{block}" for block in _BLOCKS)
_TAGS = (*_BLOCKS, *(f"end{block}" for block in _BLOCKS), "elif", "else", "include", "extends", "import", "from")

_JINJAS_WORDS = {
    "'end of print statement'": "}}",
    "'end of statement block'": "%}",
    "'end of template'": "the end",
}
_EXPLAINED = (
    (r"^Unexpected end .* closed is '(\w+)'", r"{% \1 %} is never closed", r"write {% end\1 %} where it ends"),
    (r"^Missing end of comment", "{# is never closed", "write #} where it ends"),
    (r"^Missing end of raw", "{% raw %} is never closed", "write {% endraw %} where it ends"),
    (r"unknown tag 'els(?:e|e?i)f'|^expected token %}, got 'if'", "Jinja has another tag for this", "write {% elif … %}"),
    (rf"unknown tag '({_ENDS}|elif|else)'.* closed is '(\w+)'", r"{% \1 %} is inside {% \2 %}", r"write {% end\2 %} before it"),
    (rf"unknown tag '(?=(?:{_ENDS})')end(\w+)'", r"{% end\1 %} closes nothing", r"remove it, or write {% \1 %} before it"),
    (r"unknown tag '(elif|else)'", r"{% \1 %} is outside {% if %}", "write {% if … %} before it"),
    (r"^expected token (?:%}|}}), got '='", "a single = compares nothing", "write == to compare"),
    (r"^expected token (%}|}}), got (.+)", r"unexpected \2 before \1", "put ~, and, or, or == between two values"),
    (r"^chunk after expression", "the expression goes on after its end", "compare with ==, and put and, or or ~ between two values"),
    (r"^unexpected end of template, expected '?(.+?)'?$", r"\1 is missing", r"write \1"),
    (r"^unexpected char (?:\"'\"|'\"')", "a quote is never closed", "put text in two quotes of one kind"),
    (r"^unexpected char '([^\x00-\x7f])'", r"unexpected character \1", "write straight quotes, and letters without accents in names"),
    (r"^unexpected char '&'|got '\|'|^unexpected char '[!?]'", "an operator of another language", "write and, or, not, or: a if condition else b"),
    (r"^unexpected char (.+) at", r"unexpected character \1", "remove it, or put text in quotes"),
    (r"^unexpected '(.)', expected '(.)'", r"\2 is missing before \1", r"write \2"),
    (r"^unexpected '[%}]'", "a tag is closed in another way than it is opened", "close {{ with }}, and {% with %}"),
    (r"^(?:Expected an expression, got|unexpected|expected token 'name', got) (%}|}}|the end)", r"a value or name is missing before \1", "write it there"),
    (r"^expected token (.+), got (.+)", r"\1 is expected before \2", "write it there"),
    (r"nested too deeply", "it is nested too deeply, or too large", "make it simpler"),
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
    """Return problem and remedy for a template that does not compile."""
    message = (error.message or "invalid syntax").rstrip(".")
    if missing := re.fullmatch(r"No (filter|test) named '(.+)'", message):
        return unknown(missing[1], missing[2], environment)
    for jinjas, written in _JINJAS_WORDS.items():
        message = message.replace(jinjas, written)
    for pattern, problem, remedy in _EXPLAINED:
        if match := re.search(pattern, message):
            return match.expand(problem), match.expand(remedy)
    if tag := re.search(r"unknown tag '(\w+)'", message):
        return f"unknown tag '{tag[1]}'", suggest(tag[1], _TAGS)
    return message[:1].lower() + message[1:], "fix the line"


def unreadable_expression(error: TemplateSyntaxError, environment: Environment, example: str) -> tuple[str, str]:
    """Return problem and remedy for an expression that does not compile."""
    if re.search(r"\{[{%]", error.source or ""):
        return "an expression has no braces of templates", f'write it as "{example}"'
    return unreadable(error, environment)


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
