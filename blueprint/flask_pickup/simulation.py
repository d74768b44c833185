"""Made-up callers through the real decision and into the real tables, with outcomes of a known truth.

The customer hook is not called. The callers' pseudonyms belong to no phone number, so that no real caller has one.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cached_property
from itertools import accumulate
from math import exp
from random import Random
from typing import Any

from sqlalchemy import Engine, func, insert, select

from flask_pickup import migrating
from flask_pickup.caller import Caller, caller_key, language_in
from flask_pickup.calling_times import CallingTimes, latest_open
from flask_pickup.calls import CallFacts
from flask_pickup.catalog import CONTROL, Catalog, Experiment, Line
from flask_pickup.catalog.definition import MetricDefinition
from flask_pickup.customer import UNKNOWN, Customer
from flask_pickup.decision import decide
from flask_pickup.ledger import CallEntry
from flask_pickup.ledger.store import Store
from flask_pickup.models import Call, Outcome
from flask_pickup.outcome_names import REPORTED_NUMBERS
from flask_pickup.results.assembling import ResultOptions, analysis
from flask_pickup.webhook import Webhook, call_entry, definition_entries

SIMULATED = "pickup-simulated-"
"""How the call ids of a simulation begin."""

_RATE, _GUARDRAILS_RATE, _MEAN = 0.3, 0.1, 90.0
_REGULARS, _MOST_CALLS = 0.15, 8
_HABIT = 4.0
_SPREAD = 0.6
_AGAIN = timedelta(weeks=3)
_LASTS, _LONGEST = 120.0, timedelta(minutes=15)
BATCH = 500


@dataclass(frozen=True)
class Truth:
    """What is true of an experiment's made-up callers.

    :param baselines: metric to its rate or mean in control.
    :param effects: arm and metric to the difference from that.
    """

    experiment: Experiment
    baselines: Mapping[str, float]
    effects: Mapping[tuple[str, str], float]

    def of(self, metric: str, arm: str) -> float:
        """Return a metric's rate or mean in an arm."""
        return self.baselines[metric] + self.effects.get((arm, metric), 0.0)


def truth(experiment: Experiment, effects: Mapping[tuple[str, str], float], baseline: float | None) -> Truth:
    """Return the truth of a simulation, with a baseline for each metric.

    :param baseline: the primary metric's.
    :raises ValueError: if an arm or a metric is not there, or a rate would not be one.
    """
    baselines = {metric.name: _usual(metric) for metric in experiment.metrics}
    if baseline is not None and experiment.primary:
        baselines[experiment.primary] = baseline
    for arm, metric in effects:
        if arm not in experiment.weights or arm == CONTROL:
            others = ", ".join(name for name in experiment.weights if name != CONTROL)
            raise ValueError(f"unknown arm '{arm}'; the arms besides control are: {others}")
        if metric not in baselines:
            raise ValueError(f"unknown metric '{metric}'; the metrics are: {', '.join(baselines) or 'none'}")
    found = Truth(experiment, baselines, effects)
    for each in experiment.metrics:
        for arm in experiment.weights:
            value = found.of(each.name, arm)
            if not is_number(each) and not 0 <= value <= 1:
                raise ValueError(f"{each.name} would be {value:g} in {arm}; a rate lies between 0 and 1")
    return found


def is_number(metric: MetricDefinition) -> bool:
    """Return whether a metric's values are numbers, as far as its definition tells; else they are yes or no."""
    return (
        metric.kind == "number"
        or metric.outcome in REPORTED_NUMBERS
        or metric.cap is not None
        or (metric.per, metric.missing) == ("call", "leave out")
        or max(metric.smallest or 0, metric.margin) >= 1
    )


def prepare(engine: Engine) -> bool:
    """Make the tables where there are none; return whether there is no call in them."""
    migrating.upgrade(engine)
    with engine.connect() as connection:
        return connection.execute(select(func.count()).select_from(Call)).scalar_one() == 0


