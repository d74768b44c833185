"""``flask pickup check`` and ``new``: the content, without an app."""

from __future__ import annotations

import secrets
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path

import click
from rich.text import Text

from flask_pickup import checking
from flask_pickup.caller import key_of
from flask_pickup.catalog import Complaint, load
from flask_pickup.catalog.new import write_experiment
from flask_pickup.catalog.reader import NAME
from flask_pickup.cli.group import ASKED_WRONGLY, NOT_WELL, console, count, fail, formatted, print_json, settings


@click.command()
@click.argument("root", required=False, type=click.Path(exists=True, file_okay=False, path_type=Path))
@formatted
def check(root: Path | None, style: str) -> None:
    """Look for everything in the content that could go wrong on a call.

    ROOT holds experiments/ and greetings/; without it they are where PICKUP_EXPERIMENTS and PICKUP_GREETINGS say, or
    here. The exit status is 1 if there is an error; warnings alone leave it 0.
    """
    options = settings()
    experiments, greetings = (root / "experiments", root / "greetings") if root else _folders(options)
    if not experiments.is_dir() and not greetings.is_dir():
        fail(f"There is neither '{experiments}' nor '{greetings}'. Name the folder that holds them.", ASKED_WRONGLY)
    region = options.get("PICKUP_REGION", "NL").upper()
    # Without a secret the pins' keys are of no use, but their numbers are checked all the same.
    pin_key = partial(key_of, region=region, secret=options.get("PICKUP_CALLER_SECRET") or secrets.token_hex())
    catalog = load(experiments, greetings, pin_key=pin_key, region=region)
    complaints = checking.check(catalog)
    if style == "json":
        print_json([checking.as_json(complaint) for complaint in complaints])
    else:
        _print_complaints(complaints, len(catalog.experiments))
    if any(complaint.level == "error" for complaint in complaints):
        raise click.exceptions.Exit(NOT_WELL)


@click.command()
@click.argument("name")
@click.option("--arms", required=True, help="The arms beside control, with commas between: warm,brisk.")
def new(name: str, arms: str) -> None:
    """Write a new experiment NAME to edit: a draft whose arms begin with today's openings."""
    names = [arm.strip() for arm in arms.split(",") if arm.strip() and arm.strip() != "control"]
    for word in (name, *names):
        if not NAME.fullmatch(word):
            fail(f"'{word}' cannot be a name: use lower-case letters, digits, '-' and '_'.", ASKED_WRONGLY)
    if not names:
        fail("Name at least one arm beside control: --arms warm", ASKED_WRONGLY)
    folder, greetings = _folders(settings())
    try:
        written = write_experiment(folder, name, names, sorted(greetings.glob("first_message*.j2")))
    except FileExistsError:
        fail(f"There is an experiment '{name}' already, in '{folder / name}'.")
    for path in written:
        click.echo(f"wrote {path}")
    click.echo(f'Edit the openings, then set status = "running" in {written[0]} and run: flask pickup check')


def _folders(options: Mapping[str, str]) -> tuple[Path, Path]:
    experiments = options.get("PICKUP_EXPERIMENTS", "experiments")
    return Path(experiments), Path(options.get("PICKUP_GREETINGS", "greetings"))


def _print_complaints(complaints: Sequence[Complaint], experiments: int) -> None:
    screen = console()
    for complaint in complaints:
        colour = "red" if complaint.level == "error" else "yellow"
        screen.print(Text.assemble((f"{complaint.level}: ", colour), str(complaint)))
    errors = sum(complaint.level == "error" for complaint in complaints)
    summary = f"{count(errors, 'error')}, {count(len(complaints) - errors, 'warning')}"
    screen.print(f"{count(experiments, 'experiment')} read: {summary if complaints else 'all is well'}.")
