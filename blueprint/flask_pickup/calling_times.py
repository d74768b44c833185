"""When callers ring a business: mostly in its opening hours, more of them soon after it opens."""

from __future__ import annotations

from bisect import bisect
from collections.abc import Iterator
from datetime import datetime, time, timedelta
from itertools import accumulate
from zoneinfo import ZoneInfo

from flask_pickup.catalog.hours import Hours

_STEP = timedelta(minutes=30)
_BUSIEST, _CALMEST, _CALMER = 1.0, 0.4, 0.04
"""How many callers ring in the first half-hour after opening, at least in a later one, and how many fewer in each."""
_OUTSIDE, _NEAR = 1 / 9, (timedelta(hours=-2), timedelta(hours=2))
"""How many ring outside the hours for each who rings within them, which is one in ten: up to two hours before and after."""
_DAY_BEGINS = 5
_LONGEST_CLOSED = 10 * 24

_DAY, _FRIDAY = ((time(9), time(17)),), ((time(9), time(15)),)
_OFFICE = Hours(ZoneInfo("UTC"), (_DAY, _DAY, _DAY, _DAY, _FRIDAY, (), ()), {})
"""Of a business that has no ``hours.toml``, in the time zone that it then has."""


class CallingTimes:
    """Maps shares to the times of calls: so large a share of all calls comes before a time.

    :param hours: of the line; None for office hours in UTC.
    :param begin: of all calls, on the hour or half-hour.
    :param end: no call is later.
    """

    def __init__(self, hours: Hours | None, begin: datetime, end: datetime) -> None:
        self._begin = begin
        found = list(_rates(hours or _OFFICE, begin, end))
        within = sum(filter(None, found))
        outside = _OUTSIDE * within / max(found.count(None), 1)
        rates = [outside if rate is None else rate for rate in found]
        # A business that is never open is rung at any time.
        self._passed = list(accumulate(rates if within else [1.0] * len(rates), initial=0.0))

    def at(self, share: float) -> datetime:
        """Return the time of a call; ``share`` is at least 0 and below 1."""
        passed = share * self._passed[-1]
        step = bisect(self._passed, passed) - 1
        within = (passed - self._passed[step]) / (self._passed[step + 1] - self._passed[step])
        return self._begin + (step + within) * _STEP


def latest_open(hours: Hours | None, before: datetime) -> datetime:
    """Return the latest full hour up to ``before`` in which a business is open; of one that is never open, any hour."""
    at = before.replace(minute=0, second=0, microsecond=0)
    hours_ago = (at - timedelta(hours=number) for number in range(_LONGEST_CLOSED))
    return next(filter((hours or _OFFICE).is_open, hours_ago), at)


def _rates(hours: Hours, begin: datetime, end: datetime) -> Iterator[float | None]:
    """Yield how many callers ring in each half-hour, in any unit; None of those outside the hours that count."""
    opened, at = 0, begin
    while at + _STEP <= end:
        local = at.astimezone(hours.zone)
        if local.hour == _DAY_BEGINS:
            opened = 0
        if hours.is_open(at):
            yield max(_BUSIEST - _CALMER * opened, _CALMEST)
            opened += 1
        else:
            yield None if any(hours.is_open(at + near) for near in _NEAR) else 0.0
        at += _STEP
