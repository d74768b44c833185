"""``flask pickup init``: from an empty folder to an answered call, on every platform."""

from __future__ import annotations

import json
import re
import runpy
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Thread

import pytest
from click.testing import Result
from dotenv import dotenv_values
from flask import Flask
from werkzeug.serving import make_server

from checkouts import mode
from commands import pipe, run
from conftest import write
from flask_pickup.catalog.new import STARTER_TEXTS
from flask_pickup.cli.init import PROGRAM
from flask_pickup.platforms import STARTERS, endpoint_of

DRAFT = "experiments/warm-greeting/experiment.toml"


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder, from which no other test's ``app`` can be imported."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [path for path in sys.path if not (Path(path) / "app.py").exists()])
    monkeypatch.delitem(sys.modules, "app", raising=False)
    return tmp_path


def init(*arguments: str, app: Flask | None = None) -> Result:
    result = run("init", *arguments, app=app)
    assert result.exit_code == 0, result.output
    assert [line for line in result.stdout.splitlines() if len(line) > 80 and "json" not in arguments] == []
    return result


def load(here: Path) -> Flask:
    """Return the app of the printed program, as it stands there."""
    app: Flask = runpy.run_path(str(write(here, {"app.py": PROGRAM}) / "app.py"))["app"]
    return app


@contextmanager
def served(app: Flask) -> Iterator[str]:
    """Serve the app; give its address."""
    server = make_server("127.0.0.1", 0, app, threaded=True)
    Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()
    app.extensions["pickup"].close()


def files(folder: Path) -> dict[str, str]:
    return {str(path.relative_to(folder)): path.read_text("utf-8") for path in folder.rglob("*") if path.is_file()}


@pytest.mark.parametrize("platform", STARTERS)
def test_empty_folder_becomes_an_app_that_answers(here: Path, platform: str) -> None:
    """What init writes and prints has no problems, answers a call, and gives an arm once the draft runs.

    A rehearsal's report can bring what the experiment measures.
    """
    printed = init("--platform", platform).stdout
    assert all(f"    {line}\n" in printed for line in PROGRAM.splitlines() if line)
    assert f"https://your.host/pickup/{endpoint_of(platform)}" in printed
    app = load(here)
    assert run("db", "upgrade", app=app).exit_code == 0
    with served(app) as address:
        heard = run("rehearse", "--platform", platform, f"{address}/pickup/{endpoint_of(platform)}", app=app)
    assert heard.exit_code == 0, heard.output
    assert f"greeting  {STARTER_TEXTS['en']['greeting']}" in heard.stdout
    assert re.search(r"^arm +none \(base\)$", heard.stdout, re.MULTILINE)
    write(here, {DRAFT: (here / DRAFT).read_text().replace('status = "draft"', 'status = "running"')})
    app = load(here)
    checked = run("check", app=app).stdout
    assert re.search(r"^1 experiment checked: no problems(, \d notes?)?\.$", checked, re.MULTILINE)
    yet_to_replace = [name for name, value in dotenv_values(".env").items() if "replace" in str(value).lower()]
    assert re.findall(r"^\.env:1: note: (\w+) is a placeholder", checked, re.MULTILINE) == sorted(yet_to_replace)
    call = ("rehearse", "--platform", platform, "--analysis", "appointment_booked=true")
    with served(app) as address:
        heard = run(*call, f"{address}/pickup/{endpoint_of(platform)}", app=app)
        with app.extensions["pickup"].engine.connect() as connection:
            query = "SELECT mean FROM pickup_results WHERE outcome = 'analysis.appointment_booked'"
            assert connection.exec_driver_sql(query).scalars().all() == [1], heard.output
    assert re.search(r"^arm +warm-greeting: (control|warm)$", heard.stdout, re.MULTILINE), heard.output
    assert any(f"greeting  {STARTER_TEXTS['en'][text]}" in heard.stdout for text in ("greeting", "warm"))


