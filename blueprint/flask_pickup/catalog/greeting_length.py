"""How long the longest greeting takes to say, estimated from the templates."""

from __future__ import annotations

from collections.abc import Collection

from jinja2 import TemplateSyntaxError, nodes

from flask_pickup.catalog.catalog import Catalog
from flask_pickup.platforms import Platform
from flask_pickup.rendering import split_variant

CHARACTERS_A_SECOND = 10.0
"""Slower than the voices speak by default, about 15: a greeting must not be thought shorter than it is."""

# About what a name, a date or a greeting of the day comes to.
_FILLED = 20


def longest_greeting(catalog: Catalog, platforms: Collection[Platform]) -> float | None:
    """Return the seconds that the longest of all greetings takes, of the base and of every arm, in every language.

    Of two branches the longer counts. None if no greeting is in the folders: the saved agent has its own.
    """
    files = (path for path in catalog.texts if split_variant(path.rpartition("/")[2])[0] == "first_message.j2")
    greetings = [catalog.texts[path] for path in files]
    for platform in platforms:
        found = (platform.words(patch).greeting for patch in catalog.overrides.of(platform))
        greetings += filter(None, found)
    return max(_characters(catalog, text) for text in greetings) / CHARACTERS_A_SECOND if greetings else None


def _characters(catalog: Catalog, text: str, including: tuple[str, ...] = ()) -> int:
    """Return about how many characters a template says at most; 0 if it cannot be read or includes itself."""
    if text in including:
        return 0
    try:
        tree = catalog.environment.parse(text)
    except TemplateSyntaxError:
        return 0

    def length(node: nodes.Node) -> int:
        match node:
            case nodes.TemplateData():
                return len(node.data)
            case nodes.If():
                return max(sum(map(length, node.body)), sum(map(length, node.else_)), *map(length, node.elif_))
            case nodes.Include() | nodes.Extends() | nodes.Import() | nodes.FromImport():
                # The call decides which file of that name is used.
                endings = tuple("/" + str(name.value).rpartition("/")[2] for name in node.find_all(nodes.Const))
                variants = (files for path, files in catalog.library.variants.items() if path.endswith(endings))
                texts = [catalog.texts[file] for files in variants for file in files.values()]
                return max((_characters(catalog, each, (*including, text)) for each in texts), default=0)
            case nodes.Const():
                return len(str(node.value))
            case nodes.Name():
                return _FILLED
            case _:
                return sum(map(length, node.iter_child_nodes()))

    return length(tree)
