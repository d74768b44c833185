"""The time of the report that stands, beside its call; and a caller's calls in order.

``reported_at`` says which calls have a report at all, also one that told nothing, and which of two reports is the later.
The index finds a caller's latest call, to which an outcome of theirs belongs, and all calls of somebody who asks for
them; without it each would read every call there is. A call pays for it with one more insertion into a tree.
"""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

# The names that reports wrote before this revision.
_FILL_IN = """
UPDATE pickup_calls SET reported_at = (
    SELECT MAX(outcomes.reported_at) FROM pickup_outcomes AS outcomes
    WHERE outcomes.call_id = pickup_calls.call_id
      AND (outcomes.name IN ('duration_seconds', 'user_messages') OR outcomes.name LIKE 'analysis.%')
)
"""


def upgrade() -> None:
    """Add the column, filled from the outcomes that there are, and the index."""
    op.add_column("pickup_calls", sa.Column("reported_at", sa.DateTime(timezone=True)))
    op.execute(_FILL_IN)
    op.create_index("pickup_calls_caller", "pickup_calls", ["caller_key", "decided_at"])


def downgrade() -> None:
    """Drop both."""
    op.drop_index("pickup_calls_caller", "pickup_calls")
    op.drop_column("pickup_calls", "reported_at")
