"""What ``check`` says of folders that a stranger arranged: links, pipes, sizes, names, encodings."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from complaints import BASE, DRAFT, complaints_about
from conftest import write
from flask_pickup.catalog import load


def huge(path: Path) -> None:
    with path.open("wb") as file:
        file.truncate(8 * 1024**3)


FAULTS: dict[str, tuple[Callable[[Path], Any], str]] = {
    "link.j2": (lambda path: path.symlink_to("/etc/hostname"), "this link leads out of the folder; put the file itself here"),
    "folder": (lambda path: path.symlink_to("/etc"), "this link leads out of the folder"),
    "round.j2": (lambda path: path.symlink_to(path), "it cannot be read"),
    "pipe.j2": (os.mkfifo, "this is no regular file; put a text file here"),
    "huge.j2": (huge, "the file has 8,589,934,592 bytes; at most 262,144 are read"),
    "latin.j2": (lambda path: path.write_bytes(b"caf\xe9"), "byte 3 is no UTF-8; save the file as UTF-8"),
    "nul.j2": (lambda path: path.write_bytes(b"a\0b"), "there is a NUL character in it; save it as plain text"),
    "caf\udce9.j2": (lambda path: path.write_text("A"), "the file's name is no UTF-8; rename it"),
}  # fmt: skip


@pytest.fixture(scope="module")
def complaints(tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, Any]]:
    """What is said of a folder that has all of it."""
    root = write(tmp_path_factory.mktemp("files"), BASE)
    for name, (make, _) in FAULTS.items():
        make(root / "greetings" / name)
    return complaints_about(root, {})


@pytest.mark.parametrize("name", FAULTS)
def test_what_is_no_content_is_not_read(complaints: list[dict[str, Any]], name: str) -> None:
    """What leads out, would block, is too large or no text is named with what is right, and nothing of it is read."""
    shown = name.replace("\udce9", "\N{REPLACEMENT CHARACTER}")
    [found] = [each for each in complaints if each["file"] == f"greetings/{shown}"]
    assert FAULTS[name][1] in f"{found['problem']}; {found['remedy']}"
    assert found["level"] == "error"


@pytest.mark.parametrize(
    ("files", "says"),
    [
        ({f"greetings/{number:02}.j2": "x" * 250_000 for number in range(35)}, "keep content smaller"),
        # Such as somebody's modules, beside the content.
        ({f"greetings/{number}.txt": "" for number in range(5_100)}, "keep content in smaller folders"),
    ],
    ids=["text", "files"],
)
def test_too_much(tmp_path: Path, files: dict[str, str], says: str) -> None:
    """A folder that is no folder of greetings is not read to its end."""
    found = complaints_about(tmp_path, {**BASE, **files})
    assert any(each["file"] == "greetings" and each["remedy"] == says for each in found)


def test_mark_that_windows_puts_before_a_text_is_no_part_of_it(tmp_path: Path) -> None:
    """Files that an editor saved with a byte order mark are read as those without."""
    toml = f'status = "draft"\n{DRAFT}'
    files = {**BASE, "experiments/a/experiment.toml": toml, "experiments/a/warm/first_message.j2": "Hi."}
    texts = {path: content if isinstance(content, str) else json.dumps(content) for path, content in files.items()}
    assert complaints_about(tmp_path, {path: f"\N{BYTE ORDER MARK}{text}" for path, text in texts.items()}) == []


def test_copy_that_is_kept_beside_an_override_is_not_heard(tmp_path: Path) -> None:
    """Only ``override.json`` itself is the override: an old one of another name turns nobody away."""
    write(tmp_path, {**BASE, "greetings/previous_override.json": {"error": "We have moved."}})
    catalog = load(tmp_path / "experiments", tmp_path / "greetings", pin_key=lambda _: None, region="NL")
    assert [path for path, _ in catalog.overrides()] == ["greetings/override.json"]
