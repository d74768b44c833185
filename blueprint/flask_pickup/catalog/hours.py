"""When a business picks up: ``hours.toml``."""

from __future__ import annotations

import re
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from flask_pickup.catalog.complaints import Complaint, suggest
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
    :param holidays: the country, and the subdivision or "", on whose public holidays it is closed; None: on none.
    """

    zone: ZoneInfo
    week: tuple[Spans, ...]
    dates: Mapping[date, Spans]
    holidays: tuple[str, str] | None

    def is_open(self, at: datetime) -> bool:
        """Return whether the business is open at an aware time. The minute of closing is closed."""
        local = at.astimezone(self.zone)
        today, clock = local.date(), local.time()
        since_today = any(start <= clock and (clock < end or end <= start) for start, end in self._spans(today))
        return since_today or any(end <= start and clock < end for start, end in self._spans(today - timedelta(days=1)))

    def _spans(self, day: date) -> Spans:
        if day in self.dates:
            return self.dates[day]
        is_holiday = self.holidays is not None and day in public_holidays(*self.holidays, day.year)
        return () if is_holiday else self.week[day.weekday()]


@lru_cache(maxsize=4096)
def public_holidays(country: str, subdivision: str, year: int) -> frozenset[date]:
    """Return the public holidays of a year.

    The library's own object computes a year when it is first asked about it, in whatever thread asks. Here a year is
    computed by itself and never changes, and those that a call can fall in are when the hours are read.
    """
    # Only who closes on public holidays needs the library, which is an extra.
    from holidays import country_holidays  # noqa: PLC0415

    with warnings.catch_warnings():
        # The library warns of years for which it does not know a country's movable holidays.
        warnings.simplefilter("ignore")
        return frozenset(country_holidays(country, subdiv=subdivision or None, years=year))


def read_hours(file: str, source: str, complaints: list[Complaint]) -> Hours:
    """Read ``hours.toml``."""
    before = len(complaints)
    table = read_toml(file, source, complaints)
    zone = _zone(table)
    week = table.table("week")
    days = tuple(_read_spans(week, day) for day in DAYS)
    week.finish()
    dates = table.table("dates")
    exceptions = {day: _read_spans(dates, key) for key in dates if (day := _date(dates, key))}
    holidays = _holidays(table.table("holidays")) if "holidays" in table else None
    table.finish()
    # What is wrong with the file may be why.
    if len(complaints) == before and not any((*days, *exceptions.values())):
        table.complain("it is never open", 'write hours under [week], such as monday = "09:00-17:00"', level="warning")
    return Hours(zone, days, exceptions, holidays)


def _zone(table: Table) -> ZoneInfo:
    name = table.text("timezone", "UTC")
    try:
        if table.is_readable and "timezone" not in table:
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


def _holidays(table: Table) -> tuple[str, str] | None:
    country, subdivision = table.text("country"), table.text("subdivision")
    table.finish()
    if not country:
        table.complain("there is no country", 'write country = "DE", or yours')
        return None
    try:
        from holidays import list_supported_countries  # noqa: PLC0415
    except ImportError:
        table.complain("public holidays need the library holidays", "pip install 'Flask-Pickup[holidays]'")
        return None
    known = list_supported_countries(include_aliases=True)
    if country not in known:
        table.complain(f"no public holidays are known for '{country}'", 'write a code such as "NL"', "country")
        return None
    if subdivision and subdivision not in known[country]:
        problem = f"no public holidays are known for '{subdivision}' in {country}"
        table.complain(problem, suggest(subdivision, known[country]), "subdivision")
        return None
    for year in _years_of_calls():
        public_holidays(country, subdivision, year)
    return country, subdivision


def _years_of_calls() -> range:
    """No process runs longer than these ten years. Only a preview looks beyond."""
    year = datetime.now(UTC).year
    return range(year - 1, year + 11)
