"""What a template says that extends another, and nobody hears: blocks that the other has not, and all outside of blocks."""

from __future__ import annotations

from collections.abc import Iterator

from jinja2 import nodes

from flask_pickup.catalog import Complaint
from flask_pickup.catalog.complaints import suggest
from flask_pickup.checking.references import References


def check_inheritance(references: References) -> Iterator[Complaint]:
    """Yield what is never said of the templates that extend another."""
    for path, tree in references.trees.items():
        extends = next((node for node in tree.body if isinstance(node, nodes.Extends)), None)
        if extends and (parents := references.extended(path, extends)):
            known = frozenset().union(*map(references.blocks, parents))
            yield from _unheard(path, tree.body[tree.body.index(extends) + 1 :], known)


def _unheard(path: str, body: list[nodes.Node], known: frozenset[str]) -> Iterator[Complaint]:
    for node in body:
        if isinstance(node, nodes.Block) and node.name not in known:
            problem = f"nobody hears the block '{node.name}': what is extended has none of that name"
            yield Complaint(path, node.lineno, problem, suggest(node.name, known), "warning")
        for spoken in node.nodes if isinstance(node, nodes.Output) else ():
            if not isinstance(spoken, nodes.TemplateData) or spoken.data.strip():
                problem = "nobody hears this: it stands outside the blocks of a file that extends another"
                yield Complaint(path, _first_line(spoken), problem, "write it into a block", "warning")


def _first_line(node: nodes.Node) -> int:
    if not isinstance(node, nodes.TemplateData):
        return node.lineno
    blank = len(node.data) - len(node.data.lstrip())
    return node.lineno + node.data[:blank].count("\n")
