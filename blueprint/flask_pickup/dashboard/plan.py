"""The plan: how long an experiment takes and what it could find, from its calls and from numbers as people write them."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, replace
from datetime import timedelta
from math import ceil
from typing import Any

from flask import Response, request

from flask_pickup.catalog.definition import Experiment, MetricDefinition
from flask_pickup.dashboard.frame import Frame, freshness
from flask_pickup.dashboard.parameters import BadParameter, chosen
from flask_pickup.enrolment import Enrolment, enrolment
from flask_pickup.results import planning
from flask_pickup.results.amounts import Unit, amount, level, percent, size, unit_of
from flask_pickup.results.baselines import Baseline, measured, stated, with_assumed
from flask_pickup.results.snapshots import LEASE, Latest
from flask_pickup.translation import format_number, gettext, reader_language
from flask_pickup.webhook import Webhook

COUNTED = "plan:"
"""Begins the name of the snapshot of what an experiment's plan starts from; its results have the name alone."""

_COUNTED_FOR = timedelta(hours=1)
_FIELDS = ("baseline", "lift", "callers_a_week", "maximum_weeks")
_LEAST, _MOST = 0.0001, 1e9
_FEWEST_CALLERS, _MOST_CALLERS = 0.1, 1e9
_MOST_WEEKS = 26
"""Above it a page would take seconds."""
_PROPOSED = 0.05
_THOUSANDS = re.compile(r"[1-9]\d{0,2}([.,]\d{3})+")
_RATE = MetricDefinition("rate", "rate")
_ANY = Experiment("", "draft", weights={"control": 1, "other": 1}, metrics=(_RATE,), primary="rate")


def plan_page(frame: Frame) -> Response:
    """Return the page that says how long an experiment takes."""
    experiments = {each.name: each for each in frame.catalog.experiments if each.status != "concluded"}
    name = chosen(request.args, "experiment", experiments)
    if not request.args and len(experiments) == 1:
        [name] = experiments
    latest = Latest()
    if name:
        snapshot = f"{COUNTED}{name}"
        latest = frame.snapshots.latest([snapshot], fresh=_COUNTED_FOR)[snapshot]
        if not (latest.body or {}).get("enrolment"):
            # The first calls may have come since, and without calls counting takes no time.
            latest = frame.snapshots.latest([snapshot])[snapshot]
    body = latest.body or {}
    design = _Design.of(experiments[name] if name else _ANY, body)
    written = {field: request.args[field] for field in _FIELDS if request.args.get(field)}
    plan, problem = None, ""
    try:
        plan = design.plan(written) if written else design.plan_in(body)
    except BadParameter as error:
        problem = str(error)
    return frame.page(
        "plan",
        400 if problem else 200,
        experiments=experiments,
        experiment=experiments.get(name or ""),
        design=design,
        form={**design.texts, **written},
        is_entered=bool(written),
        plan=plan,
        problem=problem,
        notes=[*_missing(design, body)] if body else (),
        size=lambda value: size(value, design.unit),
        amount=amount,
        level=level,
        **freshness([latest] if name else []),
    )


def counted(webhook: Webhook, name: str) -> dict[str, Any]:
    """Return what the plan of an experiment starts from, and the plan, as plain values. It takes seconds.

    :raises KeyError: if the content has no such experiment.
    """
    experiment = {each.name: each for each in webhook.catalog.experiments}[name]
    wanted = [each for each in experiment.metrics if each.name == experiment.primary or each.guardrail]
    engine, now = webhook.engine, webhook.now
    baselines = measured(engine, wanted, now=now) if wanted else {}
    found = enrolment(engine, webhook.catalog, experiment, now=now, seconds=LEASE.total_seconds())
    facts: dict[str, Any] = {
        "baselines": {metric: asdict(baseline) for metric, baseline in baselines.items()},
        "enrolment": found and asdict(found),
    }
    return {**facts, "fingerprint": experiment.fingerprint, "plan": _Design.of(experiment, facts).plan()}


