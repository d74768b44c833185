"""The made-up callers for whom answers are tried."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any, NamedTuple

from babel.core import get_global

from flask_pickup.caller import UNIDENTIFIED, Caller
from flask_pickup.calls import CallFacts
from flask_pickup.catalog import Catalog, Experiment, Line
from flask_pickup.customer import UNKNOWN, Customer
from flask_pickup.decision import Deciding
from flask_pickup.platforms import Platform

_NOBODYS = "+12015550100"
_FOREIGNER = Caller(number=_NOBODYS, country="ZZ", language=None, key="0" * 32)
_KNOWN = {"first_name": "Jan", "name": "Jan Jansen", "vip": True}
_HOURS_TRIED = 24 * 14
_MONDAY = datetime(2026, 3, 2, 11, tzinfo=UTC)


class Case(NamedTuple):
    """A caller for whom an answer is tried, and who it is in a complaint."""

    words: str
    deciding: Deciding


class _AnyRecord(dict[str, Any]):
    """A customer who has every field, each of which passes every comparison: a record may hold what no check knows."""

    __hash__ = None

    def __missing__(self, _: str) -> _AnyRecord:
        return self

    def _true(self, *_: object) -> bool:
        return True

    __bool__ = __contains__ = __eq__ = __ne__ = __lt__ = __le__ = __gt__ = __ge__ = _true


@dataclass(frozen=True)
class Cases:
    """The callers of one platform.

    :param sample: those for whom every arm is rendered.
    :param customers: one of whom everything is known that a template asks for, and one of whom nothing is.
    """

    all: Sequence[Case]
    sample: Sequence[Case]
    customers: Sequence[Deciding]

    @classmethod
    def of(cls, catalog: Catalog, platform: Platform) -> Cases:
        """Return the callers that content is checked for."""
        regular, timed = list(_regular(catalog, platform)), list(_at_other_times(catalog, platform))
        # Every case of the first line, and every fifth of the others: no number of languages divides that.
        first = 2 + 2 * len(catalog.languages)
        customers = [_case(catalog, platform, "a customer", Line(None), _MONDAY, _FOREIGNER).deciding for _ in range(2)]
        customers[0].names["customer"] = _AnyRecord()
        return cls([*regular, *timed], [*regular[:first], *regular[first::5], *timed], customers)

    def inside(self, experiment: Experiment) -> Sequence[Case]:
        """Return those in an experiment's audience; the sample if none is, as there may be others like them."""
        if not experiment.audience:
            return self.all
        return [case for case in self.all if not case.deciding.outside(experiment)] or self.sample


def _regular(catalog: Catalog, platform: Platform) -> Iterator[Case]:
    """Yield callers of every kind: on each line, in each language, while it is open and while it is closed."""
    case = partial(_case, catalog, platform)
    for line in [Line(None), *catalog.settings.lines.values()]:
        for is_open, now in _times(catalog, line):
            ending = ("" if is_open else ", outside the hours") + (f", on line {line.name}" if line.name else "")
            yield case(f"a caller without a number{ending}", line, now, UNIDENTIFIED)
            yield case(f"a stranger from a far country{ending}", line, now, _FOREIGNER)
            for language in sorted(catalog.languages_on(line)):
                words = f"speaks '{language}'{ending}"
                country = get_global("likely_subtags").get(language, "").rpartition("_")[2] or None
                caller = Caller(number=_NOBODYS, country=country, language=language, key="0" * 32)
                known = Customer({**_KNOWN, "language": language})
                yield case(f"a customer who {words}", line, now, caller, known)
                yield case(f"a stranger who {words}", line, now, caller)


def _at_other_times(catalog: Catalog, platform: Platform) -> Iterator[Case]:
    """Yield a caller at every third hour and on every day, if any template reads the time."""
    if catalog.library.reads("now"):
        line = Line(None)
        midnight = _MONDAY.replace(hour=0, tzinfo=catalog.zone(line))
        hours = [*range(0, 24, 3), *range(12, 24 * 7, 24)]
        for now in (midnight + timedelta(hours=hour) for hour in hours):
            yield _case(catalog, platform, f"a caller on a {now:%A} at {now:%H:%M}", line, now, UNIDENTIFIED)


def _case(  # noqa: PLR0913, PLR0917 (all that a call is)
    catalog: Catalog,
    platform: Platform,
    words: str,
    line: Line,
    now: datetime,
    caller: Caller,
    customer: Customer = UNKNOWN,
) -> Case:
    call = CallFacts("check", platform.name, "inbound_phone_call", caller, line, now)
    return Case(words, Deciding(catalog, platform, call, customer))


def _times(catalog: Catalog, line: Line) -> list[tuple[bool, datetime]]:
    """Return a time at which ``line`` is open and one at which it is closed, as far as two weeks have them."""
    hours = catalog.hours(line)
    if hours is None:
        return [(True, _MONDAY)]
    tried = (_MONDAY + timedelta(hours=hour) for hour in reversed(range(_HOURS_TRIED)))
    return sorted({hours.is_open(now): now for now in tried}.items(), key=lambda found: found[1])
