"""The structure of the package: what is public, which module may import which, and who knows a platform's JSON."""

from __future__ import annotations

import ast
import inspect
import re
from collections.abc import Iterator
from functools import cache
from importlib import import_module
from pathlib import Path

import pytest
from marshmallow import Schema, fields

import flask_pickup
from flask_pickup import platforms

PACKAGE = Path(flask_pickup.__file__).parent

LAYERS = [
    *(
        "errors",
        "processes",
        "translation",
        "models",
        "engines",
        "migrating",
        "options",
        "outcome_names",
        "phone_numbers",
        "caller",
    ),
    *(
        "cleaning",
        "assignment",
        "override",
        "platforms",
        "metadata",
        "missing",
        "rendering",
        "catalog",
        "customer",
        "calls",
    ),
    *("waits", "bodies", "activity"),
    *("spreadsheets", "calling_times"),
    *("ledger", "results", "outcomes", "reports", "decision", "handlers", "signals", "metrics", "checking", "webhook"),
    *("platform_status", "privacy", "rehearsal", "previewing", "simulation", "enrolment", "dashboard"),
    *("blueprint", "status", "digest", "demo", "testing", "cli"),
]
"""From the bottom up: a module imports only from those before it. A new module needs its place here."""

OWN_VOCABULARY = {
    *(
        "call_id",
        "type",
        "message",
        "messages",
        "content",
        "status",
        "summary",
        "number",
        "name",
        "call",
        "id",
        "error",
    ),
    *("duration_seconds", "end_reason", "ended_at", "transcript", "user_messages", "call_type", "language", "customer"),
    *("agent", "description", "direction", "enum", "value"),
    *(
        "analysis",
        "pickup",
        "role",
        "style",
        "webhook_secret",
        "Content-Type",
        "write_instead",
        "same_as",
        "app_only",
        "required",
    ),
    *(
        "body",
        "caller",
        "direction",
        "from",
        "memory",
        "platform_call_id",
        "prompt",
        "reason",
        "results",
        "state",
        "unread",
        "telnyx_insights",
    ),
}
"""Keys of a platform that are names of Pickup's own as well: columns, fields of events, names in templates, options."""

MODULES = [path for path in sorted(PACKAGE.rglob("*.py")) if path != PACKAGE / "__init__.py"]
PLATFORMS = sorted(path.parent.name for path in PACKAGE.glob("platforms/*/__init__.py"))


def layer_of(path: Path) -> str:
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


def imports(path: Path) -> Iterator[tuple[int, str]]:
    """Yield the line and the name of each import from the package, inside functions too."""
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        names = []
        if isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}:{node.lineno}: imports are absolute here"
            names = [f"{node.module}.{alias.name}" for alias in node.names]
        elif isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        yield from ((node.lineno, name) for name in names if name.startswith("flask_pickup."))  # type: ignore[attr-defined]


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_module_imports_only_what_is_below(path: Path) -> None:
    """A module imports only from layers below its own."""
    layer = layer_of(path)
    allowed = {*LAYERS[: LAYERS.index(layer)], layer}
    wrong = [f"line {line}: {name}" for line, name in imports(path) if name.split(".")[1] not in allowed]
    assert not wrong, f"{layer} must not import {', '.join(wrong)}"


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_only_the_registry_imports_a_platform(path: Path) -> None:
    """A platform's folder is imported by itself and by the registry alone, and imports no other platform."""
    place = path.relative_to(PACKAGE).parts
    own = place[1] if place[0] == "platforms" and len(place) == 3 else ""
    if place == ("platforms", "__init__.py"):
        return
    others = {f"flask_pickup.platforms.{name}" for name in PLATFORMS if name != own}
    wrong = [
        name for _, name in imports(path) if any(name == other or name.startswith(f"{other}.") for other in others)
    ]
    assert not wrong


def keys_of(schema: Schema) -> Iterator[str]:
    for name, field in schema.fields.items():
        yield field.data_key or name
        inner = field.inner if isinstance(field, fields.List) else field
        if isinstance(inner, fields.Nested):
            yield from keys_of(inner.schema)


