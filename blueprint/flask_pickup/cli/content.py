"""``flask pickup check`` and ``new``: the content, without an app."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, replace
from datetime import UTC, datetime
from pathlib import Path

import click
from rich.text import Text
from sqlalchemy import Engine

from flask_pickup import checking
from flask_pickup.catalog import CONTROL, Complaint
from flask_pickup.catalog.catalog import EXPERIMENTS
from flask_pickup.catalog.new import write_experiment
from flask_pickup.catalog.reader import NAME
from flask_pickup.checking.recorded import Recorded
from flask_pickup.cli.group import (
    ASKED_WRONGLY,
    NOT_WELL,
    console,
    count,
    fail,
    formatted,
    instance,
    print_json,
    settings,
)
from flask_pickup.errors import ChecksFailed, ConfigurationError
from flask_pickup.options import ConfigReader
from flask_pickup.rendering import BASE


@click.command()
@click.argument("root", required=False, type=click.Path(exists=True, file_okay=False, path_type=Path))
@formatted
def check(root: Path | None, style: str) -> None:
    """Find what could go wrong on a call.

    Reads the content and prints every complaint at once: where, what is wrong, and what would be right. ROOT holds
    experiments/ and greetings/; without it they are where PICKUP_EXPERIMENTS and PICKUP_GREETINGS say, or here. Every arm
    is rendered for all kinds of callers, in a process that cannot harm this machine. Where a database answers, running
    experiments are compared with what callers last heard. No app is needed. The exit status is 1 if there is an error;
    warnings alone leave it 0.
    """
    options = settings()
    experiments, greetings = (root / "experiments", root / "greetings") if root else _folders(options)
    if not experiments.is_dir() and not greetings.is_dir():
        fail(f"There is neither '{experiments}' nor '{greetings}'. Name the folder that holds them.", ASKED_WRONGLY)
    region = options.get("PICKUP_REGION", "NL").upper()
    try:
        found = checking.check_folders(
            experiments, greetings, region=region, recorded=_recorded(options), retention=_retention(options)
        )
    except ChecksFailed as error:
        fail(str(error))
    complaints = [_placed(complaint, experiments, greetings) for complaint in found.complaints]
    if style == "json":
        print_json([asdict(complaint) for complaint in complaints])
    else:
        _print_complaints(complaints, found.experiments)
        _print_prospects(options)
    if any(complaint.level == "error" for complaint in complaints):
        raise click.exceptions.Exit(NOT_WELL)


@click.command()
@click.argument("name")
@click.option("--arms", metavar="ARMS", required=True, help="The arms beside control, with commas between: warm,brisk.")
@formatted
def new(name: str, arms: str, style: str) -> None:
    """Write a new experiment to edit.

    Makes a folder NAME among the experiments: a draft, with a folder for each arm that begins with the openings that
    callers hear now. No app is needed.

    \b
    flask pickup new short-opening --arms short,shorter
    """
    names = dict.fromkeys(arm.strip() for arm in arms.split(",") if arm.strip())
    names.pop(CONTROL, None)
    for word in (name, *names):
        if not NAME.fullmatch(word):
            fail(f"'{word}' cannot be a name: use lower-case letters, digits, '-' and '_'.", ASKED_WRONGLY)
    if not names:
        fail("Name at least one arm beside control: --arms warm", ASKED_WRONGLY)
    folder, greetings = _folders(settings())
    try:
        written = write_experiment(folder, name, list(names), sorted(greetings.glob("first_message*.j2")))
    except FileExistsError:
        fail(f"There is '{folder / name}' already. Take another name.")
    except OSError as error:
        fail(f"'{folder / name}' cannot be written: {error.strerror}.")
    if style == "json":
        print_json({"experiment": name, "arms": [CONTROL, *names], "files": [str(path) for path in written]})
        return
    for path in written:
        click.echo(f"wrote {path}")
    click.echo(f'\nEdit the openings, then set status = "running" in {written[0]} and run: flask pickup check')


def _folders(options: Mapping[str, str]) -> tuple[Path, Path]:
    experiments = options.get("PICKUP_EXPERIMENTS", "experiments")
    return Path(experiments), Path(options.get("PICKUP_GREETINGS", "greetings"))


def _retention(options: Mapping[str, str]) -> float | None:
    # What is no number stops the app, with a sentence of its own.
    with suppress(ValueError):
        return float(options.get("PICKUP_RETENTION", ""))
    return None


def _recorded(options: Mapping[str, str]) -> Recorded:
    try:
        return checking.recorded_definitions(ConfigReader(options).database_url(instance()))
    except ConfigurationError:
        return {}


def _print_prospects(options: Mapping[str, str]) -> None:
    """Say what running experiments could find, where a database has callers enough and results can be computed."""
    with suppress(ConfigurationError):
        for sentence in checking.ask(ConfigReader(options).database_url(instance()), _prospects) or ():
            click.echo(sentence)


def _prospects(engine: Engine) -> list[str]:
    if not checking.has_callers(engine):
        return []
    # Only a check that finds callers pays for numpy.
    from flask_pickup.results.prospects import prospects  # noqa: PLC0415

    return list(prospects(engine, checking.last_definitions(engine), now=datetime.now(UTC)))


def _placed(complaint: Complaint, experiments: Path, greetings: Path) -> Complaint:
    """Return the complaint with its file as it is found from here."""
    name, slash, rest = complaint.file.partition("/")
    folder = {EXPERIMENTS: experiments, BASE: greetings}.get(name, Path(name))
    return replace(complaint, file=f"{folder}{slash}{rest}")


def _print_complaints(complaints: Sequence[Complaint], experiments: int) -> None:
    screen = console()
    for complaint in complaints:
        colour = "red" if complaint.level == "error" else "yellow"
        place, _, words = str(complaint).partition(": ")
        screen.print(Text.assemble((f"{place}: ", "bold"), (f"{complaint.level}: ", colour), words))
    errors = sum(complaint.level == "error" for complaint in complaints)
    summary = f"{count(errors, 'error')}, {count(len(complaints) - errors, 'warning')}"
    screen.print(f"{count(experiments, 'experiment')} read: {summary if complaints else 'all is well'}.")
