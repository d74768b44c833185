"""``flask pickup init``: what a new app begins with."""

from __future__ import annotations

import os
import sys
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path
from textwrap import indent, wrap
from typing import Any

import click
from flask import Flask
from flask.cli import NoAppException, ScriptInfo

from flask_pickup.blueprint import EXTENSION, State
from flask_pickup.catalog.new import STARTER_TEXTS, starter_experiment, starter_greetings, write_files
from flask_pickup.catalog.overrides import override_name
from flask_pickup.cli.group import fail, formatted, load_app, show
from flask_pickup.cli.textfiles import names_in, names_set_in, save, text_of, with_lines, with_values
from flask_pickup.errors import ConfigurationError
from flask_pickup.options import ConfigReader, config_key
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
_OF_OTHERS = 0o077
_LOCAL = "http://127.0.0.1:5000"
_WIDTH = 76
_EVERY_PLATFORMS = (
    StarterOption("caller_secret", "Keys the callers' pseudonyms. With another one, callers change arms."),
    StarterOption("dashboard_token", "Opens the dashboard: its address, ?token= and this."),
)
_REGION = StarterOption("region", "The country of numbers written without one.")


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
    here, modules, (app, problem) = Path.cwd(), {*sys.modules}, _loaded()
    home = here if app is None or Path(app.root_path).is_relative_to(here) else Path(app.root_path)
    files = env, example, ignored = [home / name for name in (".env", ".env.example", ".gitignore")]
    texts = {file: text_of(file) for file in files}
    existed = [file for file in files if file.exists()]
    others_read_it = env in existed and bool(env.stat().st_mode & _OF_OTHERS)
    country, own = _region(app, region), STARTERS[platform].options
    made = {each: each.make() for each in _lacking([*_EVERY_PLATFORMS, *own], app, texts[env])}
    is_in_use = not set(own) <= set(made)
    try:
        written = _add_variables(env, made)
        if problem:
            app, problem = _loaded_again(made, modules)
            country = _region(app, region)
        # Only now, because an app that could not be loaded before may have one.
        written += _add_variables(env, dict.fromkeys(_lacking([_REGION], app, text_of(env)), country))
        root = Path(app.root_path) if app else here
        greetings, experiments = (root / _given(app).get(name, name) for name in ("greetings", "experiments"))
        existed += [folder for folder in (greetings, experiments) if folder.exists()]
        known = names_in(texts[example])
        names = [_line(each, "") for each in [*_EVERY_PLATFORMS, *own, _REGION] if config_key(each.name) not in known]
        lines = [line for line, same in _IGNORED.items() if same.isdisjoint(texts[ignored].splitlines())]
        written += [
            *_write_greetings(greetings, platform, languages, country, is_in_use=is_in_use),
            *_write_experiments(experiments, platform, languages),
            *save(example, with_lines(texts[example], names), _EVERYBODY),
            *save(ignored, with_lines(texts[ignored], lines), _EVERYBODY),
        ]
    except OSError as error:
        fail(f"'{error.filename}' cannot be written: {error.strerror}.")
    endpoint, prefix = endpoint_of(platform), _prefix(app)
    expected = [greetings, experiments, *files]
    kept = [path for path in expected if not any(path in {each, *each.parents} for each in written)]
    draft = experiments / _EXPERIMENT / "experiment.toml"
    closed = "Others could read .env. Now only its owner can (0600), because it has secrets."
    value = {
        "wrote": _relative(path for path in written if path not in existed),
        "extended": _relative(path for path in written if path in existed),
        "kept": _relative(kept),
        "notes": [
            *([f"No app was loaded: {problem}"] if problem else []),
            *([closed] if others_read_it and env in written else []),
        ],
        "program": None if _state(app) else PROGRAM,
        "experiment": os.path.relpath(draft) if draft in written else None,
        "next": [*_next(platform, f"{_LOCAL}{prefix}/{endpoint}")],
        "dashboard": f"{_LOCAL}{prefix}/",
        "url": f"https://your.host{prefix}/{endpoint}",
        "steps": STARTERS[platform].steps,
    }
    token = next((value for each, value in made.items() if each.name == "dashboard_token"), "")
    show(style, value, *_report(value, platform, token if sys.stdout.isatty() else ""))


