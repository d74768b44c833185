"""The wheel: what somebody gets who installs Pickup into an app of their own."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from zipfile import ZipFile

import pytest

from checkouts import ROOT, free_port, make_venv, wait_for_port
from commands import environment
from conftest import CONTENT, write
from demos import running_demo

pytestmark = pytest.mark.slow

HOST = """\
from flask import Flask
from flask_pickup import Pickup

app = Flask(__name__)
app.config["PICKUP_WEBHOOK_SECRET"] = "a-webhook-secret"
app.config["PICKUP_CALLER_SECRET"] = "a-caller-secret-41879"
app.register_blueprint(Pickup(), url_prefix="/shop/pickup")
"""


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel as ``python -m build`` makes it: from the source distribution."""
    out = tmp_path_factory.mktemp("dist")
    build = [sys.executable, "-m", "build", "--no-isolation", "--outdir", str(out), str(ROOT)]
    subprocess.run(build, check=True, capture_output=True, timeout=120)
    [found] = out.glob("*.whl")
    return found


@pytest.fixture(scope="module")
def host(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a bare app, and beside it a virtual environment that has the wheel and what it depends on."""
    folder = tmp_path_factory.mktemp("host")
    venv = make_venv(folder / ".venv")
    install = [sys.executable, "-m", "pip", "--python", str(venv / "bin/python"), "install", "--quiet", "--no-deps"]
    subprocess.run(
        [*install, "--no-index", "--ignore-installed", str(wheel)], check=True, capture_output=True, timeout=60
    )
    # Statistics need neither: whoever imports them here fails.
    missing = {f"{name}.py": "raise ImportError(__name__)" for name in ("numpy", "scipy")}
    return write(folder, {**CONTENT, **missing, "host.py": HOST})


def flask(host: Path, *arguments: str) -> list[str]:
    return [str(host / ".venv/bin/python"), "-m", "flask", "--app", "host", *arguments]


def run(host: Path, *arguments: str) -> str:
    variables = environment(PICKUP_WEBHOOK_SECRET="a-webhook-secret")
    ended = subprocess.run(
        flask(host, *arguments), cwd=host, env=variables, capture_output=True, text=True, timeout=60, check=False
    )
    assert ended.returncode == 0, ended.stderr
    return ended.stdout


@pytest.fixture
def address(host: Path) -> Iterator[str]:
    """Where the bare app answers."""
    port = free_port()
    server = subprocess.Popen(flask(host, "run", "--port", port), cwd=host, env=environment(), stdout=-3, stderr=-3)
    try:
        wait_for_port(port)
        yield f"http://127.0.0.1:{port}/shop/pickup/webhook"
    finally:
        server.terminate()
        server.wait(20)


def test_wheel_has_all_that_runs_and_nothing_else(wheel: Path) -> None:
    """Code, templates, compiled catalogs, migrations and sample content are inside; tests and secrets are not."""
    names = set(ZipFile(wheel).namelist())
    package = {path for path in names if path.startswith("flask_pickup/")}
    code = {
        str(path.relative_to(ROOT / "blueprint"))
        for path in (ROOT / "blueprint/flask_pickup").rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    code = {f"{path[:-3]}.mo" if path.endswith(".po") else path for path in code}
    migrations = {f"flask_pickup/{path.relative_to(ROOT)}" for path in (ROOT / "migrations").rglob("*.py")}
    content = (path for folder in ("greetings", "experiments") for path in (ROOT / folder).rglob("*"))
    sample = {f"flask_pickup/sample/{path.relative_to(ROOT)}" for path in content if path.is_file()}
    assert code | migrations | sample <= package
    assert package - code - migrations - sample == {"flask_pickup/migrations/script.py.mako"}
    assert {path.split("/")[0].split("-")[0] for path in names} == {"flask_pickup"}


def test_wheel_speaks_dutch(host: Path) -> None:
    """An installed package finds its compiled catalogs."""
    code = "from flask_pickup.translation import gettext, in_language\nwith in_language('nl'): print(gettext('Calls'))"
    ended = subprocess.run(
        [host / ".venv/bin/python", "-c", code], cwd=host, env=environment(), check=True, stdout=-1, text=True
    )
    assert ended.stdout == "Gesprekken\n"


def test_bare_app_answers_a_call(host: Path, address: str) -> None:
    """A bare app mounts the blueprint, makes the tables and answers a signed call with an arm's greeting."""
    where = "from flask_pickup import migrating; print(migrating.scripts())"
    scripts = subprocess.run(
        [host / ".venv/bin/python", "-c", where], cwd=host, env=environment(), check=True, stdout=-1, text=True
    )
    assert scripts.stdout.startswith(str(host / ".venv"))
    assert "are now at revision" in run(host, "pickup", "db", "upgrade")
    heard = run(host, "pickup", "rehearse", address)
    assert "warm-opening: " in heard
    assert any(words in heard for words in ("Good day.", "Hello there, how lovely that you call!"))
    assert "no problems" in run(host, "pickup", "check")
    assert "up to date" in run(host, "pickup", "db", "current")


def test_statistics_need_no_other_package(host: Path) -> None:
    """Plan, simulation and results work with what the wheel depends on, without NumPy and SciPy."""
    run(host, "pickup", "db", "upgrade")
    baseline = ("--baseline", "60", "--deviation", "40")
    assert "+5 per call takes " in run(host, "pickup", "plan", "warm-opening", *baseline)
    assert "none yet" in run(
        host, "pickup", "simulate", "warm-opening", "--callers", "50", "--into", "sqlite:///made.db"
    )
    assert "warm-opening: running" in run(host, "pickup", "results", "warm-opening")


def test_demo_needs_no_app(host: Path, tmp_path: Path) -> None:
    """A bare installation shows the filled dashboard, from a folder without an app."""
    command = [str(host / ".venv/bin/python"), "-m", "flask", "pickup", "demo"]
    with running_demo(command, tmp_path) as demo:
        assert "warm is better" in demo.said
        assert "Roll out warm" in demo.page()
    assert demo.process.returncode == 0
