"""``flask pickup outcomes`` and ``assign``: what came of calls elsewhere, and what somebody heard."""

from __future__ import annotations

import csv
import io
import sys
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

import click
from rich.progress import Progress

from flask_pickup import outcomes as told
from flask_pickup.blueprint import State
from flask_pickup.catalog import Line
from flask_pickup.cli.group import (
    ASKED_WRONGLY,
    NOT_WELL,
    count,
    fail,
    formatted,
    mounted,
    print_json,
    reaching,
    with_pickup,
)
from flask_pickup.errors import BadOutcome
from flask_pickup.previewing import preview

_FILE = click.Path(exists=True, dir_okay=False, path_type=Path)


@click.group()
def outcomes_group() -> None:
    """Bring in what came of calls elsewhere."""


@outcomes_group.command("import")
@click.argument("file", type=_FILE)
@formatted
@with_pickup
def import_(file: Path, style: str) -> None:
    """Import outcomes from a CSV file.

    FILE names its columns in the first line: outcome, at, caller or call_id, and perhaps value. docs/outcomes.md
    explains them. Importing a file again changes nothing. The exit status is 1 if a line could not be read.
    """
    state = mounted()
    zone = state.catalog.zone(Line(None))
    try:
        with file.open(encoding="utf-8", errors="replace", newline="") as lines:
            imported = reaching(
                lambda: told.import_file(state.engine, state.options, _with_progress(lines, file), zone)
            )
    except BadOutcome as error:
        fail(f"{file}: {error}", ASKED_WRONGLY)
    if style == "json":
        print_json(asdict(imported))
    else:
        for line, wrong in imported.bad.items():
            click.echo(f"{file}:{line}: {wrong}", err=True)
        lines_ = count(imported.joined, "outcome belongs to a call", "outcomes belong to calls")
        lost = count(imported.unjoined, "to none that is here", "to none that are here")
        click.echo(f"{lines_}, {lost}; {count(len(imported.bad), 'line')} could not be read.")
    if imported.bad:
        raise click.exceptions.Exit(NOT_WELL)


def _with_progress(lines: io.TextIOWrapper, file: Path) -> Iterator[str]:
    """Yield the lines; on a terminal a bar shows how far they are read."""
    if not sys.stderr.isatty():
        yield from lines
        return
    with Progress(transient=True) as progress:
        task = progress.add_task("Importing …", total=file.stat().st_size)
        for line in lines:
            progress.advance(task, len(line.encode()))
            yield line


@click.command()
@click.option("--from", "file", type=_FILE, required=True, help="A file with a number in the first cell of each line.")
@click.option("--to", "line", help="The number called, if its line matters.")
@formatted
@with_pickup
def assign_command(file: Path, line: str | None, style: str) -> None:
    """Say which arm each number of a file would get.

    Nothing is recorded. A line is told by its place in the file and the caller's pseudonym, never by the number. The
    exit status is 1 if a line has no number in it.
    """
    state = mounted()
    with file.open(encoding="utf-8", errors="replace", newline="") as lines:
        found = [_assigned(state, place, row[0], line) for place, row in enumerate(csv.reader(lines), 1) if row]
    if found and found[0]["caller"] is None and len(found) > 1:
        # The first line names the column.
        found = found[1:]
    if style == "json":
        print_json(found)
    else:
        for each in found:
            click.echo(f"line {each['line']}: {_in_words(each)}")
    if any(each["caller"] is None for each in found):
        raise click.exceptions.Exit(NOT_WELL)


def _assigned(state: State, place: int, number: str, line: str | None) -> dict[str, Any]:
    shown = preview(state.webhook, number=number, line=line).as_json()
    return {"line": place, "caller": shown["caller"]["key"], "assignments": shown["assignments"]}


def _in_words(each: dict[str, Any]) -> str:
    if each["caller"] is None:
        return "this identifies nobody: it is withheld, an emergency or short number, or none"
    arms = [f"{name}: {got['arm'] or 'not in it (' + got['reason'] + ')'}" for name, got in each["assignments"].items()]
    return f"{each['caller'][:8]}, {', '.join(arms) or 'no experiment is running'}"
