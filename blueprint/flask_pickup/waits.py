"""How long a call waits for what may hang: a share of its platform's deadline each, so that it is answered in time."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

from flask_pickup.options import Options

CUSTOMER, COMMIT, SPOOL = 1 / 3, 1 / 5, 2 / 15
"""Shares of the deadline. The last third is for the network and the templates."""

LONGEST_SPOOL = 0.5


@dataclass(frozen=True, slots=True)
class Waits:
    """Seconds that a call waits for the customer hook, for the commit of its row, and then for the spool."""

    customer: float
    commit: float
    spool: float

    @classmethod
    def of(cls, deadline: float, options: Options) -> Self:
        """Return the waits of a platform that gives up after ``deadline`` seconds; the options are upper bounds."""
        return cls(
            min(options.customer_wait, deadline * CUSTOMER),
            min(options.commit_wait, deadline * COMMIT),
            min(LONGEST_SPOOL, deadline * SPOOL),
        )
