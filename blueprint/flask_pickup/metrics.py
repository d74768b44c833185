"""Metrics for Prometheus, with the extra ``metrics``: off unless ``PICKUP_METRICS_TOKEN`` is set.

Processes that share the folder ``PROMETHEUS_MULTIPROC_DIR`` have one page together.
"""

from __future__ import annotations

import hmac
import os
from collections import Counter
from collections.abc import Iterable, Mapping

from flask import Request, Response

from flask_pickup.assignment import Assigned
from flask_pickup.errors import ConfigurationError
from flask_pickup.platforms import Unread

_BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.0, 3.0, 4.0, 5.0)
"""Seconds; the platform gives up at five."""


class Metrics:
    """One app's counts for Prometheus; without a token nothing but :attr:`unread` is counted.

    :raises ConfigurationError: if there is a token and the extra is not installed.
    """

    def __init__(self, token: str | None) -> None:
        self._token = token
        self.unread: Counter[str] = Counter()
        """What platforms sent and was not read, by kind; ``/health`` shows it as well."""
        if token is None:
            return
        try:
            import prometheus_client as client  # noqa: PLC0415 (an extra)
        except ImportError as error:
            raise ConfigurationError(
                "'PICKUP_METRICS_TOKEN' is set, and prometheus-client is not installed: install Flask-Pickup[metrics]."
            ) from error
        # Not the default registry, which all apps of a process share.
        self._registry = here = client.CollectorRegistry()
        self._calls = client.Counter("pickup_calls", "Calls answered, by decision.", ["decision"], registry=here)
        self._arms = client.Counter("pickup_assignments", "Arms given to calls.", ["experiment", "arm"], registry=here)
        self._seconds = client.Histogram("pickup_answer_seconds", "Time to an answer.", buckets=_BUCKETS, registry=here)
        self._faults = client.Counter("pickup_faults", "Faults on the way to an answer.", ["kind"], registry=here)
        self._unread = client.Counter("pickup_unread", "Values that were not read.", ["kind"], registry=here)
        self._waiting = client.Gauge(
            *("pickup_rows_waiting", "Rows not in the database yet.", ["where"]),
            multiprocess_mode="livemax", registry=here,
        )  # fmt: skip

    def call(self, decision: str, seconds: float, assignments: Iterable[Assigned]) -> None:
        """Count an answered call and its arms."""
        if self._token is None:
            return
        self._calls.labels(decision).inc()
        self._seconds.observe(seconds)
        for assigned in assignments:
            self._arms.labels(assigned.experiment, assigned.arm).inc()

    def fault(self, kind: str) -> None:
        """Count a fault."""
        if self._token is not None:
            self._faults.labels(kind).inc()

    def count_unread(self, kinds: Mapping[Unread, int]) -> None:
        """Count what was not read of an event."""
        self.unread.update(kinds)
        for kind, number in kinds.items() if self._token is not None else ():
            self._unread.labels(kind).inc(number)

    def waiting(self, rows: Mapping[str, int]) -> None:
        """Set how many rows wait in this process's memory, and in the spool of all processes."""
        if self._token is not None:
            for where, number in rows.items():
                self._waiting.labels(where).set(number)

    def answer(self, request: Request) -> Response | None:
        """Return the page for Prometheus; None without the token as the request's bearer."""
        given = request.headers.get("Authorization", "").removeprefix("Bearer ")
        if self._token is None or not hmac.compare_digest(given.encode(), self._token.encode()):
            return None
        from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest  # noqa: PLC0415

        registry = self._registry
        if "PROMETHEUS_MULTIPROC_DIR" in os.environ:
            from prometheus_client import multiprocess  # noqa: PLC0415

            registry = CollectorRegistry()
            multiprocess.MultiProcessCollector(registry)  # type: ignore[no-untyped-call]
        return Response(generate_latest(registry), content_type=CONTENT_TYPE_LATEST)
