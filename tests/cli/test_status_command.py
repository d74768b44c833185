"""``flask pickup status``: whether all is well, beside a server that runs."""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from commands import run
from conftest import CONTENT, NOW, MakePhone, Phone
from faulty import eventually
from flask_pickup.caller import REHEARSAL
from flask_pickup.ledger.spool import Spool
from flask_pickup.models import Assignment, Snapshot
from result_rows import Rows

AT = datetime.fromtimestamp(NOW, UTC)


def spool_of(phone: Phone) -> Spool:
    return Spool(phone.app.extensions["pickup"].options.spool)


def add_calls(phone: Phone, hours: float, number: int, *, has_report: bool) -> None:
    """Write calls of so many hours ago, a second apart."""
    rows = Rows()
    for index in range(number):
        at = AT - timedelta(hours=hours, seconds=index)
        rows.call(None, at, outcomes={} if has_report else None, call_id=f"{hours}-{index}")
    rows.write(phone.app.extensions["pickup"].engine)


def keep_dead_letter(phone: Phone) -> None:
    spool_of(phone).append(["an entry", "another one"])
    spool_of(phone).replay(lambda entries: entries)


def split_badly(phone: Phone) -> None:
    """Write ten times as many callers of one arm as of the other."""
    state = phone.app.extensions["pickup"]
    [experiment] = state.catalog.experiments
    # A call writes the definition.
    phone.ring()
    phone.report()
    rows = Rows()
    for index in range(220):
        arm = "warm" if index % 11 else "control"
        rows.call(
            f"caller-{index}", AT - timedelta(hours=index), arm, {},
            experiment=experiment.name, definition=experiment.fingerprint, call_id=f"split-{index}",
        )  # fmt: skip
    rows.write(state.engine)


def test_content_that_no_call_was_answered_with_is_named(make_phone: MakePhone, tmp_path: Path) -> None:
    """After calls came, an experiment that was edited is named until a call is answered with what the folder has."""
    url = f"sqlite:///{tmp_path / 'pickup.db'}"
    before = make_phone(url=url)
    told = [run("status", "--format", "json", app=before.app)]
    before.ring()
    told.append(run("status", "--format", "json", app=before.app))
    edited = {**CONTENT, "experiments/warm-opening/warm/first_message.j2": "Hello there!"}
    after = make_phone(edited, url=url)
    told.append(run("status", "--format", "json", app=after.app))
    assert "No call was answered yet with what the folder has of warm-opening." in run("status", app=after.app).stdout
    after.ring("call-2")
    told.append(run("status", "--format", "json", app=after.app))
    assert [json.loads(each.stdout)["unserved"] for each in told] == [[], [], ["warm-opening"], []]


def test_all_is_well_when_calls_come_in(phone: Phone) -> None:
    """The first line says so; then come platform, database, content, spool and experiments, in 80 columns."""
    phone.ring()
    phone.report()
    before = threading.active_count()
    result = run("status", app=phone.app)
    assert threading.active_count() == before
    assert result.exit_code == 0, result.output
    lines = result.stdout.splitlines()
    assert lines[0] == "All is well."
    assert max(map(len, lines)) <= 80
    facts = " ".join(result.stdout.split())
    kind = phone.app.extensions["pickup"].engine.dialect.name
    for fact in (
        "flireo working 13 Dec 2025 12:00",
        f"database {kind}, tables up to date, at revision",
        "content 1 experiment (1 running)",
        "spool 0 rows waiting, 0 dead letters",
        "warm-opening running",
    ):
        assert fact in facts


def test_rehearsals_are_no_calls(phone: Phone) -> None:
    """While every call was a rehearsal the platform waits for its first one."""
    phone.ring(f"{REHEARSAL}1")
    phone.report(f"{REHEARSAL}1")
    text = " ".join(run("status", app=phone.app).stdout.split())
    assert "flireo: only rehearsed calls so far." in text
    assert "flireo waiting – – 0" in text


def lose(phone: Phone, table: str) -> None:
    with phone.app.extensions["pickup"].engine.begin() as connection:
        connection.execute(sa.text(f"ALTER TABLE {table} RENAME TO others"))


def put_file_for_spool(phone: Phone) -> None:
    folder = Path(phone.app.extensions["pickup"].options.spool)
    folder.rename(folder.with_name("moved")) if folder.exists() else folder.parent.mkdir(exist_ok=True)
    folder.write_text("a file")


