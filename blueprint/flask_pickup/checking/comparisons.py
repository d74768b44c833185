"""Comparisons that are never true, because what they compare never has such a value."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterator, Mapping
from typing import Any, NamedTuple

from jinja2 import nodes

from flask_pickup.caller import e164
from flask_pickup.catalog import Complaint
from flask_pickup.catalog.complaints import did_you_mean, suggest
from flask_pickup.catalog.meant import COUNTRIES, country_meant, language_meant
from flask_pickup.checking.content import Content
from flask_pickup.checking.source import Source, constants
from flask_pickup.platforms import REGISTRY

_SAME = frozenset({"eq", "in", "==", "equalto", "sameas"})
_OTHER = frozenset({"ne", "notin", "!="})


class _Fact(NamedTuple):
    """What a name of templates can be, and what to write for a value that it cannot be."""

    can_be: Callable[[Any], bool]
    remedy: Callable[[str], str]


class Comparisons:
    """Finds the comparisons that are never true in any template of the content."""

    def __init__(self, content: Content) -> None:
        catalog = content.catalog
        of_lines = {line.language for line in catalog.settings.lines.values() if line.language}
        yes_or_no = _Fact(
            {True, False}.__contains__, lambda _: "it is true or false: write the name alone, or not and the name"
        )
        number = _Fact(
            lambda value: e164(str(value), content.region) == value,
            lambda _: "write it with +, the country's code and digits only",
        )
        spoken = _language(catalog.languages)
        self._facts: Mapping[str, _Fact] = {
            "caller.country": _Fact(
                COUNTRIES.__contains__,
                lambda value: did_you_mean(
                    country_meant(value, catalog.languages), "write the two capital letters of a country, such as 'NL'"
                ),
            ),
            "caller.language": spoken,
            "language": spoken,
            "line.language": _language(of_lines),
            "platform": _Fact(REGISTRY.__contains__, lambda value: suggest(value, REGISTRY)),
            "caller.number": number,
            "open": yes_or_no,
            "caller.identified": yes_or_no,
        }

    def check(self, source: Source) -> Iterator[Complaint]:
        """Yield the comparisons with a value that cannot be."""
        for one, other, operator in _pairs(source.tree):
            for fact, values in ((one, other), (other, one)):
                name = source.fact(fact)
                if name in self._facts:
                    yield from self._impossible(source, name, values, operator)

    def _impossible(self, source: Source, name: str, values: nodes.Expr, operator: str) -> Iterator[Complaint]:
        known = self._facts[name]
        found = list(constants(values))
        if "in" in operator and isinstance(values, nodes.Const):
            # A text: "caller.country in 'NL, BE'".
            found = re.findall(r"[\w+]+", str(values.value))
        # "== none" asks whether a value is missing, "!= ''" whether there is one.
        asked = [value for value in found if value is not None and not (value == "" and operator in _OTHER)]
        wrong = [value for value in asked if not known.can_be(value)]
        always = f", so this is {'never' if operator in _SAME else 'always'} true" if len(wrong) == len(found) else ""
        for value in wrong:
            shown = "in this spelling" if name.endswith("number") else repr(value)
            remedy = known.remedy(str(value)) if value else f"write not {name}"
            yield source.complain(values, f"{name} is never {shown}{always}", remedy, "warning")


def _pairs(tree: nodes.Template) -> Iterator[tuple[nodes.Expr, nodes.Expr, str]]:
    """Yield the two sides of each comparison, and its operator."""
    for comparison in tree.find_all(nodes.Compare):
        left = comparison.expr
        for operand in comparison.ops:
            if operand.op in _SAME | _OTHER:
                yield left, operand.expr, operand.op
            left = operand.expr
    for test in tree.find_all(nodes.Test):
        if test.name in _SAME | _OTHER and test.args:
            yield test.node, test.args[0], test.name
    for item in tree.find_all(nodes.Getitem):
        # A table of words: "{'nl': 'Hallo', 'en': 'Hello'}[language]".
        if isinstance(item.node, nodes.Dict):
            yield item.arg, nodes.List([pair.key for pair in item.node.items], lineno=item.lineno), "in"


def _language(languages: Collection[str]) -> _Fact:
    known = f"the languages here are {', '.join(sorted(languages))}" if languages else "no line has a language"
    return _Fact(languages.__contains__, lambda value: did_you_mean(language_meant(value, languages), known))
