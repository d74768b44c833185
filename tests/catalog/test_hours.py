"""When a business picks up: ``hours.toml``."""

from __future__ import annotations

import sys
from datetime import UTC, date, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flask_pickup.catalog.complaints import Complaint
from flask_pickup.catalog.hours import DAYS, Hours, public_holidays, read_hours

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
    assert not complaints
    return found


def complaints(source: str) -> list[str]:
    found: list[Complaint] = []
    read_hours("greetings/hours.toml", source, found)
    return [str(complaint) for complaint in found]


def local(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=AMSTERDAM)


@pytest.mark.parametrize(
    ("moment", "is_open"),
    [
        ("2026-03-02T08:59:59", False),  # a Monday
        ("2026-03-02T09:00", True),
        ("2026-03-02T16:59:59", True),
        ("2026-03-02T17:00", False),
        ("2026-03-03T12:29", True),
        ("2026-03-03T12:30", False),
        ("2026-03-03T12:59", False),
        ("2026-03-03T13:00", True),
        ("2026-03-04T12:00", False),  # a day that is left out
        ("2026-03-06T21:59", False),
        ("2026-03-06T22:00", True),
        ("2026-03-06T23:59:59", True),
        ("2026-03-07T00:00", True),
        ("2026-03-07T23:59:59", True),
        ("2026-03-08T00:00", False),
        ("2026-03-08T01:59", False),
    ],
)
def test_minutes_before_and_after(moment: str, is_open: bool) -> None:  # noqa: FBT001 (what the table says)
    """It is open from the first minute on, and closed from the last one on."""
    assert hours(OFFICE).is_open(local(moment)) is is_open


@pytest.mark.parametrize(
    ("moment", "is_open"),
    [("2026-03-06T23:59", True), ("2026-03-07T01:59", True), ("2026-03-07T02:00", False), ("2026-03-06T01:00", False)],
)
def test_span_over_midnight_belongs_to_its_day(moment: str, is_open: bool) -> None:  # noqa: FBT001
    """What begins on Friday evening ends on Saturday morning, though Saturday itself is closed."""
    night = 'timezone = "Europe/Amsterdam"\n[week]\nfriday = "22:00-02:00"\n[dates]\n2026-03-07 = "closed"\n'
    assert hours(night).is_open(local(moment)) is is_open


NIGHTS = 'timezone = "Europe/Amsterdam"\n[week]\nsaturday = "20:00-04:00"\nsunday = "02:30-12:00"\n'


@pytest.mark.parametrize(
    ("moment", "is_open"),
    [
        # Spring: 02:00 becomes 03:00 at 01:00 UTC. The span that begins at 02:30 begins at 03:00.
        ("2026-03-29T00:59:59", True),
        ("2026-03-29T01:00", True),
        ("2026-03-29T09:59:59", True),
        ("2026-03-29T10:00", False),
        # Autumn: 03:00 becomes 02:00 at 01:00 UTC. The hour from two to three comes twice.
        ("2026-10-25T00:29", True),
        ("2026-10-25T02:59:59", True),
        ("2026-10-25T10:59:59", True),
        ("2026-10-25T11:00", False),
    ],
)
def test_clocks_that_change(moment: str, is_open: bool) -> None:  # noqa: FBT001
    """Hours are those of the clock on the wall, on both days on which it is put forward or back."""
    assert hours(NIGHTS).is_open(datetime.fromisoformat(moment).replace(tzinfo=UTC)) is is_open


def test_hour_that_comes_twice() -> None:
    """Closing time in the hour that comes twice is closing time both times."""
    late = hours('timezone = "Europe/Amsterdam"\n[week]\nsunday = "00:00-02:30"\n')
    found = [late.is_open(datetime(2026, 10, 25, 0, minute, tzinfo=UTC)) for minute in (29, 30)]
    again = [late.is_open(datetime(2026, 10, 25, 1, minute, tzinfo=UTC)) for minute in (29, 30)]
    assert (found, again) == ([True, False], [True, False])


def test_same_moment_in_any_zone() -> None:
    """It is the moment that counts, not the zone in which somebody tells it."""
    noon = datetime(2026, 3, 2, 11, tzinfo=UTC)
    for zone in ("America/New_York", "Asia/Kathmandu", "Pacific/Kiritimati"):
        assert hours(OFFICE).is_open(noon.astimezone(ZoneInfo(zone)))


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
    place = f'country = "{country}"\n' + (f'subdivision = "{subdivision}"\n' if subdivision else "")
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
        ("GB", "SCT", "2026-11-30", False),
        ("GB", "ENG", "2026-11-30", True),
        ("NL", "", "2049-12-25", False),
        ("IN", "", "2026-08-15", False),
        ("IN", "", "2051-08-15", False),  # the library warns of years after 2035
    ],
)
def test_closed_on_public_holidays(country: str, subdivision: str, day: str, is_open: bool) -> None:  # noqa: FBT001
    """It is closed on the public holidays of its country and subdivision, in whatever year."""
    assert holidays_of(country, subdivision).is_open(local(f"{day}T12:00")) is is_open