@pytest.mark.parametrize(
    ("happens", "says"),
    [
        (lambda phone: add_calls(phone, 24 * 8, 1, has_report=True), "flireo: no call since 5 Dec 2025."),
        (lambda phone: add_calls(phone, 3, 1, has_report=False), "flireo: calls come without their reports."),
        (lambda phone: spool_of(phone).append(["an entry"]), "1 row waits in the spool"),
        (keep_dead_letter, "2 rows are in quarantine"),
        (lambda phone: lose(phone, "pickup_calls"), "The database lacks the table pickup_calls."),
        (lambda phone: lose(phone, "pickup_snapshots"), "The database lacks the table pickup_snapshots."),
        (put_file_for_spool, "The spool '"),
        (split_badly, "warm-opening: these results are not reliable. Run: flask pickup results warm-opening"),
    ],
    ids=["silent", "unreported", "spool", "dead letters", "no calls", "no snapshots", "no spool", "split"],
)
def test_what_is_not_well_comes_first(author_of_each: Phone, happens: Callable[[Phone], None], says: str) -> None:
    """The first line names the problem, and the exit status is 1."""
    happens(author_of_each)
    result = run("status", app=author_of_each.app)
    assert result.exit_code == 1
    assert " ".join(result.stdout.split()).startswith(f"Not well: {says}")


@pytest.mark.parametrize(
    ("files", "says"),
    [
        ({"experiments/other/experiment.toml": "arms ="}, "Experiments do not load: other. Run: flask pickup check"),
        ({"greetings/first_message.j2": "{% if %}"}, "Greetings do not load, so callers hear the saved agent: "),
    ],
)
def test_content_that_does_not_load_is_named(make_phone: MakePhone, files: Mapping[str, Any], says: str) -> None:
    """What ``/health`` calls degraded of the content is not well."""
    result = run("status", app=make_phone({**CONTENT, **files}).app)
    assert (result.exit_code, result.stdout.splitlines()[0].startswith(f"Not well: {says}")) == (1, True), result.stdout


def test_tables_that_are_missing_or_old_are_told(make_phone: MakePhone, empty_database_url: str) -> None:
    """Without tables, and with those of an earlier version, it says how to bring them up to date; newer ones serve."""
    phone = make_phone(url=empty_database_url, migrate=False)
    says = []
    for revision in (None, "0003", "9999"):
        if revision:
            run("db", "upgrade", app=phone.app)
            with phone.app.extensions["pickup"].engine.begin() as connection:
                connection.execute(sa.text(f"UPDATE pickup_alembic_version SET version_num = '{revision}'"))
        result = run("status", app=phone.app)
        says.append((result.stdout.splitlines()[0], result.exit_code))
    remedy = "Run: flask pickup db upgrade"
    assert says[0] == (f"Not well: There are no tables yet. {remedy}", 1)
    assert says[1] == (f"Not well: The tables are not up to date. {remedy}", 1)
    assert says[2][1] == 0


def test_database_that_is_not_there_is_a_sentence(make_phone: MakePhone) -> None:
    """The rest is shown all the same, and no password."""
    phone = make_phone(url="postgresql://ann:hunter2@127.0.0.1:9/none", migrate=False)
    result = run("status", app=phone.app)
    assert result.exit_code == 1
    assert result.stdout.startswith("Not well: The database does not answer: ")
    assert "content   1 experiment (1 running)" in result.stdout
    assert "hunter2" not in result.output


def test_results_are_the_latest_that_are_kept(author_of_each: Phone) -> None:
    """They are shown with the time of their computing."""
    state = author_of_each.app.extensions["pickup"]
    split_badly(author_of_each)
    state.snapshots.latest(["warm-opening"])
    eventually(lambda: state.snapshots.stored(["warm-opening"])["warm-opening"].body)
    with state.engine.begin() as connection:
        connection.execute(sa.update(Snapshot).values(computed_at=AT - timedelta(hours=3)))
        connection.execute(sa.delete(Assignment))
    found = json.loads(run("status", "--format", "json", app=author_of_each.app).stdout)
    [experiment] = found["experiments"]
    assert (found["well"], experiment["callers"], experiment["verdict"]) == (False, 221, "broken")
    assert experiment["as_of"] == str(AT - timedelta(hours=3))


def test_spool_that_cannot_be_written_is_not_well(phone: Phone, monkeypatch: pytest.MonkeyPatch) -> None:
    """It says which folder or file it is; an administrator, who may write everything, cannot try it otherwise."""
    access, folder = os.access, Path(phone.app.extensions["pickup"].options.spool)
    folder.mkdir(parents=True)
    monkeypatch.setattr(os, "access", lambda path, mode: Path(path) != folder and access(path, mode))
    result = run("status", app=phone.app)
    assert (result.exit_code, "no right to write '" in " ".join(result.stdout.split())) == (1, True), result.stdout


def test_spool_of_a_running_server_is_left_alone(phone: Phone, tmp_path: Path) -> None:
    """Counting beside a server makes no file, and removes none that the server has open."""
    assert (spool_of(phone).count(), (tmp_path / "spool.db").exists()) == ((0, 0), False)
    server = Spool(tmp_path)
    server.append(["an entry"])
    files = sorted(tmp_path.glob("spool.db*"))
    assert Spool(tmp_path).count() == (1, 0)
    assert sorted(tmp_path.glob("spool.db*")) == files
    server.append(["another one"])
    assert Spool(tmp_path).count() == (2, 0)
