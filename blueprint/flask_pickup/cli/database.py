"""``flask pickup db``: making and changing the tables."""

from __future__ import annotations

import click
from alembic.util import CommandError

from flask_pickup import migrating
from flask_pickup.blueprint import State
from flask_pickup.cli.group import USAGE_ERROR, fail, formatted, show, with_state


@click.group()
def db() -> None:
    """Make and change Pickup's tables.

    The tables are in the database of PICKUP_DATABASE_URL, or of the app's own engine. Their revision is in the table
    pickup_alembic_version, apart from your own migrations.
    """


def _not_empty(context: click.Context, parameter: click.Parameter, value: str) -> str:
    return value or context.fail(f"{parameter.human_readable_name} is empty.")


@db.command()
@click.argument("revision", default="head", callback=_not_empty)
@formatted
@with_state
def upgrade_command(state: State, revision: str, style: str) -> None:
    """Make the tables, or bring them up to date.

    REVISION is the newest by default. Several hosts may upgrade at once.

    \b
    flask pickup db upgrade
    """
    _migrate(state, migrating.upgrade, revision, style)


@db.command()
@click.argument("revision", callback=_not_empty)
@formatted
@with_state
def downgrade_command(state: State, revision: str, style: str) -> None:
    """Take the tables back to REVISION.

    A REVISION such as -1 counts from the present one, and stands after --. The revision base drops the tables with all
    rows.

    \b
    flask pickup db downgrade 0007
    flask pickup db downgrade -- -1
    """
    _migrate(state, migrating.downgrade, revision, style)


@db.command()
@formatted
@with_state
def current_command(state: State, style: str) -> None:
    """Show the revision of the tables.

    The exit status is 1 if it is not the newest.
    """
    revision, newest = migrating.current(state.engine), migrating.newest()
    if revision is None:
        text = "There are no tables yet. Make them: flask pickup db upgrade"
    elif revision == newest:
        text = f"The tables are up to date, at revision {revision}."
    else:
        text = f"The tables are at revision {revision}; the newest is {newest}: flask pickup db upgrade"
    show(style, {"revision": revision, "newest": newest}, text, failed=revision != newest)


@db.command()
@click.argument("revisions", default="head", callback=_not_empty)
@with_state
def sql_command(state: State, revisions: str) -> None:
    """Print the SQL of an upgrade.

    For a database that somebody else changes: nothing is sent to it. REVISIONS is all by default; 0007:head is what
    comes after 0007.

    \b
    flask pickup db sql 0007:head > upgrade.sql
    """
    try:
        migrating.sql(state.engine, revisions)
    except CommandError as error:
        fail(f"{error}.", USAGE_ERROR)


def _migrate(state: State, action: migrating.Action, revision: str, style: str) -> None:
    before = migrating.current(state.engine)
    try:
        action(state.engine, revision)
    except CommandError as error:
        fail(f"{error}.", USAGE_ERROR)
    after = migrating.current(state.engine)
    if after is None:
        text = "The tables are dropped."
    elif before == after:
        text = f"The tables are up to date, at revision {after}."
    else:
        text = f"The tables are now at revision {after}."
    show(style, {"before": before, "revision": after}, text)
