"""What is wrong with the content, where, and what is right."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Literal

CURLY = "“”„‘’‚«»"  # noqa: RUF001
"""Quotation marks as word processors write them, for which no syntax has a use."""
STRAIGHT = ("a quote is curly", "write straight quotes: '…' or \"…\"")
"""The complaint about one."""

Level = Literal["error", "warning", "note"]


@dataclass(frozen=True, order=True)
class Complaint:
    """One thing that an author has to fix (an error), to judge (a warning) or to do elsewhere (a note).

    :param file: relative to the folder that holds ``experiments/`` and ``greetings/``.
    :param line: counted from 1; 0 where the complaint is about the file as a whole.
    :param remedy: empty if ``problem`` says it, as that of a note does.
    """

    file: str
    line: int
    problem: str
    remedy: str
    level: Level = "error"

    def __str__(self) -> str:
        # Editors open file:line; a file as a whole is opened at its beginning.
        return f"{self.file}:{max(self.line, 1)}: {self.problem}" + (self.remedy and f"; {self.remedy}")


def suggest(name: str, known: Iterable[str]) -> str:
    """Return the remedy for an unknown name: the one that was probably meant, else all that are known."""
    names = sorted(known)
    close = next(iter(get_close_matches(name, names, n=1)), None)
    return did_you_mean(close, f"known are {', '.join(names)}" if names else "remove it")


def did_you_mean(name: str | None, otherwise: str) -> str:
    """Return the remedy that proposes a name, or ``otherwise`` if no name is likely."""
    return f"did you mean '{name}'?" if name else otherwise


def toml_line(source: str, *path: str) -> int:
    """Return the line of a key in TOML, or of the nearest table above it; 1 if not even that is found.

    ``tomllib`` keeps no positions. This finds headers and keys as people write them.
    """
    found = 1
    table: tuple[str, ...] = ()
    for number, line in enumerate(source.splitlines(), 1):
        if header := re.match(r"\s*\[\[?\s*([^\]]+?)\s*\]", line):
            table = _keys(header[1])
            here = table
        elif key := re.match(r"\s*((?:\"[^\"]*\"|'[^']*'|[\w-]+)(?:\s*\.\s*(?:\"[^\"]*\"|'[^']*'|[\w-]+))*)\s*=", line):
            here = (*table, *_keys(key[1]))
        else:
            continue
        if here == path:
            return number
        if here == path[: len(here)]:
            found = number
    return found


def _keys(dotted: str) -> tuple[str, ...]:
    found = re.findall(r"\"([^\"]*)\"|'([^']*)'|([\w-]+)", dotted)
    return tuple(double or single or bare for double, single, bare in found)


def json_line(source: str, *path: str | int) -> int:
    """Return the line of a key in JSON, as far as ``path`` can be followed by its names."""
    position = 0
    for key in path:
        found = re.compile(rf'"{re.escape(key)}"\s*:').search(source, position) if isinstance(key, str) else None
        position = found.start() if found else position
    return source.count("\n", 0, position) + 1
