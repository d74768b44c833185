"""Tables as CSV and JSON, written while they are read."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any

from flask import Response, abort
from sqlalchemy import Engine, Table, select, tuple_

from flask_pickup.engines import STATEMENT_TIMEOUT, reading
from flask_pickup.models import Assignment, Call, Definition, Outcome, Transcript
from flask_pickup.spreadsheets import csv_text

TABLES: Mapping[str, Table] = {
    model.__tablename__.removeprefix("pickup_"): model.__table__  # type: ignore[misc]
    for model in (Call, Assignment, Outcome, Definition, Transcript)
}
"""What can be downloaded, by the name in the address."""

KINDS = {"csv": "text/csv", "json": "application/json"}
_CHUNK = 1_000

_Chunks = Iterable[Sequence[Sequence[Any]]]


def download(columns: Sequence[str], chunks: _Chunks, name: str, kind: str) -> Response:
    """Return a table as a file; 404 for an unknown kind.

    :param chunks: the rows, some at a time.
    """
    if kind not in KINDS:
        abort(404)
    written = _csv(columns, chunks) if kind == "csv" else _json(columns, chunks)
    headers = {"Content-Disposition": f"attachment; filename={name}.{kind}"}
    return Response(written, mimetype=KINDS[kind], headers=headers)


def table_chunks(engine: Engine, table: Table) -> Iterator[Sequence[Sequence[Any]]]:
    """Yield the rows of a table in chunks, each read by itself."""
    keys = list(table.primary_key.columns)
    query = chunk_query = select(table).order_by(*keys).limit(_CHUNK)
    while True:
        with reading(engine, STATEMENT_TIMEOUT) as connection:
            chunk = connection.execute(chunk_query).all()
        yield chunk
        if len(chunk) < _CHUNK:
            return
        chunk_query = query.where(tuple_(*keys) > tuple(getattr(chunk[-1], key.name) for key in keys))


def _csv(columns: Sequence[str], chunks: _Chunks) -> Iterator[str]:
    yield csv_text([columns])
    yield from map(csv_text, chunks)


def _json(columns: Sequence[str], chunks: _Chunks) -> Iterator[str]:
    before = "["
    for chunk in chunks:
        for row in chunk:
            found = dict(zip(columns, row, strict=True))
            yield before + json.dumps(found, default=datetime.isoformat, ensure_ascii=False)
            before = ",\n"
    yield "]\n" if before != "[" else "[]\n"
