"""What templates take in: whether it is there, stays in the folder, and does not take in itself."""

from __future__ import annotations

import posixpath
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from difflib import get_close_matches

from jinja2 import nodes

from flask_pickup.catalog import Catalog, Complaint
from flask_pickup.rendering import BASE, split_variant

_FROM_THE_TOP = (f"{BASE}/", "experiments/")
_TAKING_IN = (nodes.Extends, nodes.Include, nodes.Import, nodes.FromImport)


@dataclass(frozen=True)
class Reference:
    """A place where one file takes in another.

    :param names: of which the first that is there is taken in.
    :param targets: the files that these are, in each language, seen from the file's own layer.
    """

    line: int
    names: tuple[str, ...]
    targets: frozenset[str]
    must_be_there: bool


@dataclass
class References:
    """All references of the templates, by file."""

    catalog: Catalog
    trees: Mapping[str, nodes.Template]
    found: dict[str, list[Reference]] = field(init=False)
    _takers: dict[str, set[str]] = field(init=False, default_factory=dict)

    def __post_init__(self) -> None:
        self.found = {path: list(self._of(path, tree)) for path, tree in self.trees.items()}
        for path, references in self.found.items():
            for target in (target for one in references for target in one.targets):
                self._takers.setdefault(target, set()).add(path)

    def _of(self, path: str, tree: nodes.Template) -> Iterator[Reference]:
        for node in tree.find_all(_TAKING_IN):
            names = _names(node.template)  # type: ignore[attr-defined]
            must_be_there = not getattr(node, "ignore_missing", False)
            if names:
                targets = frozenset(target for name in names for target in self._resolve(path, name))
                yield Reference(node.lineno, names, targets, must_be_there)

    def _resolve(self, path: str, name: str) -> Iterator[str]:
        folder, _ = self.catalog.library.homes.get(path, (BASE, ""))
        for language in sorted(self.catalog.languages):
            target = self.catalog.plan(tuple(dict.fromkeys((BASE, folder))), language).stack.resolve(name, path)
            if target in self.catalog.library.codes:
                yield target

    def targets(self) -> frozenset[str]:
        """Return all files that another takes in by its name."""
        return frozenset(target for found in self.found.values() for one in found for target in one.targets)

    def complaints(self) -> Iterator[Complaint]:
        """Yield what is missing, what leads out, and each circle once."""
        for path, references in self.found.items():
            for reference in references:
                if not reference.targets and reference.must_be_there and not self._is_unreadable(path, reference):
                    yield self._missing(path, reference)
        yield from self._circles()

    def _is_unreadable(self, path: str, reference: Reference) -> bool:
        """Return whether the file is there, and complained about itself."""
        paths = (name if name.startswith(_FROM_THE_TOP) else posixpath.join(posixpath.dirname(path), name)
                 for name in reference.names)  # fmt: skip
        unreadable = {split_variant(file)[0] for file in self.catalog.texts.keys() - self.catalog.library.codes.keys()}
        return any(posixpath.normpath(each) in unreadable for each in paths)

    def _missing(self, path: str, reference: Reference) -> Complaint:
        name = reference.names[0]
        beside = "" if name.startswith(_FROM_THE_TOP) else posixpath.dirname(path)
        if name.startswith("/") or posixpath.normpath(posixpath.join(beside, name)).startswith(".."):
            problem = f"'{name}' leads out of the folder"
            return Complaint(path, reference.line, problem, "keep what templates take in beneath greetings/")
        known = {split_variant(file)[0] for file in self.catalog.library.codes}
        close = get_close_matches(name, known | {file.removeprefix(f"{beside}/") for file in known}, n=1)
        remedy = f"did you mean '{close[0]}'?" if close else "write it, or take out what asks for it"
        return Complaint(path, reference.line, f"there is no file '{name}'", remedy)

    def blocks(self, path: str) -> frozenset[str]:
        """Return the names of the blocks in a file and in all that it extends."""
        found: set[str] = set()
        waiting, seen = [path], {path}
        while waiting:
            file = waiting.pop()
            found |= {block.name for block in self.trees[file].find_all(nodes.Block)}
            above = {t for node in self.trees[file].find_all(nodes.Extends) for t in self.extended(file, node)}
            waiting += above - seen
            seen |= above
        return frozenset(found)

    def extended(self, path: str, node: nodes.Extends) -> frozenset[str]:
        """Return the files that ``node`` in the file ``path`` extends, one for each language; none if it is worked out."""
        return frozenset(target for name in _names(node.template) for target in self._resolve(path, name))

    def _circles(self) -> Iterator[Complaint]:
        done: set[str] = set()
        for start in sorted(self.found):
            trail: list[str] = []
            waiting: list[tuple[str, bool]] = [(start, False)]
            while waiting:
                path, leaving = waiting.pop()
                if leaving:
                    done.add(trail.pop())
                elif path in trail:
                    yield self._circle(trail, path)
                elif path not in done:
                    trail.append(path)
                    waiting.append((path, True))
                    waiting += [(target, False) for one in self.found.get(path, ()) for target in sorted(one.targets)]

    def _circle(self, trail: list[str], path: str) -> Complaint:
        last = trail[-1]
        line = next(one.line for one in self.found[last] if path in one.targets)
        if last == path:
            return Complaint(last, line, "the file takes in itself", "take in another file")
        way = " → ".join([*trail[trail.index(path) :], path])
        return Complaint(last, line, f"the files take in each other without end: {way}", "take one of them out")

    def seen_by(self, path: str) -> set[str]:
        """Return the files whose variables ``path`` can see: whatever takes it in, however far up, and what it extends."""
        found = {target for one in self.found.get(path, ()) for target in one.targets}
        waiting = [path]
        while waiting:
            takers = self._takers.get(waiting.pop(), set()) - found
            found |= takers
            waiting += takers
        return found


def _names(node: nodes.Expr) -> tuple[str, ...]:
    if isinstance(node, nodes.List | nodes.Tuple):
        # A name that is worked out may be any.
        known = [_names(item) for item in node.items]
        return tuple(name for names in known for name in names) if all(known) else ()
    return (node.value,) if isinstance(node, nodes.Const) and isinstance(node.value, str) else ()
