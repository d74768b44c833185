"""When a business answers: ``hours.toml``."""

from __future__ import annotations

import re
import warnings
from collections.abc import Collection, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from marshmallow import fields

from flask_pickup.catalog.complaints import Complaint, did_you_mean, suggest
from flask_pickup.catalog.meant import DAYS, country_meant, day_meant
from flask_pickup.catalog.toml import TableOf, TableSchema, TomlFile, Value, must_be, string

_FEWEST_CLOSED = 8
"""Hours between the end of a night and its next beginning, below which it is probably a slip."""
_SPAN = re.compile(r"([01]\d|2[0-3]):([0-5]\d)-([01]\d|2[0-4]):([0-5]\d)")

Spans = tuple[tuple[time, time], ...]
"""From and until, local time. Where until is not after from, it is the day after."""


@dataclass(frozen=True)
class Hours:
    """Opening hours in a time zone.

    :param week: seven days from Monday.
    :param dates: days with hours of their own, public holidays among them; they win over weekdays.
    """

    zone: ZoneInfo
    week: tuple[Spans, ...]
    dates: Mapping[date, Spans]

    def is_open(self, at: datetime) -> bool:
        """Return whether the business is open at an aware time. The minute of closing is closed."""
        local = at.astimezone(self.zone)
        today, clock = local.date(), local.time()
        since_today = any(start <= clock and (clock < end or end <= start) for start, end in self._spans(today))
        return since_today or any(end <= start and clock < end for start, end in self._spans(today - timedelta(days=1)))

    def _spans(self, day: date) -> Spans:
        return self.dates.get(day, self.week[day.weekday()])


def _spans(value: Any) -> Spans | None:
    if value == "closed":
        return ()
    spans = [_span(each) for each in (value if isinstance(value, list) else [value])]
    return None if None in spans else tuple(span for span in spans if span)


def _span(text: object) -> tuple[time, time] | None:
    match = _SPAN.fullmatch(str(text))
    if match is None or (match[3] == "24" and match[4] != "00"):
        return None
    start = time(int(match[1]), int(match[2]))
    # 24:00 is how people write the end of a day.
    end = time(int(match[3]) % 24, int(match[4]))
    return None if start == end and match[3] != "24" else (start, end)


def _date(text: str) -> date | None:
    # Python reads 20261224 and 2026-W52-4 too, which an author hardly means.
    with suppress(ValueError):
        return found if (found := date.fromisoformat(text)).isoformat() == text else None
    return None


def _zone(name: object) -> ZoneInfo | None:
    with suppress(ZoneInfoNotFoundError, ValueError, OSError):
        return ZoneInfo(str(name))
    return None


def _day() -> Value:
    rule = 'opening hours such as "09:00-17:00", ["09:00-12:30", "13:00-17:00"] or "closed"'
    return Value(must_be(rule), _spans)


class WeekSchema(TableSchema):
    """``[week]``."""

    monday, tuesday, wednesday, thursday, friday, saturday, sunday = (_day() for _ in DAYS)

    def remedy(self, key: str) -> str:
        """Say which day was probably meant, in whatever language."""
        return did_you_mean(day_meant(key), f"each day has a key of its own: {', '.join(DAYS)}")


class HolidaysSchema(TableSchema):
    """``[holidays]``."""

    country = string(required=True, error_messages={"required": 'country is missing; write country = "DE", or yours'})
    subdivision = string()


class HoursSchema(TableSchema):
    """``hours.toml``."""

    timezone = Value(
        'unknown time zone {value}; write a name such as "Europe/Amsterdam"',
        _zone,
        required=True,
        error_messages={"required": 'timezone is missing; write timezone = "Europe/Amsterdam", or yours'},
    )
    week = fields.Nested(WeekSchema)
    dates = TableOf(keys=Value("invalid date; write it as 2026-12-24", _date), values=_day())
    holidays = fields.Nested(HolidaysSchema)

    def remedy(self, key: str) -> str:
        """Say that a day belongs in its table."""
        day = day_meant(key)
        return f"write '{day}' under [week]" if day else super().remedy(key)


def read_hours(file: str, source: str, complaints: list[Complaint]) -> Hours:
    """Read ``hours.toml``."""
    before = len(complaints)
    toml = TomlFile(file, source, complaints)
    values = toml.load(HoursSchema())
    week = values.get("week", {})
    days = tuple(week.get(day, ()) for day in DAYS)
    dates = values.get("dates", {})
    for table, hours in (("week", week), ("dates", dates)):
        for day, spans in hours.items():
            _check_nights(toml, spans, table, str(day))
    holidays = _holidays(toml, values["holidays"]) if "holidays" in values else ()
    # Another mistake in the file may be the reason.
    if len(complaints) == before and not any((*days, *dates.values())):
        toml.complain("it is never open", 'write hours under [week], such as monday = "09:00-17:00"', level="warning")
    return Hours(values.get("timezone", ZoneInfo("UTC")), days, {**dict.fromkeys(holidays, ()), **dates})


def _check_nights(toml: TomlFile, spans: Spans, *path: str) -> None:
    for start, end in spans:
        if time() < end < start and start.hour - end.hour < _FEWEST_CLOSED:
            problem = f"{start:%H:%M}-{end:%H:%M} ends on the day after, and it is hardly closed in between"
            remedy = f'write hours of the afternoon as 13:00 to 24:00, or split it: "{start:%H:%M}-24:00", and the rest on the day after'
            toml.complain(problem, remedy, *path, level="warning")


def _holidays(toml: TomlFile, table: Mapping[str, str]) -> Collection[date]:
    """Return the public holidays of all years in which a call can come: no process runs longer than ten."""
    country, subdivision = table.get("country", ""), table.get("subdivision", "")
    # Importing it takes a tenth of a second, which only content with holidays pays.
    from holidays import country_holidays, list_supported_countries  # noqa: PLC0415

    def days(part: str, *years: int) -> Collection[date]:
        with warnings.catch_warnings():
            # The library warns of years for which it does not know a country's movable holidays.
            warnings.simplefilter("ignore")
            return country_holidays(country, subdiv=part or None, years=years).keys()

    if country and country not in list_supported_countries(include_aliases=True):
        remedy = did_you_mean(country_meant(country), 'write a code such as "NL"')
        problem = f"unknown country '{country}': its public holidays are not known"
        toml.complain(problem, remedy, "holidays", "country")
    elif country:
        this_year = datetime.now(UTC).year
        calendar = country_holidays(country)
        parts = {*calendar.subdivisions, *calendar.subdivisions_aliases}
        if subdivision in {"", *parts}:
            national = days("", this_year)
            regional = [part for part in calendar.subdivisions if days(part, this_year) != national]
            if regional and "subdivision" not in table:
                remedy = f'write subdivision = "{regional[0]}", or yours of {", ".join(regional)}; "" for none of them'
                toml.complain(f"{country} has regional holidays too", remedy, "holidays", "country", level="warning")
            return days(subdivision, *range(this_year - 1, this_year + 11))
        problem = f"unknown subdivision '{subdivision}' of {country}"
        toml.complain(problem, suggest(subdivision, parts), "holidays", "subdivision")
    return ()