def test_secrets_are_fresh_and_stay_here(here: Path) -> None:
    """``.env`` is its owner's alone, git ignores it and the database, and ``.env.example`` has the names without values."""
    subprocess.run(["git", "init", "-q"], check=True)
    init("--platform", "vapi", "--region", "BE")
    made = dotenv_values(".env")
    assert mode(here / ".env") == 0o600
    ignored = ["git", "check-ignore", ".env", "instance/pickup.db", ".env.example"]
    assert subprocess.run(ignored, stdout=-1, text=True, check=True).stdout == ".env\ninstance/pickup.db\n"
    assert dict.fromkeys(made, "") == dotenv_values(".env.example")
    assert made["PICKUP_REGION"] == "BE"
    (here / ".env").unlink()
    init("--platform", "vapi")
    again = dotenv_values(".env")
    assert [name for name, value in made.items() if again[name] == value] == []


def test_nothing_is_overwritten(here: Path) -> None:
    """A second time changes no file, and says what it kept; what a file lacks is added to it."""
    init("--platform", "retell")
    before = files(here)
    kept = re.findall(r"^(\w+) +(.+)$", init("--platform", "retell").stdout.partition("\n\n")[0], re.MULTILINE)
    assert kept == [("kept", path) for path in ("greetings", "experiments", ".env", ".env.example", ".gitignore")]
    assert files(here) == before
    (here / ".env").chmod(0o644)
    write(here, {".env": "export PICKUP_REGION=DE\nMINE=1", ".gitignore": "/.env"})
    made = json.loads(init("--platform", "retell", "--format", "json").stdout)
    assert made["extended"] == [".env", ".gitignore"]
    assert (here / ".gitignore").read_text() == "/.env\ninstance/\n"
    assert (mode(here / ".env"), made["notes"][0].partition(".")[0]) == (0o600, "Others could read "), made
    values = dotenv_values(".env")
    assert (values["PICKUP_REGION"], values["MINE"], len(values)) == ("DE", "1", 5)


def test_greetings_of_an_app_stay_as_they_are(here: Path) -> None:
    """Content that exists gets only the override of a platform that is new to it, and none where there is one for all."""
    mine = {"greetings/first_message.j2": "Hello.", "experiments/mine/experiment.toml": ""}
    write(here, mine)
    assert json.loads(init("--platform", "vapi", "--format", "json").stdout)["kept"] == ["experiments"]
    assert set(files(here)) - {".env", ".env.example", ".gitignore"} == {*mine, "greetings/override.vapi.json"}
    (here / "greetings/override.vapi.json").rename(here / "greetings/override.json")
    init("--platform", "flireo")
    assert not (here / "greetings/override.flireo.json").exists()
    (here / "greetings/override.json").unlink()
    init("--platform", "flireo")
    assert not (here / "greetings/override.flireo.json").exists(), "calls of a platform in use would change"


def test_languages_have_texts(here: Path) -> None:
    """The first language is that of the plain files; each other has files of its own, in the arm as well."""
    main, *others = sorted(STARTER_TEXTS, reverse=True)
    init(*(word for language in (main, *others, main) for word in ("--language", language)))
    names = {"first_message.j2": main, **{f"first_message.{language}.j2": language for language in others}}
    for folder, text in (("greetings", "greeting"), ("experiments/warm-greeting/warm", "warm")):
        written = {path.name: path.read_text("utf-8").strip() for path in (here / folder).glob("first_message*")}
        assert written == {name: STARTER_TEXTS[language][text] for name, language in names.items()}
    assert "no problems" in run("check", app=load(here)).stdout


def test_hours_are_there_to_be_uncommented(here: Path) -> None:
    """Without their comment signs the hours are valid, with the region's holidays."""
    init("--region", "be")
    hours = here / "greetings/hours.toml"
    hours.write_text(re.sub(r"^# (?=\w+ =|\[)", "", hours.read_text(), flags=re.MULTILINE))
    assert 'country = "BE"' in hours.read_text()
    assert "no problems" in run("check", app=load(here)).stdout


def test_app_says_where_its_folders_go(here: Path) -> None:
    """The folders go where the app looks for them; one that mounts Pickup is told no program."""
    app = Flask("shop", root_path=str(here / "src/shop"))
    made = json.loads(init("--format", "json", app=app).stdout)
    assert "src/shop/greetings/first_message.j2" in made["wrote"]
    assert ".env" in made["wrote"]
    assert made["program"] == PROGRAM
    assert json.loads(init("--format", "json", app=load(here)).stdout)["program"] is None


