"""Which calls the list shows: the filters in its address, and what its form offers for each."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import asdict, dataclass
from datetime import date

from flask_pickup.catalog import Catalog
from flask_pickup.catalog.toml import NAME
from flask_pickup.dashboard.parameters import chosen, entered_day
from flask_pickup.outcome_names import REPORTED_FLAGS, REPORTED_NUMBERS

Choices = Mapping[str, Collection[str]]
"""Parameter to its values."""

YES, NO, MISSING = "yes", "no", "missing"


@dataclass(frozen=True)
class CallFilter:
    """What a call has to have; None where anything will do.

    :param value: ``yes`` and ``no`` are of outcomes other than 0 and of 0; None is any value.
    :param since: the first day, in the business's time zone; ``until`` is the last one.
    :param delivered: whether the platform applied the arm: ``yes`` or ``no``.
    :param counted: ``yes`` where results count the call: not pinned, no rehearsal, and of a caller with a number.
    """

    experiment: str | None = None
    arm: str | None = None
    outcome: str | None = None
    value: str | None = None
    line: str | None = None
    platform: str | None = None
    language: str | None = None
    since: date | None = None
    until: date | None = None
    delivered: str | None = None
    counted: str | None = None

    @property
    def given(self) -> Mapping[str, str]:
        """The parameters that are set, as an address has them."""
        return {name: str(value) for name, value in asdict(self).items() if value is not None}


def offered(catalog: Catalog, platforms: Collection[str]) -> Choices:
    """Return what the form offers for each parameter that is not a day."""
    metrics = [metric.outcome for experiment in catalog.experiments for metric in experiment.metrics]
    arms = {arm for experiment in catalog.experiments for arm in experiment.weights}
    return {
        "experiment": [each.name for each in catalog.experiments],
        "arm": sorted(arms),
        "outcome": list(dict.fromkeys((*metrics, *REPORTED_FLAGS, *REPORTED_NUMBERS))),
        "value": (YES, NO, MISSING),
        "line": list(catalog.settings.lines),
        "platform": list(platforms),
        "language": sorted(catalog.languages),
        "delivered": (YES, NO),
        "counted": (YES,),
    }


def call_filter(parameters: Mapping[str, str], choices: Choices) -> CallFilter:
    """Return the filter that an address asks for. A value without an outcome is ignored.

    :raises BadParameter: if a value is not among the choices; any experiment and arm will do, as they may be of the past.
    """
    names = {name: (value,) for name in ("experiment", "arm") if NAME.fullmatch(value := parameters.get(name, ""))}
    values = {name: chosen(parameters, name, values) for name, values in {**choices, **names}.items()}
    if values["outcome"] is None:
        values["value"] = None
    return CallFilter(**values, since=entered_day(parameters, "since"), until=entered_day(parameters, "until"))
