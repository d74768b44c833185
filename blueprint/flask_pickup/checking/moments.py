"""Days and months in words: those said in English in another language, and comparisons with words that they never are."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator
from datetime import UTC, datetime, timedelta
from itertools import pairwise

from babel import dates
from jinja2 import nodes

from flask_pickup.catalog import Complaint
from flask_pickup.catalog.meant import DAYS, day_meant
from flask_pickup.checking.source import Source, constants

_SILENT = (nodes.Compare, nodes.Getitem)
_ENGLISH = re.compile(r"%[-^#_0]?[aAbBchprx]")
_FIELD = re.compile(r"\{[^{}:]*:(%[^{}]*)\}")
_NAME = re.compile(r"%[aAbBhp]|E{1,6}|c{3,4}|M{3,4}|L{3,4}|a")
_OF_CASE = frozenset({"capitalize", "casefold", "lower", "strip", "title", "trim", "upper"})

# Each day of the week, month and hour is among them.
_MOMENTS = [datetime(2024, 1, 1, tzinfo=UTC) + number * timedelta(days=5, hours=1) for number in range(73)]


def check_moments(source: Source, languages: Collection[str]) -> Iterator[Complaint]:
    """Yield the English days and months that are said in another language, and comparisons that are never true.

    :param languages: those of the callers who hear the text.
    """
    if source.is_spoken and not {"en"}.issuperset(languages):
        # A day that is compared or looked up is not spoken.
        silent = {id(call) for each in source.tree.find_all(_SILENT) for call in each.find_all(nodes.Call)}
        for call in source.tree.find_all(nodes.Call):
            pattern = _in_english(call)[1]
            if id(call) not in silent and _ENGLISH.search(pattern):
                remedy = 'write {{ now|dateformat("EEEE d MMMM") }}, which is in the language of the call'
                yield source.complain(call, f"'{pattern}' is always in English", remedy, "warning")
    for comparison in source.tree.find_all(nodes.Compare):
        sides = pairwise((comparison.expr, *(operand.expr for operand in comparison.ops)))
        for (left, right), operand in zip(sides, comparison.ops, strict=True):
            if operand.op in {"eq", "ne", "in", "notin"}:
                for name, value in ((left, right), (right, left)):
                    is_text = isinstance(value, nodes.Const) and operand.op in {"in", "notin"}
                    yield from _never(source, name, value, languages, or_part=is_text)


def _never(
    source: Source, name: nodes.Node, value: nodes.Node, languages: Collection[str], *, or_part: bool
) -> Iterator[Complaint]:
    """Yield a comparison with words of which none is the name of a day or a month in the language of some call.

    :param or_part: whether a part of the name, or more than it, will do.
    """
    moment, pattern, any_case = _name(name)
    words = [word for word in constants(value) if isinstance(word, str) and word]
    if not pattern or not words:
        return
    spoken = sorted(languages) if pattern[0] != "%" else ["en"]
    lacking = [
        language
        for language in spoken
        if not any(
            word == each or (or_part and (word in each or each in word))
            for each in _names(pattern, language, any_case=any_case)
            for word in ([word.casefold() for word in words] if any_case else words)
        )
    ]
    # What is asked of the language cannot be followed: another condition may leave the others out.
    asks_language = any(node.name == "language" for node in source.names.found.values())
    if lacking and not (asks_language and len(lacking) < len(spoken)):
        written = (
            f"'{pattern}' is always in English, and" if pattern[0] == "%" else f"in '{lacking[0]}', '{pattern}' is"
        )
        yield source.complain(
            value, f"{written} never '{words[0]}'", _remedy(source, moment, pattern, words[0]), "warning"
        )


def _remedy(source: Source, moment: nodes.Node, pattern: str, word: str) -> str:
    """Return how to ask for a day, a month or a half of the day in numbers, which all languages share."""
    of = source.fact(moment) or "now"
    if pattern in {"%p", "a"}:
        return f"write {of}.hour < 12, or >= 12"
    if pattern[-1] in "bBhML":
        return f"compare {of}.month, where 1 is January"
    day = day_meant(word)
    return f"write {of}.weekday() == {DAYS.index(day)}" if day else f"compare {of}.weekday(), where 0 is Monday"


def _names(pattern: str, language: str, *, any_case: bool) -> set[str]:
    """Return all that a pattern writes."""
    names = (
        each.strftime(pattern) if pattern[0] == "%" else dates.format_datetime(each, pattern, locale=language)
        for each in _MOMENTS
    )
    return {each.casefold() if any_case else each for each in names}


def _name(node: nodes.Node) -> tuple[nodes.Node, str, bool]:
    """Return of which moment an expression writes the name of the day, month or half of the day, and by which pattern.

    The third is whether it writes it in another case; the pattern is empty if it writes anything else.
    """
    found: tuple[nodes.Node, str]
    match node:
        case nodes.Filter(name="dateformat" | "timeformat", args=[nodes.Const(value=str(pattern))]):
            found = node.node or node, pattern
        case nodes.Filter(name=case, node=nodes.Node() as inner) if case in _OF_CASE:
            return *_name(inner)[:2], True
        case nodes.Call(node=nodes.Getattr(node=inner, attr=case)) if case in _OF_CASE:
            return *_name(inner)[:2], True
        case _:
            found = _in_english(node)
    return found[0], found[1] if _NAME.fullmatch(found[1]) else "", False


def _in_english(node: nodes.Node) -> tuple[nodes.Node, str]:
    """Return which moment a call writes in English, and the pattern of ``strftime``; an empty one if it does not."""
    match node:
        case nodes.Call(node=nodes.Getattr(node=moment, attr="ctime")):
            return moment, "%c"
        case nodes.Call(node=nodes.Getattr(node=nodes.Const(value=str(text)), attr="format")):
            given, field = (*node.args, *(each.value for each in node.kwargs)), _FIELD.search(text)
            return (given[0], field[1]) if given and field else (node, "")
        case nodes.Call(node=nodes.Getattr(node=moment, attr="strftime")):
            given = (*node.args, *(each.value for each in node.kwargs))
            return moment, next((each for each in constants(*given) if isinstance(each, str)), "")
    return node, ""
