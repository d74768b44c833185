"""What ``check`` says of an experiment that is changed while callers are in it."""

from __future__ import annotations

import socket
import sqlite3
from collections.abc import Mapping
from contextlib import closing
from pathlib import Path
from time import monotonic, sleep
from typing import Any

import pytest

from complaints import complaints_about
from conftest import CONTENT, EXPERIMENT, NOW, MakePhone, Phone
from flask_pickup import Pickup
from flask_pickup.checking import ask, last_definitions

TOML = "experiments/warm-opening/experiment.toml"
OPENING = "experiments/warm-opening/warm/first_message.j2"


def serve(make_phone: MakePhone, url: str, files: Mapping[str, Any] = CONTENT, *, now: float = NOW) -> Phone:
    """Serve content until its definitions are in the database."""
    phone = make_phone(files, url=url, pickup=Pickup(clock=lambda: now))
    phone.ring()
    for _ in range(100):
        if phone.rows("SELECT 1 FROM pickup_definitions"):
            break
        sleep(0.05)
    phone.app.extensions["pickup"].close()
    return phone


def changes(root: Path, url: str, files: Mapping[str, Any]) -> list[tuple[str, int, str, str]]:
    """Return what is said of changed files, where the database has what was served."""
    found = complaints_about(root, {**CONTENT, **files}, PICKUP_DATABASE_URL=url)
    assert {each["level"] for each in found} <= {"warning"}
    return [(each["file"], each["line"], each["problem"], each["remedy"]) for each in found]


NEW_PERIOD = "this begins a new period of the results: earlier callers are counted separately"


def test_what_was_served_is_not_complained_about(make_phone: MakePhone, database_url: str, tmp_path: Path) -> None:
    """The content that callers hear is no change."""
    serve(make_phone, database_url)
    assert changes(tmp_path / "now", database_url, {}) == []


def test_changed_words(make_phone: MakePhone, database_url: str, tmp_path: Path) -> None:
    """Other words in an arm of a running experiment are named with their line, and with what they do to the results."""
    serve(make_phone, database_url)
    problem = "the text of arm 'warm' changed while the experiment is running"
    assert changes(tmp_path / "now", database_url, {OPENING: "Hi there!"}) == [(OPENING, 1, problem, NEW_PERIOD)]


@pytest.mark.parametrize(
    ("toml", "line", "what"),
    [
        (EXPERIMENT.replace("warm = 1", "warm = 2"), 3, "weights"),
        (f"audience = \"caller.country == 'NL'\"\n{EXPERIMENT}", 1, "audience"),
        (f'seed = "other"\n{EXPERIMENT}', 1, "seed"),
    ],
)
def test_changed_toml(make_phone: MakePhone, tmp_path: Path, toml: str, line: int, what: str) -> None:
    """So are other weights, another audience, another seed."""
    url = f"sqlite:///{tmp_path / 'pickup.db'}"
    serve(make_phone, url)
    problem = f"the {what} changed while the experiment is running"
    assert changes(tmp_path / "now", url, {TOML: toml}) == [(TOML, line, problem, NEW_PERIOD)]


def test_changed_rule(make_phone: MakePhone, tmp_path: Path) -> None:
    """Another primary metric begins no period, but finds what is not there."""
    url = f"sqlite:///{tmp_path / 'pickup.db'}"
    serve(make_phone, url)
    other = (
        EXPERIMENT.replace('primary = "duration_seconds"', 'primary = "hang_up"')
        + "[metrics.hang_up]\noutcome = 'early_hang_up'\nsmallest = 0.1\n"
    )
    [(file, line, problem, remedy)] = changes(tmp_path / "now", url, {TOML: other})
    assert (file, line, problem) == (TOML, 2, "the primary metric changed while the experiment is running")
    assert "finds false results" in remedy


@pytest.mark.parametrize(
    "toml",
    [
        EXPERIMENT.replace('"running"', '"paused"'),
        EXPERIMENT.replace('"running"', '"draft"'),
        f"traffic = 0.5\n{EXPERIMENT}",
    ],
)
def test_what_harms_no_result_is_not_complained_about(make_phone: MakePhone, tmp_path: Path, toml: str) -> None:
    """Whoever is not running may change, and more or fewer callers come in under the same conditions."""
    url = f"sqlite:///{tmp_path / 'pickup.db'}"
    serve(make_phone, url)
    files = {TOML: toml} if "traffic" in toml else {TOML: toml, OPENING: "Hi!"}
    assert changes(tmp_path / "now", url, files) == []


def test_last_definition_counts(make_phone: MakePhone, tmp_path: Path) -> None:
    """Of several definitions the one that was served last is what callers heard."""
    url = f"sqlite:///{tmp_path / 'pickup.db'}"
    serve(make_phone, url)
    serve(make_phone, url, {**CONTENT, OPENING: "Hi there!"}, now=NOW + 60)
    serve(make_phone, url, {**CONTENT, OPENING: "Never served last."}, now=NOW - 60)
    assert changes(tmp_path / "now", url, {OPENING: "Hi there!"}) == []
    assert [change[0] for change in changes(tmp_path / "then", url, {})] == [OPENING]


def test_sqlite_in_the_instance_folder_is_found(make_phone: MakePhone, tmp_path: Path) -> None:
    """Without any option the database is where an app has it; where there is none, none is made."""
    root = tmp_path / "now"
    (root / "instance").mkdir(parents=True)
    assert complaints_about(root, CONTENT) == []
    assert list((root / "instance").iterdir()) == []
    serve(make_phone, f"sqlite:///{root / 'instance' / 'pickup.db'}")
    [complaint] = complaints_about(root, {**CONTENT, OPENING: "Hi!"})
    assert complaint["remedy"] == NEW_PERIOD


@pytest.mark.parametrize(
    "url", ["sqlite:///{root}/empty.db", "sqlite:///{root}/text.db", "nonsense", "mysql://host/db"]
)
def test_no_answer_is_no_fault(tmp_path: Path, url: str) -> None:
    """Where no database has the tables, all else is checked and nothing is said of it."""
    (tmp_path / "empty.db").touch()
    (tmp_path / "text.db").write_text("This is no database, however long it may be. " * 100)
    assert changes(tmp_path / "now", url.format(root=tmp_path), {}) == []


def test_database_that_is_locked_is_not_waited_for(make_phone: MakePhone, tmp_path: Path) -> None:
    """Nor is one in whose tables somebody else is at work."""
    file = tmp_path / "pickup.db"
    serve(make_phone, f"sqlite:///{file}")
    with closing(sqlite3.connect(file)) as other:
        other.execute("PRAGMA journal_mode = DELETE")
        other.execute("BEGIN EXCLUSIVE")
        began = monotonic()
        assert ask(f"sqlite:///{file}", last_definitions) is None
        assert monotonic() - began < 4


def test_database_that_hangs_is_not_waited_for(tmp_path: Path) -> None:
    """A database that takes the connection and says nothing costs two seconds."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        began = monotonic()
        url = f"postgresql+psycopg://u:p@127.0.0.1:{silent.getsockname()[1]}/db"
        assert ask(url, last_definitions) is None
        assert monotonic() - began < 4
