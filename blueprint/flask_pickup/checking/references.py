"""How templates use one another: missing files, circles, blocks that are never rendered, files that nothing uses."""

from __future__ import annotations

import posixpath
from collections.abc import Iterator
from dataclasses import dataclass
from difflib import get_close_matches
from graphlib import CycleError, TopologicalSorter

from jinja2 import nodes

from flask_pickup.catalog import Catalog, Complaint
from flask_pickup.catalog.complaints import suggest
from flask_pickup.catalog.files import FILE_NAMES, meant, unused_file
from flask_pickup.checking.content import Content
from flask_pickup.rendering import BASE, split_variant

_FROM_THE_TOP = (f"{BASE}/", "experiments/")
_INCLUDING = (nodes.Extends, nodes.Include, nodes.Import, nodes.FromImport)
_DEPTH = 2
"""Slashes in an arm's folder, and in the path of an experiment.toml."""


@dataclass(frozen=True)
class Reference:
    """A place where one file includes, imports or extends another.

    :param names: the first that exists is used.
    :param targets: their files, in every language, seen from the file's own layer.
    """

    line: int
    names: tuple[str, ...]
    targets: frozenset[str]
    is_optional: bool


class References:
    """All references between templates."""

    def __init__(self, content: Content) -> None:
        self._catalog = content.catalog
        self._trees = content.trees
        self._found = {path: list(self._of(path, tree)) for path, tree in content.trees.items()}
        self._targets = {path: {t for one in found for t in one.targets} for path, found in self._found.items()}

    def complaints(self) -> Iterator[Complaint]:
        """Yield missing files, each circle once, and what is never rendered in files that extend another."""
        for path, references in self._found.items():
            for reference in references:
                if not (reference.targets or reference.is_optional or self._is_unreadable(path, reference)):
                    yield self._missing(path, reference)
        yield from self._circles()
        for path, tree in self._trees.items():
            extends = next((node for node in tree.body if isinstance(node, nodes.Extends)), None)
            if extends and (parents := self._extended(path, extends)):
                known = frozenset().union(*map(self._blocks, parents))
                yield from _never_rendered(path, tree.body[tree.body.index(extends) + 1 :], known)

    def included(self) -> frozenset[str]:
        """Return all files that another uses by name."""
        return frozenset().union(*self._targets.values())

    def seen_by(self, path: str) -> set[str]:
        """Return the files whose variables ``path`` sees: those that use it, however far up, and those that it uses."""
        found = set(self._targets[path])
        waiting = [path]
        while waiting:
            user = waiting.pop()
            users = {other for other, targets in self._targets.items() if user in targets} - found
            found |= users
            waiting += users
        return found

    def _of(self, path: str, tree: nodes.Template) -> Iterator[Reference]:
        for node in tree.find_all(_INCLUDING):
            if names := _names(node.template):  # type: ignore[attr-defined]
                targets = frozenset(target for name in names for target in self._resolve(path, name))
                yield Reference(node.lineno, names, targets, getattr(node, "ignore_missing", False))

    def _resolve(self, path: str, name: str) -> Iterator[str]:
        folder, _ = self._catalog.library.homes.get(path, (BASE, ""))
        for language in sorted(self._catalog.languages):
            target = self._catalog.plan(tuple(dict.fromkeys((BASE, folder))), language, frozenset()).stack.resolve(
                name, path
            )
            if target in self._catalog.library.codes:
                yield target

    def _is_unreadable(self, path: str, reference: Reference) -> bool:
        """Return whether the file exists and has a complaint of its own."""
        paths = (name if name.startswith(_FROM_THE_TOP) else posixpath.join(posixpath.dirname(path), name)
                 for name in reference.names)  # fmt: skip
        texts, codes = self._catalog.texts, self._catalog.library.codes
        unreadable = {split_variant(file)[0] for file in texts.keys() - codes.keys()}
        return any(posixpath.normpath(each) in unreadable for each in paths)

    def _missing(self, path: str, reference: Reference) -> Complaint:
        name = reference.names[0]
        beside = "" if name.startswith(_FROM_THE_TOP) else posixpath.dirname(path)
        if name.startswith("/") or posixpath.normpath(posixpath.join(beside, name)).startswith(".."):
            problem = f"'{name}' leads out of the folder"
            return Complaint(path, reference.line, problem, f"keep the files that templates use in {BASE}/")
        known = {split_variant(file)[0] for file in self._catalog.library.codes}
        close = get_close_matches(name, known | {file.removeprefix(f"{beside}/") for file in known}, n=1)
        remedy = f"did you mean '{close[0]}'?" if close else "create it, or remove the reference"
        return Complaint(path, reference.line, f"missing file '{name}'", remedy)

    def _circles(self) -> Iterator[Complaint]:
        graph = {path: sorted(self._targets[path]) for path in sorted(self._targets)}
        while True:
            try:
                return TopologicalSorter(graph).prepare()
            except CycleError as error:
                # The sorter lists a file before the one that uses it.
                circle = error.args[1][:0:-1]
                first = circle.index(min(circle))
                circle = circle[first:] + circle[:first]
                yield self._circle(circle)
                graph[circle[-1]].remove(circle[0])

    def _circle(self, circle: list[str]) -> Complaint:
        line = next(one.line for one in self._found[circle[-1]] if circle[0] in one.targets)
        if len(circle) == 1:
            return Complaint(circle[0], line, "the file includes itself", "include another file")
        way = " → ".join([*circle, circle[0]])
        return Complaint(circle[-1], line, f"the files include each other without end: {way}", "remove one of them")

    def _blocks(self, path: str) -> frozenset[str]:
        """Return the names of the blocks in a file and in all that it extends."""
        found: set[str] = set()
        waiting, seen = [path], {path}
        while waiting:
            file = waiting.pop()
            found |= {block.name for block in self._trees[file].find_all(nodes.Block)}
            above = {t for node in self._trees[file].find_all(nodes.Extends) for t in self._extended(file, node)}
            waiting += above - seen
            seen |= above
        return frozenset(found)

    def _extended(self, path: str, node: nodes.Extends) -> frozenset[str]:
        """Return the files that a node extends, one for each language; none if their name is computed."""
        return frozenset(target for name in _names(node.template) for target in self._resolve(path, name))


