"""``check`` reads text files only, and finds files that nothing uses."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from complaints import BASE, DRAFT, complaints_about
from conftest import write


def huge(path: Path) -> None:
    with path.open("wb") as file:
        file.truncate(8 * 1024**3)


FAULTS: dict[str, tuple[Callable[[Path], Any], str]] = {
    "round.j2": (lambda path: path.symlink_to(path), "the file cannot be read"),
    "huge.j2": (huge, "the file has 8,589,934,592 bytes; keep it below 262,144"),
    "latin.j2": (lambda path: path.write_bytes(b"caf\xe9"), "byte 3 is not UTF-8; save the file as UTF-8"),
    "nul.j2": (lambda path: path.write_bytes(b"a\0b"), "the file has a NUL character; save it as plain text"),
    "caf\udce9.j2": (lambda path: path.write_text("A"), "the file's name is not UTF-8; rename it"),
}  # fmt: skip


def test_file_that_is_not_content_is_not_read(tmp_path: Path) -> None:
    """A file that is too large or is not text has a complaint and is not read."""
    write(tmp_path, BASE)
    for name, (make, _) in FAULTS.items():
        make(tmp_path / "greetings" / name)
    found = {each["file"]: each for each in complaints_about(tmp_path, {})}
    for name, (_, says) in FAULTS.items():
        complaint = found[f"greetings/{name}".replace("\udce9", "?")]
        assert says in f"{complaint['problem']}; {complaint['remedy']}"
        assert complaint["level"] == "error"


def test_byte_order_mark_is_dropped(tmp_path: Path) -> None:
    """A file with a byte order mark is read like one without."""
    toml = f'status = "draft"\n{DRAFT}'
    files = {**BASE, "experiments/a/experiment.toml": toml, "experiments/a/warm/first_message.j2": "Hi."}
    texts = {path: content if isinstance(content, str) else json.dumps(content) for path, content in files.items()}
    assert complaints_about(tmp_path, {path: f"\N{BYTE ORDER MARK}{text}" for path, text in texts.items()}) == []


UNUSED = {
    "greetings/first_message.txt": "write 'first_message.j2', or 'first_message.nl.j2' for one language",
    "greetings/First_Message.j2": "write 'first_message.j2'",
    "greetings/first-message.j2": "write 'first_message.j2'",
    "greetings/first_message.NL.j2": "'first_message.nl.j2' for one language",
    "greetings/system_prompt.english.j2": "'system_prompt.nl.j2' for one language",
    "greetings/first_message.flireo.j2": "write {% if platform == 'flireo' %} in 'first_message.j2'",
    "greetings/override.nl.json": "write 'override.json', or 'override.flireo.json' for one platform",
    "greetings/override.flirio.json": "did you mean 'override.flireo.json'?",
    "greetings/partials/override.flireo.json": "write 'override.flireo.json', in greetings/, in a line's folder",
    "greetings/Hours.toml": "write 'hours.toml'",
    "greetings/nl/first_message.j2": "in greetings/, in a line's folder or an arm's",
    "greetings/lines/desk/settings.toml": "write 'settings.toml', in greetings/",
    "experiments/experiment.toml": "write 'experiment.toml', in the experiment's own folder",
    "experiments/a/experiment.toml.txt": "write 'experiment.toml', in the experiment's own folder",
    "experiments/a/first_message.j2": "in greetings/, in a line's folder or an arm's",
}


def test_unused_file_is_a_warning(tmp_path: Path) -> None:
    """A file whose name or place is nearly right has a warning with the right one; notes and included files have none."""
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
    found = complaints_about(tmp_path, {**BASE, **used, **dict.fromkeys(UNUSED, "{}")})
    assert {(each["problem"], each["level"]) for each in found} == {("nothing reads this file", "warning")}
    remedies = {each["file"]: each["remedy"] for each in found}
    assert remedies.keys() == UNUSED.keys()
    assert [path for path, says in UNUSED.items() if says not in remedies[path]] == []


@pytest.mark.parametrize(
    ("file", "text"),
    [
        ("override.json", '{"assistant": {,}}'),
        ("system_prompt.j2", "{{ a"),
        ("first_message.j2", "{% if"),
        ("first_message.j2", "A\n{% include 'aside.txt' %}"),
    ],
)
def test_fault_has_one_complaint(tmp_path: Path, file: str, text: str) -> None:
    """An unreadable or missing file has one complaint; what follows from it, in the base and in arms, has none."""
    arm = {
        "experiments/a/experiment.toml": DRAFT,
        "experiments/a/warm/first_message.j2": "{% include 'greetings/first_message.j2' %} Hi.",
        "experiments/a/warm/system_prompt.j2": "{% extends 'greetings/system_prompt.j2' %}",
    }
    [found] = complaints_about(tmp_path, {**BASE, **arm, f"greetings/{file}": text})
    assert found["file"] == f"greetings/{file}"
