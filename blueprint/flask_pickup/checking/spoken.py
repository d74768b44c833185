"""What a template must not say: whole records, numbers, uncleaned values, and HTML."""

from __future__ import annotations

from collections.abc import Iterator

from jinja2 import nodes

from flask_pickup.catalog import Complaint
from flask_pickup.checking.source import Source

_RECORDS = frozenset({"caller", "customer", "customer_raw", "line", "call"})
_COUNTING = frozenset({"count", "length"})
_FOR_HTML = frozenset({"e", "escape", "forceescape", "safe"})


def check_spoken(source: Source) -> Iterator[Complaint]:
    """Yield what a template must not say."""
    yield from _private(source)
    if source.templated_again:
        yield from _templated_again(source, source.templated_again[0])
    for used, name in _for_html(source.tree):
        problem = f"'{name}' is for HTML: a listener would hear &#39; for an apostrophe"
        yield source.complain(used, problem, f"remove '{name}': text is spoken as it is", "warning")


def _for_html(tree: nodes.Template) -> Iterator[tuple[nodes.Node, str]]:
    yield from ((each, "autoescape") for each in tree.find_all(nodes.ScopedEvalContextModifier))
    for used in tree.find_all(nodes.Filter):
        # A filter's name may be given to map.
        names = [used.name, *(each.value for each in used.args if used.name == "map" and isinstance(each, nodes.Const))]
        yield from ((used, name) for name in names if name in _FOR_HTML)


def _private(source: Source) -> Iterator[Complaint]:
    for node in source.names.found.values():
        if node.name == "customer_raw" and not source.templated_again:
            problem = "customer_raw is not cleaned, and a model may follow what a customer wrote"
            yield source.complain(node, problem, "use customer", "warning")
    for printed in _printed(source.tree):
        if (record := source.fact(printed)) in _RECORDS:
            problem = f"the whole record '{record}' would be spoken"
            yield source.complain(printed, problem, "name a field, such as customer.first_name")
    for output in source.tree.find_all(nodes.Output):
        for used in output.find_all(nodes.Getattr):
            if source.fact(used) == "caller.number":
                problem = "the caller's number would be in the text, which the model's provider reads"
                yield source.complain(used, problem, "remove it, or let a tool look it up", "warning")


def _templated_again(source: Source, platform: str) -> Iterator[Complaint]:
    """Yield what the platform's own template engine would run, of a customer's words and of an author's texts."""
    tests = [
        *(each.test for each in source.tree.find_all(nodes.If)),
        *(e.test for e in source.tree.find_all(nodes.CondExpr)),
    ]
    # What is asked is not spoken.
    silent = {id(node) for test in tests for node in (test, *test.find_all((nodes.Name, nodes.Const)))}
    for node in source.names.found.values():
        if node.name == "customer_raw":
            problem = f"customer_raw is not cleaned, and {platform} would fill in what a customer writes in braces"
            yield source.complain(node, problem, "use customer", "warning" if id(node) in silent else "error")
    for const in source.tree.find_all(nodes.Const):
        if isinstance(const.value, str) and ("{{" in const.value or "{%" in const.value) and id(const) not in silent:
            problem = f"{platform} would fill in the braces of '{const.value}'"
            remedy = f"write them between {{% raw %}} and {{% endraw %}} if they are {platform}'s variable"
            yield source.complain(const, problem, remedy, "warning")


def _printed(tree: nodes.Template) -> Iterator[nodes.Node]:
    yield from (child for output in tree.find_all(nodes.Output) for child in output.nodes)
    yield from (part for concat in tree.find_all(nodes.Concat) for part in concat.nodes)
    yield from (used.node for used in tree.find_all(nodes.Filter) if used.node and used.name not in _COUNTING)
    yield from (loop.iter for loop in tree.find_all(nodes.For))
