"""The caller, customer, line and moment that the form of a preview describes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any, ClassVar, NamedTuple

from phonenumbers import SUPPORTED_REGIONS

from flask_pickup.caller import UNIDENTIFIED, language_in
from flask_pickup.calls import CallFacts
from flask_pickup.catalog import Catalog, Line
from flask_pickup.customer import UNKNOWN, Customer
from flask_pickup.dashboard.parameters import chosen, entered_moment
from flask_pickup.platforms import Platform
from flask_pickup.previewing import SOMEBODY, made_up_call
from flask_pickup.translation import gettext

Form = Mapping[str, str]

CUSTOMER = "customer."
"""What the names of the customer's fields begin with."""
FIELDS = ("platform", "who", "country", "language", "line", "hours", "at")
HOURS = ("open", "closed", "now")


class DescribedCall(NamedTuple):
    """What a form describes."""

    platform: Platform
    call: CallFacts
    customer: Customer


@dataclass
class FormReader:
    """Reads the forms of one page.

    :param platforms: by name, the default one first.
    :param numbers: the customer's fields that are numbers; others are texts, or yes and no.
    """

    catalog: Catalog
    platforms: Mapping[str, Platform]
    now: datetime
    numbers: frozenset[str] = frozenset()
    countries: ClassVar = SUPPORTED_REGIONS
    _moments: dict[tuple[str, str | None], datetime] = field(default_factory=dict)

    def read(self, form: Form) -> DescribedCall:
        """Return what a form describes. An empty one is a caller during opening hours of whom nothing is known.

        :raises BadParameter: if the form has a value that the page does not offer.
        """
        platform = self.platforms[chosen(form, "platform", self.platforms) or next(iter(self.platforms))]
        line = self.catalog.line(chosen(form, "line", self.catalog.settings.lines), None)
        country, language = chosen(form, "country", self.countries), chosen(form, "language", self.catalog.languages)
        at = self._moment(form, line)
        if chosen(form, "who", ("withheld",)):
            return DescribedCall(platform, made_up_call(platform, UNIDENTIFIED, at, line), UNKNOWN)
        spoken = language or language_in(country, self.catalog.languages_on(line))
        caller = replace(SOMEBODY, country=country, language=spoken)
        return DescribedCall(platform, made_up_call(platform, caller, at, line), self._customer(form, language))

    def _customer(self, form: Form, language: str | None) -> Customer:
        record: dict[str, Any] = {}
        for name, text in form.items():
            if name.startswith(CUSTOMER) and text.strip():
                *owners, last = name.removeprefix(CUSTOMER).split(".")
                place = record
                for owner in owners:
                    if not isinstance(below := place.get(owner), dict):
                        below = place[owner] = {}
                    place = below
                place[last] = self._value(name, text.strip())
        if language:
            record["language"] = language
        return Customer(record, record) if record else UNKNOWN

    def _value(self, name: str, text: str) -> Any:
        if name in self.numbers:
            try:
                return float(text) if "." in text else int(text)
            except ValueError:
                return text
        return _booleans().get(text.lower(), text)

    def _moment(self, form: Form, line: Line) -> datetime:
        """Return the chosen moment, or the next one at which the line is open or closed."""
        wanted = chosen(form, "hours", HOURS) or HOURS[0]
        if at := entered_moment(form, "at"):
            return at if at.tzinfo else at.replace(tzinfo=self.catalog.zone(line))
        # To choose a caller many forms are read, and each moment is looked for in two weeks.
        if (wanted, line.folder) not in self._moments:
            self._moments[wanted, line.folder] = self._next(wanted, line)
        return self._moments[wanted, line.folder]

    def _next(self, wanted: str, line: Line) -> datetime:
        hours = self.catalog.hours(line)
        if hours is None or wanted == "now":
            return self.now
        next_two_weeks = (self.now + timedelta(minutes=30 * step) for step in range(2 * 24 * 14))
        return next((at for at in next_two_weeks if hours.is_open(at) is (wanted == "open")), self.now)


def as_entered(value: Any) -> str:
    """Return a customer's value as it is entered in the form."""
    if isinstance(value, bool):
        return gettext("yes") if value else gettext("no")
    return "" if value is None else str(value)


def _booleans() -> dict[str, bool]:
    return {"true": True, "yes": True, gettext("yes"): True, "false": False, "no": False, gettext("no"): False}