@dataclass(frozen=True)
class _Design:
    """What is planned.

    :param metric: the primary one, or a rate where there is none.
    :param baselines: by metric, of those that are measured.
    :param enrolment: None if no calls are recorded or counted.
    """

    experiment: Experiment
    metric: MetricDefinition
    baselines: Mapping[str, Baseline]
    enrolment: Enrolment | None

    @classmethod
    def of(cls, experiment: Experiment, body: Mapping[str, Any]) -> _Design:
        found, known = body.get("enrolment"), body.get("baselines", {})
        return cls(
            experiment,
            experiment.metric(experiment.primary) or _RATE,
            {name: Baseline(**values) for name, values in known.items()},
            Enrolment(**found) if found else None,
        )

    @property
    def baseline(self) -> Baseline | None:
        return self.baselines.get(self.metric.name)

    @property
    def is_rate(self) -> bool:
        return self.baseline.is_proportion if self.baseline else self.metric.kind != "number"

    @property
    def unit(self) -> Unit:
        return unit_of(self.is_rate, self.metric.per)

    @property
    def label(self) -> str:
        return self.metric.label_in(reader_language())

    @property
    def lift(self) -> float | None:
        """The smallest relevant difference, or a proposal: 5 pp, or a tenth of a mean, where there is room for it."""
        if self.metric.smallest or not self.baseline:
            return self.metric.smallest
        mean = self.baseline.mean
        room = mean if self.metric.goal == "decrease" else 1 - mean
        proposed = min(_PROPOSED, room / 2) if self.is_rate else abs(mean) / 10
        return float(f"{proposed:.2g}") or None

    @property
    def texts(self) -> dict[str, str]:
        """What the fields of the form have before anything is entered."""
        values = self._known()
        scale = 100 if self.is_rate else 1
        return {
            name: "" if value is None else format_number(scale * value if name in _FIELDS[:2] else value, "0.##")
            for name, value in values.items()
        }

    def plan_in(self, body: Mapping[str, Any]) -> Mapping[str, Any] | None:
        """Return the plan from what is known: the computed one, unless the definition is another by now."""
        if body.get("fingerprint") == self.experiment.fingerprint:
            return dict(body["plan"]) if body["plan"] else None
        return self.plan()

    def plan(self, written: Mapping[str, str] | None = None) -> dict[str, Any] | None:
        """Return the plan from what is known and what is written; None if that is too little.

        :param written: field to text.
        :raises BadParameter: if what is written makes no plan.
        """
        values, texts = self._known(), self.texts
        if written is not None:
            # What is left as it was is not rounded to what the form shows of it.
            changed = {name: text for name, text in written.items() if text != texts[name]}
            values |= {name: self._number(name, text) for name, text in changed.items()}
            self._check(values)
        baseline, lift, callers, weeks = values.values()
        if baseline is None or lift is None:
            return None
        known = self.baseline
        if not known or baseline != known.mean:
            # Of a mean, the spread is the measured one.
            known = replace(known, mean=baseline) if known and not self.is_rate else stated(baseline)
        metric = replace(self.metric, smallest=lift)
        decision = replace(self.experiment.decision, maximum_weeks=int(weeks or 0))
        guardrails = [each for each in self.experiment.metrics if each.guardrail and each.margin]
        try:
            return planning.plan(
                replace(self.experiment, decision=decision),
                metric,
                known,
                new_callers_a_week=callers,
                guardrails=with_assumed(self.baselines, guardrails),
            ).as_json()
        except ValueError:
            if written is None:
                return None
            raise BadParameter(gettext("Nothing can be planned from these numbers.")) from None

    def _known(self) -> dict[str, float | None]:
        """Return the fields' values before anything is entered, in their order."""
        return {
            "baseline": self.baseline.mean if self.baseline else None,
            "lift": self.lift,
            "callers_a_week": self.enrolment.enrolled or None if self.enrolment else None,
            "maximum_weeks": self.experiment.decision.maximum_weeks,
        }

    def _number(self, name: str, written: str) -> float:
        """Return a field's number; "1,000" or "1.000" callers are a thousand."""
        text = written.strip().removesuffix("%")
        digits = re.sub(r"[.,]", "", text) if name == "callers_a_week" and _THOUSANDS.fullmatch(text) else text
        try:
            number = float(digits.replace(",", "."))
        except ValueError:
            raise BadParameter(self._unfinished()) from None
        return number / 100 if self.is_rate and name in _FIELDS[:2] else number

    def _check(self, values: Mapping[str, float | None]) -> None:
        baseline, lift, callers, weeks = values.values()
        if baseline is None or lift is None or callers is None or weeks is None:
            raise BadParameter(self._unfinished())
        if not (self.is_rate or self.baseline):
            raise BadParameter(gettext("Nothing can be planned from these numbers."))
        if self.is_rate and not (_LEAST <= baseline <= 1 - _LEAST and _LEAST <= lift < 1):
            raise BadParameter(gettext("The rate and the difference must be between 0.01 and 99.99."))
        if not (-_MOST <= baseline <= _MOST and 0 < lift <= _MOST):
            raise BadParameter(gettext("The mean must be a number, and the difference a number above 0."))
        if not _FEWEST_CALLERS <= callers <= _MOST_CALLERS:
            raise BadParameter(gettext("The callers must be between 0.1 and a billion."))
        decision = self.experiment.decision
        least, most = ceil(decision.minimum_days / 7), max(_MOST_WEEKS, decision.maximum_weeks)
        if not least <= weeks <= most or weeks != int(weeks):
            text = gettext("The weeks must be a whole number from %(least)s to %(most)s.", least=least, most=most)
            raise BadParameter(text)

    def _unfinished(self) -> str:
        return gettext("Enter a number in each field.") if self.experiment.name else gettext("Enter three numbers.")