def _loaded() -> tuple[Flask | None, str]:
    """Return the app here, and why there is none although there should be, without what a message may quote."""
    try:
        return load_app(), ""
    except ConfigurationError as error:
        return None, str(error)
    except NoAppException as error:
        info = click.get_current_context().ensure_object(ScriptInfo)
        has_app = info.app_import_path or any(Path(name).exists() for name in ("wsgi.py", "app.py"))
        return None, f"{error.message.splitlines()[0].rstrip(':.')}." if has_app else ""
    except (Exception, SystemExit) as error:  # noqa: BLE001 (loading an app may raise anything, or exit)
        return None, f"it raised {type(error).__name__}. To see where, run: flask routes"


def _loaded_again(made: Mapping[StarterOption, str], modules: Collection[str]) -> tuple[Flask | None, str]:
    """Load the app with the new values, as Flask does the next time.

    :param modules: the names of those that were there before the app was loaded first.
    """
    for each, value in made.items():
        os.environ[config_key(each.name)] = os.environ.get(config_key(each.name)) or value
    for name in sys.modules.keys() - modules:
        file = getattr(sys.modules[name], "__file__", None)
        # A module of the app may have read the environment when it was imported.
        if file and Path(file).is_relative_to(Path.cwd()) and not Path(file).is_relative_to(sys.prefix):
            del sys.modules[name]
    return _loaded()


def _state(app: Flask | None) -> State | None:
    return app.extensions.get(EXTENSION) if app else None


def _given(app: Flask | None) -> Mapping[str, Any]:
    """Return the options of the environment, and those of the app for what it leaves out."""
    state = _state(app)
    return ConfigReader(os.environ, state.given if state else None).given()


def _region(app: Flask | None, region: str | None) -> str:
    return ConfigReader({"PICKUP_REGION": region}, _given(app)).region("NL")


def _prefix(app: Flask | None) -> str:
    """Return the path under which the app mounts Pickup."""
    if not (app and (state := _state(app))):
        return "/pickup"
    return next(app.url_map.iter_rules(next(iter(state.endpoints.values())))).rule.rpartition("/")[0]


def _lacking(options: Sequence[StarterOption], app: Flask | None, env: str) -> list[StarterOption]:
    """Return the options that neither the app nor ``.env`` gives a value.

    The printed program reads ``.env`` alone: what the shell has set is not there when it starts elsewhere.
    """
    state, has_value = _state(app), names_set_in(env)
    return [
        each for each in options if not (state and each.name in state.given) and config_key(each.name) not in has_value
    ]


def _line(option: StarterOption, value: str) -> str:
    return f"# {option.about}\n{config_key(option.name)}={value}"


def _add_variables(env: Path, values: Mapping[StarterOption, str]) -> list[Path]:
    """Give variables values, in their lines where there are any; return ``.env`` if that changed it."""
    text = text_of(env)
    filled = with_values(text, {config_key(each.name): value for each, value in values.items()})
    new = [_line(each, value) for each, value in values.items() if config_key(each.name) not in names_in(text)]
    if values and env.exists():
        env.chmod(_OWNER_ALONE)
    return save(env, with_lines(filled, new), _OWNER_ALONE)


def _relative(paths: Iterable[Path]) -> list[str]:
    return [os.path.relpath(path) for path in dict.fromkeys(paths)]


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
    yield from (f"\n{_folded(note, chr(10))}" for note in value["notes"])
    yield ""
    if value["program"]:
        yield "Save this as app.py, or add these lines to your app:\n"
        yield indent(value["program"], "    ")
    yield "Next:\n"
    for command in value["next"]:
        yield _folded(f"    {command:27}{_ABOUT.get(command, '')}".rstrip(), " \\\n        ")
    dashboard = f"\nThe dashboard:\n    {value['dashboard']}?token={token}"
    yield dashboard if token else f"{dashboard}\n    and then PICKUP_DASHBOARD_TOKEN of .env."
    if value["experiment"]:
        yield f'To begin the experiment, set status = "running" in\n    {value["experiment"]}'
    yield f"\nAt {STARTERS[platform].title}, for real calls (docs/platforms/{platform}.md says more):\n"
    yield f'    Your webhook is {value["url"]} ("this URL" below).\n'
    for number, step in enumerate(value["steps"], 1):
        yield _folded(f"    {number}. {step}", "\n       ")
    yield "\nThen start the app again: it reads .env and the folders when it starts."


def _folded(text: str, between: str) -> str:
    return between.join(wrap(text, _WIDTH, break_long_words=False, break_on_hyphens=False))
