"""The README runs: its program, its commands in their order, and its queries."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import create_engine, text

from checkouts import Server, borrow_packages, copy_checkout, run_script, serving
from commands import FLASK
from conftest import CALLER, Phone, write
from flask_pickup.testing import PickupClient

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text("utf-8")
BLOCKS = re.findall(r"^```(\w+)\n(.*?)^```", README, re.MULTILINE | re.DOTALL)
PROGRAMS = [code for kind, code in BLOCKS if kind == "python"]
QUERIES = [code for kind, code in BLOCKS if kind == "sql"]
SCRIPTS = [code for kind, code in BLOCKS if kind == "sh"]
[OWN_APP] = (code for code in SCRIPTS if code.startswith("mkdir"))
COMMANDS = [line for code in SCRIPTS if code != OWN_APP for line in code.splitlines() if line]


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A checkout that is being served, as the README's first command does."""
    checkout = copy_checkout(tmp_path_factory.mktemp("readme") / "pickup")
    borrow_packages(checkout)
    with serving(checkout) as server:
        yield server
    shutil.rmtree(checkout)


def test_program_greets_by_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The program that the README shows is a whole host: with the commands after it, it greets its customer by name."""
    monkeypatch.chdir(tmp_path)
    [program] = PROGRAMS
    write(tmp_path, {"app.py": program})
    path = f"{Path(FLASK).parent}:{os.environ['PATH']}"
    done = run_script(tmp_path, "sh", "-c", f"set -e\n{OWN_APP}", PATH=path)
    assert done.returncode == 0, done.stdout
    assert "0 experiments checked: no problems, 1 note." in done.stdout
    assert "Hello Ada, this is Example Clinic." in done.stdout
    names: dict[str, Any] = {"__name__": "readme"}
    exec(program, names)
    client = PickupClient(names["create_app"]())
    answer = client.post_call(from_=CALLER).get_json()
    assert answer["assistantId"] == "the id of your assistant"
    assert answer["assistantOverrides"]["firstMessage"].startswith("Hello Ada, this is")
    client.pickup.close()


@pytest.mark.slow
def test_commands_do_what_the_readme_says(served: Server) -> None:
    """The commands of the first experiment work in their order, next to a running server; the others are tested elsewhere."""
    commands = [line for line in COMMANDS if line.startswith((".venv/bin/flask", "echo", "sed", "rm"))]
    elsewhere = ("scripts/serve", "scripts/test")
    assert all(line in commands or line.startswith(elsewhere) for line in COMMANDS)
    url = served.url
    for line in commands:
        done = run_script(served.folder, "sh", "-c", re.sub(r"http://127.0.0.1:8000\S+", url, line))
        assert done.returncode == 0, f"{line}\n{done.stdout}{done.stderr}"
    assert (served.folder / "experiments/short-opening/short/first_message.j2").read_text("utf-8").startswith("Tand")
    assert "De Linde, waarmee kan ik u helpen?" in done.stdout


def test_queries_answer(phone: Phone) -> None:
    """The README's queries run on SQLite and PostgreSQL, and say what they claim to say."""
    phone.ring("call-1")
    phone.report("call-1", analysis={"appointment_booked": True})
    engine = create_engine(phone.app.extensions["pickup"].engine.url)
    with engine.connect() as connection:
        booked, reasons = ([tuple(row) for row in connection.execute(text(query))] for query in QUERIES)
    engine.dispose()
    assert [(callers, calls, float(booked_of)) for _, callers, calls, booked_of in booked] == [(1, 1, 100.0)]
    assert reasons == [("enrolled", 1)]
    assert CALLER not in str(booked)
