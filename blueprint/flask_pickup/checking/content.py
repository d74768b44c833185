"""The content that is checked, its parsed templates, and how they use one another."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property

from jinja2 import TemplateSyntaxError, nodes

from flask_pickup.catalog import Catalog
from flask_pickup.catalog.complaints import json_line, toml_line
from flask_pickup.catalog.loading import reachable
from flask_pickup.catalog.settings import SPEAKS
from flask_pickup.checking.callers import Cases
from flask_pickup.checking.keys import strangers
from flask_pickup.checking.recorded import NO_HISTORY, History
from flask_pickup.checking.source import Source, constants, own_names
from flask_pickup.override import templates
from flask_pickup.platforms import Platform
from flask_pickup.rendering import BASE, USES, split_variant


@dataclass(frozen=True)
class Reference:
    """A place where one file includes, imports or extends another.

    :param names: the first that exists is used; none if they are computed.
    :param targets: their files, in every language, seen from the file's own layer.
    """

    node: nodes.Node
    names: tuple[str, ...]
    targets: frozenset[str]


@dataclass(frozen=True)
class Content:
    """All that the checks follow from.

    :param at: is told, before each step, the next file or folder.
    """

    catalog: Catalog
    region: str
    at: Callable[[str], None]
    recorded: History = NO_HISTORY

    @cached_property
    def trees(self) -> Mapping[str, nodes.Template]:
        """The parsed templates, by file. A file that does not compile has its complaint already."""
        found = {}
        for path in self.catalog.library.codes:
            self.at(path)
            found[path] = self.catalog.environment.parse(self.catalog.texts[path], path)
        return found

    @cached_property
    def references(self) -> Mapping[str, list[Reference]]:
        """The references in each template."""
        return {
            path: [self._reference(path, node) for node in tree.find_all(USES)] for path, tree in self.trees.items()
        }

    @cached_property
    def targets(self) -> Mapping[str, frozenset[str]]:
        """The files that each template uses by name."""
        return {path: frozenset().union(*(one.targets for one in found)) for path, found in self.references.items()}

    @cached_property
    def sources(self) -> list[Source]:
        """The templates, the strings of overrides, and the expressions."""
        catalog, environment = self.catalog, self.catalog.environment
        own = {path: own_names(tree) for path, tree in self.trees.items()}
        again = tuple(each.name for each in catalog.platforms if each.templates_again)
        found = [
            Source(
                environment,
                path,
                tree,
                seen=frozenset().union(*(own[other] for other in self._seen_by(path))),
                templated_again=again,
            )
            for path, tree in self.trees.items()
        ]
        for path, patch in catalog.overrides.patches.items():
            getting = [each for each in catalog.overrides.getting(path) if each not in self.strangers[path]]
            again = tuple(each.name for each in getting if each.templates_again)
            strings = {keys: text for each in getting for keys, text in templates(patch, each.untemplated)}
            for keys, text in strings.items():
                if text in catalog.library.strings:
                    line, tree = json_line(catalog.texts[path], *keys), environment.parse(text)
                    found.append(Source(environment, path, tree, line, templated_again=again))
        for path, key, text in self._expressions():
            with suppress(TemplateSyntaxError):
                tree = environment.parse("{{ (" + text + "\n) }}")
                found.append(Source(environment, path, tree, toml_line(catalog.texts[path], key), is_spoken=False))
        return found

    def heard_in(self, source: Source) -> frozenset[str]:
        """Return the languages of the callers who hear a text: that of a variant, and of a plain file all without one."""
        catalog = self.catalog
        variant = split_variant(source.path)[1]
        others = catalog.languages - catalog.library.variants.get(source.path, {}).keys()
        # A line may be said to be in a language that no file is written in.
        spoken = catalog.languages.union(line.language for line in catalog.settings.lines.values() if line.language)
        named = spoken.intersection(constants(*source.tree.find_all(nodes.Const)))
        return named | (frozenset({variant}) if variant else others)

    @cached_property
    def strangers(self) -> Mapping[str, tuple[Platform, ...]]:
        """Override to the platforms that get it and do not know its keys."""
        overrides = self.catalog.overrides
        return {path: strangers(patch, overrides.getting(path)) for path, patch in overrides.patches.items()}

    @cached_property
    def cases(self) -> Mapping[str, Cases]:
        """The callers for whom answers are tried, by platform."""
        self.at(BASE)
        return {each.name: Cases.of(self.catalog, each) for each in self.catalog.platforms}

    def _expressions(self) -> Iterator[tuple[str, str, str]]:
        """Yield the file, key and text of each expression that only decides."""
        for experiment in self.catalog.experiments:
            if experiment.audience:
                yield experiment.file, "audience", experiment.audience
        if self.catalog.settings.speaks_source != SPEAKS:
            yield f"{BASE}/settings.toml", "speaks", self.catalog.settings.speaks_source

    def _seen_by(self, path: str) -> set[str]:
        """Return the files whose variables ``path`` sees: those that use it, however far up, and those that it uses."""

        def users(of: str) -> Iterable[str]:
            return (other for other, targets in self.targets.items() if of in targets)

        return reachable(users(path), users) | self.targets[path]

    def extended(self, path: str) -> frozenset[str]:
        """Return the files that ``path`` extends, one for each language; none if their name is computed."""
        found = self.references[path]
        return frozenset().union(*(one.targets for one in found if isinstance(one.node, nodes.Extends)))

    def _reference(self, path: str, node: nodes.Node) -> Reference:
        names = _names(node.template)  # type: ignore[attr-defined]
        return Reference(node, names, frozenset(target for name in names for target in self._resolve(path, name)))

    def _resolve(self, path: str, name: str) -> Iterator[str]:
        catalog = self.catalog
        folder, _ = catalog.library.homes.get(path, (BASE, ""))
        layers = tuple(dict.fromkeys((BASE, folder)))
        found = (catalog.stack(layers, each).resolve(name, path) for each in catalog.languages)
        return (target for target in found if target in catalog.library.codes)


def _names(node: nodes.Expr) -> tuple[str, ...]:
    if isinstance(node, nodes.List | nodes.Tuple):
        # A computed name may be any file's.
        known = [_names(item) for item in node.items]
        return tuple(name for names in known for name in names) if all(known) else ()
    return (node.value,) if isinstance(node, nodes.Const) and isinstance(node.value, str) else ()
