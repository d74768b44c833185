"""When a business picks up: ``hours.toml``."""

from __future__ import annotations

import sys
from datetime import UTC, date, datetime, time
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flask_pickup.catalog.complaints import Complaint
from flask_pickup.catalog.hours import Hours, read_hours
from flask_pickup.catalog.meant import DAYS

AMSTERDAM = ZoneInfo("Europe/Amsterdam")
OFFICE = """
timezone = "Europe/Amsterdam"
[week]
monday = "09:00-17:00"
tuesday = ["09:00-12:30", "13:00-17:00"]
friday = "22:00-02:00"
saturday = "00:00-24:00"
"""


def hours(source: str) -> Hours:
    complaints: list[Complaint] = []
    found = read_hours("greetings/hours.toml", source, complaints)
    assert not [each for each in complaints if each.level == "error"]
    return found


def complaints(source: str) -> list[str]:
    found: list[Complaint] = []
    read_hours("greetings/hours.toml", source, found)
    return [str(complaint) for complaint in found]


def local(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=AMSTERDAM)


NIGHT = 'timezone = "Europe/Amsterdam"\n[week]\nfriday = "22:00-02:00"\n[dates]\n2026-03-07 = "closed"\n'
LATE = 'timezone = "Europe/Amsterdam"\n[week]\nsunday = "00:00-02:30"\n'
NIGHTS = 'timezone = "Europe/Amsterdam"\n[week]\nsaturday = "20:00-04:00"\nsunday = "02:30-12:00"\n'


@pytest.mark.parametrize(
    ("source", "moment", "is_open"),
    [
        (OFFICE, "2026-03-02T08:59:59", False),  # a Monday
        (OFFICE, "2026-03-02T09:00", True),
        (OFFICE, "2026-03-02T16:59:59", True),
        (OFFICE, "2026-03-02T17:00", False),
        (OFFICE, "2026-03-03T12:29", True),
        (OFFICE, "2026-03-03T12:30", False),
        (OFFICE, "2026-03-03T12:59", False),
        (OFFICE, "2026-03-03T13:00", True),
        (OFFICE, "2026-03-04T12:00", False),  # a day that is not in the file
        (OFFICE, "2026-03-06T21:59", False),
        (OFFICE, "2026-03-06T22:00", True),
        (OFFICE, "2026-03-07T23:59:59", True),
        (OFFICE, "2026-03-08T00:00", False),
        (OFFICE, "2026-03-08T01:59", False),
        # Hours that begin on Friday evening end on Saturday morning, though Saturday itself is closed.
        (NIGHT, "2026-03-06T23:59", True),
        (NIGHT, "2026-03-07T01:59", True),
        (NIGHT, "2026-03-07T02:00", False),
        (NIGHT, "2026-03-06T01:00", False),
        # Spring: 02:00 becomes 03:00 at 01:00 UTC. Hours from 02:30 begin at 03:00.
        (NIGHTS, "2026-03-29T00:59:59Z", True),
        (NIGHTS, "2026-03-29T01:00Z", True),
        (NIGHTS, "2026-03-29T09:59:59Z", True),
        (NIGHTS, "2026-03-29T10:00Z", False),
        # Autumn: 03:00 becomes 02:00 at 01:00 UTC. The hour from two to three comes twice.
        (NIGHTS, "2026-10-25T00:29Z", True),
        (NIGHTS, "2026-10-25T02:59:59Z", True),
        (NIGHTS, "2026-10-25T10:59:59Z", True),
        (NIGHTS, "2026-10-25T11:00Z", False),
        # Closing time in the hour that comes twice is closing time both times.
        *((LATE, f"2026-10-25T0{hour}:{minute}Z", minute == 29) for hour in (0, 1) for minute in (29, 30)),
        # The moment counts, not the zone in which it is written.
        (OFFICE, "2026-03-02T02:59-05:00", False),
        (OFFICE, "2026-03-02T03:00-05:00", True),
    ],
)
def test_open_at(source: str, moment: str, is_open: bool) -> None:  # noqa: FBT001 (what the table says)
    """Hours are those of the wall clock: open from the first minute on, closed from the last one on."""
    at = datetime.fromisoformat(moment)
    assert hours(source).is_open(at if at.tzinfo else at.replace(tzinfo=AMSTERDAM)) is is_open


_MINUTES = st.integers(0, 24 * 60 - 1)


def _clock(minute: int) -> str:
    return f"{minute // 60:02}:{minute % 60:02}"


