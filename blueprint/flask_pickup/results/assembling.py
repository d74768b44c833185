"""One experiment's results, from the database to the verdict."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from itertools import takewhile

from sqlalchemy import Connection, Engine, select

from flask_pickup.catalog.definition import Experiment
from flask_pickup.errors import UnknownExperiment
from flask_pickup.models import Definition as DefinitionRow
from flask_pickup.results import counting
from flask_pickup.results.counting import ByArm, Counts, Question, together
from flask_pickup.results.model import ArmCounts, Finding, Metric, Results, Unidentified, Verdict
from flask_pickup.results.periods import Body, Definition, Period, periods
from flask_pickup.results.reading import reading
from flask_pickup.results.statistics import results_of
from flask_pickup.results.sums import Sums, Tally
from flask_pickup.results.verdict import decide, last_whole_week

_LARGEST_SHARE = 0.05
_FEWEST_CALLS = 100
_LONGEST_RECENT = counting.RECENT / timedelta(weeks=1)


@dataclass(frozen=True)
class Options:
    """How results are asked for.

    :param pool: whether earlier periods of equal weights count too.
    :param rehearsals: whether rehearsed calls count.
    :param now: stands for the time of asking.
    :param purged_before: calls from before that are purged.
    :param patience: seconds that a statement may take; None for all it needs.
    """

    pool: bool = False
    rehearsals: bool = False
    now: datetime | None = None
    purged_before: datetime | None = None
    patience: float | None = None


def results(engine: Engine, experiment: str, in_force: Body | None = None, options: Options | None = None) -> Results:
    """Return what is known of an experiment, with a verdict.

    :param in_force: its definition as the folder has it now; by default the latest that calls were answered from.
    :raises UnknownExperiment: if there is neither.
    :raises sqlalchemy.exc.SQLAlchemyError: if the database does not answer.
    """
    options = options or Options()
    with reading(engine, options.patience) as connection:
        definitions = _definitions(connection, experiment, in_force, options)
        return _Assembling(connection, definitions, options).results()


def primary_at(
    engine: Engine, in_force: Body, moments: Sequence[datetime], *, rehearsals: bool = False
) -> list[Results]:
    """Return the primary metric as it stood at each moment, without verdicts or warnings; all with one count.

    :param moments: in their order, the latest last.
    """
    design = Experiment.of(in_force)
    options = Options(rehearsals=rehearsals, now=moments[-1])
    with engine.connect() as connection, connection.begin():
        definitions = _definitions(connection, design.name, in_force, options)
        assembling = _Assembling(connection, definitions, options)
        return assembling.primary_at(moments)


def definitions_of(connection: Connection, in_force: Body, *, rehearsals: bool = False) -> frozenset[str]:
    """Return the definitions of the period that is in force."""
    options = Options(rehearsals=rehearsals)
    definitions = _definitions(connection, in_force["experiment"], in_force, options)
    return _Assembling(connection, definitions, options).period.definitions


def recorded(engine: Engine) -> list[str]:
    """Return the names of all experiments that calls were ever answered from."""
    with engine.connect() as connection:
        names = connection.execute(select(DefinitionRow.experiment).distinct())
        return sorted(names.scalars())


def export(
    engine: Engine, experiment: str, in_force: Body | None = None, options: Options | None = None
) -> Iterator[Mapping[str, object]]:
    """Yield a row for each caller who counts, of all periods, as the database gives them.

    :raises UnknownExperiment: as :func:`results` does.
    """
    options = options or Options()
    with reading(engine, options.patience) as connection:
        assembling = _Assembling(connection, _definitions(connection, experiment, in_force, options), options)
        numbers = assembling.numbers()
        statement = counting.callers(connection, assembling.question)
        for row in connection.execution_options(yield_per=1000).execute(statement).mappings():
            yield {"period": numbers.get(row["definition"]), **row}


def _definitions(connection: Connection, experiment: str, in_force: Body | None, options: Options) -> list[Definition]:
    rows = connection.execute(
        select(DefinitionRow.fingerprint, DefinitionRow.body, DefinitionRow.first_seen_at)
        .where(DefinitionRow.experiment == experiment)
        .order_by(DefinitionRow.first_seen_at, DefinitionRow.fingerprint)
    )
    found = [Definition(*row) for row in rows]
    if in_force is None:
        if not found:
            raise UnknownExperiment(f"No experiment is called '{experiment}', and no call was ever in one.")
        return found
    known = next((each for each in found if each.body == in_force), None)
    # Its own body, not the table's: PostgreSQL keeps keys in an order of its own.
    last = replace(known, body=in_force) if known else Definition("", in_force, options.now or datetime.now(UTC))
    return [*(each for each in found if each is not known), last]


def _end(definitions: Sequence[Definition]) -> datetime:
    """Return when a concluded experiment was first seen to be: what is edited afterwards begins nothing."""
    concluded = takewhile(lambda each: each.body["status"] == "concluded", reversed(definitions))
    return min(each.first_seen_at for each in concluded)


class _Assembling:
    def __init__(self, connection: Connection, definitions: Sequence[Definition], options: Options) -> None:
        self.connection = connection
        self.options = options
        self.design = _primary_first(Experiment.of(definitions[-1].body))
        self.first = counting.first_assigned(connection, self.design.name, rehearsals=options.rehearsals)
        *self.earlier, self.period = periods(definitions, self.first)
        self.number = len(self.earlier) + 1
        self.pooled = 0
        if options.pool:
            self._pool()
        until = options.now or datetime.now(UTC)
        if self.design.status == "concluded":
            # From then on everybody hears the winner.
            until = min(until, _end(definitions))
        self.question = Question(self.design.name, self.design.metrics, until=until, rehearsals=options.rehearsals)

    def results(self) -> Results:
        week = self._last_whole_week()
        now, *weeks = counting.count(self.connection, self.question, *([week] if week else []))
        calls_apart = counting.apart(self.connection, self.question)
        tally = _tally(self.design, self.period, self.number, self.question.until, now, calls_apart)
        earlier = [
            _tally(self.design, period, number, self.question.until, now, calls_apart)
            for number, period in enumerate(self.earlier, 1)
        ]
        if tally.since:
            counted = sum(arm.calls for arm in tally.arms)
            covered = counting.coverage(self.connection, self.question, tally.since, counted)
            tally = replace(tally, coverage=covered)
        tally = replace(tally, warnings=tuple(self._found(tally, earlier, self._of_period(now))))
        found = results_of(self.design, tally, earlier)
        return replace(found, verdict=self._verdict(found, week, weeks), unidentified=self._unidentified(calls_apart))

    def numbers(self) -> dict[str, int]:
        """Return the number of each definition's period."""
        numbered = [*enumerate(self.earlier, 1), (self.number, self.period)]
        return {definition: number for number, period in numbered for definition in period.definitions}

    def primary_at(self, moments: Sequence[datetime]) -> list[Results]:
        design = replace(self.design, metrics=tuple(m for m in self.design.metrics if m.name == self.design.primary))
        *earlier, last = moments
        now, *counts = counting.count(self.connection, replace(self.question, metrics=design.metrics), *earlier)
        return [
            results_of(design, _tally(design, self.period, self.number, moment, counted, {}))
            for moment, counted in zip((*earlier, last), (*counts, now), strict=True)
        ]

    def _pool(self) -> None:
        equal = [period for period in self.earlier if period.has_weights_of(self.period)]
        self.earlier = [period for period in self.earlier if period not in equal]
        self.period = self.period.with_those_of(equal)
        self.pooled = len(equal)

    def _of_period(self, counts: ByArm) -> list[Counts]:
        return [each for (definition, _), each in counts.items() if definition in self.period.definitions]

    def _last_whole_week(self) -> datetime | None:
        """Return the moment that the verdict is about; None while it is too early for one."""
        began = min((at for each, at in self.first.items() if each in self.period.definitions), default=None)
        if began is None:
            return None
        week = last_whole_week(began, self.question.until)
        return week if week - began >= timedelta(days=self.design.decision.minimum_days) else None

    def _verdict(self, found: Results, week: datetime | None, counts: Sequence[ByArm]) -> Verdict:
        """Return the verdict on the last whole week; what is broken today is broken at once."""
        if found.since is None or not week:
            until = last_whole_week(found.since, found.until) if found.since else found.until
            return decide(replace(found, until=until), self.design)
        today = decide(found, self.design)
        if today.state == "broken":
            return today
        return decide(
            results_of(self.design, _tally(self.design, self.period, self.number, week, counts[0], {})), self.design
        )

    def _unidentified(self, calls_apart: Mapping[tuple[str, str, str], int]) -> Unidentified | None:
        """Return what came of calls that were drawn one by one; each stands for a caller, in the same statistics."""
        period = replace(self.period, definitions=self.period.per_call)
        if not any(source == "unidentified" and each in period.definitions for each, _, source in calls_apart):
            return None
        [counts] = counting.count(self.connection, replace(self.question, unidentified=True))
        found = results_of(self.design, _tally(self.design, period, self.number, self.question.until, counts, {}))
        return Unidentified(found.sample_ratio, tuple(map(_of_calls, found.metrics)))

    # --- what a reader must know --------------------------------------------------------------------------------------

    def _found(self, tally: Tally, earlier: Sequence[Tally], counts: Sequence[Counts]) -> Iterator[Finding]:
        yield from self._changed(tally, earlier)
        yield from self._two_arms(tally, counts)
        yield from _one_caller(counts)
        yield from self._hook_failed(tally)
        if self.options.rehearsals and (calls := counting.rehearsed(self.connection, self.question)):
            yield Finding("rehearsal", {"calls": calls})
        before = self.options.purged_before
        if before and tally.since and tally.since - before < timedelta(days=1):
            yield Finding("purged", {"day": f"{before:%Y-%m-%d}"})

    def _changed(self, tally: Tally, earlier: Sequence[Tally]) -> Iterator[Finding]:
        if self.pooled:
            yield Finding("changed", {"pooled": self.pooled})
        callers = sum(arm.callers for period in earlier for arm in period.arms)
        if callers:
            since = f"{tally.since:%Y-%m-%d}" if tally.since else None
            yield Finding("changed", {"since": since, "callers": callers})

    def _two_arms(self, tally: Tally, counts: Sequence[Counts]) -> Iterator[Finding]:
        both = sum(each.two_armed for each in counts)
        if not both:
            return
        [alone] = counting.count(self.connection, replace(self.question, one_arm=True))
        without = results_of(self.design, _tally(self.design, self.period, 1, tally.until, alone, {}))
        metric = without.metric(self.design.primary)
        compared = [(each.arm, each.difference) for each in (metric.comparisons if metric else ())]
        differences = [(arm, difference) for arm, difference in compared if difference is not None]
        unit = metric.unit if metric else None
        values = {"callers": both, "metric": self.design.primary, "differences": differences, "unit": unit}
        yield Finding("two-arms", values)

    def _hook_failed(self, tally: Tally) -> Iterator[Finding]:
        if not (self.period.uses_customer and tally.since):
            return
        if calls := counting.hook_failed(self.connection, self.question, tally.since):
            yield Finding("hook-failed", {"calls": calls})


