"""Migrations: up and down with rows in the tables, from several processes, and as SQL for somebody else to run."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
from collections.abc import Sequence
from contextlib import closing

import pytest
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Engine, create_engine, inspect

from conftest import MakePhone
from flask_pickup import migrating
from flask_pickup.engines import make_engine
from flask_pickup.models import VERSION_TABLE, Base

COLUMNS = {
    "pickup_calls": [
        *("call_id", "caller_key", "line", "call_type", "country", "language", "decided_at", "decision", "reasons"),
        *("status", "end_reason", "ended_at", "reported_at", "platform", "platform_call_id", "part_times"),
    ],
    "pickup_assignments": [
        *("call_id", "experiment", "arm", "source", "caller_key", "definition", "assigned_at", "delivered"),
    ],
    "pickup_outcomes": ["call_id", "name", "value", "reported_at"],
    "pickup_definitions": ["fingerprint", "experiment", "body", "first_seen_at"],
    "pickup_transcripts": ["call_id", "summary", "messages"],
    "pickup_forgotten": ["mark", "forgotten_at"],
    "pickup_snapshots": ["experiment", "computed_at", "computing_until", "body"],
    "pickup_looks": ["experiment", "period", "week", "body"],
}
"""The tables are a public interface: these names change only by a migration, and by a line in the changelog."""

KEYS = {
    "pickup_calls": ["call_id"],
    "pickup_assignments": ["call_id", "experiment"],
    "pickup_outcomes": ["call_id", "name"],
    "pickup_definitions": ["fingerprint"],
    "pickup_transcripts": ["call_id"],
    "pickup_forgotten": ["mark"],
    "pickup_snapshots": ["experiment"],
    "pickup_looks": ["experiment", "period", "week"],
}


def revisions() -> Sequence[str]:
    """Return all revisions, oldest first."""
    config = Config()
    config.set_main_option("script_location", str(migrating.scripts()))
    return [script.revision for script in ScriptDirectory.from_config(config).walk_revisions()][::-1]


def tables(engine: Engine) -> list[str]:
    return sorted(inspect(engine).get_table_names())


def test_tables_and_view_are_as_documented(empty_database_url: str) -> None:
    """People query the tables with psql: names, order of columns and keys are what the documentation says."""
    engine = make_engine(empty_database_url)
    migrating.upgrade(engine)
    found = inspect(engine)
    assert tables(engine) == sorted([*COLUMNS, VERSION_TABLE])
    assert {name: [column["name"] for column in found.get_columns(name)] for name in COLUMNS} == COLUMNS
    assert {name: found.get_pk_constraint(name)["constrained_columns"] for name in KEYS} == KEYS
    assert found.get_view_names() == ["pickup_results"]
    view = [column["name"] for column in found.get_columns("pickup_results")]
    assert view == ["experiment", "arm", "outcome", "callers", "calls", "mean"]
    engine.dispose()


def test_migrations_make_what_the_models_say(empty_database_url: str) -> None:
    """The migrated schema and the models are the same: Alembic would have nothing to change."""
    engine = make_engine(empty_database_url)
    migrating.upgrade(engine)
    with engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"version_table": VERSION_TABLE, "compare_type": True})
        assert compare_metadata(context, Base.metadata) == []
    engine.dispose()


def test_each_migration_goes_up_and_down_with_rows(make_phone: MakePhone, empty_database_url: str) -> None:
    """Each migration can be taken back and made again while there are rows."""
    phone = make_phone(url=empty_database_url)
    phone.ring()
    phone.report(analysis={"appointment_booked": True})
    engine = phone.app.extensions["pickup"].engine
    known = revisions()
    assert migrating.current(engine) == known[-1]
    for lower in [*known[-2::-1], "base"]:
        migrating.downgrade(engine, lower)
        assert migrating.current(engine) == (None if lower == "base" else lower)
    assert tables(engine) == [VERSION_TABLE]
    assert inspect(engine).get_view_names() == []
    for revision in known:
        migrating.upgrade(engine, revision)
        assert migrating.current(engine) == revision
    phone.ring("call-2")
    assert phone.rows("SELECT call_id FROM pickup_assignments") == [("call-2",)]


@pytest.mark.slow
def test_several_processes_may_upgrade_at_once(empty_database_url: str) -> None:
    """Several hosts that start at once all come up: one makes the tables, the others find them made."""
    # A host's own engine may be stricter than the default; SQLite's only level is that.
    program = (
        "import sys; from flask_pickup import migrating; from flask_pickup.engines import make_engine;"
        "engine = make_engine(sys.argv[1]).execution_options(isolation_level='SERIALIZABLE');"
        "migrating.current(engine); print('ready', flush=True); sys.stdin.readline(); migrating.upgrade(engine)"
    )
    hosts = [
        subprocess.Popen([sys.executable, "-c", program, empty_database_url], stdin=-1, stdout=-1, stderr=-1, text=True)
        for _ in range(2)
    ]
    for host in hosts:
        assert host.stdout
        assert host.stdout.readline() == "ready\n"
    for host in hosts:
        assert host.stdin
        host.stdin.write("now\n")
        host.stdin.flush()
    ends = [(host.communicate(timeout=60)[1], host.returncode) for host in hosts]
    assert [code for _, code in ends] == [0] * len(hosts), ends[0][0]
    engine = create_engine(empty_database_url)
    assert tables(engine) == sorted([*COLUMNS, VERSION_TABLE])
    engine.dispose()


def test_statements_can_be_run_by_somebody_else(empty_database_url: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Where a database administrator makes the tables, the printed SQL makes the same ones, version and view included."""
    engine = make_engine(empty_database_url)
    migrating.sql(engine, "head")
    statements = capsys.readouterr().out
    if engine.dialect.name == "sqlite":
        with closing(sqlite3.connect(str(engine.url.database))) as database:
            database.executescript(statements)
    else:
        with engine.begin() as transaction:
            transaction.exec_driver_sql(statements)
    assert migrating.current(engine) == revisions()[-1]
    with engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"version_table": VERSION_TABLE})
        assert compare_metadata(context, Base.metadata) == []
    assert inspect(engine).get_view_names() == ["pickup_results"]
    engine.dispose()
