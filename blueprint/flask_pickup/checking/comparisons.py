"""Comparisons that are never true, because a country or a language is never written like that."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from itertools import pairwise

from jinja2 import nodes

from flask_pickup.catalog import Complaint
from flask_pickup.catalog.complaints import did_you_mean
from flask_pickup.catalog.meant import COUNTRIES, country_meant, language_meant
from flask_pickup.checking.source import Source, constants

_EQUALITY = frozenset({"eq", "ne", "in", "notin"})
_LANGUAGES = frozenset({"language", "caller.language", "line.language"})


def check_comparisons(source: Source, languages: Collection[str]) -> Iterator[Complaint]:
    """Yield the comparisons of a country or a language with a value that it never has."""
    for comparison in source.tree.find_all(nodes.Compare):
        sides = pairwise((comparison.expr, *(operand.expr for operand in comparison.ops)))
        for (left, right), operand in zip(sides, comparison.ops, strict=True):
            if operand.op in _EQUALITY:
                for fact, value in ((left, right), (right, left)):
                    yield from _never(source, source.fact(fact), value, languages)


def _never(source: Source, fact: str, values: nodes.Expr, languages: Collection[str]) -> Iterator[Complaint]:
    for value in constants(values):
        # "!= ''" asks whether there is a value at all.
        if not isinstance(value, str) or not value:
            continue
        if fact == "caller.country" and value not in COUNTRIES:
            remedy = did_you_mean(country_meant(value), "write the two capital letters of a country, such as 'NL'")
        elif fact in _LANGUAGES and value not in languages:
            known = f"the languages here are {', '.join(sorted(languages))}"
            remedy = did_you_mean(language_meant(value, languages), known)
        else:
            continue
        yield source.complain(values, f"{fact} is never '{value}'", remedy, "warning")
