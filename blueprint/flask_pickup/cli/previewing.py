"""``flask pickup preview``: what a caller would hear."""

from __future__ import annotations

from datetime import datetime

import click
from flask.cli import with_appcontext
from rich.table import Table
from rich.text import Text

from flask_pickup.blueprint import State
from flask_pickup.catalog import Experiment
from flask_pickup.cli.group import ASKED_WRONGLY, THE_SAVED_AGENTS, console, fail, formatted, mounted, print_json
from flask_pickup.flireo.answer import spoken
from flask_pickup.previewing import Preview
from flask_pickup.previewing import preview as previewed


@click.command()
@click.option("--from", "number", help="The caller's number; none for a caller who withholds it.")
@click.option("--to", "line", help="The number called, if its line matters.")
@click.option("--experiment", help="Show one arm of this experiment instead of the caller's own; needs --arm.")
@click.option("--arm", help="The arm to show; needs --experiment.")
@click.option("--at", "at", help="When, such as 2026-12-24T22:00; in the business's own time zone unless it names one.")
@formatted
@with_appcontext
def preview(
    number: str | None, line: str | None, experiment: str | None, arm: str | None, at: str | None, style: str
) -> None:
    """Show a caller's arm in each experiment and the answer that they would hear. Nothing is recorded."""
    state = mounted()
    shown = previewed(state.webhook, number=number, line=line, at=_moment(at), arm=_arm(state, experiment, arm))
    if number and not shown.incoming.caller.identified:
        click.echo("This number identifies nobody: it is withheld, an emergency or short number, or none.", err=True)
    if style == "json":
        print_json(shown.as_json())
    else:
        _print(shown)


def _moment(at: str | None) -> datetime | None:
    try:
        return datetime.fromisoformat(at) if at else None
    except ValueError:
        fail(f"--at {at} is no time. Write it as 2026-12-24T22:00.", ASKED_WRONGLY)


def _arm(state: State, experiment: str | None, arm: str | None) -> tuple[Experiment, str] | None:
    if experiment is None and arm is None:
        return None
    known = {each.name: each for each in state.catalog.experiments}
    if experiment is None or experiment not in known:
        fail(f"No experiment is called '{experiment}'. There are: {', '.join(known) or 'none'}.", ASKED_WRONGLY)
    if arm is None or arm not in known[experiment].arms:
        fail(f"'{experiment}' has no arm '{arm}'. There are: {', '.join(known[experiment].arms)}.", ASKED_WRONGLY)
    return known[experiment], arm


def _print(shown: Preview) -> None:
    who, decision = shown.incoming.caller, shown.decision
    facts = Table.grid(padding=(0, 2))
    facts.add_row("caller", f"{who.short_key}, {who.country or 'country unknown'}")
    facts.add_row("language", decision.language)
    facts.add_row("open", "yes" if decision.open else "no")
    facts.add_row("decision", decision.kind)
    for name, found in shown.as_json()["assignments"].items():
        facts.add_row(name, found["arm"] or f"not in it ({found['reason']})")
    screen = console()
    screen.print(facts)
    screen.print(Text.assemble("\n", ("says  ", "bold"), spoken(decision.answer) or THE_SAVED_AGENTS, "\n"))
    print_json(decision.answer)
