"""One experiment's results, from the database to the verdict."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from functools import cached_property
from itertools import chain, takewhile

from sqlalchemy import Connection, Engine, func, select

from flask_pickup.caller import REHEARSAL
from flask_pickup.catalog.definition import Experiment
from flask_pickup.engines import reading
from flask_pickup.errors import UnknownExperiment
from flask_pickup.models import Assignment, Definition
from flask_pickup.outcome_names import UNREAD
from flask_pickup.results.aggregates import ArmAggregates, PeriodAggregates
from flask_pickup.results.calls import (
    CountQuery,
    calls_by_reason,
    coverage,
    excluded_calls,
    first_assigned,
    platforms_of,
    rehearsed_calls,
    unread_calls,
)
from flask_pickup.results.counting import Counted, aggregate, callers
from flask_pickup.results.looking import Looking
from flask_pickup.results.looks import WITHOUT_LOOKS, PastLooks, keep_looks, looks_of
from flask_pickup.results.model import Finding, Metric, Results, Unidentified
from flask_pickup.results.periods import Body, Period, StoredDefinition, as_it_ran, periods
from flask_pickup.results.rules import Served, served
from flask_pickup.results.statistics import results_of

_LARGEST_SHARE = 0.05
_FEWEST_CALLS = 100
_MOST_COLUMNS, _COLUMNS_OF_SUMS = 1200, 12
"""Of one statement, which counts several moments at once: PostgreSQL allows 1,664."""


@dataclass(frozen=True)
class ResultOptions:
    """How results are asked for. Pooled ones, those of one platform and those with rehearsals have no looks and no verdict.

    :param pool: whether earlier periods of equal weights count too.
    :param rehearsals: whether rehearsed calls count.
    :param platform: the one whose calls count; None for all.
    :param now: stands for the time of asking.
    :param purged_before: calls from before that are purged.
    :param patience: seconds that a statement may take; None for all it needs.
    """

    pool: bool = False
    rehearsals: bool = False
    platform: str | None = None
    now: datetime | None = None
    purged_before: datetime | None = None
    patience: float | None = None


def results(
    engine: Engine, experiment: str, in_force: Body | None = None, options: ResultOptions | None = None
) -> Results:
    """Return what is known of an experiment, with a verdict.

    :param in_force: its definition as the folder has it now; by default the latest that calls were answered from.
    :raises UnknownExperiment: if there is neither.
    :raises sqlalchemy.exc.SQLAlchemyError: if the database does not answer.
    """
    with analysis(engine, experiment, in_force, options) as found:
        return found.results()


def recorded(engine: Engine) -> list[str]:
    """Return the names of all experiments that calls were ever answered from."""
    with reading(engine) as connection:
        return sorted(connection.execute(select(Definition.experiment).distinct()).scalars())


@contextmanager
def analysis(
    engine: Engine, experiment: str, in_force: Body | None = None, options: ResultOptions | None = None
) -> Iterator[Analysis]:
    """Give an experiment's rows as they are now; arguments and errors are those of :func:`results`.

    Weekly looks that are new are kept when the block has ended, also by an error: the next time begins where this ended.
    """
    options, found = options or ResultOptions(), None
    try:
        with reading(engine, options.patience) as connection:
            found = Analysis(connection, _definitions(connection, experiment, in_force, options), options)
            yield found
    finally:
        if found:
            keep_looks(engine, experiment, found.looking.rows)


def _definitions(
    connection: Connection, experiment: str, in_force: Body | None, options: ResultOptions
) -> list[StoredDefinition]:
    rows = connection.execute(
        select(Definition.fingerprint, Definition.body, Definition.first_seen_at)
        .where(Definition.experiment == experiment)
        .order_by(Definition.first_seen_at, Definition.fingerprint)
    )
    found = [StoredDefinition(*row) for row in rows]
    if in_force is None:
        if not found:
            raise UnknownExperiment(f"No experiment is called '{experiment}', and no call was ever in one.")
        return [*found[:-1], as_it_ran(found[-1], found[:-1])]
    known = next((each for each in found if each.body == in_force), None)
    # Its own body, not the table's: PostgreSQL keeps keys in an order of its own.
    last = replace(known, body=in_force) if known else StoredDefinition("", in_force, options.now or datetime.now(UTC))
    earlier = [each for each in found if each is not known]
    return [*earlier, as_it_ran(last, earlier)]


def _end(connection: Connection, definitions: Sequence[StoredDefinition]) -> datetime:
    """Return when a concluded experiment ended: when it was first seen to be, or resumed, after its last assignment.

    What is edited afterwards begins nothing.
    """
    concluded = takewhile(lambda each: each.body["status"] == "concluded", reversed(definitions))
    last = connection.execute(
        select(func.max(Assignment.assigned_at)).where(
            Assignment.experiment == definitions[-1].body["experiment"],
            Assignment.source == "hash",
            ~Assignment.call_id.startswith(REHEARSAL),
        )
    ).scalar()
    end = min(each.first_seen_at for each in concluded)
    return max(end, last + timedelta(microseconds=1)) if last else end


class Analysis:
    """An experiment's rows, read over one connection.

    :param definitions: all that there were, the one in force last.
    """

    def __init__(self, connection: Connection, definitions: Sequence[StoredDefinition], options: ResultOptions) -> None:
        self.connection = connection
        self.options = options
        self.experiment = Experiment.of(definitions[-1].body).primary_first
        until = options.now or datetime.now(UTC)
        if self.experiment.status == "concluded":
            # From then on everybody hears the winner.
            until = min(until, _end(connection, definitions))
        self.platforms = platforms_of(connection) if options.platform is None else (options.platform,)
        self.query = CountQuery(
            self.experiment.name,
            self.experiment.metrics,
            until,
            rehearsals=options.rehearsals,
            platform=options.platform,
            delivered_on=self.platforms,
        )
        self.first = first_assigned(connection, self.query)
        *self.earlier, self.period = periods(definitions, self.first)
        self.pooled = 0
        if options.pool:
            equal = [period for period in self.earlier if period.shares == self.period.shares]
            self.earlier = [period for period in self.earlier if period not in equal]
            members = (*(each for period in equal for each in period.members), *self.period.members)
            self.period = replace(self.period, members=members)
            self.pooled = len(equal)
        if self.earlier:
            self.query = replace(self.query, scaled_by=self.period.definitions)
        self._kept = looks_of(connection, self.experiment.name)
        first = min((at for each, at in self.first.items() if each in self.period.definitions), default=None)
        kept = self._kept.get(self.period.key, PastLooks())
        self.looking = Looking(self.period, kept, self._served(definitions[-1]), first, until)

    def _served(self, last: StoredDefinition) -> list[Served]:
        """Return the definitions of the period that calls were answered from, and the one in force."""
        found = served(self.connection, self.query, self.period.members)
        if found and found[-1].definition.fingerprint == last.fingerprint:
            return found
        is_new = not found or last.first_seen_at > found[-1].at
        return [*found, Served(last.first_seen_at if is_new else self.query.until, last)]

    def results(self) -> Results:
        """Return what is known, with a verdict where the results are of all calls of one period."""
        [now] = aggregate(self.connection, self.query)
        current = self._aggregates(now, self.query.until)
        one_arm = self._aggregates(now, self.query.until, one_arm=True)
        earlier = [self._aggregates(now, self.query.until, period) for period in self.earlier]
        if self._has_looks:
            self._look()
        found = results_of(self.experiment, current, earlier, self._histories)
        if current.since:
            found = replace(found, coverage=coverage(self.connection, self.query, current.since, current.calls))
        found = replace(found, warnings=(*found.warnings, *self._findings(current, one_arm, earlier)))
        found = replace(found, platform=self.options.platform, unidentified=self._unidentified())
        if not self._has_looks:
            return found
        self.looking.note_alarm(found)
        return replace(found, verdict=self.looking.verdict(found, self.experiment))

    def callers(self) -> Iterator[Sequence[object]]:
        """Yield the columns' names, then a row for each caller who counts, of all periods, as the database gives them."""
        numbers = {name: period.number for period in (*self.earlier, self.period) for name in period.definitions}
        rows = self.connection.execution_options(yield_per=1000).execute(callers(self.connection, self.query))
        yield ("period", *rows.keys())
        for row in rows:
            yield (numbers.get(row.definition), *row)

    @property
    def _has_looks(self) -> bool:
        """Whether these are the results that verdicts are about."""
        return not (self.options.pool or self.options.rehearsals or self.options.platform)

    @property
    def _histories(self) -> Mapping[int, PastLooks]:
        """The looks of each period."""
        if not self._has_looks:
            # An alarm of the split is one in any part of the rows.
            none = {each.number: WITHOUT_LOOKS for each in self.earlier}
            return {**none, self.period.number: replace(WITHOUT_LOOKS, alarm=self.looking.past.alarm)}
        earlier = {each.number: self._kept.get(each.key, PastLooks()) for each in self.earlier}
        return {**earlier, self.period.number: self.looking.past}

    @cached_property
    def _excluded(self) -> Mapping[tuple[str, str], ArmAggregates]:
        return excluded_calls(self.connection, self.query)

    def _aggregates(
        self, counted: Counted, until: datetime, period: Period | None = None, *, one_arm: bool = False
    ) -> PeriodAggregates:
        """Return what the rows of a period come to; by default of the one in force.

        :param one_arm: whether callers who were assigned two arms are left out.
        """
        period = period or self.period
        arms = dict.fromkeys(period.weights, ArmAggregates())
        rows = ((definition, arm, each) for (definition, arm, both), each in counted.items() if not (one_arm and both))
        # A look is the same whenever it is computed: what is excluded is counted for today alone.
        counted_out = self._excluded if until == self.query.until else {}
        excluded = ((definition, arm, each) for (definition, arm), each in counted_out.items())
        for definition, arm, each in chain(rows, excluded):
            if definition in period.definitions and arm in arms:
                arms[arm] += each
        return PeriodAggregates(period.number, period.weights, until, arms)

    def _look(self) -> None:
        """Make the looks that are missing, each counted by the definition of then; several weeks at once."""
        sums = len(self.query.metrics) + len(self.platforms) + 5
        at_once = max(1, _MOST_COLUMNS // (_COLUMNS_OF_SUMS * sums))
        while missing := self.looking.missing[:at_once]:
            _, design = self.looking.design(missing[0][1])
            alike = takewhile(lambda each: self.looking.design(each[1])[1].metrics == design.metrics, missing)  # noqa: B023 (used up at once)
            *before, last = alike
            query = replace(self.query, metrics=design.metrics, until=last[1])
            counted, *others = aggregate(self.connection, query, *(moment for _, moment in before))
            for (week, moment), each in zip((*before, last), (*others, counted), strict=True):
                # A verdict that is kept keeps its rules.
                if self.looking.design(moment)[1].metrics != design.metrics:
                    break
                self.looking.look(week, self._aggregates(each, moment))

    def _unidentified(self) -> Unidentified | None:
        """Return what came of calls that were drawn one by one; each stands for a caller, in the same statistics."""
        period = self.period.per_call
        if not any(
            each.unidentified for (definition, _), each in self._excluded.items() if definition in period.definitions
        ):
            return None
        [counted] = aggregate(self.connection, replace(self.query, unidentified=True))
        found = results_of(self.experiment, self._aggregates(counted, self.query.until, period))
        return Unidentified(found.sample_ratio, tuple(map(_of_calls, found.metrics)))

    # --- what a reader must know --------------------------------------------------------------------------------------

    def _findings(
        self, current: PeriodAggregates, one_arm: PeriodAggregates, earlier: Sequence[PeriodAggregates]
    ) -> Iterator[Finding]:
        since, day = current.since, f"{current.since:%Y-%m-%d}" if current.since else None
        if self.pooled:
            yield Finding("changed", {"pooled": self.pooled})
        if before := sum(period.callers for period in earlier):
            yield Finding("changed", {"since": day, "callers": before, "period": f"{self.period.number}"})
        yield from self.looking.changes
        if both := current.callers - one_arm.callers:
            yield self._two_arms(both, one_arm)
        most = max((arm.most_calls for arm in current.arms.values()), default=0)
        if current.calls >= _FEWEST_CALLS and most > _LARGEST_SHARE * current.calls:
            yield Finding("one-caller", {"most": most, "calls": current.calls})
        if since and self.period.uses_customer:
            reasons = calls_by_reason(self.connection, self.query, since)
            if failed := reasons.get("customer_failed", 0):
                yield Finding("hook-failed", {"calls": failed})
        if unread := unread_calls(self.connection, self.query, self.period.definitions):
            found = {"transcripts": unread.get(UNREAD["messages"], 0), "analyses": unread.get(UNREAD["analysis"], 0)}
            yield Finding("unread", found)
        if (self.options.rehearsals or not since) and (rehearsed := rehearsed_calls(self.connection, self.query)):
            yield Finding("rehearsal" if self.options.rehearsals else "rehearsal-excluded", {"calls": rehearsed})
        purged = self.options.purged_before
        if purged and since and since - purged < timedelta(days=1):
            yield Finding("purged", {"day": f"{purged:%Y-%m-%d}"})

    def _two_arms(self, both: int, one_arm: PeriodAggregates) -> Finding:
        metric = results_of(self.experiment, one_arm).metric(self.experiment.primary)
        compared = [(each.arm, each.difference) for each in (metric.comparisons if metric else ())]
        differences = [(arm, difference) for arm, difference in compared if difference is not None]
        values = {"callers": both, "metric": self.experiment.primary, "differences": differences}
        return Finding("two-arms", {**values, "unit": metric.unit if metric else None})


def _of_calls(metric: Metric) -> Metric:
    """Return a metric whose units were calls under their own name."""
    return replace(metric, per="call", arms=tuple(replace(arm, callers=None) for arm in metric.arms))