@settings(max_examples=100, deadline=None)
@given(_MINUTES, _MINUTES, st.datetimes(datetime(2020, 1, 1), datetime(2035, 1, 1)))  # noqa: DTZ001 (made aware below)
def test_open_as_the_clock_says(start: int, end: int, moment: datetime) -> None:
    """One span every day is open exactly while a clock on the wall stands in it."""
    if start == end:
        return
    week = "\n".join(f'{day} = "{_clock(start)}-{_clock(end)}"' for day in DAYS)
    aware = moment.replace(tzinfo=UTC)
    wall = aware.astimezone(AMSTERDAM)
    minute = wall.hour * 60 + wall.minute
    expected = start <= minute < end if start < end else (minute >= start or minute < end)
    assert hours(f'timezone = "Europe/Amsterdam"\n[week]\n{week}').is_open(aware) is expected


@settings(max_examples=50, deadline=None)
@given(st.dates(date(2000, 1, 1), date(2060, 1, 1)), st.sampled_from(["closed", "10:00-12:00"]))
def test_dates_win_over_week_and_holidays(day: date, wanted: str) -> None:
    """What [dates] says of a day holds, whatever weekday or holiday it is."""
    always = "\n".join(f'{name} = "00:00-24:00"' for name in DAYS)
    source = f'timezone = "Europe/Amsterdam"\n[week]\n{always}\n[dates]\n{day} = "{wanted}"\n[holidays]\ncountry = "NL"'
    found = hours(source)
    assert found.is_open(datetime.combine(day, time(11), AMSTERDAM)) is (wanted != "closed")
    assert not found.is_open(datetime.combine(day, time(13), AMSTERDAM))


def holidays_of(country: str, subdivision: str = "") -> Hours:
    always = "\n".join(f'{name} = "00:00-24:00"' for name in DAYS)
    place = f'country = "{country}"\nsubdivision = "{subdivision}"\n'
    return hours(f'timezone = "Europe/Amsterdam"\n[week]\n{always}\n[holidays]\n{place}')


@pytest.mark.parametrize(
    ("country", "subdivision", "day", "is_open"),
    [
        ("NL", "", "2026-04-27", False),  # the king's birthday
        ("NL", "", "2026-04-28", True),
        ("NL", "", "2026-12-25", False),
        ("BE", "", "2026-07-21", False),
        ("BE", "", "2026-04-27", True),
        ("DE", "", "2026-11-01", True),
        ("DE", "BY", "2026-11-01", False),
        ("DE", "Bayern", "2026-11-01", False),
        ("GB", "SCT", "2026-11-30", False),
        ("GB", "ENG", "2026-11-30", True),
        ("IN", "", "2026-08-15", False),
    ],
)
def test_closed_on_public_holidays(country: str, subdivision: str, day: str, is_open: bool) -> None:  # noqa: FBT001
    """It is closed on the public holidays of its country and subdivision."""
    assert holidays_of(country, subdivision).is_open(local(f"{day}T12:00")) is is_open


def test_no_call_computes_a_holiday(monkeypatch: pytest.MonkeyPatch) -> None:
    """Reading the hours computes all years in which a call can come, also in a process that runs into the next ones."""
    office = holidays_of("NL")
    monkeypatch.setitem(sys.modules, "holidays", None)
    assert not any(office.is_open(local(f"{datetime.now(UTC).year + years}-12-25T12:00")) for years in range(10))


RULE = 'must be opening hours such as "09:00-17:00", ["09:00-12:30", "13:00-17:00"] or "closed"'


@pytest.mark.parametrize(
    "value",
    ["9-17", "09:00-09:00", "25:00-26:00", "09:00-24:30", "09:00–17:00", "", "9:00-17:00", "24:00-06:00", "00:00-00:00"],
)  # fmt: skip
def test_invalid_hours(value: str) -> None:
    """Hours that nobody can read are a complaint with their line, and what would be right."""
    found = complaints(f'timezone = "Europe/Amsterdam"\n[week]\nmonday = "{value}"\n')
    assert found == [f'greetings/hours.toml:3: "monday" {RULE}, not "{value}"; fix the value']


