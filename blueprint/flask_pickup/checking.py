"""Everything about the content that could go wrong on a call, found before it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime
from itertools import product
from typing import Any

from jinja2 import TemplateSyntaxError, nodes

from flask_pickup.assignment import Assigned, Recorded
from flask_pickup.caller import Caller
from flask_pickup.catalog import CONTROL, Catalog, Complaint, Experiment, Line
from flask_pickup.catalog.complaints import json_line, suggest, toml_line
from flask_pickup.customer import UNKNOWN, Customer
from flask_pickup.decision import FAULTS, CallFacts, Incoming, decide
from flask_pickup.override import templates
from flask_pickup.rendering import BASE, NAMES, split_variant

_ATTRIBUTES = {
    "caller": {"number", "country", "language", "identified"},
    "line": {"number", "name", "language"},
    "call": {"id", "type"},
}
_GLOBALS = {"range", "dict", "lipsum", "cycler", "joiner", "namespace", "super", "self", "loop", "caller", "varargs"}

# Two callers to whom everything in a template may happen: one of whom much is known, one of whom nothing is.
_KNOWN = Customer({"first_name": "A", "name": "A B", "language": "nl", "vip": True})


def check(catalog: Catalog) -> list[Complaint]:
    """Return all complaints about the content, sorted by file and line."""
    found = [*catalog.complaints, *_unknown_names(catalog), *_missing_files(catalog), *_missing_variants(catalog)]
    if not any(complaint.level == "error" for complaint in found):
        found += _failing_answers(catalog)
    found += _thin_experiments(catalog)
    return sorted(set(found))


def _unknown_names(catalog: Catalog) -> Iterator[Complaint]:
    for path, text in catalog.texts.items():
        if path.endswith(".j2"):
            yield from _names_in(catalog, path, text)
    for path, patch in catalog.overrides():
        source = catalog.texts[path]
        for keys, text in templates(patch):
            line = json_line(source, *(key for key in keys if isinstance(key, str)))
            yield from _names_in(catalog, path, text, line)
    for path, key, text in _expressions(catalog):
        yield from _names_in(catalog, path, "{{ " + text + " }}", toml_line(catalog.texts[path], key))


def _expressions(catalog: Catalog) -> Iterator[tuple[str, str, str]]:
    for experiment in catalog.experiments:
        if experiment.body["audience"]:
            yield f"experiments/{experiment.name}/experiment.toml", "audience", experiment.body["audience"]


def _names_in(catalog: Catalog, path: str, text: str, line: int | None = None) -> Iterator[Complaint]:
    try:
        tree = catalog.environment.parse(text)
    except TemplateSyntaxError:
        return  # complained about when it was loaded
    own = {node.name for node in tree.find_all(nodes.Name) if node.ctx in {"store", "param"}}
    own |= {node.name for node in tree.find_all(nodes.Macro)} | {node.name for node in tree.find_all(nodes.Block)}
    own |= _imported(tree)
    for node in tree.find_all(nodes.Name):
        if node.ctx == "load" and node.name not in own | NAMES | _GLOBALS:
            problem = f"nothing is called '{node.name}'"
            yield Complaint(path, line or node.lineno, problem, suggest(node.name, NAMES))
        elif node.ctx == "load" and node.name == "customer_raw":
            problem = "customer_raw is text as somebody else wrote it, and a prompt obeys it"
            yield Complaint(path, line or node.lineno, problem, "use customer, which is cleaned", "warning")
    for attribute in tree.find_all(nodes.Getattr):
        owner = attribute.node
        known = _ATTRIBUTES.get(owner.name) if isinstance(owner, nodes.Name) and owner.name not in own else None
        if known and attribute.attr not in known and isinstance(owner, nodes.Name):
            problem = f"{owner.name} has no '{attribute.attr}'"
            yield Complaint(path, line or attribute.lineno, problem, suggest(attribute.attr, known))
    yield from _callers_in_macros(tree, path, line)


def _callers_in_macros(tree: nodes.Template, path: str, line: int | None) -> Iterator[Complaint]:
    for macro in tree.find_all(nodes.Macro):
        for node in macro.find_all(nodes.Getattr):
            if isinstance(node.node, nodes.Name) and node.node.name == "caller":
                problem = "inside a macro 'caller' is what Jinja's call block hands over, not who calls"
                remedy = "hand the caller over as an argument of another name"
                yield Complaint(path, line or node.lineno, problem, remedy, "warning")


def _imported(tree: nodes.Template) -> set[str]:
    names = {node.target for node in tree.find_all(nodes.Import)}
    for node in tree.find_all(nodes.FromImport):
        names |= {name if isinstance(name, str) else name[1] for name in node.names}
    return names


def _missing_files(catalog: Catalog) -> Iterator[Complaint]:
    """Names are resolved here as in the language of the plain files, all layers below in place."""
    for path, text in catalog.texts.items():
        if not path.endswith(".j2"):
            continue
        folder, _ = catalog.library.homes.get(path, (BASE, ""))
        stack = catalog.plan(tuple(dict.fromkeys((BASE, folder))), catalog.settings.language).stack
        for node, name in _references(catalog, text):
            target = stack.resolve(name, path)
            if target not in catalog.library.codes:
                known = sorted({split_variant(file)[0] for file in catalog.library.codes})
                yield Complaint(path, node.lineno, f"there is no file '{name}'", suggest(name, known))
            elif target == path:
                yield Complaint(path, node.lineno, "the file takes in itself", "take in another file")


def _references(catalog: Catalog, text: str) -> Iterator[tuple[nodes.Node, str]]:
    try:
        tree = catalog.environment.parse(text)
    except TemplateSyntaxError:
        return
    for node in tree.find_all((nodes.Extends, nodes.Include, nodes.Import, nodes.FromImport)):
        name = node.template  # type: ignore[attr-defined]
        if isinstance(name, nodes.Const) and isinstance(name.value, str) and not getattr(node, "ignore_missing", False):
            yield node, name.value


def _missing_variants(catalog: Catalog) -> Iterator[Complaint]:
    variants = catalog.library.variants
    for experiment in catalog.experiments:
        for arm in experiment.arms.values():
            for logical, found in variants.items():
                below = variants.get(f"{BASE}/{logical.removeprefix(arm.folder + '/')}")
                if below and logical.startswith(arm.folder + "/"):
                    for language in sorted(below.keys() - found.keys()):
                        stem = logical.removesuffix(".j2")
                        missing = f"{stem}.{language}.j2" if language else logical
                        problem = f"the arm has no '{missing.rpartition('/')[2]}', which greetings/ has"
                        yield Complaint(logical, 0, problem, "write it, or callers of that language hear another")


def _failing_answers(catalog: Catalog) -> Iterator[Complaint]:
    for incoming in _spread(catalog):
        yield from _failing(catalog, incoming, None, f"{BASE}/")
        for experiment in catalog.experiments:
            for arm in experiment.arms.values():
                assigned = Assigned(experiment.name, arm.name, "check", experiment.fingerprint)
                yield from _failing(catalog, incoming, Recorded("arm", (assigned,)), arm.folder + "/")


def _failing(catalog: Catalog, incoming: Incoming, recorded: Recorded | None, where: str) -> Iterator[Complaint]:
    decision = decide(catalog, incoming, recorded or Recorded("base", ()))
    for fault in decision.reasons.get(FAULTS, ()):
        yield Complaint(where, 0, f"an answer fails for {_describe(incoming)}: {fault}", "preview it with that caller")


def _describe(incoming: Incoming) -> str:
    who = "a caller whom the customer hook knows" if incoming.customer.cleaned else "a caller of whom nothing is known"
    return f"{who}, on line {incoming.line.number}" if incoming.line.number else who


def _spread(catalog: Catalog) -> Iterable[Incoming]:
    lines = [*catalog.settings.lines.values(), Line(None)]
    customers = [UNKNOWN, _KNOWN, *(Customer({"language": language}) for language in sorted(catalog.languages))]
    # A Monday at noon and the night after it.
    times = [datetime(2026, 3, 2, hour, tzinfo=UTC) for hour in (11, 23)]
    for line, customer, now in product(lines, customers, times):
        number = None if customer is UNKNOWN else "+12015550123"
        who = Caller(number=number, country=None, language=None, key="0" * 32 if number else None)
        yield Incoming(CallFacts("check", "inbound_phone_call"), who, line, customer, now)


def _thin_experiments(catalog: Catalog) -> Iterator[Complaint]:
    for experiment in catalog.experiments:
        file = f"experiments/{experiment.name}/experiment.toml"
        source = catalog.texts[file]
        if experiment.is_running and not experiment.metrics:
            problem = "the experiment is running without a metric"
            yield Complaint(file, 1, problem, "write [metrics.…] and name one of them primary", "warning")
        if experiment.status == "concluded" and not experiment.winner:
            problem = "the experiment is concluded without a winner"
            yield Complaint(
                file, toml_line(source, "status"), problem, 'write winner = "control", or an arm', "warning"
            )
        yield from _arms_without_words(experiment, file, source)


def _arms_without_words(experiment: Experiment, file: str, source: str) -> Iterator[Complaint]:
    for arm in experiment.arms.values():
        if not arm.writes and arm.name != CONTROL:
            problem = f"arm '{arm.name}' changes nothing"
            line = toml_line(source, "arms", arm.name)
            yield Complaint(file, line, problem, "write its opening, prompt or override", "warning")


def as_json(complaint: Complaint) -> Mapping[str, Any]:
    """Return a complaint for programs."""
    return {
        "file": complaint.file,
        "line": complaint.line,
        "level": complaint.level,
        "problem": complaint.problem,
        "remedy": complaint.remedy,
    }
