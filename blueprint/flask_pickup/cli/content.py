"""``flask pickup check`` and ``new``: the content, without an app."""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TypeVar

import click
from rich.text import Text
from sqlalchemy import Engine

from flask_pickup import checking
from flask_pickup.catalog import CONTROL, Complaint
from flask_pickup.catalog.loading import EXPERIMENTS
from flask_pickup.catalog.new import write_experiment
from flask_pickup.catalog.toml import NAME
from flask_pickup.cli.group import USAGE_ERROR, fail, formatted, plural, show
from flask_pickup.errors import ChecksFailed, ConfigurationError
from flask_pickup.options import ConfigReader
from flask_pickup.rendering import BASE
from flask_pickup.results.measuring import detectable_effects

T = TypeVar("T")


@click.command()
@click.argument("root", required=False, type=click.Path(exists=True, file_okay=False, path_type=Path))
@formatted
def check_command(root: Path | None, style: str) -> None:
    """Find what could go wrong on a call.

    Prints every complaint about the content: where it is, the problem and the remedy. ROOT holds experiments/ and
    greetings/; the default is PICKUP_EXPERIMENTS and PICKUP_GREETINGS, or here. Every arm is rendered for many kinds
    of callers, in a child process with limits on time and memory. If a database answers, running experiments are
    compared with what callers last heard. Needs no app. The exit status is 1 if there is an error; warnings alone
    leave it 0.
    """
    options = ConfigReader(os.environ)
    experiments, greetings = (root / "experiments", root / "greetings") if root else _folders(options)
    if not experiments.is_dir() and not greetings.is_dir():
        fail(f"Neither '{experiments}' nor '{greetings}' exists. Name the folder that holds them.", USAGE_ERROR)
    try:
        found = checking.check_folders(
            experiments,
            greetings,
            region=options.region("NL"),
            recorded=_asked(options, checking.last_definitions),
            retention=options.optional_number("retention"),
        )
    except ChecksFailed as error:
        fail(str(error))
    complaints = [_placed(complaint, experiments, greetings) for complaint in found.complaints]
    errors = sum(complaint.level == "error" for complaint in complaints)
    counts = f"{plural(errors, 'error')}, {plural(len(complaints) - errors, 'warning')}"
    detectable = _asked(options, _detectable) if style == "text" else None
    texts = [
        *map(_coloured, complaints),
        f"{plural(found.experiments, 'experiment')} checked: {counts if complaints else 'no problems'}.",
        *(detectable or ()),
    ]
    show(style, [asdict(complaint) for complaint in complaints], *texts, failed=errors > 0)


@click.command()
@click.argument("name")
@click.option("--arms", metavar="ARMS", required=True, help="The arms beside control, with commas between: warm,brisk.")
@formatted
def new_command(name: str, arms: str, style: str) -> None:
    """Write a new experiment to edit.

    Creates the folder NAME in the experiments: a draft, with a folder for each arm that holds the current greetings.
    Needs no app.

    \b
    flask pickup new short-opening --arms short,shorter
    """
    names = dict.fromkeys(arm.strip() for arm in arms.split(",") if arm.strip())
    names.pop(CONTROL, None)
    for word in (name, *names):
        if not NAME.fullmatch(word):
            fail(f"'{word}' cannot be a name: use lower-case letters, digits, '-' and '_'.", USAGE_ERROR)
    if not names:
        fail("Name at least one arm beside control: --arms warm", USAGE_ERROR)
    folder, greetings = _folders(ConfigReader(os.environ))
    try:
        written = write_experiment(folder, name, list(names), sorted(greetings.glob("first_message*.j2")))
    except FileExistsError:
        fail(f"'{folder / name}' exists already. Choose another name.")
    except OSError as error:
        fail(f"'{folder / name}' cannot be written: {error.strerror}.")
    value = {"experiment": name, "arms": [CONTROL, *names], "files": [str(path) for path in written]}
    todo = f'\nEdit the greetings, then set status = "running" in {written[0]} and run: flask pickup check'
    show(style, value, *(f"wrote {path}" for path in written), todo)


def _folders(options: ConfigReader) -> tuple[Path, Path]:
    return Path(options.get("experiments", "experiments")), Path(options.get("greetings", "greetings"))


def _asked(options: ConfigReader, question: Callable[[Engine], T]) -> T | None:
    """Return what the database answers; None without one."""
    instance = Path(os.environ.get("FLASK_INSTANCE_PATH", "instance")).absolute()
    with suppress(ConfigurationError):
        return checking.ask(options.database_url(instance), question)
    return None


def _detectable(engine: Engine) -> list[str]:
    """Return what running experiments can detect, if there are enough callers."""
    if not checking.has_callers(engine):
        return []
    return list(detectable_effects(engine, checking.last_definitions(engine), now=datetime.now(UTC)))


def _placed(complaint: Complaint, experiments: Path, greetings: Path) -> Complaint:
    """Return the complaint with its file as it is found from here."""
    name, slash, rest = complaint.file.partition("/")
    folder = {EXPERIMENTS: experiments, BASE: greetings}.get(name, Path(name))
    return replace(complaint, file=f"{folder}{slash}{rest}")


def _coloured(complaint: Complaint) -> Text:
    colour = "red" if complaint.level == "error" else "yellow"
    place, _, words = str(complaint).partition(": ")
    return Text.assemble((f"{place}: ", "bold"), (f"{complaint.level}: ", colour), words)
