"""The files that the pages need besides: few, small, and kept by the browser until their content changes."""

from __future__ import annotations

import gzip
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from hashlib import sha256
from pathlib import Path

_FOLDER = Path(__file__).parents[1] / "static"

_FILES: Mapping[str, tuple[str, tuple[str, ...]]] = {
    "icon.svg": ("image/svg+xml", ("icon.svg",)),
    "pickup.css": ("text/css", ("pickup.css",)),
    "pickup.js": ("text/javascript", ("pickup.js",)),
    "plots.js": ("text/javascript", ("vendor/d3.min.js", "vendor/plot.min.js")),
}
"""Name in the address to type and files."""


@dataclass(frozen=True)
class Asset:
    """A file as it is sent.

    :param version: changes with the content.
    """

    type: str
    content: bytes
    packed: bytes
    version: str


@cache
def asset(name: str) -> Asset | None:
    """Return a file, read once; None if there is none of this name."""
    if name not in _FILES:
        return None
    kind, files = _FILES[name]
    content = b"\n".join((_FOLDER / file).read_bytes() for file in files)
    return Asset(kind, content, gzip.compress(content), sha256(content).hexdigest()[:12])
