"""Tables as CSV and JSON, written while they are read."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from itertools import chain, islice
from typing import Any

from flask import Response, abort

_KINDS = {"csv": "text/csv", "json": "application/json"}

_BATCH = 500
"""Rows that are written at once."""


def download(columns: Sequence[str], rows: Iterable[Sequence[Any]], name: str, kind: str) -> Response:
    """Return a table as a file; 404 for an unknown kind."""
    if kind not in _KINDS:
        abort(404)
    written = _csv(columns, rows) if kind == "csv" else _json(columns, rows)
    headers = {"Content-Disposition": f"attachment; filename={name}.{kind}"}
    return Response(written, mimetype=_KINDS[kind], headers=headers)


def _csv(columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> Iterator[str]:
    for batch in _batches(chain([columns], rows)):
        lines = io.StringIO()
        csv.writer(lines).writerows([_cell(value) for value in row] for row in batch)
        yield lines.getvalue()


def _json(columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> Iterator[str]:
    before = "["
    for batch in _batches(rows):
        objects = (dict(zip(columns, map(_plain, row), strict=True)) for row in batch)
        yield before + ",\n".join(json.dumps(each, ensure_ascii=False) for each in objects)
        before = ",\n"
    yield "]\n" if before != "[" else "[]\n"


def _batches(rows: Iterable[Sequence[Any]]) -> Iterator[list[Sequence[Any]]]:
    remaining = iter(rows)
    while batch := list(islice(remaining, _BATCH)):
        yield batch


def _cell(value: Any) -> Any:
    return json.dumps(value, ensure_ascii=False) if isinstance(value, dict | list) else _plain(value)


def _plain(value: Any) -> Any:
    return value.isoformat() if isinstance(value, datetime) else value
