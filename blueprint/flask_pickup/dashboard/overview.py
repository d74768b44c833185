"""The overview: what needs attention, and each experiment with its verdict."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from datetime import datetime

from flask import Response
from sqlalchemy.exc import SQLAlchemyError

from flask_pickup.dashboard import rows
from flask_pickup.dashboard.arm_preview import current_greetings
from flask_pickup.dashboard.frame import Frame, freshness
from flask_pickup.results.aggregates import RECENT
from flask_pickup.results.wording import with_messages


def overview(frame: Frame) -> Response:
    """Return the overview."""
    experiments, platform = frame.catalog.experiments, frame.webhook.default_platform
    names = [one.name for one in experiments if one.status != "draft"]
    latest = frame.snapshots.latest(names)
    bodies = {name: one.body for name, one in latest.items() if one.body}
    results = {name: with_messages(body["results"]) for name, body in bodies.items() if "results" in body}
    return frame.page(
        "overview",
        experiments=experiments,
        greetings={one.name: current_greetings(frame.catalog, platform, one) for one in experiments},
        results=results,
        layers=frame.catalog.layers,
        free_ranges=frame.catalog.free_ranges,
        **freshness(latest.values()),
        failed=len(results) < len(bodies),
        health=frame.webhook.facts(),
        last_events=_last_events(frame),
    )


def _last_events(frame: Frame) -> Mapping[str, tuple[datetime | None, datetime | None]]:
    with suppress(SQLAlchemyError):
        return rows.last_events(frame.webhook.engine, frame.webhook.now - RECENT)
    # The page says what else is wrong while the database does not answer.
    return {}
