"""Parameters of an address or a form: the value, or a sentence about what is out of range."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from datetime import date, datetime
from typing import TypeVar

from flask_pickup.translation import gettext

_YEARS = range(1970, 2200)
_Day = TypeVar("_Day", date, datetime)


class BadParameter(ValueError):
    """A parameter is out of range. The message is for the page's reader, in their language."""


def refuse_null_characters(values: Iterable[object]) -> None:
    """Raise ``BadParameter`` for a value that PostgreSQL would refuse, as if the database had failed."""
    if any("\0" in str(value) for value in values):
        raise BadParameter(gettext("The address or the form has a character that is not allowed."))


def chosen(form: Mapping[str, str], name: str, choices: Collection[str]) -> str | None:
    """Return one of the choices; None if none is chosen.

    :raises BadParameter: if it is another.
    """
    value = form.get(name) or None
    if value is not None and value not in choices:
        raise BadParameter(gettext('"%(name)s" has a value that this page does not offer.', name=name))
    return value


def entered_moment(form: Mapping[str, str], name: str) -> datetime | None:
    """Return a moment, which may have no time zone; None if none is entered.

    :raises BadParameter: if it is not a moment, or too far from now for calendars and time zones.
    """
    return _entered(form, name, datetime, gettext("Enter the time as 2026-03-02T14:30."))


def entered_day(form: Mapping[str, str], name: str) -> date | None:
    """Return a day; None if none is entered.

    :raises BadParameter: if it is not a day, or too far from now for calendars and time zones.
    """
    return _entered(form, name, date, gettext("Enter the day as 2026-03-02."))


def _entered(form: Mapping[str, str], name: str, kind: type[_Day], rule: str) -> _Day | None:
    if not (value := form.get(name)):
        return None
    try:
        found = kind.fromisoformat(value)
    except ValueError as error:
        raise BadParameter(rule) from error
    if found.year not in _YEARS:
        raise BadParameter(gettext("Enter a time between the years 1970 and 2199."))
    return found
