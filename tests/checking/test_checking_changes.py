"""``check`` compares running experiments with the definitions that callers last heard."""

from __future__ import annotations

import json
import socket
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from time import sleep
from typing import Any

import pytest
from sqlalchemy import Engine

from commands import run
from complaints import command_complains, complaints_about
from conftest import CONTENT, EXPERIMENT, NOW, MakePhone, Phone, write
from flask_pickup import Pickup
from flask_pickup.checking import ask, history_of_experiments
from result_rows import Rows, body

TOML = "experiments/warm-opening/experiment.toml"
OPENING = "experiments/warm-opening/warm/first_message.j2"


@pytest.fixture(autouse=True)
def _patience(monkeypatch: pytest.MonkeyPatch) -> None:
    """Wait for a database as long as a busy machine needs."""
    monkeypatch.setattr("flask_pickup.checking.recorded._TIMEOUT", 60)


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
    """Return the complaints about changed files, if the database has what was served."""
    found = complaints_about(root, {**CONTENT, **files}, recorded=ask(url, history_of_experiments))
    assert {each["level"] for each in found} <= {"warning"}
    return [(each["file"], each["line"], each["problem"], each["remedy"]) for each in found]


NEW_PERIOD = "this begins a new period of the results: earlier callers are counted separately"


def test_unchanged_content_has_no_complaint(make_phone: MakePhone, database_url: str, tmp_path: Path) -> None:
    """The content that callers hear is not a change."""
    serve(make_phone, database_url)
    assert changes(tmp_path / "now", database_url, {}) == []


OTHER_PRIMARY = (
    EXPERIMENT.replace('primary = "duration_seconds"', 'primary = "hang_up"')
    + "[metrics.hang_up]\noutcome = 'early_hang_up'\nsmallest = 0.1\n"
)


@pytest.mark.parametrize(
    ("file", "text", "line", "what", "consequence"),
    [
        (OPENING, "Hi there!", 1, "text of arm 'warm'", NEW_PERIOD),
        (TOML, EXPERIMENT.replace("warm = 1", "warm = 2"), 3, "weights", NEW_PERIOD),
        (TOML, f"audience = \"caller.country == 'NL'\"\n{EXPERIMENT}", 1, "audience", NEW_PERIOD),
        (TOML, f'seed = "other"\n{EXPERIMENT}', 1, "seed", NEW_PERIOD),
        (TOML, OTHER_PRIMARY, 2, "primary metric", "finds false results"),
    ],
)
def test_change_has_a_warning(  # noqa: PLR0913, PLR0917 (a row of the table)
    make_phone: MakePhone, tmp_path: Path, file: str, text: str, line: int, what: str, consequence: str
) -> None:
    """A change of a running experiment is named with its line, and with its consequence for the results."""
    url = f"sqlite:///{tmp_path / 'pickup.db'}"
    serve(make_phone, url)
    [(where, at, problem, remedy)] = changes(tmp_path / "now", url, {file: text})
    assert (where, at, problem) == (file, line, f"the {what} changed while the experiment is running")
    assert consequence in remedy


@pytest.mark.parametrize(
    "files",
    [
        {TOML: EXPERIMENT.replace('"running"', '"paused"'), OPENING: "Hi!"},
        {TOML: f"traffic = 0.5\n{EXPERIMENT}"},
    ],
)
def test_harmless_change_has_no_complaint(make_phone: MakePhone, tmp_path: Path, files: Mapping[str, str]) -> None:
    """An experiment that is not running may change, and so may the share of callers that is enrolled."""
    url = f"sqlite:///{tmp_path / 'pickup.db'}"
    serve(make_phone, url)
    assert changes(tmp_path / "now", url, files) == []


