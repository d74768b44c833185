"""The latest results of each experiment, as the pages show them, and the lease of the process that computes them anew.

One row an experiment, replaced again and again: sums and means of arms alone, nothing of any caller.
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make the table."""
    op.create_table(
        "pickup_snapshots",
        sa.Column("experiment", sa.String(), primary_key=True),
        sa.Column("computed_at", sa.DateTime(timezone=True)),
        sa.Column("computing_until", sa.DateTime(timezone=True)),
        sa.Column("body", sa.JSON().with_variant(JSONB(), "postgresql")),
        sqlite_with_rowid=False,
    )


def downgrade() -> None:
    """Drop it."""
    op.drop_table("pickup_snapshots")