def _missing(design: _Design, body: Mapping[str, Any]) -> Iterator[str]:
    """Yield what an experiment's plan lacks, and what to do."""
    if "failed" in body:
        yield gettext("The calls could not be counted; the log has the error. Enter the numbers.")
        return
    file = design.experiment.file
    if not design.enrolment:
        yield gettext("No calls are recorded yet. Enter what you expect.")
    elif not design.enrolment.enrolled:
        yield gettext(
            "None of the new callers would be enrolled. Check audience, layer and traffic in %(file)s, or enter how many "
            "you expect.",
            file=file,
        )
    if design.metric is _RATE:
        yield gettext(
            'There is no primary metric: write primary = "…" and its [metrics.…] in %(file)s. Until then enter any rate '
            "of callers.",
            file=file,
        )
        return
    yield from _missing_baseline(design)
    if not design.metric.smallest and design.lift:
        yield gettext(
            "There is no smallest relevant difference; %(size)s is proposed. Write smallest = %(value)s below "
            "[metrics.%(metric)s] in %(file)s.",
            size=amount(design.lift, design.unit),
            value=f"{design.lift:g}",
            metric=design.metric.name,
            file=file,
        )


def _missing_baseline(design: _Design) -> Iterator[str]:
    known, label = design.baseline, design.label
    if not known and design.is_rate and design.enrolment:
        yield gettext("Fewer than 30 callers have a value of %(metric)s. Enter the rate that you expect.", metric=label)
    elif not known and not design.is_rate:
        yield gettext(
            "%(metric)s is a number, and fewer than 30 callers have one: how much it varies is not known yet. In a "
            "terminal you can state it: flask pickup plan %(name)s --baseline 180 --deviation 60",
            metric=label,
            name=design.experiment.name,
        )
    elif known and design.is_rate and not 0 < known.mean < 1:
        yield gettext(
            '%(metric)s is %(rate)s now, and nothing can be planned from that. Check that something brings "%(outcome)s", '
            "or enter the rate that you expect.",
            metric=label,
            rate=percent(known.mean),
            outcome=design.metric.outcome,
        )
    elif known and not known.spread:
        yield gettext("%(metric)s is always the same, and nothing can be planned from that.", metric=label)
