"""``flask pickup preview``: what a caller would hear."""

from __future__ import annotations

from datetime import datetime, timedelta

import click

from flask_pickup.blueprint import State
from flask_pickup.catalog import Experiment
from flask_pickup.cli.group import (
    NO_CALLER,
    UNCHANGED_GREETING,
    USAGE_ERROR,
    as_json,
    experiment_named,
    fail,
    formatted,
    labelled,
    layer_ranges,
    show,
    with_state,
)
from flask_pickup.decision import FAULTS
from flask_pickup.previewing import Preview, entered_number, preview


@click.command(context_settings={"allow_extra_args": True})
@click.option("--from", "number", metavar="NUMBER", help="The caller's number. Default: withheld.")
@click.option("--to", "line", metavar="NUMBER", help="The number called, which decides the line.")
@click.option("--experiment", metavar="NAME", help="Show an arm of this experiment; needs --arm.")
@click.option("--arm", metavar="ARM", help="The arm to show; needs --experiment.")
@click.option("--at", metavar="TIME", help="The time of the call. Default: now.")
@click.option("--platform", "platform", metavar="NAME", help="The platform of the call, such as vapi.")
@formatted
@with_state
def preview_command(
    state: State,
    number: str | None,
    line: str | None,
    experiment: str | None,
    arm: str | None,
    at: str | None,
    platform: str | None,
    style: str,
) -> None:
    """Show what a caller would hear.

    Shows the caller's arm in each running experiment, the greeting, the ranges of each layer, and the whole answer that
    the platform gets. Records nothing. TIME is in the business's time zone, unless it names one. The exit status is 1
    if a part of the content fails for this caller.

    \b
    flask pickup preview --from +31612345678
    flask pickup preview --from +31612345678 --experiment warm-opening --arm warm
    flask pickup preview --at 2026-12-24T22:00 --platform vapi
    """
    if click.get_current_context().args:
        fail("Give the caller's number with --from: flask pickup preview --from +31612345678", USAGE_ERROR)
    if platform and platform not in state.platforms:
        fail(f"'{platform}' is not enabled here. There are: {', '.join(state.platforms)}.", USAGE_ERROR)
    shown = preview(
        state,
        platform=state.platforms.get(platform or ""),
        number=_number(state, number),
        line=line,
        at=_moment(at),
        arm=_arm(state, experiment, arm),
    )
    if number and not shown.call.caller.identified:
        click.echo(f"{NO_CALLER.capitalize()}.", err=True)
    answer = f"\nThe answer as the platform gets it:\n\n{as_json(shown.answer)}"
    ranges = {
        layer: {name: each.layer_range for name, each in sharing.items()}
        for layer, sharing in state.catalog.layers.items()
    }
    layers = {f"layer {layer}": layer_ranges(state.catalog, layer) for layer in state.catalog.layers}
    has_hours = state.catalog.hours(shown.call.line) is not None
    which = {"platform": shown.platform.name} if len(state.platforms) > 1 else {}
    show(
        style,
        {**shown.as_json(), "layers": ranges},
        labelled({**which, **_facts(shown, has_hours=has_hours), **layers}),
        answer,
    )
    if faults := shown.decision.reasons.get(FAULTS):
        fail("\n".join(f"This failed and is missing from the answer: {fault}" for fault in faults))


def _number(state: State, text: str | None) -> str | None:
    try:
        return entered_number(text, state.options.region)
    except ValueError:
        # The number itself stays out of terminals' logs.
        problem = "--from is not a phone number, or several could be meant."
        fail(f"{problem} Write it as +31612345678, or leave it out for a caller who withholds it.", USAGE_ERROR)


_DAY = timedelta(days=1)


def _moment(at: str | None) -> datetime | None:
    try:
        found = datetime.fromisoformat(at) if at else None
        # The first and the last day that Python knows are not there in every time zone.
        return found and found - _DAY + 2 * _DAY - _DAY
    except (ValueError, OverflowError):
        fail(f"--at {at} is not a time. Write it as 2026-12-24T22:00.", USAGE_ERROR)


def _arm(state: State, name: str | None, arm: str | None) -> tuple[Experiment, str] | None:
    if name is None and arm is None:
        return None
    if name is None or arm is None:
        fail("--experiment and --arm go together: name both.", USAGE_ERROR)
    experiment = experiment_named(state, name)
    if arm not in experiment.weights:
        fail(f"'{name}' has no arm '{arm}'. There are: {', '.join(experiment.weights)}.", USAGE_ERROR)
    return experiment, arm


def _facts(shown: Preview, *, has_hours: bool) -> dict[str, str]:
    who, decision = shown.call.caller, shown.decision
    arms = {f"  {name}": arm for name, arm in shown.arms().items()}
    why_none = "not asked: the call is rejected" if decision.kind == "closed" else "none is running"
    return {
        "caller": f"{who.short_key}, {who.country or 'country unknown'}" if who.identified else "unidentified",
        "language": decision.language,
        "open": ("yes" if decision.open else "no") if has_hours else "always, as no hours are set",
        "decision": decision.kind,
        "experiments": "" if arms else why_none,
        **arms,
        "greeting": decision.greeting or UNCHANGED_GREETING,
    }
