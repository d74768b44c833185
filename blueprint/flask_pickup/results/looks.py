"""Weekly looks: what was known at the end of each week of a period, kept as rows that never change."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, Engine, select
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.exc import SQLAlchemyError

from flask_pickup.models import Look
from flask_pickup.results.model import Finding, Verdict, verdict_of

log = logging.getLogger("flask_pickup")

WEEK = timedelta(weeks=1)
ALARM = 0
"""Stands for the week of the row that keeps the first alarm of a period's split."""
FINAL = frozenset({"better", "better below smallest", "worse", "no difference"})
"""States of verdicts that are kept."""


@dataclass(frozen=True)
class WeeklyLook:
    """A look at the results of a period.

    :param week: from 1.
    :param body: the results as plain values, as :meth:`~flask_pickup.results.model.Results.as_data` gives them.
    """

    week: int
    body: Mapping[str, Any]

    @property
    def until(self) -> datetime:
        """The end of the week."""
        return datetime.fromisoformat(self.body["until"])

    @property
    def verdict(self) -> Verdict:
        """The verdict that was given."""
        return verdict_of(self.body["verdict"])

    @property
    def is_decided(self) -> bool:
        """Whether the verdict is one that is kept."""
        return self.body["verdict"]["state"] in FINAL

    def comparison(self, metric: str, arm: str, against: str) -> Mapping[str, Any] | None:
        """Return a comparison as it stood; None if it was not made, or was suppressed."""
        for each in self.body["metrics"]:
            for found in each["comparisons"] if each["metric"] == metric else ():
                if (found["arm"], found["against"]) == (arm, against) and found["state"] != "suppressed":
                    return found  # type: ignore[no-any-return]
        return None


@dataclass(frozen=True)
class PastLooks:
    """The looks of a period before a moment.

    :param alarm: the finding of the period's split, if it ever was an alarm.
    :param week: the number of the look that the moment is; None on other days.
    :param is_joint: whether intervals share their error with weekly looks; without looks they have all of it.
    """

    looks: Sequence[WeeklyLook] = ()
    alarm: Finding | None = None
    week: int | None = None
    is_joint: bool = True

    def of(self, metric: str, arm: str, against: str) -> list[Mapping[str, Any]]:
        """Return a comparison as it stood at each look that has it."""
        found = (look.comparison(metric, arm, against) for look in self.looks)
        return [each for each in found if each]

    def before(self, moment: datetime) -> PastLooks:
        """Return what there was at a moment."""
        looks = tuple(look for look in self.looks if look.until <= moment)
        has_alarmed = self.alarm is not None and self.alarm.values["on"] <= f"{moment:%Y-%m-%d}"
        return PastLooks(looks, self.alarm if has_alarmed else None)

    @property
    def weeks(self) -> int:
        """The weeks that are over."""
        return self.week or (self.looks[-1].week if self.looks else 0)

    @property
    def decided(self) -> WeeklyLook | None:
        """The first look with a verdict that is kept; its rules hold from then on."""
        return next((look for look in self.looks if look.is_decided), None)


WITHOUT_LOOKS = PastLooks(is_joint=False)
"""Stands for the looks of results that have none."""


def looks_of(connection: Connection, experiment: str) -> Mapping[str, PastLooks]:
    """Return the looks of each period of an experiment, by the period's key."""
    statement = select(Look.period, Look.week, Look.body).where(Look.experiment == experiment)
    found: dict[str, list[WeeklyLook]] = {}
    alarms: dict[str, Finding] = {}
    for period, week, body in connection.execute(statement.order_by(Look.period, Look.week)):
        if week == ALARM:
            alarms[period] = Finding(**body)
        else:
            found.setdefault(period, []).append(WeeklyLook(week, body))
    return {period: PastLooks(tuple(found.get(period, ())), alarms.get(period)) for period in {*found, *alarms}}


def keep_looks(engine: Engine, experiment: str, rows: Sequence[Mapping[str, Any]]) -> None:
    """Write looks that are not there yet. Where nothing can be written, the next computation finds the same.

    :param rows: with ``period``, ``week`` and ``body``.
    """
    if not rows:
        return
    insert = (postgresql if engine.dialect.name == "postgresql" else sqlite).insert(Look)
    try:
        with engine.begin() as connection:
            connection.execute(insert.on_conflict_do_nothing(), [{"experiment": experiment, **row} for row in rows])
    except SQLAlchemyError as error:
        log.warning("The weekly looks could not be kept: %s.", type(error).__name__)