def beginning(catalog: Catalog, weeks: int, until: datetime) -> datetime:
    """Return when a simulation begins, in opening hours, so that so many whole weeks have passed since its first call."""
    return latest_open(catalog.hours(Line(None)), until - timedelta(weeks=weeks, days=1))


@dataclass(frozen=True)
class Simulation:
    """Callers who ring as those of a business do, one in seven of them a regular.

    :param contents: the content from each moment on; the first is that of the first call.
    :param truths: of the experiments whose outcomes are made up; a call in several arms has the effects of all.
    :param until: no call ends later.
    """

    webhook: Webhook
    contents: Mapping[datetime, Catalog]
    truths: Sequence[Truth]
    callers: int
    until: datetime
    seed: int = 0

    def fill(self, engine: Engine) -> Iterator[Counter[str]]:
        """Write all calls, and yield after each batch where its callers went: see :meth:`_went`.

        The database must be empty.
        """
        store = Store(engine)
        for moment, catalog in self.contents.items():
            store.write(definition_entries(catalog, moment))
        for first in range(0, self.callers, BATCH):
            made = (self.calls(number) for number in range(first, min(first + BATCH, self.callers)))
            batch = [calls for each in made if (calls := list(each))]
            calls = [call for each in batch for call in each]
            store.write([entry for entry, _ in calls])
            with engine.begin() as connection:
                rows = [
                    {
                        "call_id": entry.call["call_id"],
                        "name": name,
                        "value": value,
                        "reported_at": entry.call["reported_at"],
                    }
                    for entry, outcomes in calls
                    for name, value in outcomes.items()
                ]
                if rows:
                    connection.execute(insert(Outcome), rows)
            yield Counter(self._went([entry.call for entry, _ in each]) for each in batch)

    def _went(self, calls: Sequence[Mapping[str, Any]]) -> str:
        """Return the reason why a caller is or is not in the first experiment, by all their calls."""
        name = self.truths[0].experiment.name
        reasons: list[str] = [call["reasons"].get(name, call["decision"]) for call in calls]
        return min(reasons, key=lambda reason: (reason != "enrolled", reason == "closed"))

    def calls(self, number: int) -> Iterator[tuple[CallEntry, Mapping[str, float]]]:
        """Yield each call of a caller, and what comes of it."""
        random = Random(f"{self.seed}:{number}")  # noqa: S311 (made-up callers need no secrecy)
        who, line = self._caller(number), self._line(random)
        arms = dict[str, str]()
        outcomes = self.outcomes(arms, random)
        for index, moment in enumerate(self._moments(line, random)):
            platform, catalog = self.webhook.default_platform, self._content(moment)
            call = CallFacts(f"{SIMULATED}{number}-{index}", platform.name, "inbound_phone_call", who, line, moment)
            entry = call_entry(call, decide(catalog, platform, call, self.customer(number)), moment)
            known = arms | {row["experiment"]: row["arm"] for row in entry.assignments}
            if known != arms:
                arms, outcomes = known, self.outcomes(known, random)
            found = {} if entry.call["decision"] == "closed" else next(outcomes)
            lasted = timedelta(seconds=found.get("duration_seconds", _LASTS))
            yield _ended(entry, min(moment + lasted, self.until)), found

    def customer(self, number: int) -> Customer:  # noqa: ARG002
        """Return what is known of a caller: nothing."""
        return UNKNOWN

    @property
    def _first(self) -> Catalog:
        return next(iter(self.contents.values()))

    def _content(self, moment: datetime) -> Catalog:
        return next(self.contents[begin] for begin in reversed([*self.contents]) if begin <= moment)

    def _caller(self, number: int) -> Caller:
        """Return somebody from the business's own country, whose pseudonym is of no number."""
        region = self.webhook.options.region
        return Caller(
            number=None,
            country=region,
            language=language_in(region, self._first.languages),
            key=caller_key(self.webhook.options.caller_secret, f"{SIMULATED}{number}"),
        )

    def _line(self, random: Random) -> Line:
        lines = sorted(self._first.settings.lines)
        return self._first.line(random.choice(lines) if lines else None, None)

    def _moments(self, line: Line, random: Random) -> list[datetime]:
        """Return a caller's calls: the first at any time, those of a regular every few weeks after it."""
        calls = 1 if random.random() > _REGULARS else random.randint(2, _MOST_CALLS)
        weeks, share = (self.until - next(iter(self.contents))) / _AGAIN, random.random()
        shares = accumulate((random.expovariate(weeks) for _ in range(calls - 1)), initial=share)
        return [self._times[line.number].at(share) for share in shares if share < 1]

    @cached_property
    def _times(self) -> Mapping[str | None, CallingTimes]:
        """When each line rings."""
        begin, end = next(iter(self.contents)), self.until - _LONGEST
        lines = self._first.settings.lines.values() or [Line(None)]
        return {line.number: CallingTimes(self._first.hours(line), begin, end) for line in lines}

    def outcomes(self, arms: Mapping[str, str], random: Random) -> Iterator[Mapping[str, float]]:
        """Yield what comes of each of a caller's calls, from their first in ``arms`` on."""
        metrics, means = dict[str, MetricDefinition](), dict[str, float]()
        for known in self.truths:
            arm = arms.get(known.experiment.name, CONTROL)
            for metric in known.experiment.metrics:
                metrics.setdefault(metric.outcome, metric)
                mean = means.get(metric.outcome, known.baselines[metric.name])
                means[metric.outcome] = mean + known.effects.get((arm, metric.name), 0.0)
        values = {outcome: _values(metric, means[outcome], random) for outcome, metric in metrics.items()}
        while True:
            drawn = {name: next(each) for name, each in values.items()}
            yield {name: value for name, value in drawn.items() if value is not None}


