"""The time of each call in order, for who reads the latest ones: the calls page, and what a person asks with psql.

Without the index a page of fifty calls sorts all that there ever were. A call pays for it with one insertion at the
right end of a tree, which is in memory: benchmarks/README.md says how many bytes and what share of the writing that is.
Purging goes along it too. While it is made on a table that has millions of rows, calls' rows wait in the spool.

Each table's key begins with the call's id, and each of the other indexes has its own migration's reason. There is none
on an assignment's experiment, a caller's assignments or an outcome's name: whoever asks for those reads most of the
table anyway, and an index would cost each call more than it would save a page that is read a few times a day.
"""

from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the index."""
    op.create_index("pickup_calls_decided_at", "pickup_calls", ["decided_at"])


def downgrade() -> None:
    """Drop it."""
    op.drop_index("pickup_calls_decided_at", "pickup_calls")
