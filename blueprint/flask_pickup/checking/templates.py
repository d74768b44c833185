"""The text of one template: unknown names, records and numbers that would be spoken, miswritten braces."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property

from jinja2 import TemplateSyntaxError, nodes
from jinja2.compiler import Frame
from jinja2.idtracking import VAR_LOAD_RESOLVE
from jinja2.meta import TrackingCodeGenerator
from jinja2.runtime import LoopContext

from flask_pickup.caller import e164
from flask_pickup.catalog import Catalog, Complaint
from flask_pickup.catalog.complaints import Level, json_line, suggest, toml_line
from flask_pickup.catalog.settings import SPEAKS
from flask_pickup.catalog.syntax import unknown
from flask_pickup.checking.content import Content
from flask_pickup.override import templates
from flask_pickup.rendering import BASE, TEMPLATE_NAMES, Environment, asks_the_clock

_ATTRIBUTES: Mapping[str, frozenset[str]] = {
    "caller": frozenset({"number", "country", "language", "identified"}),
    "line": frozenset({"number", "name", "language"}),
    "call": frozenset({"id", "type"}),
    "now": frozenset(name for name in dir(datetime) if not name.startswith("_")),
    "language": frozenset(),
    "open": frozenset(),
    "platform": frozenset(),
}
_LOOP = frozenset(name for name in dir(LoopContext) if not name.startswith("_")) | {"depth0"}
_RECORDS = frozenset({"caller", "customer", "customer_raw", "line", "call"})
_COUNTING = frozenset({"count", "length"})
_WHOLE = frozenset({"items", "values"})


_LIKE_A_NUMBER = re.compile(r"(?<![\w+])\+?\d(?:[\s().-]{0,2}\d){7,14}(?!\w)")
_MISWRITTEN = re.compile(
    r"""
    (?<!\{) \{ (?![{%#]) \s* (?: [a-z_]+ (?:\.\w+)+ | language | open ) \b [^{}\n]* \}  # {customer.name}, { language }}
    | \{ \s+ % | % \s+ \} | <%  # { % if open % }
    """,
    re.VERBOSE,
)


def check_templates(content: Content) -> Iterator[Complaint]:
    """Yield what is wrong with the text of each template, string of an override, and expression."""
    catalog = content.catalog
    for source in _sources(content):
        content.at(source.path)
        yield from source.complaints()
    for path in (*content.trees, *dict(catalog.overrides())):
        yield from _check_lines(path, catalog.texts[path], content.region)


def _sources(content: Content) -> Iterator[_Source]:
    catalog, environment = content.catalog, content.catalog.environment
    own = {path: _own_names(tree) for path, tree in content.trees.items()}
    for path, tree in content.trees.items():
        seen = frozenset().union(*(own[other] for other in content.seen_by(path)))
        yield _Source(environment, path, tree, seen=seen)
    for path, patch in catalog.overrides():
        for keys, text in templates(patch, content.platform.untemplated):
            if text in catalog.library.strings:
                yield _Source(environment, path, environment.parse(text), json_line(catalog.texts[path], *keys))
    for path, key, text in _expressions(catalog):
        try:
            tree = environment.parse("{% set found = (" + text + "\n) %}")
        except TemplateSyntaxError:
            continue
        yield _Source(environment, path, tree, toml_line(catalog.texts[path], key), is_spoken=False)


def _expressions(catalog: Catalog) -> Iterator[tuple[str, str, str]]:
    for experiment in catalog.experiments:
        if experiment.audience:
            yield experiment.file, "audience", experiment.audience
    if catalog.settings.speaks_source != SPEAKS:
        yield f"{BASE}/settings.toml", "speaks", catalog.settings.speaks_source


def _check_lines(path: str, text: str, region: str) -> Iterator[Complaint]:
    """Yield each line with braces that Jinja does not read, and of a template each with a phone number."""
    for number, line in enumerate(text.splitlines(), 1):
        if found := _MISWRITTEN.search(line):
            problem = f"'{found[0]}' would be spoken as it is written"
            yield Complaint(path, number, problem, "write {{ … }} for a value, {% … %} for a condition", "warning")
        # An override may have the numbers that the platform transfers calls to. No complaint repeats a number.
        if path.endswith(".j2") and any(e164(each, region) for each in _LIKE_A_NUMBER.findall(line)):
            problem = "the text contains a phone number, and every definition is stored"
            yield Complaint(path, number, problem, "remove it if it is a caller's", "warning")


def _own_names(tree: nodes.Template) -> frozenset[str]:
    """Return the names that a template defines, anywhere in it."""
    names = {node.name for node in tree.find_all(nodes.Name) if node.ctx in {"store", "param"}}
    return _imported(tree) | names


def _imported(tree: nodes.Template) -> frozenset[str]:
    """Return the names of a template's macros and imports."""
    found = {node.name for node in tree.find_all(nodes.Macro)} | {node.target for node in tree.find_all(nodes.Import)}
    several = [name for node in tree.find_all(nodes.FromImport) for name in node.names]
    return frozenset(found | {name if isinstance(name, str) else name[1] for name in several})


class _Free(TrackingCodeGenerator):
    """Finds the names that a template reads from outside it."""

    def __init__(self, environment: Environment) -> None:
        super().__init__(environment)
        self.found: list[nodes.Name] = []
        self.exported: set[str] = set()

    def visit_Name(self, node: nodes.Name, frame: Frame) -> None:  # noqa: N802 (Jinja's)
        """Keep a name that nothing in the template defines, and one that its blocks see."""
        if node.ctx == "store" and frame.toplevel:
            self.exported.add(node.name)
        if node.ctx == "load":
            load = frame.symbols.find_load(frame.symbols.ref(node.name))
            if load is not None and load[0] == VAR_LOAD_RESOLVE:
                self.found.append(node)
        super().visit_Name(node, frame)


@dataclass(frozen=True)
class _Source:
    """A template where an author wrote it.

    :param line: the line of its file that holds all of it; 0 where its own lines are the file's.
    :param is_spoken: whether it is part of an answer; an expression that only decides may read everything.
    :param seen: names that it sees besides its own and those of every template.
    """

    environment: Environment
    path: str
    tree: nodes.Template
    line: int = 0
    is_spoken: bool = True
    seen: frozenset[str] = frozenset()

    @cached_property
    def names(self) -> _Free:
        """The names that it reads from outside it."""
        free = _Free(self.environment)
        free.visit(self.tree)
        return free

    @cached_property
    def free(self) -> frozenset[int]:
        """The identities of the nodes with these names."""
        return frozenset(map(id, self.names.found))

    def complaints(self) -> Iterator[Complaint]:
        tree = self.tree
        known = TEMPLATE_NAMES | self.environment.globals.keys() | self.seen | self.names.exported | _imported(tree)
        for node in self.names.found:
            if node.name not in known:
                remedy = suggest(node.name, known | _own_names(tree))
                yield self._complain(node, f"unknown name '{node.name}'", remedy)
        for kind, all_of_kind in ((nodes.Filter, self.environment.filters), (nodes.Test, self.environment.tests)):
            for used in tree.find_all(kind):
                if used.name not in all_of_kind:
                    yield self._complain(used, *unknown(kind.__name__.lower(), used.name, self.environment))
        for attribute in tree.find_all(nodes.Getattr):
            yield from self._attribute(attribute, attribute.node, attribute.attr)
        for item in tree.find_all(nodes.Getitem):
            if isinstance(item.arg, nodes.Const) and isinstance(item.arg.value, str):
                yield from self._attribute(item, item.node, item.arg.value)
        yield from self._callers_in_macros(tree)
        if self.is_spoken:
            yield from self._said(tree)

    def _attribute(self, node: nodes.Expr, owner: nodes.Expr, attribute: str) -> Iterator[Complaint]:
        if attribute.startswith("_"):
            problem = f"'{attribute}' is not available in templates"
            yield self._complain(node, problem, "use the names that templates see")
        name = _name(owner)
        if name == "loop" and attribute not in _LOOP:
            yield self._complain(node, f"loop has no attribute '{attribute}'", suggest(attribute, _LOOP))
        elif id(owner) in self.free and attribute not in _ATTRIBUTES.get(name, {attribute}):
            remedy = suggest(attribute, _ATTRIBUTES[name]) if _ATTRIBUTES[name] else f"write {{{{ {name} }}}}"
            yield self._complain(node, f"{name} has no attribute '{attribute}'", remedy)
        elif isinstance(owner, nodes.Const) and not hasattr(owner.value, attribute):
            problem = f"{owner.value!r} has no attribute '{attribute}'"
            yield self._complain(node, problem, "use ~, or a filter such as replace")
        elif name == "now" and asks_the_clock(datetime, attribute):
            yield self._complain(node, f"'{attribute}' reads the clock", "use now, the time of the call")

    def _callers_in_macros(self, tree: nodes.Template) -> Iterator[Complaint]:
        for macro in tree.find_all(nodes.Macro):
            for node in macro.find_all(nodes.Getattr):
                if isinstance(node.node, nodes.Name) and node.node.name == "caller":
                    problem = "inside a macro 'caller' is Jinja's call block, not the caller"
                    remedy = "pass the caller as an argument of another name"
                    yield self._complain(node, problem, remedy, warning=True)

    def _said(self, tree: nodes.Template) -> Iterator[Complaint]:
        for node in self.names.found:
            if node.name == "customer_raw":
                problem = "customer_raw is not cleaned, and a model may follow what a customer wrote"
                yield self._complain(node, problem, "use customer", warning=True)
        for record in self._whole_records(tree):
            problem = f"the whole record '{record.name}' would be spoken"
            yield self._complain(record, problem, f"name a field, such as {_example(record.name)}")
        for output in tree.find_all(nodes.Output):
            for used in output.find_all(nodes.Getattr):
                if id(used.node) in self.free and used.attr == "number" and _name(used.node) == "caller":
                    problem = "the caller's number would be in the text, which the model's provider reads"
                    yield self._complain(used, problem, "remove it, or let a tool look it up", warning=True)

    def _whole_records(self, tree: nodes.Template) -> Iterator[nodes.Name]:
        printed: list[nodes.Node | None] = [child for output in tree.find_all(nodes.Output) for child in output.nodes]
        printed += [part for concat in tree.find_all(nodes.Concat) for part in concat.nodes]
        printed += [used.node for used in tree.find_all(nodes.Filter) if used.name not in _COUNTING]
        printed += [loop.iter for loop in tree.find_all(nodes.For)]
        printed += [used.node for used in tree.find_all(nodes.Getattr) if used.attr in _WHOLE]
        for node in printed:
            if isinstance(node, nodes.Name) and id(node) in self.free and node.name in _RECORDS:
                yield node

    def _complain(self, node: nodes.Node, problem: str, remedy: str, *, warning: bool = False) -> Complaint:
        level: Level = "warning" if warning else "error"
        return Complaint(self.path, self.line or node.lineno, problem, remedy, level)


def _name(node: nodes.Node) -> str:
    return node.name if isinstance(node, nodes.Name) else ""


def _example(name: str) -> str:
    return f"{name}.first_name" if name.startswith("customer") else f"{name}.{min(_ATTRIBUTES[name])}"
