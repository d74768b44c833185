"""Lines without calls in hours that usually have some.

A line is silent if it has had no call for some whole hours, in which there were ``ENOUGH`` calls or more in all but one of
the eight weeks before, by the clock of the business. Hours in which the business is closed do not count.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta, tzinfo

from sqlalchemy import BigInteger, Engine, cast, extract, func, select

from flask_pickup.caller import REHEARSAL
from flask_pickup.catalog import Catalog, Line
from flask_pickup.catalog.hours import Hours
from flask_pickup.engines import reading
from flask_pickup.models import Call

ENOUGH = 20
"""Calls without which hours are not missed. With it a line whose calls vary as they do raises less than one false alarm in
ten years, as simulated."""
WEEKS = 8
_LONGEST = 2
"""Weeks of silence that are compared with those before."""
_HOUR = 3600
_OF_A_WEEK = 168
_PATIENCE = 60.0


@dataclass(frozen=True)
class LineCalls:
    """The calls of a line on a platform, of the last twelve weeks.

    :param line: the number called; None of calls without one.
    :param last: when the latest was decided.
    :param hours: Unix time in whole hours, to the calls that were decided in it.
    """

    platform: str
    line: str | None
    last: datetime
    hours: Mapping[int, int] = field(repr=False)

    @property
    def key(self) -> str:
        """Stands for the line on the platform."""
        return f"{self.platform} {self.line or ''}"

    def usual(self, now: datetime, zone: tzinfo, opening: Hours | None) -> int:
        """Return how many calls the whole hours since the last call had, in all but one of the eight weeks before.

        :param zone: in which a week before is the same time of the clock.
        """
        first = int(self.last.timestamp()) // _HOUR + 1
        end = min(int(now.timestamp()) // _HOUR, first + _LONGEST * _OF_A_WEEK)
        silent = [datetime.fromtimestamp(hour * _HOUR, zone) for hour in range(first, end)]
        asked = [hour for hour in silent if opening is None or opening.is_open(hour)]
        # The weeks before the silence: the silence itself says nothing of what is usual.
        nearest = -(-len(silent) // _OF_A_WEEK)
        weeks = range(nearest, nearest + WEEKS)
        counts = [sum(self._calls(hour - timedelta(weeks=week)) for hour in asked) for week in weeks]
        return sorted(counts)[1]

    def _calls(self, hour: datetime) -> int:
        return self.hours.get(int(hour.timestamp()) // _HOUR, 0)


def silent_lines(calls: list[LineCalls], catalog: Catalog, now: datetime) -> Iterator[tuple[LineCalls, int]]:
    """Yield the lines that are silent, with the calls that these hours usually have."""
    for each in calls:
        line = Line(each.line) if each.line is None else catalog.line(each.line, None)
        usual = each.usual(now, catalog.zone(line), catalog.hours(line))
        if usual >= ENOUGH:
            yield each, usual


def recent_calls(engine: Engine, now: datetime) -> list[LineCalls]:
    """Return the calls of each line on each platform. Rehearsed calls do not count.

    :raises sqlalchemy.exc.SQLAlchemyError: if the database does not answer.
    """
    hour = cast(extract("epoch", Call.decided_at), BigInteger) // _HOUR
    since = now - timedelta(weeks=WEEKS + 2 * _LONGEST)
    query = select(Call.platform, Call.line, hour.label("hour"), func.count(), func.max(Call.decided_at))
    query = query.where(Call.decided_at > since, ~Call.call_id.startswith(REHEARSAL))
    found: dict[tuple[str, str | None], dict[int, int]] = {}
    last: dict[tuple[str, str | None], datetime] = {}
    with reading(engine, _PATIENCE) as connection:
        for platform, line, when, calls, latest in connection.execute(query.group_by(Call.platform, Call.line, "hour")):
            found.setdefault((platform, line), {})[when] = calls
            last[platform, line] = max(latest or since, last.get((platform, line), since))
    return [LineCalls(platform, line, last[platform, line], hours) for (platform, line), hours in found.items()]
