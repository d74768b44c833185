"""The text of each template: unknown names, and what is spoken as it is written."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from datetime import datetime

from jinja2 import nodes
from jinja2.runtime import LoopContext

from flask_pickup.catalog import Complaint
from flask_pickup.catalog.complaints import suggest
from flask_pickup.catalog.syntax import unknown
from flask_pickup.checking.comparisons import check_comparisons
from flask_pickup.checking.content import Content
from flask_pickup.checking.source import Source, imported_names, own_names
from flask_pickup.checking.spoken import check_spoken
from flask_pickup.phone_numbers import e164
from flask_pickup.rendering import TEMPLATE_NAMES, asks_the_clock

_ATTRIBUTES: Mapping[str, frozenset[str]] = {
    "caller": frozenset({"number", "country", "language", "identified"}),
    "line": frozenset({"number", "name", "language"}),
    "call": frozenset({"id", "type"}),
    "now": frozenset(name for name in dir(datetime) if not name.startswith("_")),
    "language": frozenset(),
    "open": frozenset(),
    "platform": frozenset(),
}
_LOOP = frozenset(name for name in dir(LoopContext) if not name.startswith("_")) | {"depth0"}
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
        yield from _callers_in_macros(source)
        yield from check_comparisons(source, catalog.languages)
        if source.is_spoken:
            yield from check_spoken(source, catalog.settings.language)
    for path in (*content.trees, *dict(catalog.overrides())):
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
    for node in source.names.found:
        if node.name not in known:
            yield source.complain(node, f"unknown name '{node.name}'", suggest(node.name, known | own_names(tree)))
    for kind, all_of_kind in ((nodes.Filter, environment.filters), (nodes.Test, environment.tests)):
        for used in tree.find_all(kind):
            if used.name not in all_of_kind:
                yield source.complain(used, *unknown(kind.__name__.lower(), used.name, environment))
    for read, owner, attribute in source.attributes:
        yield from _attribute(source, read, owner, attribute)


def _attribute(source: Source, node: nodes.Expr, owner: nodes.Expr, attribute: str) -> Iterator[Complaint]:
    if attribute.startswith("_"):
        problem = f"'{attribute}' is not available in templates"
        yield source.complain(node, problem, "use the names that templates see")
    name = owner.name if isinstance(owner, nodes.Name) else ""
    if name == "loop" and attribute not in _LOOP:
        yield source.complain(node, f"loop has no attribute '{attribute}'", suggest(attribute, _LOOP))
    elif id(owner) in source.free and attribute not in _ATTRIBUTES.get(name, {attribute}):
        remedy = suggest(attribute, _ATTRIBUTES[name]) if _ATTRIBUTES[name] else f"write {{{{ {name} }}}}"
        yield source.complain(node, f"{name} has no attribute '{attribute}'", remedy)
    elif isinstance(owner, nodes.Const) and not hasattr(owner.value, attribute):
        problem = f"{owner.value!r} has no attribute '{attribute}'"
        yield source.complain(node, problem, "use ~, or a filter such as replace")
    elif name == "now" and asks_the_clock(datetime, attribute):
        yield source.complain(node, f"'{attribute}' reads the clock", "use now, the time of the call")


def _callers_in_macros(source: Source) -> Iterator[Complaint]:
    for macro in source.tree.find_all(nodes.Macro):
        for node in macro.find_all(nodes.Getattr):
            if isinstance(node.node, nodes.Name) and node.node.name == "caller":
                problem = "inside a macro 'caller' is Jinja's call block, not the caller"
                yield source.complain(node, problem, "pass the caller as an argument of another name", "warning")
