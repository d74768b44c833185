"""Marks of callers who were forgotten, so that what arrives late about them is not written down after all.

A row may wait in the spool of a host that the database has not heard of for days, and a report comes when the call is
over. A mark is a one-way hash: neither a number, nor a key, nor a call can be read from it. It is looked for when a
report or a spooled call is written, never on a call's way, and it goes after seven days.
"""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make the table."""
    op.create_table(
        "pickup_forgotten",
        sa.Column("mark", sa.String(), primary_key=True),
        sa.Column("forgotten_at", sa.DateTime(timezone=True), nullable=False),
        sqlite_with_rowid=False,
    )


def downgrade() -> None:
    """Drop it."""
    op.drop_table("pickup_forgotten")
