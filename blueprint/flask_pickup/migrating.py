"""Pickup's migrations, run with Alembic's own commands on a version table of its own."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, Engine, text

from flask_pickup.engines import begin_writing
from flask_pickup.models import VERSION_TABLE

__all__ = [
    "current",
    "downgrade",
    "newest",
    "upgrade",
]

Action = Callable[[Engine, str], None]

# Any number will do, as long as no other program locks it.
_ADVISORY_LOCK = 7_461_395_202


def scripts() -> Path:
    """Return the folder of the migrations: inside the wheel, or in a checkout two folders up."""
    here = Path(__file__).parent
    packaged = here / "migrations"
    return packaged if packaged.is_dir() else here.parents[1] / "migrations"


def upgrade(engine: Engine, revision: str = "head") -> None:
    """Bring the tables to ``revision``. Safe on several hosts at a time."""
    with _configured(engine) as config:
        command.upgrade(config, revision)


def downgrade(engine: Engine, revision: str) -> None:
    """Take the tables back to ``revision``; ``base`` drops them."""
    with _configured(engine) as config:
        command.downgrade(config, revision)


def current(engine: Engine) -> str | None:
    """Return the revision that the tables are at; None before the first."""
    with engine.connect() as connection:
        return MigrationContext.configure(connection, opts={"version_table": VERSION_TABLE}).get_current_revision()


def newest() -> str:
    """Return the newest revision that there is."""
    revision = ScriptDirectory.from_config(_config()).get_current_head()
    assert revision
    return revision


def is_newer(revision: str) -> bool:
    """Return whether a revision is one that only a newer version of Pickup knows."""
    return all(known.revision != revision for known in ScriptDirectory.from_config(_config()).walk_revisions())


def sql(engine: Engine, revisions: str) -> None:
    """Print the statements of ``revisions``, such as ``head`` or ``0001:head``, for a database administrator."""
    config = _config()
    config.set_main_option("sqlalchemy.url", f"{engine.dialect.name}+{engine.dialect.driver}://")
    command.upgrade(config, revisions, sql=True)


def _config() -> Config:
    config = Config()
    config.set_main_option("script_location", str(scripts()).replace("%", "%%"))
    return config


@contextmanager
def _configured(engine: Engine) -> Iterator[Config]:
    config = _config()
    with engine.connect() as connection:
        if engine.dialect.name == "postgresql":
            # Whoever waited for the lock must see what was committed meanwhile, also where the host's engine is
            # stricter. Set on the connection: an engine that is derived from one with a level keeps that one's.
            connection.execution_options(isolation_level="READ COMMITTED")
        with connection.begin():
            _lock(connection)
            config.attributes["connection"] = connection
            yield config


def _lock(connection: Connection) -> None:
    """Let one upgrade run at a time; it ends with the transaction."""
    if connection.dialect.name == "postgresql":
        connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _ADVISORY_LOCK})
    # SQLite's driver would begin a transaction only at the first write, too late to keep two upgrades apart.
    begin_writing(connection)