def _of_calls(metric: Metric) -> Metric:
    """Return a metric whose units were calls under their own name."""
    return replace(metric, per="call", arms=tuple(replace(arm, callers=None) for arm in metric.arms))


def _primary_first(design: Experiment) -> Experiment:
    metrics = sorted(design.metrics, key=lambda metric: metric.name != design.primary)
    return replace(design, metrics=tuple(metrics))


def _one_caller(counts: Sequence[Counts]) -> Iterator[Finding]:
    calls, most = sum(each.calls for each in counts), max((each.most_calls for each in counts), default=0)
    if calls >= _FEWEST_CALLS and most > _LARGEST_SHARE * calls:
        yield Finding("one-caller", {"most": most, "calls": calls})


# --- sums into a tally ------------------------------------------------------------------------------------------------


def _tally(  # noqa: PLR0913, PLR0917 (all that a tally is made of)
    design: Experiment,
    period: Period,
    number: int,
    until: datetime,
    counts: ByArm,
    calls_apart: Mapping[tuple[str, str, str], int],
) -> Tally:
    arms = {arm: found for arm in period.weights if (found := together(_of_arm(counts, period, arm)))}
    since = min((each.since for each in arms.values() if each.since), default=None)
    return Tally(
        number=number,
        since=since,
        until=until,
        arms=tuple(_arm(arm, period, arms.get(arm), calls_apart) for arm in period.weights),
        metrics={
            metric.name: {arm: found.metrics[metric.name] for arm, found in arms.items()} for metric in design.metrics
        },
        calls_per_caller={arm: _calls_per_caller(found) for arm, found in arms.items()},
        reports={arm: _reports(found) for arm, found in arms.items()},
        new_callers_a_week=_pace(sum(each.recent for each in arms.values()), since, until),
    )


