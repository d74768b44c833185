"""When a business picks up: ``hours.toml``."""

from __future__ import annotations

import re
from collections.abc import Container, Mapping
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from flask_pickup.catalog.complaints import Complaint
from flask_pickup.catalog.reader import Table, read_toml

DAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
_SPAN = re.compile(r"([01]\d|2[0-3]):([0-5]\d)-([01]\d|2[0-4]):([0-5]\d)")
_RIGHT = 'opening hours such as "09:00-17:00", ["09:00-12:30", "13:00-17:00"] or "closed"'

Spans = tuple[tuple[time, time], ...]
"""From and until, local time. Where until is not after from, it is the day after."""


@dataclass(frozen=True)
class Hours:
    """Opening hours in a time zone.

    :param week: seven days from Monday.
    :param dates: days that are unlike their weekday; they win over holidays.
    :param holidays: days on which it is closed.
    """

    zone: ZoneInfo
    week: tuple[Spans, ...]
    dates: Mapping[date, Spans]
    holidays: Container[date]

    def is_open(self, at: datetime) -> bool:
        """Return whether the business is open at an aware time. The minute of closing is closed."""
        local = at.astimezone(self.zone)
        today, clock = local.date(), local.time()
        since_today = any(start <= clock and (clock < end or end <= start) for start, end in self._spans(today))
        return since_today or any(end <= start and clock < end for start, end in self._spans(today - timedelta(days=1)))

    def _spans(self, day: date) -> Spans:
        if day in self.dates:
            return self.dates[day]
        return () if day in self.holidays else self.week[day.weekday()]


def read_hours(file: str, source: str, complaints: list[Complaint]) -> Hours:
    """Read ``hours.toml``."""
    table = read_toml(file, source, complaints)
    zone = _zone(table)
    week = table.table("week")
    days = tuple(_read_spans(week, day) for day in DAYS)
    week.finish()
    dates = table.table("dates")
    exceptions = {day: _read_spans(dates, key) for key in dates if (day := _date(dates, key))}
    dates.finish()
    holidays = _holidays(table.table("holidays"))
    table.finish()
    return Hours(zone, days, exceptions, holidays)


def _zone(table: Table) -> ZoneInfo:
    name = table.text("timezone", "UTC")
    try:
        if "timezone" not in table:
            table.complain("there is no timezone", 'write timezone = "Europe/Amsterdam", or yours')
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        table.complain(f"there is no time zone '{name}'", 'write a name such as "Europe/Amsterdam"', "timezone")
        return ZoneInfo("UTC")


def _read_spans(table: Table, key: str) -> Spans:
    def fits(value: object) -> bool:
        spans = value if isinstance(value, list) else [value]
        return value == "closed" or all(isinstance(span, str) and _span(span) is not None for span in spans)

    value: str | list[str] = table.get(key, [], fits, _RIGHT)
    spans = [] if value == "closed" else [value] if isinstance(value, str) else value
    return tuple(span for text in spans if (span := _span(text)))


def _span(text: str) -> tuple[time, time] | None:
    match = _SPAN.fullmatch(text)
    if match is None:
        return None
    start = time(int(match[1]), int(match[2]))
    hour, minute = int(match[3]), int(match[4])
    if hour == 24:  # noqa: PLR2004 (24:00 is how people write the end of a day)
        return (start, time(0)) if minute == 0 else None
    end = time(hour, minute)
    return None if start == end else (start, end)


def _date(table: Table, key: str) -> date | None:
    try:
        return date.fromisoformat(key)
    except ValueError:
        table.complain(f"'{key}' is no date", "write it as 2026-12-24", key)
        return None


def _holidays(table: Table) -> Container[date]:
    country, subdivision = table.text("country"), table.text("subdivision")
    table.finish()
    if not country:
        return ()
    try:
        # Only who closes on public holidays needs the library, which is an extra.
        from holidays import country_holidays  # noqa: PLC0415

        return country_holidays(country, subdiv=subdivision or None)
    except ImportError:
        table.complain("public holidays need the library holidays", "pip install 'Flask-Pickup[holidays]'")
    except NotImplementedError:
        place = f"{country}, {subdivision}" if subdivision else country
        table.complain(f"no public holidays are known for {place}", 'write a code such as "NL", or "DE" and "BY"')
    return ()
