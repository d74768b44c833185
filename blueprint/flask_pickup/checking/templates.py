"""The text of each template: unknown names, and what is spoken as it is written."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from datetime import datetime

from jinja2 import nodes

from flask_pickup.catalog import Complaint
from flask_pickup.catalog.complaints import suggest
from flask_pickup.catalog.syntax import unknown
from flask_pickup.checking.comparisons import check_comparisons
from flask_pickup.checking.content import Content
from flask_pickup.checking.moments import check_moments
from flask_pickup.checking.source import Source, imported_names, own_names
from flask_pickup.checking.spoken import check_spoken
from flask_pickup.phone_numbers import e164
from flask_pickup.rendering import TEMPLATE_NAMES

_ATTRIBUTES: Mapping[str, frozenset[str]] = {
    "caller": frozenset({"number", "country", "language", "identified"}),
    "line": frozenset({"number", "name", "language"}),
    "call": frozenset({"id", "type"}),
    "now": frozenset(name for name in dir(datetime) if not name.startswith("_")),
    "language": frozenset(),
    "open": frozenset(),
    "platform": frozenset(),
}
_LIKE_A_NUMBER = re.compile(r"(?<![\w+])\+?\d(?:[\s().-]{0,2}\d){7,14}(?!\w)")
_MISWRITTEN = re.compile(
    r"""
    (?<!\{) \{ (?![{%#]) \s* (?: [a-z_]+ (?:\.\w+)+ | language | open ) \b [^{}\n]* \}  # {customer.name}, { language }}
    | \{ \s+ % | % \s+ \} | <%  # { % if open % }
    """,
    re.VERBOSE,
)


def check_templates(content: Content) -> Iterator[Complaint]:
    """Yield what is wrong with the text of each template, string of an override, and expression."""
    catalog = content.catalog
    for source in content.sources:
        content.at(source.path)
        yield from _known_names(source)
        yield from check_comparisons(source, catalog.languages)
        yield from check_moments(source, content.heard_in(source))
        if source.is_spoken:
            yield from check_spoken(source)
    for path in (*content.trees, *catalog.overrides.patches):
        yield from _check_lines(path, catalog.texts[path], content.region)


def _check_lines(path: str, text: str, region: str) -> Iterator[Complaint]:
    """Yield each line with braces that Jinja does not read, and of a template each with a phone number."""
    for number, line in enumerate(text.splitlines(), 1):
        if found := _MISWRITTEN.search(line):
            problem = f"'{found[0]}' would be spoken as it is written"
            yield Complaint(path, number, problem, "write {{ … }} for a value, {% … %} for a condition", "warning")
        # An override may have the numbers that the platform transfers calls to. No complaint repeats a number.
        if path.endswith(".j2") and any(e164(each, region) for each in _LIKE_A_NUMBER.findall(line)):
            problem = "the text contains a phone number, and every definition is stored"
            yield Complaint(path, number, problem, "remove it if it is a caller's", "warning")


def _known_names(source: Source) -> Iterator[Complaint]:
    """Yield names, attributes, filters and tests that do not exist."""
    tree, environment = source.tree, source.environment
    known = TEMPLATE_NAMES | environment.globals.keys() | source.seen | source.names.exported | imported_names(tree)
    for node in source.names.found.values():
        if node.name not in known:
            yield source.complain(node, f"unknown name '{node.name}'", suggest(node.name, known | own_names(tree)))
    for kind, all_of_kind in ((nodes.Filter, environment.filters), (nodes.Test, environment.tests)):
        for used in tree.find_all(kind):
            if used.name not in all_of_kind:
                yield source.complain(used, *unknown(kind.__name__.lower(), used.name, environment))
    for read in tree.find_all((nodes.Getattr, nodes.Getitem)):
        name, _, attribute = source.fact(read).rpartition(".")
        if attribute not in (known := _ATTRIBUTES.get(name, frozenset({attribute}))):
            remedy = suggest(attribute, known) if known else f"write {{{{ {name} }}}}"
            yield source.complain(read, f"{name} has no attribute '{attribute}'", remedy)
