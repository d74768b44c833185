"""Whether each platform's calls and reports come in."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal

from sqlalchemy import Engine, func, or_, select
from sqlalchemy.exc import SQLAlchemyError

from flask_pickup.activity import Activity
from flask_pickup.caller import REHEARSAL
from flask_pickup.catalog import Line
from flask_pickup.engines import STATEMENT_TIMEOUT, reading
from flask_pickup.models import Call
from flask_pickup.webhook import Webhook

_LATEST = 10_000
"""Calls that are looked at, the latest by the index of ``decided_at``."""
_DUE = timedelta(hours=1)
"""After this a call's report should be here."""
_MOST_UNREPORTED = 2
_SILENT = timedelta(days=7)

PlatformState = Literal["unknown", "waiting", "silent", "unreported", "working"]


@dataclass(frozen=True)
class PlatformStatus:
    """What has come in from a platform, rehearsals left out.

    :param activity: what this process has heard.
    :param state: ``unknown`` while the database does not answer; ``waiting`` for the first call or the first report;
        ``silent`` for a week; ``unreported``: reports are missing; or ``working``.
    :param calls_today: of the latest 10,000 calls; ``is_at_least`` says that there may be more.
    :param is_rehearsed: whether all calls so far were rehearsals.
    """

    activity: Activity
    state: PlatformState
    last_call: datetime | None = None
    last_report: datetime | None = None
    calls_today: int = 0
    is_at_least: bool = False
    is_rehearsed: bool = False


@dataclass(frozen=True)
class _Calls:
    """The latest calls of a platform; all but ``calls`` leave rehearsals out.

    :param unreported: those of more than an hour ago that are later than every call with a report.
    """

    calls: int = 0
    last_call: datetime | None = None
    last_report: datetime | None = None
    today: int = 0
    unreported: int = 0


def platform_statuses(webhook: Webhook) -> dict[str, PlatformStatus]:
    """Return what has come in from each enabled platform, by its name."""
    now = webhook.now
    today = now.astimezone(webhook.catalog.zone(Line(None))).replace(hour=0, minute=0, second=0, microsecond=0)
    found: dict[str, _Calls] | None = None
    # The page says what else is wrong while the database does not answer.
    with suppress(SQLAlchemyError):
        found = _latest_calls(webhook.engine, today, now - _DUE)
    return {name: _status(activity, name, found, now) for name, activity in webhook.activity.items()}


def _status(activity: Activity, name: str, found: dict[str, _Calls] | None, now: datetime) -> PlatformStatus:
    of_all = (found or {}).values()
    calls = (found or {}).get(name, _Calls())
    # Rows may wait in the spool for what this process has answered.
    last_call = max(filter(None, (calls.last_call, activity.last_request)), default=None)
    last_report = max(filter(None, (calls.last_report, activity.last_report)), default=None)
    has_all = sum(each.calls for each in of_all) < _LATEST
    state: PlatformState
    if found is None:
        state = "unknown"
    elif last_call is None and has_all:
        state = "waiting"
    elif last_call is None or now - last_call > _SILENT:
        state = "silent"
    elif last_report is None:
        state = "unreported" if calls.unreported else "waiting"
    else:
        state = "unreported" if calls.unreported > _MOST_UNREPORTED else "working"
    is_at_least = sum(each.today for each in of_all) == _LATEST
    is_rehearsed = calls.calls > 0 and last_call is None and has_all
    return PlatformStatus(activity, state, last_call, last_report, calls.today, is_at_least, is_rehearsed)


def _latest_calls(engine: Engine, today: datetime, due: datetime) -> dict[str, _Calls]:
    latest = (
        select(Call.platform, Call.decided_at, Call.reported_at, (~Call.call_id.startswith(REHEARSAL)).label("is_real"))
        .where(Call.decided_at.is_not(None))
        .order_by(Call.decided_at.desc())
        .limit(_LATEST)
        .subquery()
    )
    has_report = latest.c.reported_at.is_not(None)
    reported = func.max(latest.c.decided_at).filter(has_report, latest.c.is_real).over(partition_by=latest.c.platform)
    seen = select(latest, reported.label("reported")).subquery()
    at, is_real = seen.c.decided_at, seen.c.is_real
    is_unreported = or_(seen.c.reported.is_(None), at > seen.c.reported)
    query = select(
        seen.c.platform,
        func.count(),
        func.max(at).filter(is_real),
        func.max(seen.c.reported_at).filter(is_real),
        func.count().filter(is_real, at >= today),
        func.count().filter(is_real, at <= due, is_unreported),
    ).group_by(seen.c.platform)
    with reading(engine, STATEMENT_TIMEOUT) as connection:
        return {platform: _Calls(*counts) for platform, *counts in connection.execute(query)}