def _names(node: nodes.Expr) -> tuple[str, ...]:
    if isinstance(node, nodes.List | nodes.Tuple):
        # A computed name may be any file's.
        known = [_names(item) for item in node.items]
        return tuple(name for names in known for name in names) if all(known) else ()
    return (node.value,) if isinstance(node, nodes.Const) and isinstance(node.value, str) else ()


def _never_rendered(path: str, body: list[nodes.Node], known: frozenset[str]) -> Iterator[Complaint]:
    for node in body:
        if isinstance(node, nodes.Block) and node.name not in known:
            problem = f"unused block '{node.name}': the extended file has no block of that name"
            yield Complaint(path, node.lineno, problem, suggest(node.name, known), "warning")
        for spoken in node.nodes if isinstance(node, nodes.Output) else ():
            if not isinstance(spoken, nodes.TemplateData) or spoken.data.strip():
                problem = "unused text: it is outside the blocks of a file that extends another"
                yield Complaint(path, _first_line(spoken), problem, "move it into a block", "warning")


def _first_line(node: nodes.Node) -> int:
    if not isinstance(node, nodes.TemplateData):
        return node.lineno
    blank = len(node.data) - len(node.data.lstrip())
    return node.lineno + node.data[:blank].count("\n")


def unused_files(catalog: Catalog, included: frozenset[str]) -> Iterator[Complaint]:
    """Yield each file with a name or place that is nearly right, or in a language that no call is in.

    :param included: the files that templates use by name.
    """
    for path in catalog.texts.keys() - included:
        if not _is_read(catalog, path) and (name := meant(path.rpartition("/")[2])):
            yield unused_file(path, name)
    for variants in catalog.library.variants.values():
        for language in variants.keys() - catalog.languages - {""}:
            if variants[language] not in included:
                problem = f"unused variant: no call is in '{language}', because the greeting is not"
                remedy = f"create {BASE}/first_message.{language}.j2; there are {', '.join(sorted(catalog.languages))}"
                yield Complaint(variants[language], 0, problem, remedy, "warning")


def _is_read(catalog: Catalog, path: str) -> bool:
    folder, _, file = path.rpartition("/")
    name, _ = split_variant(file)
    if name not in FILE_NAMES:
        return False
    if path.startswith("experiments/"):
        # A file that an arm must not have is an error of its own.
        return path.count("/") == (_DEPTH if name == "experiment.toml" else _DEPTH + 1)
    if name == "experiment.toml":
        return False
    lines = {line.folder for line in catalog.settings.lines.values()}
    return folder == BASE or (folder in lines and name != "settings.toml")