def _usual(metric: MetricDefinition) -> float:
    if is_number(metric):
        return _MEAN
    return _GUARDRAILS_RATE if metric.guardrail else _RATE


def _values(metric: MetricDefinition, mean: float, random: Random) -> Iterator[float | None]:
    """Yield a caller's values, call by call. What is counted once a caller comes of their first call."""
    is_once = metric.per == "caller"
    if is_number(metric):
        own = _factor(random) * mean
        yield own * _factor(random)
        while True:
            yield None if is_once else own * _factor(random)
    rate = mean if is_once else _habit(mean, random)
    yield float(random.random() < rate)
    while True:
        yield 0.0 if is_once else float(random.random() < rate)


def _habit(rate: float, random: Random) -> float:
    """Return one caller's own rate; all callers' have ``rate`` as their mean."""
    return random.betavariate(_HABIT * rate, _HABIT * (1 - rate)) if 0 < rate < 1 else rate


def _factor(random: Random) -> float:
    """Return a positive number whose mean is 1."""
    return random.lognormvariate(0, _SPREAD) * exp(-(_SPREAD**2) / 2)


def _ended(entry: CallEntry, at: datetime) -> CallEntry:
    """Return the entry of a call that has ended and was reported, its arm spoken."""
    call: dict[str, Any] = {**entry.call, "status": "ended", "ended_at": at, "reported_at": at}
    return CallEntry(call, [{**row, "delivered": True} for row in entry.assignments], at)


def looks(engine: Engine, experiment: Experiment, until: datetime) -> list[Mapping[str, Any]]:
    """Return what results said at the end of each whole week, and at last ``until`` then, as plain values.

    :raises ValueError: if no caller was assigned an arm.
    """
    with analysis(engine, experiment.name, experiment.body, ResultOptions(now=until)) as found:
        last = found.results()
        if last.since is None:
            raise ValueError("none of the made-up callers was assigned an arm")
        return [*(look.body for look in found.looking.past.looks), last.as_data()]
