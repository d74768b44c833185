"""The names in templates: whether there is such a thing, and whether it should be said aloud."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime

from jinja2 import nodes
from jinja2.compiler import CodeGenerator, Frame
from jinja2.idtracking import VAR_LOAD_RESOLVE

from flask_pickup.catalog import Complaint
from flask_pickup.catalog.complaints import suggest, unknown
from flask_pickup.rendering import NAMES, Environment, asks_the_clock

_ATTRIBUTES: Mapping[str, frozenset[str]] = {
    "caller": frozenset({"number", "country", "language", "identified"}),
    "line": frozenset({"number", "name", "language"}),
    "call": frozenset({"id", "type"}),
    "now": frozenset(name for name in dir(datetime) if not name.startswith("_")),
    "language": frozenset(),
    "open": frozenset(),
}
_LOOP = frozenset({"index", "index0", "revindex", "revindex0", "first", "last", "length", "cycle", "depth", "depth0",
                   "previtem", "nextitem", "changed"})  # fmt: skip
_RECORDS = frozenset({"caller", "customer", "customer_raw", "line", "call"})
_COUNTING = frozenset({"count", "length"})
_WHOLE = frozenset({"items", "values"})


@dataclass(frozen=True)
class Source:
    """A template where an author wrote it.

    :param line: the line of its file on which all of it stands; 0 where its own lines are the file's.
    :param is_spoken: whether it ends in an answer; what only decides may look at everything.
    :param known: names that it can see besides those that every template does.
    """

    path: str
    tree: nodes.Template
    line: int = 0
    is_spoken: bool = True
    known: frozenset[str] = frozenset()


def own_names(tree: nodes.Template) -> frozenset[str]:
    """Return the names that a template makes itself, anywhere in it."""
    found = {node.name for node in tree.find_all(nodes.Name) if node.ctx in {"store", "param"}}
    found |= {node.name for node in tree.find_all(nodes.Macro)} | {node.target for node in tree.find_all(nodes.Import)}
    for node in tree.find_all(nodes.FromImport):
        found |= {name if isinstance(name, str) else name[1] for name in node.names}
    return frozenset(found)


def _exported(node: nodes.Node) -> Iterator[str]:
    """Yield the names that are made outside all blocks and loops, which blocks can see."""
    for child in node.iter_child_nodes():
        if (isinstance(child, nodes.Name) and child.ctx == "store") or isinstance(child, nodes.Macro):
            yield child.name
        elif isinstance(child, nodes.Import):
            yield child.target
        elif isinstance(child, nodes.FromImport):
            yield from (name if isinstance(name, str) else name[1] for name in child.names)
        elif not isinstance(child, _SCOPES):
            yield from _exported(child)


_SCOPES = (nodes.For, nodes.Block, nodes.CallBlock, nodes.With, nodes.FilterBlock)


def check_names(source: Source, environment: Environment) -> Iterator[Complaint]:
    """Yield what is wrong with the names in a template."""
    return _Names(source, environment).complaints()


class _Free(CodeGenerator):
    """Jinja's own reading of a template: which names come from outside it. Its code is thrown away."""

    def __init__(self, environment: Environment) -> None:
        super().__init__(environment, "check", "check")
        self.found: list[nodes.Name] = []

    def write(self, x: str) -> None:
        """Throw the code away."""

    def visit_Name(self, node: nodes.Name, frame: Frame) -> None:  # noqa: N802 (Jinja's)
        """Remember a name that nothing in the template gives a meaning to."""
        if node.ctx == "load":
            load = frame.symbols.find_load(frame.symbols.ref(node.name))
            if load is not None and load[0] == VAR_LOAD_RESOLVE:
                self.found.append(node)
        super().visit_Name(node, frame)


