"""The page's language: its words, and numbers and times as people write them in it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime, timedelta, tzinfo

from babel import Locale, dates, negotiate_locale, numbers, units
from flask import Request

from flask_pickup.translation import LANGUAGES

NOTHING = "\N{EN DASH}"
"""Stands for what is not known."""


@dataclass(frozen=True)
class Speech:
    """Numbers and times in one language and time zone. ``None`` is said as a dash."""

    language: str
    zone: tzinfo

    def count(self, number: int | None) -> str:
        """Return a whole number: "12,345" or "12.345"."""
        return NOTHING if number is None else numbers.format_decimal(number, locale=self.locale)

    def number(self, value: float | None, digits: int = 2, *, sign: bool = False) -> str:
        """Return a number with a fixed count of decimals."""
        if value is None:
            return NOTHING
        pattern = "#,##0." + "0" * digits if digits else "#,##0"
        return numbers.format_decimal(value, f"+{pattern};-{pattern}" if sign else pattern, self.locale)

    def percent(self, share: float | None, digits: int = 1, *, sign: bool = False) -> str:
        """Return a share of one as a percentage."""
        if share is None:
            return NOTHING
        pattern = "#,##0" + ("." + "0" * digits if digits else "") + "%"
        return numbers.format_percent(share, f"+{pattern};-{pattern}" if sign else pattern, self.locale)

    def moment(self, at: datetime | None) -> str:
        """Return day and time, in the business's time zone."""
        return NOTHING if at is None else dates.format_datetime(at, "d MMM y HH:mm:ss", self.zone, self.locale)

    def day(self, at: datetime | None) -> str:
        """Return the day, in the business's time zone."""
        return NOTHING if at is None else dates.format_date(at.astimezone(self.zone), "d MMM y", self.locale)

    def iso(self, written: str) -> str:
        """Return the day of an ISO 8601 date, or of a moment in the business's time zone."""
        if len(written) == len("2026-01-01"):
            return dates.format_date(date.fromisoformat(written), "d MMM y", self.locale)
        return self.day(datetime.fromisoformat(written))

    def written_moment(self, written: str) -> str:
        """Return day and time of a moment in ISO 8601."""
        return self.moment(datetime.fromisoformat(written))

    def days(self, count: int) -> str:
        """Return "3 days"."""
        return dates.format_timedelta(timedelta(days=count), "day", threshold=1e9, locale=self.locale)

    def weeks(self, count: float) -> str:
        """Return "3 weeks"."""
        return units.format_unit(round(count), "duration-week", locale=self.locale)

    def country(self, code: str | None) -> str:
        """Return a country's name."""
        return NOTHING if code is None else self.locale.territories.get(code, code)

    def tongue(self, code: str | None) -> str:
        """Return a language's name."""
        return NOTHING if code is None else self.locale.languages.get(code, code)

    @property
    def locale(self) -> Locale:
        """Babel's locale."""
        return Locale(self.language)


def speech_of(request: Request, zone: tzinfo) -> Speech:
    """Return how to speak to a visitor, by what their browser asks for."""
    asked = [code for code, _ in request.accept_languages]
    return Speech(negotiate_locale(asked, LANGUAGES, sep="-") or LANGUAGES[0], zone)
