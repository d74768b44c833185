"""How long the longest opening takes to say, without saying it."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from itertools import chain

from jinja2 import TemplateSyntaxError, nodes

from flask_pickup.catalog.catalog import Catalog
from flask_pickup.platforms import Platform
from flask_pickup.rendering import split_variant

CHARACTERS_A_SECOND = 10.0
"""Slower than the voices speak by default, about 15: an opening must not be thought shorter than it is."""

LONGEST = 400_000
"""Characters that a text counts at most. The largest file fits."""

# What a name, a date or a greeting of the day comes to.
_FILLED = 20
_TIMES_ROUND = 3
_DEEPEST = 8

_TAKES_IN = (nodes.Extends, nodes.Include, nodes.Import, nodes.FromImport)


def longest_opening(catalog: Catalog, platforms: Collection[Platform]) -> float | None:
    """Return the seconds that the longest of all openings takes, of the base and of every arm, in every language.

    Of two branches the longer counts. None if no opening is in the folders: the saved agent has its own.
    """
    measure = _Measure(catalog)
    spoken = [measure.characters(text) for text in _openings(catalog, platforms)]
    return max(spoken) / CHARACTERS_A_SECOND if spoken else None


def _openings(catalog: Catalog, platforms: Collection[Platform]) -> Iterable[str]:
    for path, text in catalog.texts.items():
        if split_variant(path.rpartition("/")[2])[0] == "first_message.j2":
            yield text
    for _, patch in catalog.overrides():
        found = {platform.words(patch).greeting for platform in platforms}
        yield from (greeting for greeting in found if greeting)


class _Measure:
    def __init__(self, catalog: Catalog) -> None:
        self._catalog = catalog
        self._depth = 0
        self._lengths: dict[str, int] = {}

    def characters(self, text: str) -> int:
        """Return about how many characters a template says at most; 0 if it cannot be read."""
        if text not in self._lengths:
            self._lengths[text] = min(self._measured(text), LONGEST)
        return self._lengths[text]

    def _measured(self, text: str) -> int:
        try:
            return self._of(self._catalog.environment.parse(text))
        except TemplateSyntaxError:
            return 0

    def _of(self, node: nodes.Node) -> int:
        if isinstance(node, nodes.TemplateData):
            return len(node.data)
        if isinstance(node, nodes.If):
            return max(self._sum(node.body), self._sum(node.else_), *map(self._of, node.elif_))
        if isinstance(node, nodes.For):
            return _TIMES_ROUND * self._sum(node.body)
        if isinstance(node, _TAKES_IN):
            return self._taken_in(node.template)
        if isinstance(node, nodes.Expr):
            words = [node] if isinstance(node, nodes.Const) else node.find_all(nodes.Const)
            return _FILLED + sum(len(str(const.value)) for const in words)
        return self._sum(node.iter_child_nodes())

    def _sum(self, found: Iterable[nodes.Node]) -> int:
        return sum(map(self._of, found))

    def _taken_in(self, name: nodes.Expr) -> int:
        """Return the length of the longest file of that name: which one it is depends on the call."""
        if not (isinstance(name, nodes.Const) and isinstance(name.value, str)) or self._depth == _DEEPEST:
            return _FILLED
        self._depth += 1
        longest = max((self.characters(self._catalog.texts[file]) for file in self._files(name.value)), default=0)
        self._depth -= 1
        return longest

    def _files(self, name: str) -> Iterable[str]:
        variants = self._catalog.library.variants
        ending = "/" + name.rpartition("/")[2]
        logical = [name] if name in variants else [path for path in variants if path.endswith(ending)]
        return chain.from_iterable(variants[path].values() for path in logical)
