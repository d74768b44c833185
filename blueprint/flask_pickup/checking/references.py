"""Missing files, blocks that are never rendered, files that nothing uses."""

from __future__ import annotations

import posixpath
from collections.abc import Iterator
from difflib import get_close_matches

from jinja2 import nodes

from flask_pickup.catalog import Catalog, Complaint
from flask_pickup.catalog.complaints import suggest
from flask_pickup.catalog.files import is_read, unused_file
from flask_pickup.catalog.loading import reachable
from flask_pickup.checking.content import Content, Reference
from flask_pickup.rendering import BASE, split_variant

_FROM_THE_TOP = (f"{BASE}/", "experiments/")
_DEPTH = 2
"""Slashes in an arm's folder, and in the path of an experiment.toml."""


def check_references(content: Content) -> Iterator[Complaint]:
    """Yield missing files, what is never rendered in files that extend another, and unused files."""
    for path, references in content.references.items():
        for reference in references:
            is_optional = getattr(reference.node, "ignore_missing", False)
            if reference.names and not (reference.targets or is_optional):
                yield from _missing(content.catalog, path, reference)
    for path, tree in content.trees.items():
        if parents := content.extended(path):
            files = reachable(parents, content.extended)
            known = {block.name for file in files for block in content.trees[file].find_all(nodes.Block)}
            yield from _never_rendered(path, tree, known)
    yield from _unused(content.catalog, frozenset().union(*content.targets.values()))


def _missing(catalog: Catalog, path: str, reference: Reference) -> Iterator[Complaint]:
    name, line = reference.names[0], reference.node.lineno
    beside = "" if name.startswith(_FROM_THE_TOP) else posixpath.dirname(path)
    known = {split_variant(file)[0] for file in catalog.library.codes}
    wanted = posixpath.normpath(posixpath.join(beside, name))
    if name.startswith("/") or wanted.startswith(".."):
        yield Complaint(
            path, line, f"'{name}' leads out of the folder", f"keep the files that templates use in {BASE}/"
        )
    elif wanted not in {split_variant(file)[0] for file in catalog.texts} - known:
        # A file that exists and is not known has a complaint of its own.
        close = get_close_matches(name, known | {file.removeprefix(f"{beside}/") for file in known}, n=1)
        remedy = f"did you mean '{close[0]}'?" if close else "create it, or remove the reference"
        yield Complaint(path, line, f"missing file '{name}'", remedy)


def _never_rendered(path: str, tree: nodes.Template, known: set[str]) -> Iterator[Complaint]:
    begin = next((place for place, node in enumerate(tree.body) if isinstance(node, nodes.Extends)), len(tree.body))
    for node in tree.body[begin:]:
        if isinstance(node, nodes.Block) and node.name not in known:
            problem = f"unused block '{node.name}': the extended file has no block of that name"
            yield Complaint(path, node.lineno, problem, suggest(node.name, known), "warning")
        for spoken in node.nodes if isinstance(node, nodes.Output) else ():
            text = spoken.data if isinstance(spoken, nodes.TemplateData) else "…"
            if text.strip():
                problem = "unused text: it is outside the blocks of a file that extends another"
                line = spoken.lineno + text[: -len(text.lstrip())].count("\n")
                yield Complaint(path, line, problem, "move it into a block", "warning")


def _unused(catalog: Catalog, included: frozenset[str]) -> Iterator[Complaint]:
    """Yield each file with a name or place that is nearly right, or in a language that no call is in.

    :param included: the files that templates use by name.
    """
    for path in catalog.texts.keys() - included:
        if not _is_read(catalog, path) and (unused := unused_file(path)):
            yield unused
    for variants in catalog.library.variants.values():
        for language in variants.keys() - catalog.languages - {""}:
            if variants[language] not in included:
                problem = f"unused variant: no call is in '{language}', because the greeting is not"
                remedy = f"create {BASE}/first_message.{language}.j2; there are {', '.join(sorted(catalog.languages))}"
                yield Complaint(variants[language], 0, problem, remedy, "warning")


def _is_read(catalog: Catalog, path: str) -> bool:
    folder, _, file = path.rpartition("/")
    if not is_read(file):
        return False
    if path.startswith("experiments/"):
        # A file that an arm must not have is an error of its own.
        return path.count("/") == (_DEPTH if file == "experiment.toml" else _DEPTH + 1)
    lines = {line.folder for line in catalog.settings.lines.values()}
    return file != "experiment.toml" and (folder == BASE or (folder in lines and file != "settings.toml"))
