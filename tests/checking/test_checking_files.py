"""What ``check`` says of folders that a stranger arranged: links, pipes, sizes, names, encodings."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from complaints import BASE, complaints_about
from conftest import write


def said_of(root: Path, path: str) -> str:
    """Check the folder and return what is said of one file, and require that it is an error."""
    found = [each for each in complaints_about(root, BASE) if each["file"] == path]
    assert [each["level"] for each in found] == ["error"], found
    return f"{found[0]['problem']}; {found[0]['remedy']}"


@pytest.fixture
def greetings(tmp_path: Path) -> Path:
    return write(tmp_path, BASE) / "greetings"


def test_link_out_of_the_folder(greetings: Path) -> None:
    """A link that leads out is named, and what it leads to is not read."""
    (greetings / "bye.j2").symlink_to("/etc/hostname")
    assert "this link leads out of the folder; put the file itself here" in said_of(
        greetings.parent, "greetings/bye.j2"
    )


def test_link_to_a_folder_outside(greetings: Path) -> None:
    """So is a link to a folder."""
    (greetings / "partials").symlink_to("/etc")
    assert "leads out of the folder" in said_of(greetings.parent, "greetings/partials")


def test_link_that_goes_round(greetings: Path) -> None:
    """A link to itself is no file."""
    (greetings / "bye.j2").symlink_to(greetings / "bye.j2")
    assert "it cannot be read" in said_of(greetings.parent, "greetings/bye.j2")


def test_pipe(greetings: Path) -> None:
    """A pipe would hold up whoever opens it: it is not opened."""
    os.mkfifo(greetings / "bye.j2")
    assert "this is no regular file; put a text file here" in said_of(greetings.parent, "greetings/bye.j2")


def test_huge_file(greetings: Path) -> None:
    """A file of gigabytes is not read."""
    with (greetings / "bye.j2").open("wb") as file:
        file.truncate(8 * 1024**3)
    assert "the file has 8,589,934,592 bytes; at most 262,144 are read" in said_of(greetings.parent, "greetings/bye.j2")


@pytest.mark.parametrize(
    ("content", "says"),
    [(b"caf\xe9", "byte 3 is no UTF-8; save the file as UTF-8"), (b"a\0b", "there is a NUL character in it")],
)
def test_what_is_no_text(greetings: Path, content: bytes, says: str) -> None:
    """What is no text is named with what is right."""
    (greetings / "bye.j2").write_bytes(content)
    assert says in said_of(greetings.parent, "greetings/bye.j2")


def test_name_that_is_no_text(greetings: Path) -> None:
    """A file whose name no terminal can show is complained about all the same."""
    Path(os.fsdecode(os.fsencode(greetings) + b"/caf\xe9.j2")).write_text("A")
    assert "the file's name is no UTF-8; rename it" in said_of(
        greetings.parent, "greetings/caf\N{REPLACEMENT CHARACTER}.j2"
    )


def test_too_much_text(greetings: Path) -> None:
    """Many files that are each small enough are not all read."""
    for number in range(35):
        (greetings / f"{number:02}.j2").write_text("x" * 250_000)
    assert "keep content smaller" in said_of(greetings.parent, "greetings")


def test_too_many_files(greetings: Path) -> None:
    """A folder in which something else lies, such as somebody's modules, is not walked to its end."""
    for number in range(5_100):
        (greetings / f"{number}.txt").touch()
    assert "keep content in smaller folders" in said_of(greetings.parent, "greetings")
