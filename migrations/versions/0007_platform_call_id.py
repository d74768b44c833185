"""The platform's own id of a call that has one of ours, and the times of a report that comes in parts.

A host's data may know such a call by the platform's id alone, and the index finds it. It holds no row of the other calls,
so they pay nothing for it. ``part_times`` lets parts complete one another in any order.
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the columns and the index."""
    op.add_column("pickup_calls", sa.Column("platform_call_id", sa.String()))
    op.add_column("pickup_calls", sa.Column("part_times", sa.JSON().with_variant(JSONB(), "postgresql")))
    known = sa.text("platform_call_id IS NOT NULL")
    op.create_index(
        "pickup_calls_platform_call_id",
        "pickup_calls",
        ["platform_call_id"],
        sqlite_where=known,
        postgresql_where=known,
    )


def downgrade() -> None:
    """Drop them."""
    op.drop_index("pickup_calls_platform_call_id", "pickup_calls")
    op.drop_column("pickup_calls", "part_times")
    op.drop_column("pickup_calls", "platform_call_id")
