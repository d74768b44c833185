"""Callers for whom an experiment's arms can be shown: those of its audience, first such as called last."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from datetime import timedelta
from itertools import islice, product
from typing import Any

from phonenumbers import SUPPORTED_REGIONS
from sqlalchemy import Engine, RowMapping, and_, func, select
from sqlalchemy.exc import SQLAlchemyError

from flask_pickup.caller import REHEARSAL, language_in
from flask_pickup.catalog import Catalog, Experiment
from flask_pickup.checking.callers import Cases
from flask_pickup.dashboard.audience_values import AudienceValues
from flask_pickup.dashboard.preview_form import CUSTOMER, DescribedCall, Form, FormReader, as_entered
from flask_pickup.decision import Deciding
from flask_pickup.engines import reading
from flask_pickup.models import Assignment, Call

_LATEST = 1000
"""Calls that are looked at."""
_SECONDS = 0.25
"""How long the database may take to find them."""
_TRIES = 200
_MOST_KINDS = 10
"""Kinds of callers among the latest that are tried, the most frequent first."""
_MOST_VALUES = 4
"""Values of a customer's field that are tried."""
_COUNTRIES = ("GB", "DE", "NL")
"""Countries that are tried where an audience excludes others."""
_SAMPLES = {"first_name": "Jan", "last_name": "Jansen", "name": "Jan Jansen"}
"""What a customer's field holds whose value an audience does not say; of another one, yes."""


def callers_inside(
    reader: FormReader, experiment: Experiment, values: AudienceValues, engine: Engine, region: str
) -> Iterator[dict[str, str]]:
    """Yield forms that describe callers in an experiment, the likeliest first.

    :param values: what the audience compares with.
    :param region: the country that is tried first where the audience asks for one.
    """
    asked = [region, *values["caller.country"], *_COUNTRIES] if "caller.country" in values else ()
    countries = [one for one in asked if one in SUPPORTED_REGIONS]
    recent = (_as_form(reader, kind) for kind in _recent(engine, experiment.name))
    likely = [*recent, *({"country": one} for one in countries), {}]
    customers = list(_customers(values))
    for callers in (_at_times(likely, values), _checked(reader, values)):
        for form in _combined(list(callers), customers):
            if would_be_in(reader.catalog, experiment, reader.read(form)):
                yield form


def would_be_in(catalog: Catalog, experiment: Experiment, described: DescribedCall) -> bool:
    """Return whether a caller is one of those among whom an experiment's arms are drawn."""
    platform, call, customer = described
    is_counted = call.caller.identified or experiment.unidentified != "exclude"
    return is_counted and not Deciding(catalog, platform, call, customer).outside(experiment)


def _combined(callers: Sequence[Form], customers: Sequence[Form]) -> Iterator[dict[str, str]]:
    """Yield callers with customers: the likely ones of both first."""
    pairs = sorted(product(range(len(callers)), range(len(customers))), key=sum)
    return ({**callers[one], **customers[other]} for one, other in islice(pairs, _TRIES))


def _customers(values: AudienceValues) -> Iterator[dict[str, str]]:
    """Yield nobody known, then customers with the values that the audience compares with."""
    yield {}
    fields = {path: found[:_MOST_VALUES] for path, found in values.items() if path.startswith(CUSTOMER)}
    if "customer" in values:
        fields |= {f"{CUSTOMER}first_name": [True]}
    for combination in islice(product(*fields.values()), _TRIES):
        filled = {path: _sample(path, value) for path, value in zip(fields, combination, strict=True)}
        yield {path: text for path, text in filled.items() if text}


def _sample(path: str, value: Any) -> str:
    return _SAMPLES.get(path.removeprefix(CUSTOMER), as_entered(value)) if value is True else as_entered(value)


# --- callers ----------------------------------------------------------------------------------------------------------


def _at_times(callers: Iterable[Form], values: AudienceValues) -> Iterator[dict[str, str]]:
    """Yield callers during opening hours; where the audience asks, also outside them and at the time of their call."""
    for caller in callers:
        described = {name: text for name, text in caller.items() if name != "at"}
        yield described
        if "open" in values:
            yield {**described, "hours": "closed"}
        if "at" in caller and _reads_the_time(values):
            yield {**caller}


def _checked(reader: FormReader, values: AudienceValues) -> Iterator[dict[str, str]]:
    """Yield the callers for whom ``flask pickup check`` tries the arms; and one at every hour, where the time counts."""
    cases = Cases.of(reader.catalog, next(iter(reader.platforms.values()))).all
    # Strangers from nowhere look odd on a page.
    for case in sorted(cases, key=lambda case: case.deciding.call.caller.language is None):
        call, is_open = case.deciding.call, case.deciding.open
        has_country = call.caller.country in SUPPORTED_REGIONS
        found = {
            "who": None if call.caller.identified else "withheld",
            "country": call.caller.country if has_country else None,
            "language": None if has_country else call.caller.language,
            "line": call.line.number,
            "hours": None if is_open else "closed",
        }
        yield {name: text for name, text in found.items() if text}
    if _reads_the_time(values):
        for hour in range(7 * 24):
            yield {"at": f"{reader.now + timedelta(hours=hour):%Y-%m-%dT%H:00}"}


def _reads_the_time(values: AudienceValues) -> bool:
    return any(path.partition(".")[0] == "now" for path in values)


def _as_form(reader: FormReader, call: RowMapping) -> dict[str, str]:
    catalog, line = reader.catalog, reader.catalog.line(call["line"], None)
    country, language, spoken = call["country"], call["language"], catalog.languages_on(line)
    expected = line.language or language_in(country, spoken) or catalog.settings.language
    found = {
        "platform": call["platform"] if call["platform"] in reader.platforms else None,
        "who": "withheld" if call["is_withheld"] else None,
        "country": country if country in SUPPORTED_REGIONS else None,
        "language": language if language in spoken and language != expected else None,
        "line": line.number if line.number in catalog.settings.lines else None,
        "at": f"{call['decided_at'].astimezone(catalog.zone(line)):%Y-%m-%dT%H:%M}",
    }
    return {name: text for name, text in found.items() if text}


def _recent(engine: Engine, experiment: str) -> Sequence[RowMapping]:
    """Return the kinds of callers of the latest calls, rehearsals left out, each at the time of its last one.

    Those in the experiment come first, and the most frequent. There are none if the database does not answer in time.
    """
    columns = (Call.call_id, Call.platform, Call.country, Call.language, Call.line, Call.caller_key, Call.decided_at)
    heard = (Call.decided_at.is_not(None), ~Call.call_id.startswith(REHEARSAL))
    calls = select(*columns).where(*heard).order_by(Call.decided_at.desc()).limit(_LATEST).subquery()
    own = and_(Assignment.call_id == calls.c.call_id, Assignment.experiment == experiment)
    kind = (calls.c.platform, calls.c.country, calls.c.language, calls.c.line)
    is_withheld, is_outside = calls.c.caller_key.is_(None), Assignment.arm.is_(None)
    query = (
        select(*kind, is_withheld.label("is_withheld"), func.max(calls.c.decided_at).label("decided_at"))
        .outerjoin(Assignment, own)
        .group_by(*kind, is_withheld, is_outside)
        .order_by(is_outside, func.count().desc())
        .limit(_MOST_KINDS)
    )
    with suppress(SQLAlchemyError), reading(engine, _SECONDS) as connection:
        return connection.execute(query).mappings().all()
    return ()
