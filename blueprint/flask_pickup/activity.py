"""What a process has heard of each platform since its start."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any


@dataclass
class Activity:
    """The last call and the last report of a platform, and its refused deliveries by status.

    A call that cannot be read counts among them as ``unreadable call``, though it is answered.
    """

    last_request: datetime | None = None
    last_report: datetime | None = None
    refused: Counter[str] = field(default_factory=Counter)

    def as_json(self) -> Mapping[str, Any]:
        """Return it for ``/health``."""
        last = {"last_request": self.last_request, "last_report": self.last_report}
        return {**{name: at and at.isoformat() for name, at in last.items()}, "refused": dict(self.refused)}
