"""The README runs: its session in an empty folder word for word, and its query."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from urllib.request import HTTPCookieProcessor, build_opener

import pytest
from sqlalchemy import create_engine, text

from checkouts import ROOT, free_port, wait_for_port
from commands import FLASK, environment
from conftest import CALLER, Phone, write
from flask_pickup.cli.init import PROGRAM

README = (ROOT / "README.md").read_text("utf-8")
BLOCKS = re.findall(r"^```(\w*)\n(.*?)^```", README, re.MULTILINE | re.DOTALL)
OWN_APP = [code for kind, code in BLOCKS if kind == "sh" and "flask pickup" in code]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel of this checkout."""
    out = tmp_path_factory.mktemp("dist")
    build = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(out), str(ROOT)]
    subprocess.run(build, check=True, capture_output=True, timeout=120)
    [found] = out.glob("*.whl")
    return found


@contextmanager
def running(line: str, folder: Path, variables: Mapping[str, str]) -> Iterator[subprocess.Popen[str]]:
    """Run a command that serves in the folder's virtual environment, as a process."""
    command = ["sh", "-c", f". .venv/bin/activate && exec {line}"]
    with subprocess.Popen(command, cwd=folder, env=variables, stdout=-1, stderr=-2, text=True) as server:
        try:
            yield server
        finally:
            server.terminate()


@pytest.mark.slow
def test_own_app_is_as_the_readme_says(wheel: Path, tmp_path: Path) -> None:
    """Its commands in their order, in an empty folder and virtual environment, lead to an answered call and a running arm.

    Only what is installed is another: the wheel of this checkout, and a free port.
    """
    port = free_port()
    path = f"{Path(FLASK).parent}:{os.environ['PATH']}"
    variables = environment(PATH=path, FLASK_RUN_PORT=port, PIP_NO_COMPILE="1")
    begin, serve, call, look, experiment = OWN_APP

    def run(script: str, folder: Path) -> str:
        script = script.replace(" Flask-Pickup ", f" {wheel} ").replace(":5000", f":{port}")
        done = subprocess.run(
            ["sh", "-c", f"set -e\n{script}"], cwd=folder, env=variables, stdout=-1, stderr=-2,
            text=True, timeout=300, check=False,
        )  # fmt: skip
        assert done.returncode == 0, f"{script}\n{done.stdout}"
        return done.stdout

    [program] = (code for kind, code in BLOCKS if kind == "python")
    assert program == PROGRAM
    printed = run(begin, tmp_path)
    assert "".join(f"    {line}\n" if line else "\n" for line in program.splitlines()) in printed
    clinic = write(tmp_path / "clinic", {"app.py": program})
    [tree] = (code for kind, code in BLOCKS if kind == "")
    assert all((clinic / name).exists() or list(clinic.rglob(name)) for name in re.findall(r"[\w.-]+\.\w+\b", tree))
    activate = ". .venv/bin/activate\n"
    *before, serving = serve.splitlines()
    assert "no problems" in run(activate + "\n".join(before), clinic)
    with running(serving, clinic, variables):
        wait_for_port(port)
        heard = run(call, tmp_path)
    assert re.search(r"^arm +none \(base\)$", heard, re.MULTILINE)
    assert re.search("^greeting +Hello, this is the assistant of Example Clinic", heard, re.MULTILINE)
    assert re.search(r"^row +\S+ +1$", heard, re.MULTILINE)
    simulate, demo = look.splitlines()
    assert "appointment_booked: control 30.0 %, warm 38.0 % (+8.0 pp)" in run(activate + simulate, clinic)
    with running(demo.partition("#")[0], clinic, variables) as server:
        assert server.stdout
        address = next(line.split()[-1] for line in server.stdout if line.startswith("Ready."))
        with build_opener(HTTPCookieProcessor()).open(address) as page:
            assert page.status == 200
    toml = clinic / "experiments/warm-greeting/experiment.toml"
    toml.write_text(toml.read_text().replace('status = "draft" ', 'status = "running" '))
    with running(serving, clinic, variables):
        wait_for_port(port)
        done = run(activate + experiment, clinic)
    assert re.search("^arm +warm-greeting: (control|warm)$", done, re.MULTILINE)
    assert "warm-greeting: running" in done
    assert "Erased 1 call" in done
    assert "No caller has been assigned an arm" in run(f"{activate}flask pickup results warm-greeting", clinic)


def test_query_answers(phone: Phone) -> None:
    """The README's query runs on SQLite and PostgreSQL, and says what it claims to say."""
    phone.ring("call-1")
    phone.report("call-1", analysis={"appointment_booked": True})
    [query] = (code.replace("warm-greeting", "warm-opening") for kind, code in BLOCKS if kind == "sql")
    engine = create_engine(phone.app.extensions["pickup"].engine.url)
    with engine.connect() as connection:
        booked = [tuple(row) for row in connection.execute(text(query))]
    engine.dispose()
    assert [(callers, calls, float(booked_of)) for _, callers, calls, booked_of in booked] == [(1, 1, 100.0)]
    assert CALLER not in str(booked)
