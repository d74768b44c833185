"""The tables, and the view that a person reads first."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

_MOMENT = sa.DateTime(timezone=True)
_JSON = sa.JSON().with_variant(JSONB(), "postgresql")

# A caller counts in the arm of their first hashed assignment, with all their calls from then on. That begins with the
# assignment's own call: where a report brought the assignment back, its row is younger than the call. A call without any
# outcome stands in the row whose outcome is null.
_VIEW = """
CREATE VIEW pickup_results AS
WITH hashed AS (
    SELECT assignments.experiment, assignments.arm, assignments.caller_key, assignments.call_id,
           COALESCE(calls.decided_at, assignments.assigned_at) AS since
    FROM pickup_assignments AS assignments
    LEFT JOIN pickup_calls AS calls ON calls.call_id = assignments.call_id
    WHERE assignments.source = 'hash'
),
enrolled AS (
    SELECT experiment, arm, caller_key, since,
           ROW_NUMBER() OVER (PARTITION BY experiment, caller_key ORDER BY since, call_id) AS place
    FROM hashed
)
SELECT enrolled.experiment, enrolled.arm, outcomes.name AS outcome,
       COUNT(DISTINCT calls.caller_key) AS callers,
       COUNT(DISTINCT calls.call_id) AS calls,
       AVG(outcomes.value) AS mean
FROM enrolled
JOIN pickup_calls AS calls ON calls.caller_key = enrolled.caller_key AND calls.decided_at >= enrolled.since
LEFT JOIN pickup_outcomes AS outcomes ON outcomes.call_id = calls.call_id
WHERE enrolled.place = 1
GROUP BY enrolled.experiment, enrolled.arm, outcomes.name
"""


def upgrade() -> None:
    """Make the tables and the view."""
    op.create_table(
        "pickup_calls",
        sa.Column("call_id", sa.String(), primary_key=True),
        sa.Column("caller_key", sa.String()),
        sa.Column("line", sa.String()),
        sa.Column("call_type", sa.String()),
        sa.Column("country", sa.String()),
        sa.Column("language", sa.String()),
        sa.Column("decided_at", _MOMENT),
        sa.Column("decision", sa.String()),
        sa.Column("reasons", _JSON),
        sa.Column("status", sa.String()),
        sa.Column("end_reason", sa.String()),
        sa.Column("ended_at", _MOMENT),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "pickup_assignments",
        sa.Column("call_id", sa.String(), primary_key=True),
        sa.Column("experiment", sa.String(), primary_key=True),
        sa.Column("arm", sa.String(), nullable=False),
        sa.Column("source", sa.String(), nullable=False),
        sa.Column("caller_key", sa.String()),
        sa.Column("definition", sa.String(), nullable=False),
        sa.Column("assigned_at", _MOMENT, nullable=False),
        sa.Column("delivered", sa.Boolean()),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "pickup_outcomes",
        sa.Column("call_id", sa.String(), primary_key=True),
        sa.Column("name", sa.String(), primary_key=True),
        sa.Column("value", sa.Double(), nullable=False),
        sa.Column("reported_at", _MOMENT, nullable=False),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "pickup_definitions",
        sa.Column("fingerprint", sa.String(), primary_key=True),
        sa.Column("experiment", sa.String(), nullable=False),
        sa.Column("body", _JSON, nullable=False),
        sa.Column("first_seen_at", _MOMENT, nullable=False),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "pickup_transcripts",
        sa.Column("call_id", sa.String(), primary_key=True),
        sa.Column("summary", sa.String()),
        sa.Column("messages", _JSON),
        sqlite_with_rowid=False,
    )
    op.execute(_VIEW)


def downgrade() -> None:
    """Drop the view and the tables, and with them all rows."""
    op.execute("DROP VIEW pickup_results")
    for table in ("transcripts", "definitions", "outcomes", "assignments", "calls"):
        op.drop_table(f"pickup_{table}")
