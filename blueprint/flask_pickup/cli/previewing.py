"""``flask pickup preview``: what a caller would hear."""

from __future__ import annotations

from datetime import datetime

import click

from flask_pickup.blueprint import State
from flask_pickup.catalog import Experiment
from flask_pickup.cli.group import (
    ASKED_WRONGLY,
    THE_SAVED_AGENTS,
    fail,
    formatted,
    mounted,
    print_facts,
    print_json,
    with_pickup,
)
from flask_pickup.decision import Decision
from flask_pickup.previewing import Preview, preview


@click.command()
@click.option("--from", "number", metavar="NUMBER", help="The caller's number; none for a caller who withholds it.")
@click.option("--to", "line", metavar="NUMBER", help="The number called, if its line matters.")
@click.option("--experiment", metavar="NAME", help="Show an arm of this experiment, whatever the caller's own is.")
@click.option("--arm", metavar="ARM", help="The arm to show; goes with --experiment.")
@click.option(
    "--at", metavar="TIME", help="When: 2026-12-24T22:00, in the business's own time zone unless one is named."
)
@formatted
@with_pickup
def preview_command(
    number: str | None, line: str | None, experiment: str | None, arm: str | None, at: str | None, style: str
) -> None:
    """Show what a caller would hear.

    Shows the caller's arm in each running experiment, what the agent says first, and the whole answer as the platform
    would get it. Nothing is recorded. The exit status is 1 if a part of the content fails for this caller.

    \b
    flask pickup preview --from +31612345678
    flask pickup preview --from +31612345678 --experiment warm-opening --arm warm
    flask pickup preview --at 2026-12-24T22:00
    """
    state = mounted()
    shown = preview(state.webhook, number=number, line=line, at=_moment(at), arm=_arm(state, experiment, arm))
    if number and not shown.call.caller.identified:
        click.echo("This number identifies nobody: it is withheld, an emergency or short number, or none.", err=True)
    if style == "json":
        print_json(shown.as_json())
    else:
        _print(shown)
    if faults := shown.faults:
        fail("\n".join(f"This failed, and the answer does without it: {fault}" for fault in faults))


def _moment(at: str | None) -> datetime | None:
    try:
        return datetime.fromisoformat(at) if at else None
    except ValueError:
        fail(f"--at {at} is no time. Write it as 2026-12-24T22:00.", ASKED_WRONGLY)


def _arm(state: State, experiment: str | None, arm: str | None) -> tuple[Experiment, str] | None:
    if experiment is None and arm is None:
        return None
    if experiment is None or arm is None:
        fail("--experiment and --arm go together: name both.", ASKED_WRONGLY)
    known = {each.name: each for each in state.catalog.experiments}
    if experiment not in known:
        fail(f"No experiment is called '{experiment}'. There are: {', '.join(known) or 'none'}.", ASKED_WRONGLY)
    if arm not in known[experiment].weights:
        fail(f"'{experiment}' has no arm '{arm}'. There are: {', '.join(known[experiment].weights)}.", ASKED_WRONGLY)
    return known[experiment], arm


def _print(shown: Preview) -> None:
    who, decision = shown.call.caller, shown.decision
    arms = {
        f"  {name}": found["arm"] or f"not in it ({found['reason']})"
        for name, found in shown.as_json()["assignments"].items()
    }
    print_facts(
        {
            "caller": f"{who.short_key}, {who.country or 'country unknown'}" if who.identified else "unidentified",
            "language": decision.language,
            "open": "yes" if decision.open else "no",
            "decision": decision.kind,
            "experiments": "" if arms else _why_none(decision),
            **arms,
            "says": decision.greeting or THE_SAVED_AGENTS,
        }
    )
    click.echo("\nThe answer as the platform gets it:\n")
    print_json(shown.answer)


def _why_none(decision: Decision) -> str:
    return "not asked: the call is turned away" if decision.kind == "closed" else "none is running"
