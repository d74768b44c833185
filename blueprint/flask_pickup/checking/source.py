"""A template where an author wrote it, and the names that it reads from outside it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

from jinja2 import nodes
from jinja2.compiler import Frame
from jinja2.idtracking import VAR_LOAD_RESOLVE
from jinja2.meta import TrackingCodeGenerator

from flask_pickup.catalog import Complaint
from flask_pickup.catalog.complaints import Level
from flask_pickup.rendering import Environment


class _Free(TrackingCodeGenerator):
    """Finds the names that a template reads from outside it."""

    def __init__(self, environment: Environment) -> None:
        super().__init__(environment)
        # It would fold constants in the very tree that is checked.
        self.optimizer = None
        self.found: dict[int, nodes.Name] = {}
        self.exported: set[str] = set()

    def visit_Name(self, node: nodes.Name, frame: Frame) -> None:  # noqa: N802 (Jinja's)
        """Keep a name that nothing in the template defines, and one that its blocks see."""
        if node.ctx == "store" and frame.toplevel:
            self.exported.add(node.name)
        if node.ctx == "load":
            load = frame.symbols.find_load(frame.symbols.ref(node.name))
            if load is not None and load[0] == VAR_LOAD_RESOLVE:
                self.found[id(node)] = node
        super().visit_Name(node, frame)


@dataclass(frozen=True)
class Source:
    """A template, a string of an override, or an expression.

    :param line: the line of its file that holds all of it; 0 where its own lines are the file's.
    :param is_spoken: whether it is part of an answer; an expression that only decides may read everything.
    :param seen: names that it sees besides its own and those of every template.
    :param templated_again: the platforms whose own template engine runs over its text.
    """

    environment: Environment
    path: str
    tree: nodes.Template
    line: int = 0
    is_spoken: bool = True
    seen: frozenset[str] = frozenset()
    templated_again: tuple[str, ...] = ()

    @cached_property
    def names(self) -> _Free:
        """The names that it reads from outside it."""
        free = _Free(self.environment)
        free.visit(self.tree)
        return free

    def fact(self, node: nodes.Node) -> str:
        """Return what a node reads of the call, such as ``language`` or ``caller.country``; else nothing."""
        match node:
            case nodes.Name():
                return node.name if id(node) in self.names.found else ""
            case nodes.Getattr(node=owner, attr=name) | nodes.Getitem(node=owner, arg=nodes.Const(value=str(name))):
                whose = self.fact(owner)
                return f"{whose}.{name}" if whose else ""
        return ""

    def complain(self, node: nodes.Node, problem: str, remedy: str, level: Level = "error") -> Complaint:
        """Return a complaint about a node."""
        return Complaint(self.path, self.line or node.lineno, problem, remedy, level)


def constants(*expressions: nodes.Node) -> Iterator[object]:
    """Yield the values that are written out in expressions, also in their lists."""
    for each in expressions:
        if isinstance(each, nodes.Const):
            yield each.value
        elif isinstance(each, nodes.List | nodes.Tuple):
            yield from constants(*each.items)


def own_names(tree: nodes.Template) -> frozenset[str]:
    """Return the names that a template defines, anywhere in it."""
    names = {node.name for node in tree.find_all(nodes.Name) if node.ctx in {"store", "param"}}
    return imported_names(tree) | names


def imported_names(tree: nodes.Template) -> frozenset[str]:
    """Return the names of a template's macros and imports."""
    found = {node.name for node in tree.find_all(nodes.Macro)} | {node.target for node in tree.find_all(nodes.Import)}
    several = [name for node in tree.find_all(nodes.FromImport) for name in node.names]
    return frozenset(found | {name if isinstance(name, str) else name[1] for name in several})
