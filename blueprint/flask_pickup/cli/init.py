"""``flask pickup init``: what a new app begins with."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Collection, Iterator, Mapping, Sequence
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path
from textwrap import indent, wrap
from typing import Any

import click

from flask_pickup.blueprint import EXTENSION
from flask_pickup.catalog.new import STARTER_TEXTS, starter_experiment, starter_greetings, write_files
from flask_pickup.catalog.overrides import override_name
from flask_pickup.cli.group import app_here, fail, formatted, options_here, show
from flask_pickup.options import ConfigReader
from flask_pickup.platforms import DEFAULT, STARTERS, UNTOLD, StarterOption, endpoint_of

PROGRAM = """\
from dotenv import dotenv_values
from flask import Flask
from flask_pickup import Pickup

app = Flask(__name__)
app.config.from_mapping(dotenv_values())  # what is in .env
app.register_blueprint(Pickup(), url_prefix="/pickup")
"""

_EXPERIMENT = "warm-greeting"
_IGNORED = {".env": {".env", "/.env", ".env*"}, "instance/": {"instance", "instance/", "/instance", "/instance/"}}
"""What git has to ignore, and the lines of ``.gitignore`` that see to it."""
_ABOUT = {
    "flask pickup db upgrade": "# makes the tables",
    "flask pickup check": "# finds what could go wrong on a call",
    "flask run": "# and in another terminal:",
}
_OWNER_ALONE = 0o600
_EVERYBODY = 0o666
_WIDTH = 76


@click.command()
@click.option("--platform", type=click.Choice(sorted(STARTERS)), default=DEFAULT, show_default=True,
              help="The voice platform that calls the app.")  # fmt: skip
@click.option("--region", metavar="COUNTRY", help="The country of numbers written without one.  [default: NL]")
@click.option("--language", "languages", type=click.Choice(sorted(STARTER_TEXTS)), multiple=True, default=["en"],
              show_default=True, help="A language of the callers, the main one first; repeat it for more.")  # fmt: skip
@formatted
def init_command(platform: str, region: str | None, languages: tuple[str, ...], style: str) -> None:
    """Write a first greeting, an experiment and .env.

    Makes greetings/, experiments/ with a draft, and .env with new secrets, which git ignores. Prints the program that
    mounts Pickup, what to set at the platform, and the next commands. Asks nothing, needs no app, and overwrites
    nothing: folders that exist are kept as they are, and .env gets the variables that it lacks.

    \b
    flask pickup init --platform vapi
    flask pickup init --platform retell --region BE --language nl --language fr
    """
    languages = tuple(dict.fromkeys(languages))
    here, app, given = Path.cwd(), app_here(), options_here().given()
    region = ConfigReader({"PICKUP_REGION": region}, given).region("NL")
    root = Path(app.root_path) if app else here
    home = here if root.is_relative_to(here) else root
    greetings, experiments = (root / given.get(name, name) for name in ("greetings", "experiments"))
    env, example, ignored = (home / name for name in (".env", ".env.example", ".gitignore"))
    options = [*_every_platforms(region), *STARTERS[platform].options]
    state = app.extensions.get(EXTENSION) if app else None
    # The printed program reads .env alone: what the shell has set is not there when it starts elsewhere.
    lacking = [each for each in options if each.name not in {*(state.given if state else ()), *_variables(env)}]
    is_in_use = not set(STARTERS[platform].options) <= set(lacking)
    expected = [greetings, experiments, env, example, ignored]
    existed = [path for path in expected if path.exists()]
    made = {each: each.make() for each in lacking}
    values = [f"# {each.about}\n{_key(each)}={value}" for each, value in made.items()]
    names = [f"# {each.about}\n{_key(each)}=" for each in options if each.name not in _variables(example)]
    lines = [line for line, same in _IGNORED.items() if same.isdisjoint(_lines(ignored))]
    try:
        written = [
            *_write_greetings(greetings, platform, languages, region, is_in_use=is_in_use),
            *_write_experiments(experiments, platform, languages),
            *_append(env, values, _OWNER_ALONE),
            *_append(example, names, _EVERYBODY),
            *_append(ignored, lines, _EVERYBODY),
        ]
    except OSError as error:
        fail(f"'{error.filename}' cannot be written: {error.strerror}.")
    endpoint = endpoint_of(platform)
    kept = [path for path in expected if not any(path in {each, *each.parents} for each in written)]
    draft = experiments / _EXPERIMENT / "experiment.toml"
    value = {
        "wrote": [os.path.relpath(path) for path in written if path not in existed],
        "extended": [os.path.relpath(path) for path in written if path in existed],
        "kept": [*map(os.path.relpath, kept)],
        "program": None if state else PROGRAM,
        "experiment": os.path.relpath(draft) if draft in written else None,
        "next": [*_next(platform, f"http://127.0.0.1:5000/pickup/{endpoint}")],
        "url": f"https://your.host/pickup/{endpoint}",
        "steps": STARTERS[platform].steps,
    }
    token = next((value for each, value in made.items() if each.name == "dashboard_token"), "")
    show(style, value, *_report(value, platform, token if sys.stdout.isatty() else ""))


def _every_platforms(region: str) -> Iterator[StarterOption]:
    yield StarterOption("caller_secret", "Keys the callers' pseudonyms. With another one, callers change arms.")
    yield StarterOption("dashboard_token", "Opens the dashboard, at /pickup/?token= and this.")
    yield StarterOption("region", "The country of numbers written without one.", lambda: region)


def _key(option: StarterOption) -> str:
    return f"PICKUP_{option.name.upper()}"


def _variables(file: Path) -> set[str]:
    """Return the names of Pickup's options that a file of variables has."""
    lines = "\n".join(_lines(file))
    return {name.lower() for name in re.findall(r"^\s*(?:export\s+)?PICKUP_(\w+)\s*=", lines, re.MULTILINE)}


