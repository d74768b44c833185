"""The files that pages load: few, packed, and kept by the browser until their content changes."""

from __future__ import annotations

import gzip
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from hashlib import sha256
from pathlib import Path

from flask import Response, abort, url_for

_FOLDER = Path(__file__).parents[1] / "static"
_TYPES: Mapping[str, str] = {".css": "text/css", ".js": "text/javascript", ".svg": "image/svg+xml"}
_SOURCES = {
    path.name: path for folder in (_FOLDER, _FOLDER / "vendor") for path in folder.iterdir() if path.suffix in _TYPES
}


@dataclass(frozen=True)
class _Asset:
    mimetype: str
    packed: bytes
    version: str


@cache
def _asset(name: str) -> _Asset:
    content = _SOURCES[name].read_bytes()
    return _Asset(_TYPES[_SOURCES[name].suffix], gzip.compress(content), sha256(content).hexdigest()[:12])


def asset_url(name: str) -> str:
    """Return a file's address, which changes with its content."""
    return url_for(".asset", name=name, v=_asset(name).version)


def asset_response(name: str) -> Response:
    """Return a file. Every browser unpacks gzip."""
    if name not in _SOURCES:
        abort(404)
    response = Response(_asset(name).packed, mimetype=_asset(name).mimetype)
    response.headers["Content-Encoding"] = "gzip"
    response.headers["Cache-Control"] = "private, max-age=31536000, immutable"
    return response
