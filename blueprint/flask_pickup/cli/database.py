"""``flask pickup db``: making and changing the tables."""

from __future__ import annotations

import click
from flask.cli import with_appcontext

from flask_pickup import migrating
from flask_pickup.cli.group import mounted, reaching


@click.group()
def db() -> None:
    """Make and change Pickup's tables."""


@db.command()
@click.argument("revision", default="head")
@with_appcontext
def upgrade(revision: str) -> None:
    """Bring the tables up to REVISION, the newest if none is named."""
    engine = mounted().engine
    before = reaching(lambda: migrating.current(engine))
    reaching(lambda: migrating.upgrade(engine, revision))
    after = reaching(lambda: migrating.current(engine))
    click.echo(f"The tables are up to date ({after})." if before == after else f"The tables are at {after} now.")


@db.command()
@click.argument("revision")
@with_appcontext
def downgrade(revision: str) -> None:
    """Take the tables back to REVISION; 'base' drops them with all rows."""
    engine = mounted().engine
    reaching(lambda: migrating.downgrade(engine, revision))
    click.echo(f"The tables are at {reaching(lambda: migrating.current(engine)) or 'base'} now.")


@db.command()
@with_appcontext
def current() -> None:
    """Say at which revision the tables are."""
    engine = mounted().engine
    click.echo(reaching(lambda: migrating.current(engine)) or "There are no tables yet: flask pickup db upgrade")


@db.command()
@click.argument("revisions", default="head")
@with_appcontext
def sql(revisions: str) -> None:
    """Print the statements of REVISIONS, such as head or 0001:head."""
    migrating.sql(mounted().engine, revisions)
