"""Looks at the weeks of a period as they end, each from the rules and the looks before it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from functools import cached_property
from typing import Any

from flask_pickup.catalog.definition import Experiment
from flask_pickup.results.aggregates import PeriodAggregates
from flask_pickup.results.looks import ALARM, WEEK, PastLooks, WeeklyLook
from flask_pickup.results.model import Finding, Results, Verdict
from flask_pickup.results.periods import Period
from flask_pickup.results.rules import Change, Served, changed_rules, in_force
from flask_pickup.results.statistics import results_of
from flask_pickup.results.verdict import decide_verdict, revoked, with_harm


class Looking:
    """The weekly looks of a period up to a moment; those that are new are in ``rows``.

    :param kept: the looks that there are.
    :param served: the definitions that calls were answered from, in their order; the one in force last.
    :param first: when the first of its callers was assigned, of those who are not forgotten; None without a caller.
    """

    def __init__(
        self, period: Period, kept: PastLooks, served: Sequence[Served], first: datetime | None, until: datetime
    ) -> None:
        self._period = period
        self._served = served
        self.past = kept.before(until)
        self._until = until
        # The first callers may have been forgotten since.
        self._began = kept.looks[0].until - kept.looks[0].week * WEEK if kept.looks else first
        self.rows: list[Mapping[str, Any]] = []

    @property
    def missing(self) -> list[tuple[int, datetime]]:
        """The numbers and the ends of the whole weeks that have no look yet."""
        if self._began is None:
            return []
        next_week = self.past.looks[-1].week + 1 if self.past.looks else 1
        weeks = range(next_week, (self._until - self._began) // WEEK + 1)
        return [(week, self._began + week * WEEK) for week in weeks]

    def design(self, moment: datetime) -> tuple[str, Experiment]:
        """Return the fingerprint and the rules of a look: those of then, or those of a verdict that is kept."""
        kept = self.past.decided.body["rules"] if self.past.decided else None
        rules = next((each for each in self._period.members if each.fingerprint == kept), None)
        rules = rules or in_force(self._served, moment)
        return rules.fingerprint, Experiment.of(rules.body).primary_first

    def look(self, week: int, period: PeriodAggregates) -> None:
        """Decide what is known at the end of a week."""
        past, (rules, design) = replace(self.past, week=week), self.design(period.until)
        found = replace(results_of(design, period, histories={period.number: past}), week=week, rules=rules)
        changes = [each.at for each in self._changes if each.is_decisive]
        found = replace(found, verdict=decide_verdict(found, design, past, changes))
        self.note_alarm(found)
        body = found.as_data()
        self.past = replace(self.past, looks=(*self.past.looks, WeeklyLook(week, body)))
        self._keep(week, body)

    def note_alarm(self, found: Results) -> None:
        """Keep the first alarm of the split, on whatever day it is found."""
        alarm = next((each for each in found.warnings if each.code == "split"), None)
        if alarm and self.past.alarm is None:
            self.past = replace(self.past, alarm=alarm)
            self._keep(ALARM, {"code": alarm.code, "values": dict(alarm.values)})

    def verdict(self, found: Results, design: Experiment) -> Verdict:
        """Return the last look's verdict, unless today's rows are not reliable or show harm."""
        if broken := revoked(found, design, self.past):
            return broken
        if not self.past.looks:
            return decide_verdict(found, design, self.past)
        return with_harm(self.past.looks[-1].verdict, found, design)

    @property
    def changes(self) -> Iterator[Finding]:
        """Yields the rules that were changed since the period began."""
        return (each.finding for each in self._changes if each.at <= self._until)

    @cached_property
    def _changes(self) -> list[Change]:
        return list(changed_rules(self._served)) if self._began else []

    def _keep(self, week: int, body: Mapping[str, Any]) -> None:
        self.rows.append({"period": self._period.key, "week": week, "body": body})
