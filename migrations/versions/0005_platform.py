"""The platform of each call. All calls of before are Flireo's."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the column."""
    op.add_column("pickup_calls", sa.Column("platform", sa.String(), nullable=False, server_default="flireo"))


def downgrade() -> None:
    """Drop it."""
    op.drop_column("pickup_calls", "platform")
