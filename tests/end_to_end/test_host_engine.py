"""A host that has Flask-SQLAlchemy already: its engine, its session, its own way with transactions."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from flask import Flask
from flask_sqlalchemy import SQLAlchemy
from sqlalchemy import Engine, create_engine, event, inspect, text
from sqlalchemy.engine import make_url

from conftest import CALLER_SECRET, CONTENT, NOW, WEBHOOK_SECRET, MakePhone, Phone, new_postgresql_database
from flask_pickup import ConfigurationError, Pickup, migrating

Host = tuple[Phone, SQLAlchemy]


@pytest.fixture
def make_host(make_phone: MakePhone) -> Iterator[Callable[..., Host]]:
    """Make a host with Flask-SQLAlchemy, whose engine Pickup takes."""
    hosts: list[Host] = []

    def make(url: str, **engine_options: Any) -> Host:
        db = SQLAlchemy()
        pickup = Pickup(engine=lambda: db.engine, clock=lambda: NOW)
        phone = make_phone(CONTENT, pickup=pickup, migrate=False)
        phone.app.config.update(SQLALCHEMY_DATABASE_URI=url, SQLALCHEMY_ENGINE_OPTIONS=engine_options)
        db.init_app(phone.app)
        with phone.app.app_context():
            migrating.upgrade(phone.app.extensions["pickup"].engine)
        hosts.append((phone, db))
        return hosts[-1]

    yield make
    for phone, db in hosts:
        phone.app.extensions["pickup"].close()
        with phone.app.app_context():
            db.engine.dispose()


BY_THE_SERVER = {"connect_args": {"options": "-c default_transaction_isolation=serializable"}}
ISOLATION = [
    *(("sqlite", {"isolation_level": level}) for level in ("READ UNCOMMITTED", "SERIALIZABLE", "AUTOCOMMIT")),
    *(("postgresql", {"isolation_level": level}) for level in ("REPEATABLE READ", "SERIALIZABLE", "AUTOCOMMIT")),
    ("postgresql", BY_THE_SERVER),
    ("pgbouncer", {"connect_args": {"prepare_threshold": None}}),
]


@pytest.mark.parametrize(("empty_database_url", "options"), ISOLATION, indirect=["empty_database_url"], ids=str)
def test_rows_go_to_the_hosts_database(
    make_host: Callable[..., Host], empty_database_url: str, options: dict[str, Any]
) -> None:
    """At each isolation level of the host's engine, and behind PgBouncer, duplicates are one row, and none fails."""
    hosts = [make_host(empty_database_url, **options) for _ in range(2)]
    calls = [(host, f"call-{number}") for number in range(15) for host in hosts] * 2
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda one: one[0][0].ring(one[1]).get_json()["assistant"]["first_message"], calls))
        reports = list(pool.map(lambda one: one[0][0].report(one[1]).status_code, calls))
    assert (len(set(answers)), set(reports)) == (1, {200})
    for phone, _ in hosts:
        assert phone.app.extensions["pickup"].results("warm-opening").arms
        assert phone.app.extensions["pickup"].ledger.health()["faults"] == {}
    assert hosts[0][0].rows("SELECT COUNT(*) FROM pickup_assignments") == [(15,)]


def test_hosts_session_is_left_alone(make_host: Callable[..., Host], tmp_path: Any) -> None:
    """Pickup neither commits nor flushes what the host's session holds while a call is answered."""
    phone, db = make_host(f"sqlite:///{tmp_path / 'host.db'}")
    with phone.app.app_context(), db.engine.begin() as connection:
        connection.execute(text("CREATE TABLE visits (id INTEGER)"))
    seen: list[Any] = []

    @phone.app.before_request
    def begin() -> None:
        seen.append(db.session.execute(text("SELECT COUNT(*) FROM visits")).scalar())

    @phone.app.teardown_request
    def end(_: BaseException | None) -> None:
        db.session.execute(text("INSERT INTO visits VALUES (1)"))
        seen.append(db.session().in_transaction())
        db.session.rollback()

    assert phone.ring().get_json()["assistant"]
    assert seen == [0, True]
    assert phone.rows("SELECT COUNT(*) FROM visits") == [(0,)]
    assert phone.rows("SELECT COUNT(*) FROM pickup_calls") == [(1,)]


