"""How long the longest greeting takes to say, estimated from the templates."""

from __future__ import annotations

from collections.abc import Collection, Iterable

from jinja2 import TemplateSyntaxError, nodes

from flask_pickup.catalog.catalog import Catalog
from flask_pickup.platforms import Platform
from flask_pickup.rendering import split_variant

CHARACTERS_A_SECOND = 10.0
"""Slower than the voices speak by default, about 15: a greeting must not be thought shorter than it is."""

LONGEST = 400_000
"""Characters that a text counts at most. The largest file fits."""

# About what a name, a date or a greeting of the day comes to.
_FILLED = 20
_ITERATIONS = 3

_INCLUDES = (nodes.Extends, nodes.Include, nodes.Import, nodes.FromImport)


def longest_greeting(catalog: Catalog, platforms: Collection[Platform]) -> float | None:
    """Return the seconds that the longest of all greetings takes, of the base and of every arm, in every language.

    Of two branches the longer counts. None if no greeting is in the folders: the saved agent has its own.
    """
    files = (path for path in catalog.texts if split_variant(path.rpartition("/")[2])[0] == "first_message.j2")
    greetings = [catalog.texts[path] for path in files]
    for _, patch in catalog.overrides():
        greetings += [words for platform in platforms if (words := platform.words(patch).greeting)]
    measure = _Measure(catalog)
    return max(map(measure.characters, greetings)) / CHARACTERS_A_SECOND if greetings else None


class _Measure:
    def __init__(self, catalog: Catalog) -> None:
        self._catalog = catalog
        self._lengths: dict[str, int] = {}

    def characters(self, text: str) -> int:
        """Return about how many characters a template says at most; 0 if it cannot be read."""
        if text not in self._lengths:
            # A text that includes itself adds nothing.
            self._lengths[text] = 0
            try:
                tree = self._catalog.environment.parse(text)
            except TemplateSyntaxError:
                return 0
            self._lengths[text] = min(self._of(tree), LONGEST)
        return self._lengths[text]

    def _of(self, node: nodes.Node) -> int:
        if isinstance(node, nodes.TemplateData):
            return len(node.data)
        if isinstance(node, nodes.If):
            return max(self._sum(node.body), self._sum(node.else_), *map(self._of, node.elif_))
        if isinstance(node, nodes.For):
            return _ITERATIONS * self._sum(node.body)
        if isinstance(node, _INCLUDES):
            return self._included(node.template)
        if isinstance(node, nodes.Expr):
            texts = [node] if isinstance(node, nodes.Const) else node.find_all(nodes.Const)
            return _FILLED + sum(len(str(const.value)) for const in texts)
        return self._sum(node.iter_child_nodes())

    def _sum(self, found: Iterable[nodes.Node]) -> int:
        return sum(map(self._of, found))

    def _included(self, name: nodes.Expr) -> int:
        """Return the length of the longest file of that name: the call decides which one is used."""
        if not isinstance(name, nodes.Const):
            return _FILLED
        variants = self._catalog.library.variants
        ending = "/" + str(name.value).rpartition("/")[2]
        logical = [name.value] if name.value in variants else [path for path in variants if path.endswith(ending)]
        files = (file for path in logical for file in variants[path].values())
        return max((self.characters(self._catalog.texts[file]) for file in files), default=0)
