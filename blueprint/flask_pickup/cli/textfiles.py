"""Text files of the host to which ``flask pickup init`` adds: ``.env``, ``.env.example``, ``.gitignore``."""

from __future__ import annotations

import os
import re
from collections.abc import Collection, Mapping
from pathlib import Path

from flask_pickup.cli.group import fail

_VARIABLE = re.compile(
    r"^(?P<key>[^\S\n]*(?:export[^\S\n]+)?(?P<name>PICKUP_\w+)[^\S\n]*=)[^\S\n]*(?P<value>.*?)(?P<end>[^\S\n]*)$",
    re.MULTILINE,
)
_EMPTY = {"", "''", '""'}


def text_of(file: Path) -> str:
    """Return a file's text, empty if there is none; fail if it is no text."""
    try:
        text = file.read_bytes().decode()
    except FileNotFoundError:
        return ""
    except UnicodeDecodeError:
        fail(f"'{file}' is not UTF-8 text; PowerShell may have written UTF-16. Save it as UTF-8, and run this again.")
    except IsADirectoryError:
        fail(f"'{file}' is a folder, where a file belongs. Rename or remove it, and run this again.")
    except OSError as error:
        fail(f"'{file}' cannot be read: {error.strerror}.")
    return text


def names_in(text: str) -> set[str]:
    """Return the names of Pickup's variables that a text has a line for."""
    return {found["name"] for found in _VARIABLE.finditer(text)}


def names_set_in(text: str) -> set[str]:
    """Return the names of Pickup's variables that a text gives a value."""
    return {found["name"] for found in _VARIABLE.finditer(text) if found["value"] not in _EMPTY}


def with_values(text: str, values: Mapping[str, str]) -> str:
    """Return a text whose variables have values where they are empty."""

    def filled(found: re.Match[str]) -> str:
        is_empty = found["value"] in _EMPTY and found["name"] in values
        return f"{found['key']}{values[found['name']]}{found['end']}" if is_empty else found[0]

    return _VARIABLE.sub(filled, text)


def with_lines(text: str, lines: Collection[str]) -> str:
    """Return a text with more lines at its end."""
    between = "" if not text or text.endswith("\n") else "\n"
    return "".join([text, between, *(f"{line}\n" for line in lines)]) if lines else text


def save(file: Path, text: str, mode: int) -> list[Path]:
    """Write a text that is no shorter than the one there; return the file if it changed.

    :param mode: the permissions of a new file.
    """
    if file.exists() and text_of(file) == text:
        return []
    # In place, so that a link stays one, and the file its owner's.
    with os.fdopen(os.open(file, os.O_WRONLY | os.O_CREAT, mode), "w", encoding="utf-8", newline="") as opened:
        opened.write(text)
    return [file]