def _lines(file: Path) -> list[str]:
    return file.read_text("utf-8").splitlines() if file.exists() else []


def _write_greetings(
    folder: Path, platform: str, languages: Sequence[str], region: str, *, is_in_use: bool
) -> list[Path]:
    """Write the greetings where there are none, and the platform's override where it changes no calls."""
    override = STARTERS[platform].override
    files = {override_name(platform): override.read_text("utf-8")} if override else {}
    if not _has_files(folder):
        return write_files(folder, {**starter_greetings(languages, region=region), **files})
    if is_in_use or any((folder / name).exists() for name in (override_name(), *files)):
        return []
    return write_files(folder, files)


def _write_experiments(folder: Path, platform: str, languages: Sequence[str]) -> list[Path]:
    if _has_files(folder):
        return []
    return write_files(folder / _EXPERIMENT, starter_experiment(languages, untold=UNTOLD[platform]))


def _has_files(folder: Path) -> bool:
    return folder.is_dir() and any(not path.name.startswith(".") for path in folder.iterdir())


def _append(file: Path, parts: Collection[str], mode: int) -> list[Path]:
    """Add lines to a file, which is made with the permissions ``mode``; return it if there are any to add."""
    if not parts:
        return []
    is_within_line = file.exists() and re.search(r"[^\n]\Z", file.read_text("utf-8"))
    with os.fdopen(os.open(file, os.O_WRONLY | os.O_APPEND | os.O_CREAT, mode), "w", encoding="utf-8") as opened:
        opened.write(("\n" if is_within_line else "") + "\n".join(parts) + "\n")
    return [file]


def _next(platform: str, url: str) -> Iterator[str]:
    """Yield the commands from here to the first answered call."""
    if missing := [name for name in ("python-dotenv", *STARTERS[platform].packages) if not _is_installed(name)]:
        yield f"pip install {' '.join(missing)}"
    yield "flask pickup db upgrade"
    yield "flask pickup check"
    yield "flask run"
    yield f"flask pickup rehearse --platform {platform} {url}"


def _is_installed(package: str) -> bool:
    try:
        distribution(package)
    except PackageNotFoundError:
        return False
    return True


def _report(value: Mapping[str, Any], platform: str, token: str) -> Iterator[str]:
    """Yield what the command prints, in 80 columns.

    :param token: the dashboard's; empty where it must not be shown.
    """
    for verb in ("wrote", "extended", "kept"):
        yield from (f"{verb:9}{path}" for path in value[verb])
    if value["program"]:
        yield "\nSave this as app.py, or add these lines to your app:\n"
        yield indent(value["program"], "    ")
    yield "Next:\n"
    for command in value["next"]:
        yield _folded(f"    {command:27}{_ABOUT.get(command, '')}".rstrip(), " \\\n        ")
    dashboard = f"\nThe dashboard:\n    http://127.0.0.1:5000/pickup/?token={token}"
    yield dashboard if token else f"{dashboard}\n    and then PICKUP_DASHBOARD_TOKEN of .env."
    if value["experiment"]:
        yield f'To begin the experiment, set status = "running" in\n    {value["experiment"]}'
    yield f"\nAt {STARTERS[platform].title}, for real calls (docs/platforms/{platform}.md says more):\n"
    yield f"    This URL is {value['url']}"
    for number, step in enumerate(value["steps"], 1):
        yield _folded(f"    {number}. {step}", "\n       ")
    yield "\nThen start the app again: it reads .env and the folders when it starts."


def _folded(text: str, between: str) -> str:
    return between.join(wrap(text, _WIDTH, break_long_words=False, break_on_hyphens=False))