def keys_in_code(tree: ast.Module) -> Iterator[str]:
    """Yield each string by which a module reads or writes an object: in a literal, a subscript, ``get`` or ``pop``."""
    for node in ast.walk(tree):
        found: list[ast.expr | None] = []
        if isinstance(node, ast.Dict):
            found = node.keys
        elif isinstance(node, ast.Subscript):
            found = [node.slice]
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in {"get", "pop"}:
            found = list(node.args[:1])
        yield from (key.value for key in found if isinstance(key, ast.Constant) and isinstance(key.value, str))


@cache
def platform_keys() -> set[str]:
    """Return every key that a platform's schemas and code know."""
    found: set[str] = set()
    for path in PACKAGE.glob("platforms/*/*.py"):
        found.update(keys_in_code(ast.parse(path.read_text("utf-8"))))
        module = import_module(".".join(path.relative_to(PACKAGE.parent).with_suffix("").parts))
        for _, schema in inspect.getmembers(module, lambda value: inspect.isclass(value) and issubclass(value, Schema)):
            found.update(keys_of(schema()))
    return found


@pytest.mark.parametrize(
    "path", [path for path in MODULES if layer_of(path) != "platforms"], ids=lambda path: str(path.relative_to(PACKAGE))
)
def test_no_other_module_knows_a_platforms_keys(path: Path) -> None:
    """No string constant outside a platform's folder is one of the platform's keys, but for Pickup's own vocabulary."""
    keys = platform_keys() - OWN_VOCABULARY
    assert {"first_message", "llm_config", "phone_number", "assistant"} <= keys
    constants = (node for node in ast.walk(ast.parse(path.read_text("utf-8"))) if isinstance(node, ast.Constant))
    assert [(node.lineno, node.value) for node in constants if node.value in keys] == []


def test_registry_has_every_platform() -> None:
    """Each platform's folder is in the registry, under its own name."""
    assert sorted(platforms.REGISTRY) == PLATFORMS


def documented() -> dict[str, list[str]]:
    """Return the modules on the page about the public API, with their names."""
    page = (PACKAGE.parents[1] / "docs/api.md").read_text("utf-8")
    found: dict[str, list[str]] = {}
    for section in page.split("\n## ")[1:]:
        title, *lines = section.splitlines()
        names = [line.partition(":")[0] for line in lines if line.startswith("- `")]
        found[title.strip("`")] = re.findall(r"`(\w+)`", " ".join(names))
    return found


@pytest.mark.parametrize("module", documented())
def test_page_about_the_api_has_every_public_name(module: str) -> None:
    """The page lists what a public module exports, and each function and class says what it does."""
    found = import_module(module)
    assert sorted(documented()[module]) == sorted(found.__all__)
    public = [getattr(found, name) for name in found.__all__]
    assert all(each.__doc__ for each in public if inspect.isclass(each) or inspect.isfunction(each))


def public_definitions() -> Iterator[tuple[str, str]]:
    for path in MODULES:
        for node in ast.parse(path.read_text("utf-8")).body:
            names = [node.name] if isinstance(node, ast.FunctionDef | ast.ClassDef) else []
            if isinstance(node, ast.Assign | ast.AnnAssign):
                targets = node.targets if isinstance(node, ast.Assign) else [node.target]
                names = [target.id for target in targets if isinstance(target, ast.Name)]
            yield from ((name, str(path.relative_to(PACKAGE))) for name in names if not name.startswith("_"))


def test_no_two_things_have_one_name() -> None:
    """A public name of a module stands for one thing in the package: a reader who greps for it finds that.

    The folders of two platforms may have the same names, for what each does in its own way.
    """
    found: dict[str, set[str]] = {}
    for name, path in public_definitions():
        # Every module has its logger, and type variables mean nothing by themselves.
        if name != "log" and len(name) > 1:
            found.setdefault(name, set()).add(path)
    assert {name: paths for name, paths in found.items() if len(paths) > 1 and not are_of_platforms(paths)} == {}


def are_of_platforms(paths: set[str]) -> bool:
    """Return whether each path is in another platform's folder."""
    folders = [Path(path).parts[:-1] for path in paths]
    return all(len(folder) == len(("platforms", "name")) for folder in folders) and len(set(folders)) == len(folders)