def test_no_call_computes_a_holiday(monkeypatch: pytest.MonkeyPatch) -> None:
    """Reading the hours computes all years in which a call can come, also in a process that runs into the next ones."""
    office = holidays_of("NL")
    # What a call looks in never changes, whichever thread looks; and whoever asks for the library now fails.
    assert isinstance(public_holidays("NL", "", datetime.now(UTC).year), frozenset)
    monkeypatch.setitem(sys.modules, "holidays", None)
    now = datetime.now(UTC)
    for days in range(-300, 9 * 365, 20):
        office.is_open(now + timedelta(days=days))


RULE = 'must be opening hours such as "09:00-17:00", ["09:00-12:30", "13:00-17:00"] or "closed"'


@pytest.mark.parametrize("value", ["9-17", "09:00-09:00", "25:00-26:00", "09:00-24:30", "09:00–17:00", "always", ""])
def test_invalid_hours(value: str) -> None:
    """Hours that nobody can read are a complaint with their line, and what would be right."""
    found = complaints(f'timezone = "Europe/Amsterdam"\n[week]\nmonday = "{value}"\n')
    assert found == [f'greetings/hours.toml:3: "monday" {RULE}, not "{value}"; fix the value']


@pytest.mark.parametrize(
    ("source", "complaint"),
    [
        ("[week]\n", ':1: timezone is missing; write timezone = "Europe/Amsterdam", or yours'),
        ('timezone = "Amsterdam"', ":1: unknown time zone 'Amsterdam'; write a name such as \"Europe/Amsterdam\""),
        ('timezone = "../etc/passwd"', ":1: unknown time zone '../etc/passwd'; write a name such as \"Europe/Amsterdam\""),
        ('timezone = "UTC"\n[week]\nmoonday = "closed"', ":3: unknown key 'moonday'; did you mean 'monday'?"),
        ('timezone = "UTC"\n[dates]\n2026-02-30 = "closed"', ":3: invalid date '2026-02-30'; write it as 2026-12-24"),
        ('timezone = "UTC"\n', ':1: it is never open; write hours under [week], such as monday = "09:00-17:00"'),
        ('timezone = "UTC"\n[holidays]\nsubdivision = "BY"', ':2: country is missing; write country = "DE", or yours'),
        ('timezone = "UTC"\n[holidays]\ncountry = "XX"', ":3: unknown country 'XX': its public holidays are not known; write a code such as \"NL\""),
        ('timezone = "UTC"\n[holidays]\ncountry = "list_supported_countries"',
         ":3: unknown country 'list_supported_countries': its public holidays are not known; write a code such as \"NL\""),
        ('timezone = "UTC"\n[holidays]\ncountry = "GB"\nsubdivision = "SCO"',
         ":4: unknown subdivision 'SCO' of GB; did you mean 'SCT'?"),
    ],
)  # fmt: skip
def test_complaints_say_what_would_be_right(source: str, complaint: str) -> None:
    """Each mistake in the file is said once, with its line and its remedy."""
    assert complaints(source) == [f"greetings/hours.toml{complaint}"]


def test_file_that_is_no_toml_is_one_complaint() -> None:
    """Quotes that were left out are said at their line, with how a line is written, and nothing is said to be missing."""
    [complaint] = complaints('timezone = "UTC"\n[week]\nmonday = 09:00-17:00')
    assert complaint.startswith("greetings/hours.toml:3: invalid TOML: ")
    assert "put text in straight quotes" in complaint


def test_holidays_without_the_library(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the extra is not installed, the author learns how to install it."""
    monkeypatch.setitem(sys.modules, "holidays", None)
    [complaint] = complaints('timezone = "UTC"\n[holidays]\ncountry = "NL"')
    assert complaint.endswith(
        "public holidays need the library holidays; install it with: pip install 'Flask-Pickup[holidays]'"
    )


def test_empty_file_is_always_closed_and_says_so() -> None:
    """A file without a word in it complains that it has no time zone, and opens on no day."""
    found: list[Any] = []
    assert not read_hours("greetings/hours.toml", "", found).is_open(datetime(2026, 3, 2, 12, tzinfo=UTC))
    assert found
