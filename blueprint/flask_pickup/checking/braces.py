"""Braces that were meant to be filled in, and would be said as they are written."""

from __future__ import annotations

import re
from collections.abc import Iterator

from flask_pickup.catalog import Complaint

_MISWRITTEN = re.compile(
    r"""
    (?<!\{) \{ (?![{%#]) \s* (?: [a-z_]+ (?:\.\w+)+ | language | open ) \b [^{}\n]* \}  # {customer.name}, { language }}
    | \{ \s+ % | % \s+ \} | <%  # { % if open % }
    """,
    re.VERBOSE,
)


def check_braces(path: str, text: str) -> Iterator[Complaint]:
    """Yield each line of a text with braces that are none of Jinja's, around what looks as if they should be."""
    for number, line in enumerate(text.splitlines(), 1):
        if found := _MISWRITTEN.search(line):
            problem = f"'{found[0]}' would be said as it is written"
            yield Complaint(path, number, problem, "write {{ … }} to fill something in, {% … %} to decide", "warning")