class _Names:
    def __init__(self, source: Source, environment: Environment) -> None:
        self.source = source
        self.environment = environment
        self.known = NAMES | environment.globals.keys() | source.known | set(_exported(source.tree))
        free = _Free(environment)
        free.visit(source.tree)
        self.free = free.found
        self._ids = {id(node) for node in self.free}

    def complaints(self) -> Iterator[Complaint]:
        tree = self.source.tree
        for node in self.free:
            if node.name not in self.known:
                remedy = suggest(node.name, self.known | own_names(tree))
                yield self._complain(node, f"nothing is called '{node.name}'", remedy)
        for kind, known in ((nodes.Filter, self.environment.filters), (nodes.Test, self.environment.tests)):
            for used in tree.find_all(kind):
                if used.name not in known:
                    yield self._complain(used, *unknown(kind.__name__.lower(), used.name, self.environment))
        for attribute in tree.find_all(nodes.Getattr):
            yield from self._attribute(attribute, attribute.node, attribute.attr)
        for item in tree.find_all(nodes.Getitem):
            if isinstance(item.arg, nodes.Const) and isinstance(item.arg.value, str):
                yield from self._attribute(item, item.node, item.arg.value)
        yield from self._callers_in_macros(tree)
        if self.source.is_spoken:
            yield from self._said(tree)

    def _attribute(self, node: nodes.Expr, owner: nodes.Expr, attribute: str) -> Iterator[Complaint]:
        if attribute.startswith("_"):
            yield self._complain(
                node, f"'{attribute}' is not available in templates", "use the names that templates see"
            )
        name = _name(owner)
        if name == "loop" and attribute not in _LOOP:
            yield self._complain(node, f"loop has no '{attribute}'", suggest(attribute, _LOOP))
        elif id(owner) in self._ids and attribute not in _ATTRIBUTES.get(name, {attribute}):
            remedy = suggest(attribute, _ATTRIBUTES[name]) if _ATTRIBUTES[name] else f"write {{{{ {name} }}}}"
            yield self._complain(node, f"{name} has no '{attribute}'", remedy)
        elif isinstance(owner, nodes.Const) and not hasattr(owner.value, attribute):
            yield self._complain(node, f"{owner.value!r} has no '{attribute}'", "use ~, or a filter such as replace")
        elif name == "now" and asks_the_clock(datetime, attribute):
            yield self._complain(node, f"'{attribute}' asks the clock", "now is the time of the call already")

    def _callers_in_macros(self, tree: nodes.Template) -> Iterator[Complaint]:
        for macro in tree.find_all(nodes.Macro):
            for node in macro.find_all(nodes.Getattr):
                if isinstance(node.node, nodes.Name) and node.node.name == "caller":
                    problem = "inside a macro 'caller' is what Jinja's call block hands over, not who calls"
                    remedy = "hand the caller over as an argument of another name"
                    yield self._complain(node, problem, remedy, warning=True)

    def _said(self, tree: nodes.Template) -> Iterator[Complaint]:
        for node in self.free:
            if node.name == "customer_raw":
                problem = "customer_raw is text as somebody else wrote it, and a prompt obeys it"
                yield self._complain(node, problem, "use customer, which is cleaned", warning=True)
        for record in self._whole_records(tree):
            problem = f"all that is known of the {record.name.removesuffix('_raw')} would be said"
            yield self._complain(record, problem, f"name what is meant, such as {_example(record.name)}")
        for output in tree.find_all(nodes.Output):
            for used in output.find_all(nodes.Getattr):
                if id(used.node) in self._ids and used.attr == "number" and _name(used.node) == "caller":
                    problem = "the caller's number would be in the text, which the model's maker gets to read"
                    yield self._complain(used, problem, "leave it out, or let a tool look it up", warning=True)

    def _whole_records(self, tree: nodes.Template) -> Iterator[nodes.Name]:
        printed: list[nodes.Node | None] = [child for output in tree.find_all(nodes.Output) for child in output.nodes]
        printed += [part for concat in tree.find_all(nodes.Concat) for part in concat.nodes]
        printed += [used.node for used in tree.find_all(nodes.Filter) if used.name not in _COUNTING]
        printed += [loop.iter for loop in tree.find_all(nodes.For)]
        printed += [used.node for used in tree.find_all(nodes.Getattr) if used.attr in _WHOLE]
        for node in printed:
            if isinstance(node, nodes.Name) and id(node) in self._ids and node.name in _RECORDS:
                yield node

    def _complain(self, node: nodes.Node, problem: str, remedy: str, *, warning: bool = False) -> Complaint:
        line = self.source.line or node.lineno
        return Complaint(self.source.path, line, problem, remedy, "warning" if warning else "error")


def _name(node: nodes.Node) -> str:
    return node.name if isinstance(node, nodes.Name) else ""


def _example(name: str) -> str:
    return f"{name}.first_name" if name.startswith("customer") else f"{name}.{min(_ATTRIBUTES[name])}"
