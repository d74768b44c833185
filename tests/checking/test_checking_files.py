"""What ``check`` says of folders that a stranger arranged: links, pipes, sizes, names, encodings."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from complaints import BASE, DRAFT, complaints_about
from conftest import FLIREO, write
from flask_pickup.catalog import load


def huge(path: Path) -> None:
    with path.open("wb") as file:
        file.truncate(8 * 1024**3)


FAULTS: dict[str, tuple[Callable[[Path], Any], str]] = {
    "link.j2": (lambda path: path.symlink_to("/etc/hostname"), "this link leads out of the folder; put the file itself here"),
    "folder": (lambda path: path.symlink_to("/etc"), "this link leads out of the folder"),
    "round.j2": (lambda path: path.symlink_to(path), "the file cannot be read"),
    "pipe.j2": (os.mkfifo, "this is not a regular file; put a text file here"),
    "huge.j2": (huge, "the file has 8,589,934,592 bytes; keep it below 262,144"),
    "latin.j2": (lambda path: path.write_bytes(b"caf\xe9"), "byte 3 is not UTF-8; save the file as UTF-8"),
    "nul.j2": (lambda path: path.write_bytes(b"a\0b"), "the file has a NUL character; save it as plain text"),
    "caf\udce9.j2": (lambda path: path.write_text("A"), "the file's name is not UTF-8; rename it"),
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


def test_too_many_files(tmp_path: Path) -> None:
    """A folder of somebody's modules is not read to its end."""
    found = complaints_about(tmp_path, {**BASE, **{f"greetings/{number}.txt": "" for number in range(5_100)}})
    assert any(each["file"] == "greetings" and each["problem"] == "more than 5,000 files" for each in found)


def test_mark_that_windows_puts_before_a_text_is_no_part_of_it(tmp_path: Path) -> None:
    """Files that an editor saved with a byte order mark are read as those without."""
    toml = f'status = "draft"\n{DRAFT}'
    files = {**BASE, "experiments/a/experiment.toml": toml, "experiments/a/warm/first_message.j2": "Hi."}
    texts = {path: content if isinstance(content, str) else json.dumps(content) for path, content in files.items()}
    assert complaints_about(tmp_path, {path: f"\N{BYTE ORDER MARK}{text}" for path, text in texts.items()}) == []


def test_copy_that_is_kept_beside_an_override_is_not_heard(tmp_path: Path) -> None:
    """Only ``override.json`` itself is the override: an old one of another name turns nobody away."""
    write(tmp_path, {**BASE, "greetings/previous_override.json": {"error": "We have moved."}})
    catalog = load(
        tmp_path / "experiments", tmp_path / "greetings", pin_key=lambda _: None, region="NL", platforms=[FLIREO]
    )
    assert [path for path, _ in catalog.overrides()] == ["greetings/override.json"]


STRAYS = {
    "greetings/first_message.txt": "write 'first_message.j2', or 'first_message.nl.j2' for one language",
    "greetings/First_Message.j2": "write 'first_message.j2'",
    "greetings/first-message.j2": "write 'first_message.j2'",
    "greetings/first_message.NL.j2": "'first_message.nl.j2' for one language",
    "greetings/system_prompt.english.j2": "'system_prompt.nl.j2' for one language",
    "greetings/override.nl.json": "write 'override.json'",
    "greetings/Hours.toml": "write 'hours.toml'",
    "greetings/nl/first_message.j2": "in greetings/, in a line's folder or an arm's",
    "greetings/lines/desk/settings.toml": "write 'settings.toml', in greetings/",
    "experiments/experiment.toml": "write 'experiment.toml', in the experiment's own folder",
    "experiments/a/experiment.toml.txt": "write 'experiment.toml', in the experiment's own folder",
    "experiments/a/first_message.j2": "in greetings/, in a line's folder or an arm's",
}


@pytest.fixture(scope="module")
def said_of_strays(tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, Any]]:
    """What is said of a folder in which much is almost called, or almost stands, as it should."""
    used = {
        "greetings/settings.toml": '[lines."+31850123456"]\ngreetings = "lines/desk"\n',
        "greetings/lines/desk/hours.toml": 'timezone = "UTC"\n[week]\nmonday = "09:00-17:00"\n',
        "greetings/lines/desk/closed.j2": "{% include 'partials/first_message_late.j2' %}",
        "greetings/lines/desk/partials/first_message_late.j2": "Too late.",
        "greetings/README.md": "",
        "greetings/notes.txt": "",
        "experiments/a/experiment.toml": DRAFT,
        "experiments/a/warm/first_message.j2": "Hi.",
    }
    return complaints_about(tmp_path_factory.mktemp("strays"), {**BASE, **used, **dict.fromkeys(STRAYS, "{}")})


@pytest.mark.parametrize("path", STRAYS)
def test_file_that_nothing_reads_is_named(said_of_strays: list[dict[str, Any]], path: str) -> None:
    """A file whose name or place is nearly right is a warning that says what would be."""
    [found] = [each for each in said_of_strays if each["file"] == path]
    assert (found["problem"], found["level"]) == ("nothing reads this file", "warning")
    assert STRAYS[path] in found["remedy"]


def test_what_is_read_or_meant_for_people_is_none_of_them(said_of_strays: list[dict[str, Any]]) -> None:
    """Notes, and files that templates take in by whatever name, are not warned of."""
    assert {each["file"] for each in said_of_strays} == set(STRAYS)


@pytest.mark.parametrize(
    ("file", "text"),
    [("override.json", '{"assistant": {,}}'), ("system_prompt.j2", "{{ a"), ("first_message.j2", "{% if")],
)
def test_file_that_cannot_be_read_is_said_once(tmp_path: Path, file: str, text: str) -> None:
    """What else would follow from it, in the base and in the arms that build on it, is not said."""
    arm = {
        "experiments/a/experiment.toml": DRAFT,
        "experiments/a/warm/first_message.j2": "{% include 'greetings/first_message.j2' %} Hi.",
        "experiments/a/warm/system_prompt.j2": "{% extends 'greetings/system_prompt.j2' %}",
    }
    [found] = complaints_about(tmp_path, {**BASE, **arm, f"greetings/{file}": text})
    assert found["file"] == f"greetings/{file}"


def test_file_that_is_not_there_is_said_once(tmp_path: Path) -> None:
    """A file that a template takes in by name is missed at that line, and not once more as an answer that fails."""
    [found] = complaints_about(tmp_path, {**BASE, "greetings/first_message.j2": "A\n{% include 'aside.txt' %}"})
    assert (found["line"], found["problem"]) == (2, "missing file 'aside.txt'")