def test_variables_without_a_value_get_one_in_their_lines(here: Path) -> None:
    """A copy of ``.env.example`` is filled in, and what the reader has set in it stays."""
    init("--platform", "vapi")
    example = (here / ".env.example").read_text()
    write(here, {".env": example.replace("REGION=", "REGION=BE\r").replace("CALLER_SECRET=", "CALLER_SECRET = ''")})
    init("--platform", "vapi")
    filled = (here / ".env").read_text()
    assert [line.partition("=")[0].strip() for line in filled.splitlines()] == [
        line.partition("=")[0] for line in example.splitlines()
    ]
    values = dotenv_values(".env")
    assert (values["PICKUP_REGION"], [name for name, value in values.items() if not value]) == ("BE", [])


FACTORY = """
from os import environ
from flask import Flask
from flask_pickup import Pickup
from clinic.settings import TOKEN

def create_app():
    app = Flask(__name__)
    app.config.from_prefixed_env("CLINIC")
    app.config.update({name: value for name, value in environ.items() if name.startswith("PICKUP_")})
    app.register_blueprint(Pickup(region="BE", dashboard_token=TOKEN), url_prefix="/voice")
    return app
"""
SETTINGS = "from os import environ\nTOKEN = environ['PICKUP_DASHBOARD_TOKEN']\n"


def test_app_that_waits_for_its_secrets_is_loaded_with_them(here: Path) -> None:
    """An app that mounts Pickup gets its folders, its own addresses and no program, though it lacked ``.env`` before."""
    write(here, {"clinic/__init__.py": FACTORY, "clinic/settings.py": SETTINGS})
    ended = pipe("init", "--platform", "vapi", "--format", "json", folder=here, FLASK_APP="clinic:create_app")
    made = json.loads(ended.stdout)
    assert {"clinic/greetings/first_message.j2", ".env", DRAFT.replace("exp", "clinic/exp", 1)} <= {*made["wrote"]}
    assert (made["program"], made["notes"]) == (None, [])
    assert made["url"] == "https://your.host/voice/vapi"
    assert made["dashboard"] == "http://127.0.0.1:5000/voice/"
    assert made["next"][-1].endswith("http://127.0.0.1:5000/voice/vapi")
    assert "PICKUP_REGION" not in dotenv_values(".env"), "the app has one of its own"


@pytest.mark.parametrize(
    ("program", "says"),
    [
        ("raise SystemExit(3)", "it raised SystemExit. To see where, run: flask routes"),
        ("raise ValueError('hunter2')", "it raised ValueError. To see where, run: flask routes"),
        ("import hunter2", "While importing 'app', an ImportError was raised."),
    ],
)
def test_app_that_cannot_be_loaded_is_said(here: Path, program: str, says: str) -> None:
    """It is one sentence without what the exception quotes; all is written here, and starts without the shell's secrets."""
    write(here, {"app.py": program})
    ended = pipe("init", folder=here, PICKUP_CALLER_SECRET="of another app in this shell")
    assert (ended.returncode, ended.stderr) == (0, "")
    assert f"\nNo app was loaded: {says}\n" in ended.stdout
    assert "hunter2" not in ended.stdout
    assert "pickup" in load(here).extensions


@pytest.mark.parametrize("name", [".env", ".env.example", ".gitignore"])
@pytest.mark.parametrize("content", [None, "PICKUP_REGION=BE".encode("utf-16")])
def test_what_cannot_be_added_to_is_told_before_anything_is_written(
    here: Path, name: str, content: bytes | None
) -> None:
    """A folder, and text that is not UTF-8, are told with their name."""
    (here / name).write_bytes(content) if content else (here / name).mkdir()
    result = run("init")
    says = "is not UTF-8 text" if content else "is a folder"
    assert (result.exit_code, result.stdout) == (1, "")
    assert f"/{name}' {says}" in result.stderr
    assert [path.name for path in here.iterdir()] == [name]


def test_wrong_use_writes_nothing(here: Path) -> None:
    """A region, platform or language that does not exist is a usage error; a folder that cannot be written, a failure."""
    for wrong in (("--region", "XX"), ("--platform", "bells"), ("--language", "tlh")):
        assert run("init", *wrong).exit_code == 2
    assert files(here) == {}
    write(here, {"greetings": "a file"})
    result = run("init")
    assert (result.exit_code, "cannot be written" in result.stderr) == (1, True)
