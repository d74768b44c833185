"""``scripts/serve`` in a copy of the checkout, at a path with spaces in it, and in whatever shell ``sh`` is."""

from __future__ import annotations

import json
import re
import shutil
import stat
import subprocess
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path
from urllib.request import urlopen

import pytest
from dotenv import dotenv_values
from sqlalchemy import create_engine, text

from checkouts import Server, borrow_packages, copy_checkout, mode, run_script, serving
from conftest import CONTENT, new_postgresql_database, write
from faulty import eventually
from flask_pickup.assignment import place_in_layer
from flask_pickup.caller import REHEARSAL, caller_key
from flask_pickup.platforms import SampleCall
from flask_pickup.platforms.flireo import Flireo
from flask_pickup.rehearsal import CALLER, LINE, Unreachable, arms, incoming_call, read_answer, send

pytestmark = pytest.mark.slow

SHELL = shutil.which("dash") or "sh"


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy that is set up."""
    checkout = copy_checkout(tmp_path_factory.mktemp("a folder") / "of pickup")
    borrow_packages(checkout)
    return checkout


@pytest.fixture
def checkout(built: Path) -> Iterator[Path]:
    """The copy before its first start."""
    yield built
    shutil.rmtree(built / "instance", ignore_errors=True)
    (built / ".env").unlink(missing_ok=True)


def rows(url: str, query: str) -> list[tuple[object, ...]]:
    engine = create_engine(url)
    with engine.connect() as connection:
        found = [tuple(row) for row in connection.execute(text(query))]
    engine.dispose()
    return found


def test_first_start(checkout: Path) -> None:
    """Without anything set: secrets are made, the printed line shows the caller's greeting, and SQL shows the call."""
    database = f"sqlite:///{checkout}/instance/pickup.db"
    with serving(checkout, SHELL) as server:
        first, second = server.try_it(), server.try_it()
        assert (first.returncode, first.stderr) == (0, "")
        facts = dict(line.split(maxsplit=1) for line in first.stdout.splitlines()[:7])
        secret = dotenv_values(checkout / ".env")["PICKUP_CALLER_SECRET"] or ""
        is_in_it = place_in_layer("opening", caller_key(secret, CALLER)) < 0.5
        assert facts["arm"].startswith("warm-opening: " if is_in_it else "none")
        answer = json.loads(first.stdout.partition("answer:\n")[2])
        assert answer["assistant"]["first_message"] == facts["greeting"]
        assert first.stdout.partition("answer:\n")[2] == second.stdout.partition("answer:\n")[2]
        assert rows(database, "SELECT COUNT(*) FROM pickup_calls") == [(1,)]
        assert rows(database, "SELECT experiment FROM pickup_assignments") == [("warm-opening",)] * is_in_it
        found = rows(database, "SELECT DISTINCT experiment, callers, calls FROM pickup_results")
        assert found == [("warm-opening", 1, 1)] * is_in_it
        assert server.stop() == 0
        assert server.process.stdout
        assert (dotenv_values(checkout / ".env")["PICKUP_DASHBOARD_TOKEN"] or "") not in server.process.stdout.read()
    files = [checkout / ".env", *(path for path in (checkout / "instance").rglob("*") if path.is_file())]
    assert {path.name: mode(path) for path in files} == dict.fromkeys((path.name for path in files), 0o600)
    assert mode(checkout / "instance") == stat.S_IRWXU
    assert "Made PICKUP_WEBHOOK_SECRET, PICKUP_CALLER_SECRET" in server.said


def test_environment_decides(checkout: Path, postgresql: str, tmp_path: Path) -> None:
    """PORT and the PICKUP_ variables decide: that content, into that database, under those secrets; the home stays empty."""
    database_url = new_postgresql_database(postgresql)
    content = write(tmp_path / "some where", {**CONTENT, "greetings/first_message.j2": "Another house."})
    with serving(
        checkout,
        PICKUP_WEBHOOK_SECRET="whs-hunter2-and-more",
        PICKUP_CALLER_SECRET="cs-hunter3-and-more",
        PICKUP_DASHBOARD_TOKEN="a-token-that-is-long-enough",
        PICKUP_DATABASE_URL=database_url,
        PICKUP_EXPERIMENTS=str(content / "experiments"),
        PICKUP_GREETINGS=str(content / "greetings"),
        PICKUP_SPOOL=str(tmp_path / "spool"),
        HOME=str(tmp_path / "home"),
        XDG_RUNTIME_DIR="",
    ) as server:
        result = server.try_it()
        assert result.returncode == 0, result.stderr
        assert "Another house." in result.stdout or "Hello there, how lovely that you call!" in result.stdout
        assert f":{server.variables['PORT']}/" in server.url
        [(call, decision)] = rows(database_url, "SELECT call_id, decision FROM pickup_calls")
        assert (str(call).startswith("pickup-rehearsal-"), decision) == (True, "arm")
    assert "hunter" not in server.said
    assert not (checkout / ".env").exists()
    assert not (tmp_path / "home").exists()


