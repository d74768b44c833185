"""A host's own migrations leave what is Pickup's alone."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from conftest import new_postgresql_database, write
from flask_pickup import include_object

HOST = """\
import sys
from flask import Flask
from flask.cli import FlaskGroup
from flask_sqlalchemy import SQLAlchemy
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column
from flask_pickup import Pickup, include_object
{imports}

class Base(DeclarativeBase):
    pass

db = SQLAlchemy(model_class=Base)
pickup = Pickup(engine=lambda: db.engine)

class User(db.Model):
    id: Mapped[int] = mapped_column(primary_key=True)
    username: Mapped[str] = mapped_column(unique=True)

def create_app():
    app = Flask(__name__)
    app.config.update(SQLALCHEMY_DATABASE_URI=sys.argv[1], PICKUP_WEBHOOK_SECRET="s" * 16, PICKUP_CALLER_SECRET="s" * 16)
    db.init_app(app)
    {migrations}
    app.register_blueprint(pickup, url_prefix="/pickup")
    return app

app = create_app()
for command in sys.argv[2:]:
    result = app.test_cli_runner().invoke(FlaskGroup(create_app=lambda: app), command.split())
    print(command, result.output, flush=True)
    assert result.exit_code == 0, command
"""

REFLECTED = (True, None)
"""Alembic's last two arguments: the object was found in the database, and no model is compared to it."""

FLASK_MIGRATE = {
    "imports": "from flask_migrate import Migrate",
    "migrations": "Migrate(app, db, include_object=include_object)",
}
FLASK_ALEMBIC = {
    "imports": "from flask_alembic import Alembic",
    "migrations": ("app.config['ALEMBIC_CONTEXT'] = {'include_object': include_object}; Alembic().init_app(app)"),
}


def run(folder: Path, extension: dict[str, str], url: str, *commands: str) -> str:
    """Run the host's commands one after another, and return what they printed."""
    write(folder, {"host.py": HOST.format(**extension)})
    done = subprocess.run(
        [sys.executable, "host.py", url, *commands], cwd=folder, capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


@pytest.mark.slow
def test_flask_migrate_proposes_nothing_about_our_tables(tmp_path: Path, postgresql: str) -> None:
    """``flask db migrate`` of a host with Pickup's tables writes a migration of the host's own table, then none."""
    printed = run(
        *(tmp_path, FLASK_MIGRATE, new_postgresql_database(postgresql)),
        *("db init", "pickup db upgrade", "db migrate -m users", "db upgrade", "db migrate -m nothing"),
    )
    assert "pickup_" not in printed
    assert "No changes in schema detected" in printed
    [migration] = (tmp_path / "migrations/versions").glob("*.py")
    assert "create_table" in migration.read_text()
    assert "pickup" not in migration.read_text()


@pytest.mark.slow
def test_flask_alembic_proposes_nothing_about_our_tables(tmp_path: Path) -> None:
    """``flask db revision`` of a host with Pickup's tables writes a migration of the host's own table."""
    run(tmp_path, FLASK_ALEMBIC, f"sqlite:///{tmp_path / 'host.db'}", "pickup db upgrade", "db revision users")
    [migration] = (tmp_path / "migrations").glob("*.py")
    assert "create_table" in migration.read_text()
    assert "pickup" not in migration.read_text()


CALLS = sa.Table("pickup_calls", sa.MetaData(), sa.Column("line"))


@pytest.mark.parametrize(
    ("item", "name", "kind"),
    [
        *(
            (sa.Table(name, sa.MetaData()), name, "table")
            for name in ("pickup_calls", "pickup_calls_7", "pickup_results")
        ),
        (sa.Table("pickup_alembic_version", sa.MetaData()), "pickup_alembic_version", "table"),
        (CALLS.c.line, "line", "column"),
        (sa.Index("any_name", CALLS.c.line), "any_name", "index"),
    ],
)
def test_ours_is_left_out(item: Any, name: str, kind: str) -> None:
    """Tables, the view, their columns and their indexes are Pickup's to migrate."""
    assert not include_object(item, name, kind, *REFLECTED)


def test_hosts_own_is_looked_at() -> None:
    """A host's table is not Pickup's for its name's first letters."""
    table = sa.Table("pickup_points", sa.MetaData(), sa.Column("calls"))
    assert include_object(table, "pickup_points", "table", *REFLECTED)
    assert include_object(table.c.calls, "pickup_calls", "column", *REFLECTED)
