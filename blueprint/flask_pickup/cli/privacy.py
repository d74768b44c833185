"""``flask pickup disclose``, ``forget`` and ``purge``: what a caller may ask for, and what time asks for."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import TypeVar

import click

from flask_pickup import privacy
from flask_pickup.blueprint import State
from flask_pickup.cli.group import (
    ASKED_WRONGLY,
    NOT_WELL,
    console,
    count,
    fail,
    formatted,
    mounted,
    print_json,
    reaching,
    with_pickup,
)

T = TypeVar("T")

number_argument = click.argument("number")


@click.command()
@number_argument
@with_pickup
def disclose(number: str) -> None:
    """Print all that is held on a caller.

    The caller is the one with NUMBER; what is held is printed as JSON. '-' for NUMBER reads it from standard input, so that it stands in no shell's history.
    """
    state, asked = mounted(), _read(number)
    print_json(_known(lambda: privacy.disclose(state.engine, state.options, asked)))


@click.command()
@number_argument
@formatted
@with_pickup
def forget(number: str, style: str) -> None:
    """Erase all that is held on a caller.

    The caller is the one with NUMBER, under every caller secret that is set. '-' for NUMBER reads it from standard input, so that it stands in no shell's history. It takes a few seconds: calls
    that are being answered are waited for. docs/privacy.md says what to do about free space and backups.
    """
    state, asked = mounted(), _read(number)
    forgot = _known(lambda: privacy.forget(state.engine, state.webhook.ledger, state.options, asked, _now(state)))
    pinned = sorted({*forgot.pinned, *_pinned_in_folders(state, asked)})
    if style == "json":
        waiting = [str(path) for path in forgot.waiting]
        print_json({"rows": dict(forgot.rows), "pinned": pinned, "waiting": waiting, "log_ahead": forgot.log_ahead})
    else:
        _print_forgot(forgot, pinned)
    if forgot.waiting or forgot.log_ahead:
        raise click.exceptions.Exit(NOT_WELL)


@click.command()
@click.option("--days", type=click.FloatRange(min=0, min_open=True), help="Keep so many; by default PICKUP_RETENTION.")
@formatted
@with_pickup
def purge(days: float | None, style: str) -> None:
    """Remove calls that are old enough.

    Those that are older than PICKUP_RETENTION days, or --days, go with all that belongs to them. Calls of callers whom an experiment counts that is not concluded stay.
    """
    state = mounted()
    days = days or state.options.retention
    if days is None:
        fail("PICKUP_RETENTION is not set. Set it, or say --days.", ASKED_WRONGLY)
    before = _now(state) - timedelta(days=days)
    with console().status("Removing …") as status:
        rows = reaching(
            lambda: privacy.purge(
                state.engine, state.catalog, before, progress=lambda rows: status.update(f"Removed {_told(rows)} …")
            )
        )
    if style == "json":
        print_json({"before": before.isoformat(), "rows": dict(rows)})
    else:
        click.echo(f"Removed {_told(rows)} of before {before:%Y-%m-%d %H:%M} UTC.")


def _now(state: State) -> datetime:
    return datetime.fromtimestamp(state.webhook.clock(), UTC)


def _read(number: str) -> str:
    return sys.stdin.readline().strip() if number == "-" else number


def _known(action: Callable[[], T]) -> T:
    try:
        return reaching(action)
    except ValueError as error:
        fail(str(error), ASKED_WRONGLY)


def _pinned_in_folders(state: State, number: str) -> list[str]:
    keys = privacy.keys_of(number, state.options)
    return [experiment.name for experiment in state.catalog.experiments if not experiment.pins.keys().isdisjoint(keys)]


def _print_forgot(forgot: privacy.Forgot, pinned: Sequence[str]) -> None:
    click.echo(f"Erased {_told(forgot.rows)}.")
    for name in pinned:
        click.echo(
            f"experiments/{name}/experiment.toml: take the number out of [pins], or its key comes back from there."
        )
    for path in forgot.waiting:
        click.echo(f"{path}: rows wait here that no process could write. Once the database is reached, do this again.")
    if forgot.log_ahead:
        click.echo("SQLite's log could not be emptied, because somebody reads the database. Do this again.")
    click.echo("Free space and backups may still hold it: docs/privacy.md says what to do about them.")


def _told(rows: Mapping[str, int]) -> str:
    of = {table: rows.get(table, 0) for table in ("pickup_calls", "pickup_assignments", "pickup_outcomes")}
    transcripts = count(rows.get("pickup_transcripts", 0), "transcript")
    return ", ".join(
        [*(count(n, table.removeprefix("pickup_").removesuffix("s")) for table, n in of.items()), transcripts]
    )
