"""A reader's digest: what changed since the last one, and what they were told, in a row of ``pickup_snapshots``."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import select

from flask_pickup.blueprint import State
from flask_pickup.digest.changes import News, changes
from flask_pickup.digest.state import known_now, latest_results
from flask_pickup.engines import STATEMENT_TIMEOUT, reading
from flask_pickup.models import Snapshot

_TOLD = "digest:"
"""Begins the name of a reader's row."""


@dataclass(frozen=True)
class Digest:
    """What changed.

    :param since: when the last digest was; None of the first.
    """

    changes: tuple[News, ...]
    since: datetime | None

    @property
    def has_news(self) -> bool:
        """Whether there is something to tell; the first digest always has."""
        return bool(self.changes) or self.since is None


@contextmanager
def digest_for(state: State, reader: str, *, again: bool = False) -> Iterator[Digest | None]:
    """Give a reader's digest, to be delivered within the block; None while another process delivers one.

    It counts as told where the block ends without an error, and there was something to tell.

    :param again: whether it tells what the last one told too.
    :raises sqlalchemy.exc.SQLAlchemyError: if the database does not answer. Where only the end of the block raises, the
        digest is delivered, and will be told again.
    :raises SpoolUnavailable: if the spool cannot be read.
    """
    row = f"{_TOLD}{reader}"
    seen, body = _read(state, row)
    told, before = body.get("told"), body.get("before")
    base = before if again else told
    results = latest_results(state)
    now = known_now(state, results, told)
    found = tuple(changes(base, now, state.catalog, results))
    digest = Digest(found, datetime.fromisoformat(base["at"]) if base else None)
    # Whoever told the reader something meanwhile knew other things.
    if digest.has_news and not state.snapshots.lease(row, seen):
        yield None
        return
    try:
        yield digest
    except BaseException:
        if digest.has_news:
            state.snapshots.write(row)
        raise
    if digest.has_news:
        state.snapshots.write(row, computed_at=state.now, body={"told": now, "before": base})


def _read(state: State, row: str) -> tuple[datetime | None, dict[str, Any]]:
    with reading(state.engine, STATEMENT_TIMEOUT) as connection:
        query = select(Snapshot.computed_at, Snapshot.body).where(Snapshot.experiment == row)
        found = connection.execute(query).one_or_none()
    return (found.computed_at, found.body or {}) if found else (None, {})