@pytest.mark.parametrize(
    ("source", "complaint"),
    [
        ("[week]\n", ':1: timezone is missing; write timezone = "Europe/Amsterdam", or yours'),
        ('timezone = "Amsterdam"', ':1: unknown time zone "Amsterdam"; write a name such as "Europe/Amsterdam"'),
        ('timezone = "UTC"\n[week]\nmoonday = "closed"', ":3: unknown key 'moonday'; did you mean 'monday'?"),
        *((f'timezone = "UTC"\n[dates]\n"{day}" = "closed"', ":3: invalid date; write it as 2026-12-24")
          for day in ("2026-02-30", "20261224", "2026-W52-4", "2026-1-4", "24-12-2026", "2026-12-24T00:00", "24 December")),
        ('timezone = "UTC"\n', ':1: it is never open; write hours under [week], such as monday = "09:00-17:00"'),
        ('timezone = "UTC"\n[holidays]\nsubdivision = "BY"', ':2: country is missing; write country = "DE", or yours'),
        ('timezone = "UTC"\n[holidays]\ncountry = "XX"', ":3: unknown country 'XX': its public holidays are not known; write a code such as \"NL\""),
        *((f'timezone = "UTC"\n[holidays]\ncountry = "{country}"',
           f":3: unknown country '{country}': its public holidays are not known; did you mean '{meant}'?")
          for country, meant in (("nl", "NL"), ("Germany", "DE"))),
        ('timezone = "UTC"\ndinsdag = "closed"', ":2: unknown key 'dinsdag'; write 'tuesday' under [week]"),
        ('timezone = "UTC"\n[holidays]\ncountry = "list_supported_countries"',
         ":3: unknown country 'list_supported_countries': its public holidays are not known; write a code such as \"NL\""),
        ('timezone = "UTC"\n[holidays]\ncountry = "GB"\nsubdivision = "SCO"',
         ":4: unknown subdivision 'SCO' of GB; did you mean 'SCT'?"),
    ],
)  # fmt: skip
def test_complaints_say_what_would_be_right(source: str, complaint: str) -> None:
    """Each mistake in the file is said once, with its line and its remedy."""
    assert complaints(source) == [f"greetings/hours.toml{complaint}"]


@pytest.mark.parametrize(
    ("key", "day"),
    [
        *(("Monday", "monday"), ("mon", "monday"), ("wensday", "wednesday"), ("tuesdays", "tuesday")),
        *(("dinsdag", "tuesday"), ("Zaterdag", "saturday"), ("dinsdg", "tuesday"), ("mittwoch", "wednesday")),
        *(("jeudi", "thursday"), ("domingo", "sunday"), ("piątek", "friday"), ("понедельник", "monday")),
    ],
)
def test_day_in_another_spelling_or_language(key: str, day: str) -> None:
    """A misspelt day, or one in another language, is an error that names the English day."""
    found = complaints(f'timezone = "UTC"\n[week]\n"{key}" = "closed"')
    assert found == [f"greetings/hours.toml:3: unknown key '{key}'; did you mean '{day}'?"]


@pytest.mark.parametrize(
    "key",
    ["weekdays", "monday-friday", "mon-fri", "Monday - Friday", "weekend", "workdays", "daily", "maandag-vrijdag"],
)
def test_several_days_in_one_key(key: str) -> None:
    """A key for several days is an error that names the key of each day."""
    days = "monday, tuesday, wednesday, thursday, friday, saturday, sunday"
    found = complaints(f'timezone = "UTC"\n[week]\n"{key}" = "09:00-17:00"')
    assert found == [f"greetings/hours.toml:3: unknown key '{key}'; each day has a key of its own: {days}"]


@pytest.mark.parametrize(
    ("value", "is_slip"),
    [("09:00-06:00", True), ("08:30-05:30", True), ("17:00-16:00", True), ("22:00-02:00", False), ("18:00-06:00", False),
     ("17:00-09:00", False), ("00:00-24:00", False), ("06:00-24:00", False)],
)  # fmt: skip
@pytest.mark.parametrize("day", ["[week]\nmonday", "[dates]\n2026-12-24"])
def test_hours_that_are_hardly_meant(day: str, value: str, *, is_slip: bool) -> None:
    """Hours that last until the next day's begin have a warning with what may be meant; a night has none."""
    found = complaints(f'timezone = "UTC"\n{day} = "{value}"')
    says = f"greetings/hours.toml:3: {value} ends on the day after"
    assert [each[: len(says)] for each in found] == [says] * is_slip


@pytest.mark.parametrize(
    ("country", "codes"), [("GB", "ENG, NIR, SCT, WLS"), ("DE", "BB, BE, BW, BY"), ("US", "AK, AL, AR"), ("CH", "AG")]
)
def test_country_with_regional_holidays(country: str, codes: str) -> None:
    """A country whose parts have holidays of their own has a warning with their codes, until the author chooses."""
    source = f'timezone = "UTC"\n[week]\nmonday = "09:00-17:00"\n[holidays]\ncountry = "{country}"\n'
    [found] = complaints(source)
    assert found.startswith(f"greetings/hours.toml:5: {country} has regional holidays too; write subdivision = ")
    assert codes in found
    assert complaints(f'{source}subdivision = ""\n') == []
    assert complaints(source.replace(country, "NL")) == complaints(source.replace(country, "PL")) == []
