"""The house: what is public, and which room may know of which."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

import flask_pickup

PACKAGE = Path(flask_pickup.__file__).parent

ROOMS = [
    *("errors", "processes", "translation", "models", "options", "body"),
    *("flireo", "caller", "cleaning", "customer", "assignment", "override", "rendering", "catalog"),
    *("migrating", "ledger"),
    *("outcomes", "decision", "results", "reports", "handlers", "signals", "metrics", "webhook"),
    *("checking", "privacy", "rehearsal", "previewing", "simulation", "dashboard", "blueprint", "testing", "cli"),
]
"""From the cellar up: a room imports only from those before it. A new room needs its place here."""


MODULES = [path for path in sorted(PACKAGE.rglob("*.py")) if path != PACKAGE / "__init__.py"]


def room_of(path: Path) -> str:
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


def imported_rooms(path: Path) -> Iterator[tuple[int, str]]:
    """Yield the line and the room of each import from the package, inside functions too."""
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}:{node.lineno}: imports are absolute here"
            names = [f"{node.module}.{alias.name}" for alias in node.names]
        elif isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        else:
            continue
        yield from ((node.lineno, name.split(".")[1]) for name in names if name.startswith("flask_pickup."))


def test_front_door_is_small() -> None:
    """Documented means public: these names, each of them there, and no others."""
    names = ["BadWebhook", "Caller", "ConfigurationError", "Pickup", "PickupError", "include_object"]
    assert flask_pickup.__all__ == names
    assert [getattr(flask_pickup, name).__name__ for name in names] == names


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_each_room_knows_only_those_below(path: Path) -> None:
    """A room imports only from rooms that stand below it."""
    room = room_of(path)
    below = ROOMS[: ROOMS.index(room)]
    wrong = [f"line {line}: {other}" for line, other in imported_rooms(path) if other not in {*below, room}]
    assert not wrong, f"{room} must not know {', '.join(wrong)}"


def test_platform_has_one_room() -> None:
    """The names of the platform's headers and keys stand in its own folder alone."""
    words = (
        "X-Webhook-Signature",
        "X-Webhook-Timestamp",
        "phone_number",
        "phoneNumber",
        "tool_call_list",
        "eventType",
        "durationSeconds",
    )
    found = {
        f"{path.relative_to(PACKAGE)}: {word}"
        for path in MODULES
        if room_of(path) != "flireo"
        for word in words
        if word in path.read_text("utf-8")
    }
    assert not found