def _of_arm(counts: ByArm, period: Period, arm: str) -> Iterable[Counts]:
    return (each for (definition, name), each in counts.items() if name == arm and definition in period.definitions)


def _arm(arm: str, period: Period, counts: Counts | None, calls_apart: Mapping[tuple[str, str, str], int]) -> ArmCounts:
    sources = dict.fromkeys(("pin", "unidentified"), 0)
    for (definition, name, source), calls in calls_apart.items():
        if name == arm and definition in period.definitions and source in sources:
            sources[source] += calls
    found = ArmCounts(arm, period.weights[arm], 0, 0, unidentified=sources["unidentified"], pinned=sources["pin"])
    if counts is None:
        return found
    return replace(
        found,
        callers=counts.callers,
        calls=counts.calls,
        delivered=1 - counts.undelivered_calls / counts.known_calls if counts.known_calls else None,
        reported=counts.reported,
        without_report=counts.lost / counts.due if counts.due else None,
        unreported=counts.unreported,
        known=counts.known,
        undelivered=counts.undelivered,
        unassigned=counts.unassigned,
    )


def _calls_per_caller(counts: Counts) -> Sums:
    callers, calls = float(counts.callers), float(counts.calls)
    return Sums(
        callers=counts.callers, calls=counts.calls, s=calls, d=callers, ss=counts.calls_squared, dd=callers, sd=calls,
        asked=counts.callers,
    )  # fmt: skip


def _reports(counts: Counts) -> Sums:
    return Sums(
        callers=counts.callers, calls=counts.due, s=float(counts.lost), d=float(counts.due), ss=counts.lost_squared,
        dd=counts.due_squared, sd=counts.lost_due, asked=counts.callers, incomplete=counts.unreported,
    )  # fmt: skip


def _pace(recent: int, since: datetime | None, until: datetime) -> float | None:
    weeks = min((until - since) / timedelta(weeks=1), _LONGEST_RECENT) if since else 0
    return recent / weeks if weeks >= 1 / 7 else None
