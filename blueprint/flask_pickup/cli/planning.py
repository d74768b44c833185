"""``flask pickup plan``: how long an experiment takes, before it begins."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict
from typing import TypeVar

import click
from rich.table import Column, Table
from sqlalchemy.exc import SQLAlchemyError

from flask_pickup.blueprint import State
from flask_pickup.catalog.definition import Experiment, MetricDefinition
from flask_pickup.cli.group import USAGE_ERROR, Number, experiment_named, fail, formatted, show, with_state
from flask_pickup.enrolment import Enrolment, enrolment
from flask_pickup.results import planning
from flask_pickup.results.amounts import difference, percent
from flask_pickup.results.baselines import measured, stated, with_assumed
from flask_pickup.results.plan_wording import guardrail_level, guardrail_missed, lift_missed, lift_text
from flask_pickup.results.planning import GuardrailPlan, Plan

T = TypeVar("T")

_POSITIVE = Number(1e-9, 1e9)


@click.command()
@click.argument("name")
@click.option("--metric", "of", metavar="NAME", help="The metric. Default: the primary one.")
@click.option("--baseline", type=Number(-1e9, 1e9), help="Its rate or mean. Default: that of 12 weeks.")
@click.option("--deviation", type=_POSITIVE, help="The standard deviation of a mean that you state.")
@click.option("--lift", type=_POSITIVE, help="The difference to detect. Default: its smallest.")
@click.option("--callers-a-week", type=Number(0.1, 1e9), help="New callers. Default: those of the last 4 weeks.")
@formatted
@with_state
def plan_command(
    state: State,
    /,
    name: str,
    of: str | None,
    baseline: float | None,
    deviation: float | None,
    lift: float | None,
    callers_a_week: float | None,
    style: str,
) -> None:
    """Show how long an experiment takes.

    Shows the chance that the experiment NAME finds a difference by each week, with its own maximum_weeks, and the
    shortest horizon with a chance of 80 %. Shows when each guardrail can be called safe. "One look" is an interval that
    is read once, on a day set beforehand. Rates and numbers of callers are measured in the database; options replace
    them.

    \b
    flask pickup plan warm-opening
    flask pickup plan warm-opening --baseline 0.3 --lift 0.05 --callers-a-week 90
    """
    experiment = experiment_named(state, name)
    metric, now = _metric(experiment, of), state.now
    guardrails = [each for each in experiment.metrics if each.guardrail and each.margin]
    found = _if_reached(lambda: measured(state.engine, (metric, *guardrails), now=now)) or {}
    if baseline is not None:
        found[metric.name] = stated(baseline, deviation=deviation)
    elif metric.name not in found:
        fail(f"There are too few calls to measure {metric.name}. State its value today: --baseline 0.3", USAGE_ERROR)
    expected = None
    if callers_a_week is None:
        expected = _if_reached(lambda: enrolment(state.engine, state.catalog, experiment, now=now))
    try:
        planned = planning.plan(
            experiment,
            metric,
            found[metric.name],
            lift=lift,
            new_callers_a_week=expected.enrolled if expected else callers_a_week,
            guardrails=with_assumed(found, guardrails),
        )
    except ValueError as error:
        fail(f"Nothing can be planned from a baseline of {found[metric.name].mean:g}: {error}.", USAGE_ERROR)
    show(style, {**planned.as_json(), "enrolment": expected and asdict(expected)}, *_parts(planned, metric, expected))


def _metric(experiment: Experiment, name: str | None) -> MetricDefinition:
    wanted = name or experiment.primary
    metric = experiment.metric(wanted)
    if metric is None:
        there = ", ".join(each.name for each in experiment.metrics) or "none"
        fail(f"'{experiment.name}' has no metric '{wanted}'. Name one with --metric: {there}.", USAGE_ERROR)
    return metric


def _if_reached(action: Callable[[], T]) -> T | None:
    """Return what the database says; None if it does not answer, because all of it can be stated instead."""
    try:
        return action()
    except SQLAlchemyError:
        return None


def _parts(found: Plan, metric: MetricDefinition, expected: Enrolment | None) -> Iterator[str | Table]:
    yield f"{found.experiment}: {found.metric}, {_now(found, expected)}."
    yield from _enrolled(expected) if expected else ()
    if found.lift is not None:
        yield f"\n{_verdict(found)}"
        if found.is_possible:
            yield f"\nTo find {lift_text(found)} with a chance of 80 %:\n"
            yield _needed(found)
    elif not metric.guardrail:
        yield "\nSet the smallest relevant difference: --lift, or smallest in the metric."
    if found.weeks and not metric.guardrail:
        yield f"\nWith maximum_weeks = {found.maximum_weeks}, at a confidence of {_confidence(found.confidence)}:\n"
        yield _weeks(found)
    for each in found.guardrails:
        yield f"\n{_guardrail(each, found)}"
    if not found.new_callers_a_week:
        none = "" if expected else "No calls are recorded, or the database does not answer. "
        yield f"\n{none}--callers-a-week adds the weeks."


def _enrolled(expected: Enrolment) -> Iterator[str]:
    numbers = f"{expected.enrolled:,.0f} of {expected.callers:,.0f}"
    yield f"By the calls of the last four weeks, {numbers} new callers a week would be enrolled."
    if expected.is_upper_bound:
        yield (
            "This is the most there can be: the audience asks for the customer or the number, which are not recorded. "
            "If you know how many there are: --callers-a-week 100"
        )
    if expected.unidentified:
        yield f"{expected.unidentified:,.0f} calls a week without a number do not count."


def _now(found: Plan, expected: Enrolment | None) -> str:
    baseline = found.baseline
    stated = None if expected else found.new_callers_a_week
    facts = {
        f"now {percent(baseline.mean)} of {found.per}s": baseline.is_proportion,
        f"now {baseline.mean:,.4g} per {found.per}": not baseline.is_proportion,
        f"measured on {baseline.callers or 0:,} callers": baseline.callers,
        f"{baseline.calls_per_caller or 0:.2f} calls per caller": baseline.calls_per_caller,
        f"{stated or 0:,.0f} new callers a week": stated,
        f"{found.arms} arms": True,
    }
    return ", ".join(fact for fact, known in facts.items() if known)


def _verdict(found: Plan) -> str:
    """Return whether the lift is found by the horizon, and what horizon is proposed."""
    lift, needed = lift_text(found), found.needed[0]
    if not found.is_possible or (found.new_callers_a_week and not found.week):
        return _sentences(lift_missed(found))
    if not found.week:
        return f"{lift} takes {needed.callers:,} callers."
    text = f"{lift} is found by week {found.week} with a chance of 80 %."
    shorter = f" With maximum_weeks = {needed.maximum_weeks} it is found by week {needed.maximum_weeks}."
    return text if found.week == needed.maximum_weeks else text + shorter


def _guardrail(found: GuardrailPlan, plan: Plan) -> str:
    """Return when a guardrail can be called safe, or what would make it."""
    if found.chance is not None and not found.week:
        return _sentences(guardrail_missed(found, plan))
    when = f"by week {found.week}" if found.week else f"after {found.needed.callers:,} callers"
    return (
        f"Guardrail {found.metric} ({guardrail_level(found)}) is called safe {when} with a chance of 80 %, "
        "if it is not harmed."
    )


def _sentences(texts: Iterable[str]) -> str:
    return " ".join(f"{text[0].upper()}{text[1:]}." for text in texts)


def _needed(found: Plan) -> Table:
    table = _table("confidence", numbers=["maximum_weeks", "callers", "one look, weeks", "callers"])
    for each in found.needed:
        horizon = f"over {planning.TWO_YEARS}" if found.new_callers_a_week and each.callers else ""
        numbers = (each.maximum_weeks, each.callers, each.fixed_weeks, each.fixed_callers)
        first, *others = ("" if number is None else f"{number:,}" for number in numbers)
        table.add_row(_confidence(each.confidence), first or horizon, *others)
    return table


def _weeks(found: Plan) -> Table:
    def effect(value: float | None) -> str:
        return "none" if value is None else difference(found.sign * value, found.unit)

    chance = [f"chance of {lift_text(found)}"] if found.lift and found.is_possible else []
    table = _table("week", numbers=["callers", *chance, "detectable", "one look"])
    for each in found.weeks:
        chances = ["" if each.chance is None else percent(each.chance)] if chance else []
        table.add_row(
            f"{each.week}", f"{each.callers:,}", *chances, effect(each.detectable), effect(each.fixed_detectable)
        )
    return table


def _table(*texts: str, numbers: Iterable[str]) -> Table:
    return Table(*texts, *(Column(name, justify="right") for name in numbers), box=None, pad_edge=False)


def _confidence(value: float) -> str:
    return f"{100 * value:g} %"
