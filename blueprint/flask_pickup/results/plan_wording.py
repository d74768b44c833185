"""What a plan does not find, in words: a problem and its remedy, for ``plan`` and ``check``."""

from __future__ import annotations

from math import ceil, floor, log10

from flask_pickup.results.amounts import amount, difference, percent
from flask_pickup.results.planning import GuardrailPlan, Plan


def lift_text(plan: Plan) -> str:
    """Return the lift, with the sign of a difference for the better: "+5.0 pp"."""
    return difference(plan.sign * (plan.lift or 0), plan.unit)


def lift_missed(plan: Plan) -> tuple[str, str]:
    """Return that the lift is not found by the horizon, and what horizon would find it."""
    if not plan.is_possible:
        return (
            f"{lift_text(plan)} on {plan.metric} is not possible",
            "the rate leaves no room for it: plan a smaller one",
        )
    chance = percent(plan.weeks[-1].chance or 0)
    problem = f"{lift_text(plan)} on {plan.metric} will probably not be found {_by(plan)}: the chance is {chance}"
    weeks = plan.needed[0].maximum_weeks
    if weeks is None:
        return (
            problem,
            "it would take over two years: larger differences, fewer arms and all traffic need fewer callers",
        )
    return problem, f"write maximum_weeks = {weeks}, or more: that finds it with a chance of 80 %"


def guardrail_missed(found: GuardrailPlan, plan: Plan) -> tuple[str, str]:
    """Return that a guardrail cannot be called safe by the horizon, and what would make it."""
    needed = found.needed
    problem = (
        f"guardrail {found.metric} ({guardrail_level(found)}) will probably not be called safe {_by(plan)}, even if it is "
        f"not harmed: the chance is {percent(found.chance or 0)}"
    )
    ways = [f"maximum_weeks = {needed.maximum_weeks}"] if needed.maximum_weeks else []
    ways.append(f"{_up((needed.callers or 0) / plan.maximum_weeks):,g} new callers a week")
    if found.reachable_margin:
        ways.append(f"margin = {_up(found.reachable_margin):g}")
    return problem, f"each of these makes it 80 %: {', '.join(ways)}"


def guardrail_level(found: GuardrailPlan) -> str:
    """Return a guardrail's baseline and margin."""
    mean = found.baseline.mean
    level = percent(mean) if found.unit == "share" else f"{mean:,.4g} per {found.unit}"
    source = "now" if found.baseline.callers else "if it is"
    return f"{source} {level}, margin {amount(found.margin, found.unit)}"


def _by(plan: Plan) -> str:
    return f"by week {plan.maximum_weeks} (maximum_weeks) at {plan.new_callers_a_week:,.0f} new callers a week"


def _up(value: float) -> float:
    """Return a number rounded up to two digits."""
    step = 10.0 ** (floor(log10(value)) - 1)
    return float(f"{ceil(value / step - 1e-9) * step:.6g}")
