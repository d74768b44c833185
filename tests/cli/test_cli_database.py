"""``flask pickup db``: making and changing the tables, on each database."""

from __future__ import annotations

import json
import re

import pytest
from sqlalchemy import inspect

from commands import run
from conftest import MakePhone, Phone


@pytest.fixture
def bare(make_phone: MakePhone, empty_database_url: str) -> Phone:
    """An app whose database is empty."""
    return make_phone(url=empty_database_url, migrate=False)


def test_upgrade_makes_the_tables(bare: Phone) -> None:
    """After an upgrade calls are recorded; another one says that there is nothing to do."""
    first, second = (run("db", "upgrade", app=bare.app) for _ in range(2))
    assert re.fullmatch(r"The tables are now at revision \w+\.\n", first.stdout)
    assert re.fullmatch(r"The tables are up to date, at revision \w+\.\n", second.stdout)
    assert (first.exit_code, second.exit_code) == (0, 0)
    bare.ring()
    assert bare.rows("SELECT COUNT(*) FROM pickup_calls") == [(1,)]


def test_current_says_where_the_tables_are(bare: Phone) -> None:
    """Without tables it says how to make them, with exit status 1; up to date it is 0."""
    before = run("db", "current", app=bare.app)
    assert (before.exit_code, "flask pickup db upgrade" in before.stdout) == (1, True)
    run("db", "upgrade", app=bare.app)
    after = run("db", "current", app=bare.app)
    assert (after.exit_code, after.stdout.startswith("The tables are up to date")) == (0, True)


def test_downgrade_drops_the_tables(bare: Phone) -> None:
    """The way back to the beginning leaves nothing of Pickup's but its empty version table."""
    run("db", "upgrade", app=bare.app)
    result = run("db", "downgrade", "base", app=bare.app)
    assert (result.stdout, result.exit_code) == ("The tables are dropped.\n", 0)
    assert inspect(bare.app.extensions["pickup"].engine).get_table_names() == ["pickup_alembic_version"]


def test_for_programs(bare: Phone) -> None:
    """With --format json: the revision before and after, and the newest there is."""
    made = json.loads(run("db", "upgrade", "--format", "json", app=bare.app).stdout)
    found = json.loads(run("db", "current", "--format", "json", app=bare.app).stdout)
    gone = json.loads(run("db", "downgrade", "base", "--format", "json", app=bare.app).stdout)
    newest = found["newest"]
    assert (made, found) == ({"before": None, "revision": newest}, {"revision": newest, "newest": newest})
    assert gone == {"before": newest, "revision": None}


def test_sql_is_printed_and_not_run(bare: Phone) -> None:
    """The statements go to whoever may run them; the database stays as it is."""
    result = run("db", "sql", app=bare.app)
    assert result.exit_code == 0
    for name in ("CREATE TABLE pickup_calls", "CREATE VIEW pickup_results", "pickup_alembic_version"):
        assert name in result.stdout
    assert inspect(bare.app.extensions["pickup"].engine).get_table_names() == []


@pytest.mark.parametrize(
    "arguments", [("upgrade", "nonsense"), ("downgrade", "nonsense"), ("sql", "nonsense"), ("drop",)]
)
def test_unknown_revision_is_asked_wrongly(bare: Phone, arguments: tuple[str, ...]) -> None:
    """A revision that does not exist is a sentence and exit status 2."""
    result = run("db", *arguments, app=bare.app)
    assert result.exit_code == 2
    assert "nonsense" in result.stderr or "drop" in result.stderr


@pytest.mark.parametrize("arguments", [("upgrade",), ("current",), ("downgrade", "base")])
def test_database_that_is_not_there_is_a_sentence(make_phone: MakePhone, arguments: tuple[str, ...]) -> None:
    """Where the database does not answer, the driver's first line says why, and no password is repeated."""
    phone = make_phone(url="postgresql://ann:hunter2@127.0.0.1:9/none", migrate=False)
    result = run("db", *arguments, app=phone.app)
    assert result.exit_code == 1
    assert result.stderr.startswith("The database does not answer: ")
    assert len(result.stderr.splitlines()) == 1
    assert "hunter2" not in result.output
