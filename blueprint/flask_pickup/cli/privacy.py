"""``flask pickup disclose``, ``forget`` and ``purge``: a caller's rights, and the retention."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
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
from flask_pickup.ledger.spool import SpoolUnavailable

T = TypeVar("T")

number_argument = click.argument("number")


@click.command()
@number_argument
@with_pickup
def disclose_command(number: str) -> None:
    """Print all that is held on a caller.

    The caller has NUMBER; the output is JSON. '-' for NUMBER reads it from standard input, which keeps it out of the shell's history.
    """
    state, asked = mounted(), _read(number)
    held = _or_fail(lambda: privacy.disclose(state.engine, state.options, asked))
    print_json({**held, "pinned": _pinned(state, held["caller_keys"])})


@click.command()
@number_argument
@formatted
@with_pickup
def forget_command(number: str, style: str) -> None:
    """Erase all that is held on a caller.

    The caller has NUMBER, under every caller secret that is set. '-' for NUMBER reads it from standard input, which keeps it out of the shell's history. The command waits a few seconds
    for calls that are being answered. docs/privacy.md says what to do about free space and backups.
    """
    state, asked = mounted(), _read(number)
    erasure = _or_fail(lambda: privacy.forget(state.engine, state.options, asked, _now(state)))
    pinned = _pinned(state, privacy.keys_of(asked, state.options))
    if style == "json":
        print_json({"rows": dict(erasure.rows), "pinned": pinned, "wal_left": erasure.wal_left})
    else:
        _print_erasure(erasure, pinned)
    if erasure.wal_left:
        raise click.exceptions.Exit(NOT_WELL)


@click.command()
@click.option("--days", type=click.FloatRange(min=0, min_open=True), help="Days to keep; PICKUP_RETENTION by default.")
@formatted
@with_pickup
def purge_command(days: float | None, style: str) -> None:
    """Delete old calls.

    Calls that are older than PICKUP_RETENTION days, or --days, are deleted with all that belongs to them. Calls of callers in an experiment that is not concluded stay.
    """
    state = mounted()
    days = days or state.options.retention
    if days is None:
        fail("PICKUP_RETENTION is not set. Set it or give --days.", ASKED_WRONGLY)
    before = _now(state) - timedelta(days=days)
    with console().status("Removing …") as status:
        rows = reaching(
            lambda: privacy.purge(
                state.engine, state.catalog, before, progress=lambda rows: status.update(f"Removed {_counted(rows)} …")
            )
        )
    if style == "json":
        print_json({"before": before.isoformat(), "rows": dict(rows)})
    else:
        click.echo(f"Removed {_counted(rows)} from before {before:%Y-%m-%d %H:%M} UTC.")


def _now(state: State) -> datetime:
    return datetime.fromtimestamp(state.webhook.clock(), UTC)


def _read(number: str) -> str:
    return sys.stdin.readline().strip() if number == "-" else number


def _or_fail(action: Callable[[], T]) -> T:
    try:
        return reaching(action)
    except ValueError as error:
        fail(str(error), ASKED_WRONGLY)
    except SpoolUnavailable as error:
        fail(str(error))


def _pinned(state: State, keys: Iterable[str]) -> list[str]:
    """Return the experiments whose folders pin a caller."""
    return [experiment.name for experiment in state.catalog.experiments if not experiment.pins.keys().isdisjoint(keys)]


def _print_erasure(erasure: privacy.Erasure, pinned: Sequence[str]) -> None:
    click.echo(f"Erased {_counted(erasure.rows)}.")
    for name in pinned:
        click.echo(f"experiments/{name}/experiment.toml: take the number out of [pins]; the folder is yours to change.")
    if erasure.wal_left:
        click.echo("SQLite's write-ahead log could not be emptied, because another program reads it. Run this again.")
    click.echo("Free space and backups may still hold it: docs/privacy.md says what to do about them.")


def _counted(rows: Mapping[str, int]) -> str:
    tables = ("pickup_calls", "pickup_assignments", "pickup_outcomes", "pickup_transcripts")
    return ", ".join(count(rows.get(table, 0), table.removeprefix("pickup_").removesuffix("s")) for table in tables)
