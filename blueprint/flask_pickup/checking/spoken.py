"""What a template must not say: whole records, numbers, uncleaned values, HTML, and days in another language."""

from __future__ import annotations

import re
from collections.abc import Iterator

from jinja2 import nodes

from flask_pickup.catalog import Complaint
from flask_pickup.checking.content import Content
from flask_pickup.checking.source import Source
from flask_pickup.rendering import DATE_FILTERS

_RECORDS = {
    "caller": "caller.country",
    "customer": "customer.first_name",
    "customer_raw": "customer_raw.first_name",
    "line": "line.name",
    "call": "call.id",
}
"""Names that stand for a whole record, each with a field to say in its place."""
_COUNTING = frozenset({"count", "length"})
_WHOLE = frozenset({"items", "values"})
_ASKING = (nodes.Compare, nodes.Getitem)
_FOR_HTML = frozenset({"e", "escape", "forceescape", "safe"})

_OF_LOCALE = re.compile(r"%[-_^#]?([aAbBchpPrxX])")
_BABELS = {
    "A": "EEEE", "a": "EEE", "B": "MMMM", "b": "MMM", "h": "MMM", "d": "d", "e": "d", "m": "MM", "Y": "y", "y": "yy",
    "j": "D", "H": "HH", "I": "h", "M": "mm", "S": "ss", "p": "a", "P": "a", "r": "h:mm a",
    "x": "d MMMM y", "X": "HH:mm", "c": "EEEE d MMMM y HH:mm",
}  # fmt: skip
"""What Babel writes for a directive of ``strftime``."""


def check_spoken(source: Source, content: Content) -> Iterator[Complaint]:
    """Yield what a template must not say."""
    yield from _private(source)
    yield from _for_html(source)
    yield from _days(source, content)


def _private(source: Source) -> Iterator[Complaint]:
    for node in source.names.found:
        if node.name == "customer_raw":
            problem = "customer_raw is not cleaned, and a model may follow what a customer wrote"
            yield source.complain(node, problem, "use customer", "warning")
    for printed in _printed(source.tree):
        if (record := source.fact(printed)) in _RECORDS:
            problem = f"the whole record '{record}' would be spoken"
            yield source.complain(printed, problem, f"name a field, such as {_RECORDS[record]}")
    for output in source.tree.find_all(nodes.Output):
        for used in output.find_all(nodes.Getattr):
            if source.fact(used) == "caller.number":
                problem = "the caller's number would be in the text, which the model's provider reads"
                yield source.complain(used, problem, "remove it, or let a tool look it up", "warning")


def _printed(tree: nodes.Template) -> Iterator[nodes.Node]:
    yield from (child for output in tree.find_all(nodes.Output) for child in output.nodes)
    yield from (part for concat in tree.find_all(nodes.Concat) for part in concat.nodes)
    yield from (used.node for used in tree.find_all(nodes.Filter) if used.node and used.name not in _COUNTING)
    yield from (loop.iter for loop in tree.find_all(nodes.For))
    yield from (used.node for used in tree.find_all(nodes.Getattr) if used.attr in _WHOLE)


def _for_html(source: Source) -> Iterator[Complaint]:
    """Yield what writes ``D&#39;Arcy`` for D'Arcy."""
    for used in source.tree.find_all(nodes.Filter):
        mapped = [each.value for each in used.args if used.name == "map" and isinstance(each, nodes.Const)]
        for name in {used.name, *mapped} & _FOR_HTML:
            problem = f"'{name}' is for HTML: a listener would hear &#39; for an apostrophe"
            yield source.complain(used, problem, f"remove '{name}': text is spoken as it is", "warning")
    for scope in source.tree.find_all(nodes.ScopedEvalContextModifier):
        problem = "'autoescape' is for HTML: a listener would hear &#39; for an apostrophe"
        yield source.complain(scope, problem, "remove {% autoescape %} and {% endautoescape %}", "warning")


def _days(source: Source, content: Content) -> Iterator[Complaint]:
    """Yield days and months that are always English, in a text that is heard in another language."""
    for used in source.tree.find_all(nodes.Filter):
        if used.name in DATE_FILTERS and "%" in (pattern := _text(used.args)):
            problem = f"'{used.name}' takes Babel's patterns, not those of strftime"
            yield source.complain(used, problem, f'write {used.name}("{_babels(pattern)}")', "warning")
    others = sorted(_heard_in(content, source.path) - {"en"})
    # A day that is compared or looked up is not spoken.
    silent = {id(call) for each in source.tree.find_all(_ASKING) for call in each.find_all(nodes.Call)}
    for call in source.tree.find_all(nodes.Call):
        pattern = _strftime(call)
        directive = _OF_LOCALE.search(pattern)
        if directive and others and id(call) not in silent:
            reads = [fact for node in call.find_all((nodes.Getattr, nodes.Name)) if (fact := source.fact(node))]
            day = source.fact(call.node).rpartition(".")[0] or ("now" if "now" in reads else "…")
            problem = f"'{directive[0]}' is always English, and callers hear this in {', '.join(others)}"
            yield source.complain(call, problem, f'write {{{{ {day}|dateformat("{_babels(pattern)}") }}}}', "warning")


def _strftime(call: nodes.Call) -> str:
    """Return the format in which a call writes a day or time; empty if it does not."""
    match call.node:
        case nodes.Getattr(attr="strftime"):
            return _text(call.args)
        case nodes.Getattr(attr="ctime"):
            return "%c"
        case nodes.Getattr(attr="format", node=template):
            return " ".join(re.findall(r"\{[^{}]*:([^{}]*)\}", _text([template])))
    return ""


def _text(arguments: list[nodes.Expr]) -> str:
    first = arguments[0] if arguments else None
    return first.value if isinstance(first, nodes.Const) and isinstance(first.value, str) else ""


def _babels(pattern: str) -> str:
    """Return Babel's pattern for one of ``strftime``; letters between its directives are put in quotes."""

    def written(part: re.Match[str]) -> str:
        return _BABELS.get(part[1], "") if part[1] else f"'{part[0]}'"

    return re.sub(r"%[-_^#]?(.)|[A-Za-z]+", written, pattern)


def _heard_in(content: Content, path: str) -> frozenset[str]:
    """Return the languages in which a file is heard: its own, or all that have no variant of it."""
    for variants in content.catalog.library.variants.values():
        for language, file in variants.items():
            if file == path:
                return frozenset({language}) if language else content.catalog.languages - variants.keys()
    return content.catalog.languages
