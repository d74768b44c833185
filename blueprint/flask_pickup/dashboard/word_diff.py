"""Where the words of two texts differ."""

from __future__ import annotations

import re
from difflib import SequenceMatcher
from functools import lru_cache
from typing import Literal

Pieces = tuple[tuple[Literal["same", "added", "removed"], str], ...]
"""A text in pieces: what it shares with another, what it adds, and what it leaves out."""

_FEWEST_SHARED = 3
"""Words in a row between two changes that count as shared; fewer would be hard to read."""

_LARGE = 1_000_000
"""Pairs of words above which the comparison is no longer exact: its time grows with the square of the length."""

_TOKEN = re.compile(r"\s+|[^\s\w]|\w+")


@lru_cache(maxsize=256)
def word_diff(base: str, text: str) -> Pieces:
    """Return ``text`` in pieces, with what it leaves out of ``base`` in its place."""
    old, new = _TOKEN.findall(base), _TOKEN.findall(text)
    matcher = SequenceMatcher(None, old, new, autojunk=len(old) * len(new) > _LARGE)
    pieces: list[tuple[Literal["same", "added", "removed"], str]] = []
    removed = added = ""
    for kind, a, b, c, d in matcher.get_opcodes():
        is_at_an_end = a == 0 or c == 0 or (b == len(old) and d == len(new))
        is_long = sum(token.isalnum() for token in new[c:d]) >= _FEWEST_SHARED
        if kind == "equal" and (is_at_an_end or is_long):
            pieces += [("removed", removed), ("added", added), ("same", "".join(new[c:d]))]
            removed = added = ""
        else:
            removed += "".join(old[a:b])
            added += "".join(new[c:d])
    pieces += [("removed", removed), ("added", added)]
    return tuple((mark, piece) for mark, piece in pieces if piece)
