"""What a process has heard of each platform since its start."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any


@dataclass
class Activity:
    """The last call, the last report and the last refusal of a platform, and its refused deliveries by status.

    No rehearsal is among the calls and reports.
    A call that cannot be read counts among them as ``unreadable call``, though it is answered.
    """

    last_request: datetime | None = None
    last_report: datetime | None = None
    last_refusal: datetime | None = None
    refused: Counter[str] = field(default_factory=Counter)

    def refuse(self, why: str, at: datetime) -> None:
        """Count a refused delivery."""
        self.refused[why] += 1
        self.last_refusal = at

    def as_json(self) -> Mapping[str, Any]:
        """Return it for ``/health``."""
        names = ("last_request", "last_report", "last_refusal")
        last = {name: getattr(self, name) for name in names}
        return {**{name: at and at.isoformat() for name, at in last.items()}, "refused": dict(self.refused)}
