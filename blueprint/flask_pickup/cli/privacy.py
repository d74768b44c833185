"""``flask pickup disclose``, ``forget`` and ``purge``: a caller's rights, and the retention."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping, Sequence
from datetime import timedelta
from shlex import quote

import click
from rich.console import Console

from flask_pickup import privacy
from flask_pickup.blueprint import State
from flask_pickup.caller import keys_of
from flask_pickup.cli.group import (
    USAGE_ERROR,
    Number,
    as_json,
    fail,
    formatted,
    plural,
    seen_from_here,
    show,
    with_state,
    wrapped,
)
from flask_pickup.privacy import MARKS_LAST


@click.command()
@click.argument("number")
@click.option("--format", type=click.Choice(["json"]), expose_value=False, help="JSON is the only format.")
@with_state
def disclose_command(state: State, number: str) -> None:
    """Print all that is held on a caller, as JSON.

    caller_keys are the pseudonyms that were looked for, also where nothing is held. NUMBER is the caller's. With - it is read from standard input, and stays out of the shell's history.

    \b
    flask pickup disclose +31612345678 > held.json
    echo +31612345678 | flask pickup disclose -
    """
    keys = _keys(state, number)
    held = privacy.disclose(state.engine, state.options, keys)
    click.echo(as_json({**held, "pinned": _pinned(state, keys)}))


@click.command()
@click.argument("number")
@formatted
@with_state
def forget_command(state: State, number: str, style: str) -> None:
    """Erase all that is held on a caller.

    NUMBER is the caller's. With - it is read from standard input, and stays out of the shell's history. Erases what is
    held under any caller secret that is set. Waits a few seconds for calls that are being answered. Leaves a mark for
    seven days, a hash, so that a report which arrives late brings nothing back.

    \b
    flask pickup forget +31612345678
    echo +31612345678 | flask pickup forget -
    """
    keys = _keys(state, number)
    erasure = privacy.forget(state.engine, state.options, keys, state.now)
    pinned = _pinned(state, keys)
    texts = [f"experiments/{name}/experiment.toml: remove the number from [pins]." for name in pinned]
    if erasure.rows.total() or erasure.spooled:
        state.drop_results()
        texts = [*_erased(erasure), *texts, *_left(state)]
    else:
        texts.append(f"Nothing {'else ' if pinned else ''}is held on this number.")
    if erasure.wal_left:
        texts.append("SQLite's write-ahead log is not empty, because another program reads it. Run this again.")
    value = {
        "rows": dict(erasure.rows),
        "spooled": erasure.spooled,
        "pinned": pinned,
        "wal_left": erasure.wal_left,
    }
    show(style, value, *(wrapped(text) if text[:1] != " " else text for text in texts), failed=erasure.wal_left)


@click.command()
@click.option("--days", type=Number(1e-6, 36_500), help="Days to keep. Default: PICKUP_RETENTION.")
@formatted
@with_state
def purge_command(state: State, days: float | None, style: str) -> None:
    """Delete calls that are too old.

    Deletes calls that are older than PICKUP_RETENTION days, or --days, with all that belongs to them. Keeps calls of
    callers in an experiment that is not concluded.

    \b
    flask pickup purge --days 365
    """
    days = days or state.options.retention
    if days is None:
        fail("PICKUP_RETENTION is not set. Set it or give --days.", USAGE_ERROR)
    before = state.now - timedelta(days=days)
    with Console().status("Deleting …"):
        rows = privacy.purge(state.engine, state.catalog, before, state.now)
    value = {"before": before.isoformat(), "rows": dict(rows)}
    show(style, value, f"Deleted {_counted(rows)} from before {before:%Y-%m-%d %H:%M} UTC.")


def _keys(state: State, number: str) -> Sequence[str]:
    text = sys.stdin.read().strip() if number == "-" else number
    if len(text.splitlines()) > 1:
        fail("Give one number at a time: standard input has several lines.", USAGE_ERROR)
    keys = keys_of(text, state.options.region, state.options.caller_secrets)
    if not keys:
        region = f"Without a country, numbers of {state.options.region} are read (PICKUP_REGION)."
        fail(f"That is not a phone number. {region} With one, write it as +31612345678.", USAGE_ERROR)
    return keys


def _pinned(state: State, keys: Sequence[str]) -> list[str]:
    """Return the experiments whose folders pin a caller."""
    return [experiment.name for experiment in state.catalog.experiments if not experiment.pins.keys().isdisjoint(keys)]


def _erased(erasure: privacy.Erasure) -> Iterator[str]:
    spooled = f", and {plural(erasure.spooled, 'row')} of the spool" if erasure.spooled else ""
    yield f"Erased {_counted(erasure.rows)}{spooled}: all that was held on this caller."
    yield f"A mark, a hash, stays for {MARKS_LAST.days} days: a report that arrives late brings nothing back."
    yield "Results no longer count this caller; pages show it once they are computed anew."


def _left(state: State) -> Iterator[str]:
    """Yield where copies may still be, and what removes them."""
    yield ""
    if state.engine.dialect.name == "sqlite":
        yield (
            "No query finds the rows. The database file may hold old copies of them in its free space, which only somebody "
            "who reads the file byte by byte would see. To remove those as well:"
        )
        yield f"  sqlite3 {quote(str(seen_from_here(state.engine.url.database or '')))} \\"
        yield "    'VACUUM; PRAGMA wal_checkpoint(TRUNCATE);'"
    else:
        yield (
            "No query finds the rows. PostgreSQL's files hold them for a while, which only somebody who reads the files byte "
            "by byte would see. Statements that remove those as well are in docs/privacy.md, Free space."
        )
    yield "Backups, exports and archived logs may hold this caller: let them expire, and forget again after a restore."


def _counted(rows: Mapping[str, int]) -> str:
    tables = ("call", "assignment", "outcome", "transcript")
    return ", ".join(plural(rows.get(f"pickup_{table}s", 0), table) for table in tables)
