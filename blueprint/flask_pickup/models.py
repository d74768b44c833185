"""The tables. They are a public interface: names and columns change only by a migration.

Every key begins with ``call_id``, so that tables spread by call keep each write and each join on one node; there are
no foreign keys, because a report may come before its call.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Any, ClassVar

from sqlalchemy import JSON, DateTime, Dialect, Double, Index, TypeDecorator, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

__all__ = [
    "RESULTS_VIEW",
    "VERSION_TABLE",
    "Assignment",
    "Base",
    "Call",
    "Definition",
    "Forgotten",
    "Look",
    "Outcome",
    "Snapshot",
    "Transcript",
    "include_object",
]

VERSION_TABLE = "pickup_alembic_version"
RESULTS_VIEW = "pickup_results"


class Moment(TypeDecorator[datetime]):
    """An aware time in UTC, on databases that keep time zones and on those that do not."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | str | None, dialect: Dialect) -> datetime | None:
        """Store UTC; a text is in ISO format, as spooled rows have it."""
        if value is None:
            return None
        value = (datetime.fromisoformat(value) if isinstance(value, str) else value).astimezone(UTC)
        return value if dialect.name == "postgresql" else value.replace(tzinfo=None)

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:  # noqa: ARG002
        """Return UTC, aware."""
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


_JSON = JSON(none_as_null=True).with_variant(JSONB(none_as_null=True), "postgresql")


class Base(DeclarativeBase):
    """Pickup's own metadata; a host's stays apart."""

    __table_args__: Any = {"sqlite_with_rowid": False}  # noqa: RUF012 (SQLAlchemy declares it so)
    type_annotation_map: ClassVar = {
        datetime: Moment,
        dict[str, Any]: _JSON,
        list[Any]: _JSON,
        float: Double,
    }


class Call(Base):
    """A call: what was decided when it rang, and how it ended.

    ``decision`` is ``arm``, ``base``, ``closed`` or ``fallback``; null where a report came and its call did not.
    ``reported_at`` is the time of the latest report; null while none has come. ``platform_call_id`` is the platform's own
    id of a call that has one of ours. ``part_times`` has the times of what parts of a report brought before the latest.
    """

    __tablename__ = "pickup_calls"
    __table_args__ = (
        Index("pickup_calls_caller", "caller_key", "decided_at"),
        Index("pickup_calls_decided_at", "decided_at"),
        Index(
            "pickup_calls_platform_call_id",
            "platform_call_id",
            sqlite_where=text("platform_call_id IS NOT NULL"),
            postgresql_where=text("platform_call_id IS NOT NULL"),
        ),
        Base.__table_args__,
    )

    call_id: Mapped[str] = mapped_column(primary_key=True)
    platform: Mapped[str]
    caller_key: Mapped[str | None]
    line: Mapped[str | None]
    call_type: Mapped[str | None]
    country: Mapped[str | None]
    language: Mapped[str | None]
    decided_at: Mapped[datetime | None]
    decision: Mapped[str | None]
    reasons: Mapped[dict[str, Any] | None]
    status: Mapped[str | None]
    end_reason: Mapped[str | None]
    ended_at: Mapped[datetime | None]
    reported_at: Mapped[datetime | None]
    platform_call_id: Mapped[str | None]
    part_times: Mapped[dict[str, Any] | None]


DECIDED = ("platform", "caller_key", "line", "call_type", "country", "language", "decided_at", "decision", "reasons")
"""What is known of a call once it is decided."""


class Assignment(Base):
    """An arm that a call was given in an experiment; ``source`` is ``hash``, ``pin`` or ``unidentified``."""

    __tablename__ = "pickup_assignments"

    call_id: Mapped[str] = mapped_column(primary_key=True)
    experiment: Mapped[str] = mapped_column(primary_key=True)
    arm: Mapped[str]
    source: Mapped[str]
    caller_key: Mapped[str | None]
    definition: Mapped[str]
    assigned_at: Mapped[datetime]
    delivered: Mapped[bool | None]


class Outcome(Base):
    """One number that came of a call."""

    __tablename__ = "pickup_outcomes"

    call_id: Mapped[str] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(primary_key=True)
    value: Mapped[float]
    reported_at: Mapped[datetime]


class Definition(Base):
    """An experiment as it stood, templates included."""

    __tablename__ = "pickup_definitions"

    fingerprint: Mapped[str] = mapped_column(primary_key=True)
    experiment: Mapped[str]
    body: Mapped[dict[str, Any]]
    first_seen_at: Mapped[datetime]


class Transcript(Base):
    """What was said on a call; kept only with ``PICKUP_TRANSCRIPTS``."""

    __tablename__ = "pickup_transcripts"

    call_id: Mapped[str] = mapped_column(primary_key=True)
    summary: Mapped[str | None]
    messages: Mapped[list[Any] | None]


class Forgotten(Base):
    """A mark of somebody or of a call that was forgotten, so that what comes late about them is not written.

    Nothing leads back from ``mark``; it goes after seven days.
    """

    __tablename__ = "pickup_forgotten"

    mark: Mapped[str] = mapped_column(primary_key=True)
    forgotten_at: Mapped[datetime]


class Snapshot(Base):
    """An experiment's latest results as the pages show them: aggregates only, one row that is replaced.

    What its plan starts from is another row, ``plan:<experiment>``. What a reader was told last is ``digest:<reader>``.

    ``computing_until`` is the lease of the process that computes them; ``body`` and ``computed_at`` are null while
    there are none yet.
    """

    __tablename__ = "pickup_snapshots"

    experiment: Mapped[str] = mapped_column(primary_key=True)
    computed_at: Mapped[datetime | None]
    computing_until: Mapped[datetime | None]
    body: Mapped[dict[str, Any] | None]


class Look(Base):
    """What was known of an experiment at the end of a whole week: aggregates only; never altered.

    ``period`` is a hash of what a period's definitions have in common, ``week`` its week from 1, ``body`` the results as
    JSON. The row of week 0 has the first sample ratio mismatch of the period.
    """

    __tablename__ = "pickup_looks"

    experiment: Mapped[str] = mapped_column(primary_key=True)
    period: Mapped[str] = mapped_column(primary_key=True)
    week: Mapped[int] = mapped_column(primary_key=True)
    body: Mapped[dict[str, Any]]


def include_object(schema_item: Any, name: str | None, kind: str, *_: object) -> bool:
    """Return whether Alembic's autogenerate should look at an object: not at what is Pickup's.

    Pass it on as Alembic's ``include_object``, so that your migrations leave Pickup's tables, their indexes and the view
    alone: ``Migrate(app, db, include_object=include_object)``. It goes together with a function of your own that is
    called with the same arguments: ``include_object(*args) and mine(*args)``.
    """
    table = name if kind == "table" else getattr(getattr(schema_item, "table", None), "name", name)
    # A partition is called as its table, with a number: deploy/partitions.sql.
    whole = re.sub(r"_[0-9]+$", "", table or "")
    return whole not in {*Base.metadata.tables, VERSION_TABLE, RESULTS_VIEW}