def test_engine_of_several_apps_is_each_apps_own(make_host: Callable[..., Host], tmp_path: Any) -> None:
    """The function is asked inside the context of the app that a call came to."""
    db = SQLAlchemy()
    pickup = Pickup(engine=lambda: db.engine)
    engines = set()
    for name in ("one", "two"):
        app = Flask(name, root_path=str(tmp_path))
        app.config.update(PICKUP_WEBHOOK_SECRET=WEBHOOK_SECRET, PICKUP_CALLER_SECRET=CALLER_SECRET)
        app.config["SQLALCHEMY_DATABASE_URI"] = f"sqlite:///{tmp_path / name}.db"
        db.init_app(app)
        app.register_blueprint(pickup)
        with ThreadPoolExecutor(1) as elsewhere:
            engines.add(elsewhere.submit(getattr, app.extensions["pickup"], "engine").result().url)
    assert len(engines) == 2


def test_host_that_begins_transactions_itself(make_phone: MakePhone, tmp_path: Any) -> None:
    """SQLAlchemy's recipe for savepoints in SQLite begins each transaction with an event; calls are recorded all the same."""
    engine = create_engine(f"sqlite:///{tmp_path / 'host.db'}")
    event.listen(engine, "connect", lambda connection, _: setattr(connection, "isolation_level", None))
    event.listen(engine, "begin", lambda connection: connection.exec_driver_sql("BEGIN"))
    phone = make_phone(pickup=Pickup(engine=engine, clock=lambda: NOW))
    assert phone.ring().get_json()["assistant"]
    assert phone.rows("SELECT COUNT(*) FROM pickup_calls") == [(1,)]
    assert phone.app.extensions["pickup"].ledger.health()["faults"] == {}
    engine.dispose()


def test_another_schema(make_phone: MakePhone, postgresql: str) -> None:
    """With a ``search_path`` in the URL, tables, view and version stand in that schema, and calls are recorded there."""
    url = new_postgresql_database(postgresql)
    admin = create_engine(url)
    with admin.begin() as connection:
        connection.execute(text("CREATE SCHEMA voice"))
    there = make_url(url).update_query_dict({"options": "-csearch_path=voice"}).render_as_string(hide_password=False)
    phone = make_phone(url=there)
    phone.ring()
    assert "pickup_alembic_version" in inspect(admin).get_table_names("voice")
    assert inspect(admin).get_table_names("public") == []
    with admin.connect() as connection:
        assert connection.execute(text("SELECT COUNT(*) FROM voice.pickup_results")).scalar() == 1
    assert migrating.current(phone.app.extensions["pickup"].engine)
    admin.dispose()


@pytest.mark.parametrize("engine", [lambda: 1 / 0, lambda: None])
def test_engine_that_is_not_there_costs_no_call(make_phone: MakePhone, engine: Any) -> None:
    """If the host's function fails, the caller hears their arm and the row waits in the spool."""
    phone = make_phone(pickup=Pickup(engine=engine, clock=lambda: NOW), migrate=False)
    assert phone.ring().get_json()["assistant"]["metadata"]["pickup"]["assignments"]
    assert phone.client.get("/pickup/health").get_json()["waiting"]["spool"] > 0


def test_other_databases_are_refused_at_start(make_phone: MakePhone) -> None:
    """An engine of a database that Pickup cannot write to stops the app, not the first call."""

    class MySQL(Engine):
        def __init__(self) -> None:
            self.dialect = type("Dialect", (), {"name": "mysql"})()

    with pytest.raises(ConfigurationError, match="got mysql"):
        make_phone(pickup=Pickup(engine=MySQL()), migrate=False)
