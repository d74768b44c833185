"""What Prometheus is told, with the extra ``metrics``: off unless ``PICKUP_METRICS_TOKEN`` is set.

Where ``PROMETHEUS_MULTIPROC_DIR`` names a folder, all processes that share it are told of together.
"""

from __future__ import annotations

import hmac
import os
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Protocol

from flask import Request, Response

from flask_pickup.assignment import Assigned
from flask_pickup.errors import ConfigurationError

if TYPE_CHECKING:
    from prometheus_client import CollectorRegistry

_BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.0, 3.0, 4.0, 5.0)
"""Seconds; the platform gives up at five."""


class Metrics(Protocol):
    """What happens is told to this."""

    def call(self, decision: str, seconds: float, assignments: Iterable[Assigned]) -> None:
        """A call was answered."""

    def fault(self, kind: str) -> None:
        """Something failed on a call's way."""

    def waiting(self, rows: Mapping[str, int]) -> None:
        """So many rows wait in memory and in the spool."""

    def answer(self, request: Request) -> Response | None:
        """Return the page for Prometheus; None where the request does not open it."""


class NoMetrics:
    """Keeps nothing."""

    def call(self, decision: str, seconds: float, assignments: Iterable[Assigned]) -> None:
        """Do nothing."""

    def fault(self, kind: str) -> None:
        """Do nothing."""

    def waiting(self, rows: Mapping[str, int]) -> None:
        """Do nothing."""

    def answer(self, request: Request) -> None:
        """There is none."""


class Prometheus:
    """Keeps counts for Prometheus, and shows them to whoever has the token.

    :raises ConfigurationError: if the extra is not installed.
    """

    def __init__(self, token: str) -> None:
        try:
            import prometheus_client as client  # noqa: PLC0415 (an extra)
        except ImportError as error:
            raise ConfigurationError(
                "'PICKUP_METRICS_TOKEN' is set, and prometheus-client is not installed: install Flask-Pickup[metrics]."
            ) from error
        self._token = token
        # One of its own: several apps in a process would meet in the default one.
        self._registry = client.CollectorRegistry()
        here = self._registry
        self._calls = client.Counter("pickup_calls", "Calls answered, by decision.", ["decision"], registry=here)
        self._arms = client.Counter("pickup_assignments", "Arms given to calls.", ["experiment", "arm"], registry=here)
        self._seconds = client.Histogram("pickup_answer_seconds", "Time to an answer.", buckets=_BUCKETS, registry=here)
        self._faults = client.Counter("pickup_faults", "What failed on a call's way, by kind.", ["kind"], registry=here)
        self._waiting = client.Gauge(
            "pickup_rows_waiting",
            "Rows not in the database yet.",
            ["where"],
            multiprocess_mode="livesum",
            registry=here,
        )

    def call(self, decision: str, seconds: float, assignments: Iterable[Assigned]) -> None:
        """Count a call and its arms."""
        self._calls.labels(decision).inc()
        self._seconds.observe(seconds)
        for assigned in assignments:
            self._arms.labels(assigned.experiment, assigned.arm).inc()

    def fault(self, kind: str) -> None:
        """Count a fault."""
        self._faults.labels(kind).inc()

    def waiting(self, rows: Mapping[str, int]) -> None:
        """Remember how many rows wait in this process."""
        for where, number in rows.items():
            self._waiting.labels(where).set(number)

    def answer(self, request: Request) -> Response | None:
        """Return the page, if the request has the token as its bearer."""
        given = request.headers.get("Authorization", "").removeprefix("Bearer ")
        if not hmac.compare_digest(given.encode(), self._token.encode()):
            return None
        from prometheus_client import CONTENT_TYPE_LATEST, generate_latest  # noqa: PLC0415

        return Response(generate_latest(self._shown()), content_type=CONTENT_TYPE_LATEST)

    def _shown(self) -> CollectorRegistry:
        if "PROMETHEUS_MULTIPROC_DIR" not in os.environ:
            return self._registry
        from prometheus_client import CollectorRegistry, multiprocess  # noqa: PLC0415

        together = CollectorRegistry()
        multiprocess.MultiProcessCollector(together)  # type: ignore[no-untyped-call]
        return together


def make_metrics(token: str | None) -> Metrics:
    """Return what keeps the metrics of an app."""
    return Prometheus(token) if token else NoMetrics()
