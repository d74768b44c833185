"""``flask pickup db``: making and changing the tables."""

from __future__ import annotations

import click
from alembic.util import CommandError

from flask_pickup import migrating
from flask_pickup.cli.group import ASKED_WRONGLY, NOT_WELL, fail, formatted, mounted, print_json, reaching, with_pickup


@click.group()
def db() -> None:
    """Make and change Pickup's tables.

    They stand in the database of PICKUP_DATABASE_URL, or in that of the app's own engine. Their version is in
    pickup_alembic_version, apart from your own migrations.
    """


@db.command()
@click.argument("revision", default="head")
@formatted
@with_pickup
def upgrade_command(revision: str, style: str) -> None:
    """Bring the tables up to date.

    REVISION is the newest, if none is named. Several hosts may upgrade at once.
    """
    _migrate(migrating.upgrade, revision, style)


@db.command()
@click.argument("revision")
@formatted
@with_pickup
def downgrade_command(revision: str, style: str) -> None:
    """Take the tables back to REVISION.

    'base' drops them, with all rows. A REVISION such as -1 counts from where they are: downgrade -- -1
    """
    _migrate(migrating.downgrade, revision, style)


@db.command()
@formatted
@with_pickup
def current_command(style: str) -> None:
    """Say at which revision the tables are.

    The exit status is 1 if that is not the newest.
    """
    engine = mounted().engine
    revision, newest = reaching(lambda: migrating.current(engine)), migrating.newest()
    if style == "json":
        print_json({"revision": revision, "newest": newest})
    elif revision is None:
        click.echo("There are no tables yet. Make them: flask pickup db upgrade")
    elif revision == newest:
        click.echo(f"The tables are up to date, at revision {revision}.")
    else:
        click.echo(f"The tables are at revision {revision}; the newest is {newest}: flask pickup db upgrade")
    if revision != newest:
        raise click.exceptions.Exit(NOT_WELL)


@db.command()
@click.argument("revisions", default="head")
@with_pickup
def sql_command(revisions: str) -> None:
    """Print what an upgrade would do, as SQL.

    For a database that somebody else changes. REVISIONS are those from nothing to the newest, if none are named;
    0001:head are those after 0001. The database is not asked.
    """
    try:
        migrating.sql(mounted().engine, revisions)
    except CommandError as error:
        fail(f"{error}.", ASKED_WRONGLY)


def _migrate(action: migrating.Action, revision: str, style: str) -> None:
    engine = mounted().engine
    before = reaching(lambda: migrating.current(engine))
    try:
        reaching(lambda: action(engine, revision))
    except CommandError as error:
        fail(f"{error}.", ASKED_WRONGLY)
    after = reaching(lambda: migrating.current(engine))
    if style == "json":
        print_json({"before": before, "revision": after})
    elif after is None:
        click.echo("The tables are gone.")
    elif before == after:
        click.echo(f"The tables are up to date, at revision {after}.")
    else:
        click.echo(f"The tables are at revision {after} now.")
