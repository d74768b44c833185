"""What was known of an experiment at the end of each week, so that a verdict once given stays.

A row a week, never altered: sums and means of arms alone, nothing of any caller. Definitions that were stored before have
their horizon in weeks, as the weekly looks need it.
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None


_IN_WEEKS = {
    "sqlite": (
        "UPDATE pickup_definitions SET body = json_set(json_remove(body, '$.decision.maximum_days'), "
        "'$.decision.maximum_weeks', (json_extract(body, '$.decision.maximum_days') + 6) / 7) "
        "WHERE json_extract(body, '$.decision.maximum_days') IS NOT NULL"
    ),
    "postgresql": (
        "UPDATE pickup_definitions SET body = jsonb_set(body #- '{decision,maximum_days}', '{decision,maximum_weeks}', "
        "to_jsonb(((body #>> '{decision,maximum_days}')::int + 6) / 7)) "
        "WHERE body #> '{decision,maximum_days}' IS NOT NULL"
    ),
}


def upgrade() -> None:
    """Make the table."""
    op.create_table(
        "pickup_looks",
        sa.Column("experiment", sa.String(), primary_key=True),
        sa.Column("period", sa.String(), primary_key=True),
        sa.Column("week", sa.Integer(), primary_key=True),
        sa.Column("body", sa.JSON().with_variant(JSONB(), "postgresql"), nullable=False),
        sqlite_with_rowid=False,
    )
    op.execute(_IN_WEEKS[op.get_context().dialect.name])


def downgrade() -> None:
    """Drop it."""
    op.drop_table("pickup_looks")