def test_errors_in_the_content_stop_it(checkout: Path, tmp_path: Path) -> None:
    """Content with an error is not served: the complaint names file and line, and the exit status is 1."""
    content = write(tmp_path, {**CONTENT, "greetings/first_message.j2": "Good day {{ custommer.name }}."})
    ended = run_script(
        checkout, SHELL, "scripts/serve",
        PICKUP_EXPERIMENTS=str(content / "experiments"), PICKUP_GREETINGS=str(content / "greetings"),
    )  # fmt: skip
    assert ended.returncode == 1
    assert f"{content}/greetings/first_message.j2:1: error: " in ended.stdout
    assert ended.stdout.endswith("Fix the errors above and start again.\n")


def test_wrong_setting_stops_it(checkout: Path) -> None:
    """An invalid setting is a sentence, not a traceback, and nothing is served."""
    ended = run_script(checkout, SHELL, "scripts/serve", PICKUP_WEBHOOK_SECRET="")
    assert ended.returncode == 1
    assert "'PICKUP_WEBHOOK_SECRET' has a secret of fewer than 16 characters." in ended.stdout
    assert "Traceback" not in ended.stdout


def test_printed_line_loads_new_content(checkout: Path, tmp_path: Path) -> None:
    """The printed line loads valid content alone; broken content is logged once for both workers, and each call once."""
    content = write(tmp_path, {**CONTENT, "greetings/first_message.j2": "The old words."})
    folders = {"PICKUP_EXPERIMENTS": str(content / "experiments"), "PICKUP_GREETINGS": str(content / "greetings")}

    def reload(line: str, health: str) -> int:
        ended = subprocess.run(line, shell=True, cwd=checkout, env=server.variables, stdout=-1, timeout=60, check=False)
        if health:
            eventually(
                lambda: health in urlopen(server.url.replace("webhook", "health"), timeout=5).read().decode(), 20
            )
        return ended.returncode

    with serving(checkout, **folders) as server:
        assert server.process.stdout
        line = next(text.strip() for text in server.process.stdout if "kill -HUP" in text)
        assert server.try_it().returncode == 0
        (content / "experiments/warm-opening/experiment.toml").write_text("status =")
        assert reload(line, "") == 1
        assert reload(line.partition("&&")[2], '"left_out":["warm-opening"]') == 0
        server.stop()
        said = server.process.stdout.read()
    assert said.count("ERROR experiments/warm-opening/experiment.toml:1: invalid TOML") == 1
    assert len(re.findall(r" INFO Call 'pickup-rehearsal-\w+', caller \w{8}: (arm|base) in \d+ ms\.", said)) == 1


def test_stop_loses_nothing(checkout: Path) -> None:
    """A server that is stopped under load keeps its secrets, records every answered arm and leaves the spool empty."""
    database = f"sqlite:///{checkout}/instance/pickup.db"
    secret = "a-secret-of-the-first-start"
    kept = f"PICKUP_WEBHOOK_SECRET={secret}\nPICKUP_CALLER_SECRET=another-secret-of-it\n"
    kept += "PICKUP_DASHBOARD_TOKEN=a-token-that-is-long-enough\n"
    (checkout / ".env").write_text(kept)
    with serving(checkout) as server:
        assert "Made" not in server.said
        with ThreadPoolExecutor(8) as callers:
            answered = callers.map(lambda index: _ring(server, secret, index), range(400))
            next(answered)
            status = server.stop()
            calls = [call for call in answered if call]
    assert status == 0
    assert (checkout / ".env").read_text() == kept
    recorded = {row[0] for row in rows(database, "SELECT call_id FROM pickup_assignments")}
    assert set(calls) <= recorded
    spool = checkout / "instance/spool/spool.db"
    assert not spool.exists() or rows(f"sqlite:///{spool}", "SELECT COUNT(*) FROM spool") == [(0,)]


def _ring(server: Server, secret: str, index: int) -> str | None:
    """Return the call's id if it was answered with an arm."""
    name = "".join("abcdefghij"[int(digit)] for digit in str(index))
    platform = Flireo((secret,))
    call = SampleCall(REHEARSAL + name, CALLER, LINE, datetime.now(UTC))
    try:
        reply = send(server.url, incoming_call(platform, call).make(None))
    except Unreachable:
        return None
    return call.id if reply.is_answer and arms(read_answer(platform, reply.body)[0]) else None
