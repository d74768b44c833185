"""``flask pickup status``: what an operator asks first."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any

import click
from rich.table import Column, Table
from rich.text import Text

from flask_pickup.blueprint import State
from flask_pickup.catalog import Line
from flask_pickup.cli.group import formatted, labelled, plural, show, with_state, without_complaints, wrapped
from flask_pickup.status import AppStatus, status_of
from flask_pickup.translation import DASH, PageFormat

_PLAIN: Mapping[str, Any] = {"box": None, "pad_edge": False}
_TABLES = {
    "current": "up to date",
    "behind": "not up to date",
    "newer": "newer than this version",
    "missing": "missing",
}


@click.command()
@formatted
@without_complaints
@with_state
def status_command(state: State, style: str) -> None:
    """Show whether all is well.

    Shows what is not well, then platforms, database, content, waiting rows and experiments. It reads the database, the
    spool and the folders, and asks no server.

    The exit status is 1 if something is not well: the database does not answer, or its tables are old or missing; content
    does not load; rows wait, are in quarantine, or could not be kept; a platform sent no call for a week, or no reports; or the results of an
    experiment are not reliable.
    """
    found = status_of(state)
    formats = PageFormat("en", state.catalog.zone(Line(None)))
    show(style, found.as_json(), *_parts(found, formats), failed=bool(found.problems))


def _parts(found: AppStatus, formats: PageFormat) -> Iterator[str | Text | Table]:
    for problem in found.problems:
        yield wrapped(f"Not well: {problem}", "bold red", hanging="    ")
    if not found.problems and found.not_computed:
        names = ", ".join(found.not_computed)
        text = f"All is well, as far as is known. Results are not computed yet: {names}. Run: flask pickup results"
        yield wrapped(text, "bold yellow")
    elif not found.problems:
        yield Text("All is well.", "bold green")
    if found.unserved:
        names = ", ".join(found.unserved)
        yield wrapped(
            f"No call was answered yet with what the folder has of {names}. A running server loads it on HUP or a restart."
        )
    for name, each in found.platforms.items():
        if each.is_rehearsed:
            yield wrapped(f"{name}: only rehearsed calls so far.")
    yield from ("", _platforms(found, formats), "", labelled(dict(_facts(found))), "")
    if found.experiments:
        yield _experiments(found, formats)


def _platforms(found: AppStatus, formats: PageFormat) -> Table:
    table = Table("platform", "state", "last call", "last report", Column("calls today", justify="right"), **_PLAIN)
    for name, each in found.platforms.items():
        today = f"{'at least ' if each.is_at_least else ''}{each.calls_today:,}" if each.state != "unknown" else DASH
        table.add_row(name, each.state, _moment(each.last_call, formats), _moment(each.last_report, formats), today)
    return table


def _facts(found: AppStatus) -> Iterator[tuple[str, str]]:
    database, spool = found.database, found.spool
    tables = "does not answer" if database.error else f"tables {_TABLES[database.tables]}"
    revision = f", at revision {database.revision}" if database.revision else ""
    yield "database", f"{database.kind or 'none'}, {tables}{revision}"
    statuses = Counter(each.status for each in found.experiments)
    counts = ", ".join(
        f"{statuses[name]} {name}" for name in ("running", "paused", "concluded", "draft") if statuses[name]
    )
    skipped = f", {len(found.content['left_out'])} not loaded" if found.content["left_out"] else ""
    yield "content", f"{plural(len(found.experiments), 'experiment')}{f' ({counts})' if counts else ''}{skipped}"
    waiting = f"{plural(spool.waiting, 'row')} waiting, {plural(spool.dead_letters, 'dead letter')}"
    yield "spool", "cannot be used" if spool.error else waiting


def _experiments(found: AppStatus, formats: PageFormat) -> Table:
    table = Table("experiment", "status", Column("callers", justify="right"), "verdict", "as of", **_PLAIN)
    for each in found.experiments:
        callers = DASH if each.callers is None else f"{each.callers:,}"
        words = each.headline or (DASH if each.status == "draft" else "not computed yet")
        table.add_row(each.name, each.status, callers, words, _moment(each.as_of, formats))
    return table


def _moment(at: datetime | None, formats: PageFormat) -> str:
    return formats.moment(at, "d MMM y HH:mm") if at else DASH