@pytest.mark.parametrize(
    ("days", "layer_range", "options", "is_warned"),
    [
        (29, [0.0, 0.6], {}, True),
        (29, None, {}, True),
        (31, [0.0, 0.6], {}, False),
        (1, [0.0, 0.5], {}, False),
        (1, [0.0, 1.0], {"source": "pin"}, False),
        (1, [0.0, 1.0], {"call_id": "pickup-rehearsal-a"}, False),
    ],
)
@pytest.mark.usefixtures("checks_here")
def test_carry_over_is_warned_of(  # noqa: PLR0913, PLR0917 (a row of the table)
    engine: Engine,
    database_url: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    days: int,
    layer_range: list[float] | None,
    options: Mapping[str, Any],
    *,
    is_warned: bool,
) -> None:
    """A range from which another experiment had callers within 30 days has a warning of check and of new."""
    rows, last = Rows(), datetime.now(UTC) - timedelta(days=days)
    rows.call("ann", last - timedelta(days=3), "warm", **{**options, "call_id": options.get("call_id", "") + "1"})
    rows.call("ann", last, "warm", **{**options, "call_id": options.get("call_id", "") + "2"})
    was = {"layer": "opening", "status": "concluded"} | ({"layer_range": layer_range} if layer_range else {})
    rows.write(engine, [("d", body({}, **was))])
    toml = f'layer = "opening"\nlayer_range = [0.5, 1.0]\n{EXPERIMENT}'
    found = command_complains(tmp_path / "now", {**CONTENT, TOML: toml}, PICKUP_DATABASE_URL=database_url)
    problem = f"carry-over: callers of [0.5, 1.0] were in 'opening' until {last:%Y-%m-%d}"
    assert [(each["line"], each["level"], each["problem"]) for each in found] == [(1, "warning", problem)] * is_warned
    monkeypatch.chdir(write(tmp_path, {**CONTENT, TOML: toml.replace("[0.5, 1.0]", "[0.0, 0.5]")}))
    monkeypatch.setenv("PICKUP_DATABASE_URL", database_url)
    made = json.loads(run("new", "n", "--arms", "a", "--format", "json").stdout)
    assert [problem in warning for warning in made["warnings"]] == [True] * is_warned


def test_last_definition_counts(make_phone: MakePhone, tmp_path: Path) -> None:
    """Of several definitions the one that was served last counts."""
    url = f"sqlite:///{tmp_path / 'pickup.db'}"
    serve(make_phone, url)
    serve(make_phone, url, {**CONTENT, OPENING: "Hi there!"}, now=NOW + 60)
    serve(make_phone, url, {**CONTENT, OPENING: "Never served last."}, now=NOW - 60)
    assert changes(tmp_path / "now", url, {OPENING: "Hi there!"}) == []
    assert [change[0] for change in changes(tmp_path / "then", url, {})] == [OPENING]


@pytest.mark.usefixtures("checks_here")
def test_sqlite_in_the_instance_folder_is_found(make_phone: MakePhone, tmp_path: Path) -> None:
    """Without any option the database is the app's default; a missing one is not created."""
    root = tmp_path / "now"
    (root / "instance").mkdir(parents=True)
    assert command_complains(root, CONTENT) == []
    assert list((root / "instance").iterdir()) == []
    serve(make_phone, f"sqlite:///{root / 'instance' / 'pickup.db'}")
    [complaint] = command_complains(root, {**CONTENT, OPENING: "Hi!"})
    assert complaint["remedy"] == NEW_PERIOD


@pytest.mark.parametrize(
    "url", ["sqlite:///{root}/empty.db", "sqlite:///{root}/text.db", "nonsense", "mysql://host/db"]
)
def test_missing_answer_is_no_fault(tmp_path: Path, url: str) -> None:
    """Without tables, or without a database, everything else is checked."""
    (tmp_path / "empty.db").touch()
    (tmp_path / "text.db").write_text("This is no database, however long it may be. " * 100)
    assert ask(url.format(root=tmp_path), history_of_experiments) is None


def test_database_that_hangs_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """A database that accepts the connection and is silent for ever is one that knows nothing."""
    monkeypatch.setattr("flask_pickup.checking.recorded._TIMEOUT", 0.1)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"postgresql+psycopg://u:p@127.0.0.1:{silent.getsockname()[1]}/db"
        assert ask(url, history_of_experiments) is None
