"""Reading TOML so that each mistake is a complaint with its line, and checking is one line with assigning."""

from __future__ import annotations

import re
import sys
import textwrap
import tomllib
from collections.abc import Callable, Iterator, Mapping
from typing import Any, TypeVar

from flask_pickup.catalog.complaints import Complaint, Level, suggest, toml_line

T = TypeVar("T")

NAME = re.compile(r"[a-z0-9][a-z0-9_-]*")

_MEND = (
    "a line is key = value, and no key stands twice; text is in straight quotes (\"…\", with '…' inside), a key with "
    "a + too, and decimals have a point"
)


class Table:
    """A table of a TOML file. What is wrong with it is added to ``complaints``; a default takes its place.

    :param values: None of a file that is no TOML, whose table is empty.
    """

    def __init__(
        self,
        values: Mapping[str, Any] | None,
        *,
        file: str,
        source: str,
        complaints: list[Complaint],
        path: tuple[str, ...] = (),
    ) -> None:
        self.file = file
        self.is_readable = values is not None
        self._values = values or {}
        self._source = source
        self._complaints = complaints
        self._path = path
        self._asked: set[str] = set()

    def __contains__(self, key: str) -> bool:
        return key in self._values

    def __iter__(self) -> Iterator[str]:
        return iter(self._values)

    def complain(self, problem: str, remedy: str, *path: str, level: Level = "error") -> None:
        """Complain about this table, or about the key at ``path`` in it."""
        line = toml_line(self._source, *self._path, *path)
        self._complaints.append(Complaint(self.file, line, problem, remedy, level))

    def get(self, key: str, default: T, fits: Callable[[Any], bool], right: str) -> T:
        """Return the value of ``key`` if it ``fits``; otherwise complain, saying what is ``right``."""
        self._asked.add(key)
        value = self._values.get(key, default)
        if key not in self._values or fits(value):
            return value  # type: ignore[no-any-return]
        self.complain(f"{key} = {_shown(value)} makes no sense", f"write {right}", key)
        return default

    def text(self, key: str, default: str = "") -> str:
        """Return a string."""
        return self.get(key, default, lambda value: isinstance(value, str), "text in quotes")

    def choice(self, key: str, default: str, *choices: str) -> str:
        """Return one of ``choices``."""
        quoted = ", ".join(f'"{choice}"' for choice in choices)
        return self.get(key, default, lambda value: value in choices, f"one of {quoted}")

    def name(self, key: str, default: str) -> str:
        """Return a name: lower-case letters, digits, ``_`` and ``-``."""
        right = "lower-case letters, digits, '-' and '_', beginning with a letter or digit"
        return self.get(key, default, lambda value: isinstance(value, str) and bool(NAME.fullmatch(value)), right)

    def number(self, key: str, default: float, fits: Callable[[float], bool], right: str) -> float:
        """Return a number that ``fits``."""
        return self.get(key, default, lambda value: is_number(value) and fits(value), right)

    def table(self, key: str) -> Table:
        """Return the table under ``key``, an empty one if there is none."""
        values: Mapping[str, Any] = self.get(key, {}, lambda value: isinstance(value, Mapping), f"a table: [{key}]")
        return Table(values, file=self.file, source=self._source, complaints=self._complaints, path=(*self._path, key))

    def raw(self, key: str) -> Any:
        """Return a value as it stands, unchecked."""
        return self._values.get(key)

    def accept(self, *keys: str) -> None:
        """Let keys stand that are read elsewhere: these, or all where none is named."""
        self._asked.update(keys or self._values)

    def finish(self) -> None:
        """Complain about each key that nobody asked for."""
        for key in self._values.keys() - self._asked:
            self.complain(f"nothing is called '{_masked(key)}' here", suggest(key, self._asked), key)


def read_toml(file: str, source: str, complaints: list[Complaint]) -> Table:
    """Parse ``source``; what is no TOML is a complaint and an empty table."""
    values = None
    try:
        values = tomllib.loads(source)
    except tomllib.TOMLDecodeError as error:
        message = str(error)
        line = re.search(r"at line (\d+)", message)
        end = source.count("\n") + 1
        problem = re.sub(r" \(at .*\)$", "", message)
        complaints.append(Complaint(file, int(line[1]) if line else end, f"this is no TOML: {problem}", _MEND))
    return Table(values, file=file, source=source, complaints=complaints)


def is_number(value: object) -> bool:
    """Return whether ``value`` is a finite number; a boolean is none."""
    # TOML has integers that no float holds; a weight such as that would raise on a call.
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) <= sys.float_info.max


def _shown(value: object) -> str:
    text = f'"{value}"' if isinstance(value, str) else str(value)
    return textwrap.shorten(_masked(text), 40, placeholder="…")


def _masked(text: str) -> str:
    """Return ``text`` without what could be a phone number: complaints end in logs."""
    return re.sub(r"\+?\d(?:[\s().-]*\d){6,}", "…", text)
