"""``flask pickup outcomes import`` and ``assign``."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import click
from rich import progress

from flask_pickup import outcomes
from flask_pickup.blueprint import State
from flask_pickup.catalog import Line
from flask_pickup.cli.group import NO_CALLER, USAGE_ERROR, fail, formatted, plural, show, with_state
from flask_pickup.errors import BadOutcome
from flask_pickup.previewing import Preview, preview

_STATES = {
    "new": "new", "corrected": "corrected", "unchanged": "unchanged",
    "older": "older than what is recorded", "unjoined": "without a matching call",
}  # fmt: skip
"""The states of imported outcomes, and how the summary calls them."""

_FILE = click.Path(exists=True, dir_okay=False, path_type=Path)


@click.group()
def outcomes_group() -> None:
    """Import outcomes of your own systems."""


@outcomes_group.command()
@click.argument("file", type=_FILE)
@formatted
@with_state
def import_command(state: State, file: Path, style: str) -> None:
    """Import outcomes from a CSV file.

    The first line of FILE names the columns: outcome, at, caller or call_id, and optionally value. docs/outcomes.md
    explains them. Importing a file again changes nothing. The exit status is 1 if a line is invalid.

    \b
    flask pickup outcomes import sales.csv
    """
    zone = state.catalog.zone(Line(None))
    shown = progress.open(
        file, "r", encoding="utf-8", errors="replace", newline="", description="Importing …", transient=True,
        disable=not sys.stderr.isatty(),
    )  # fmt: skip
    try:
        with shown as lines:
            counts, bad = outcomes.import_file(state.engine, state.options, lines, zone, state.now)
    except BadOutcome as error:
        fail(f"{file}:1: {error}", USAGE_ERROR)
    if style == "text":
        for line, wrong in bad.items():
            click.echo(f"{file}:{line}: {wrong}", err=True)
    found = ", ".join(f"{counts[state]:,} {label}" for state, label in _STATES.items() if counts[state])
    summary = f"{found or 'no outcome'}; {plural(len(bad), 'line')} invalid."
    value = {**{state: counts[state] for state in _STATES}, "bad": bad}
    show(style, value, f"Outcomes: {summary}", failed=bool(bad))


@click.command()
@click.option("--from", "file", type=_FILE, required=True, help="The file of numbers.")
@click.option("--to", "line", metavar="NUMBER", help="The number called, which decides the line.")
@formatted
@with_state
def assign_command(state: State, file: Path, line: str | None, style: str) -> None:
    """Show the arm of each number in a file.

    FILE has a number in the first cell of each line. Prints the place of each line and the caller's pseudonym, never the
    number. Records nothing. The exit status is 1 if a line has no number.

    \b
    flask pickup assign --from numbers.csv
    """
    with file.open(encoding="utf-8", errors="replace", newline="") as lines:
        cells = {place: re.split(r"[,;\t]", line)[0].strip().strip('"') for place, line in enumerate(lines, 1)}
    numbers = {place: cell for place, cell in cells.items() if cell}
    found = {place: preview(state, number=number, line=line) for place, number in numbers.items()}
    first = next(iter(found), 0)
    if len(found) > 1 and not found[first].call.caller.identified:
        # The first line names the column.
        del found[first]
    value = [
        {"line": place, "caller": shown.call.caller.key, "assignments": shown.as_json()["assignments"]}
        for place, shown in found.items()
    ]
    texts = [f"line {place}: {_described(shown)}" for place, shown in found.items()]
    show(style, value, *texts, failed=any(each["caller"] is None for each in value))


def _described(shown: Preview) -> str:
    caller = shown.call.caller
    if not caller.identified:
        return NO_CALLER
    arms = ", ".join(f"{name}: {arm}" for name, arm in shown.arms().items())
    return f"{caller.short_key}, {arms or 'no experiment is running'}"
