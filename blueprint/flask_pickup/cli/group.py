"""The group of all commands, and what they share: options, failing, printing for people and for programs."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Mapping
from functools import wraps
from pathlib import Path
from typing import Any, NoReturn, ParamSpec, TypeVar

import click
from flask import current_app
from flask.cli import with_appcontext
from rich.console import Console
from rich.table import Table
from rich.text import Text
from sqlalchemy.exc import SQLAlchemyError

from flask_pickup.blueprint import EXTENSION, State
from flask_pickup.catalog import Experiment
from flask_pickup.errors import ConfigurationError
from flask_pickup.options import PREFIX

P = ParamSpec("P")
T = TypeVar("T")

NOT_WELL = 1
"""The exit status where what was asked about is not well."""
ASKED_WRONGLY = 2

THE_SAVED_AGENTS = "what the saved agent says"
"""Stands for the words of an answer that has none."""

formatted = click.option(
    "--format",
    "style",
    type=click.Choice(["text", "json"]),
    default="text",
    show_default=True,
    help="For people, or for programs.",
)


@click.group()
def pickup() -> None:
    """Decide what callers hear, and measure it.

    Each command prints for people, and with --format json for programs. The exit status is 0, or 1 if what was asked
    about is not well, or 2 if the command was asked wrongly.
    """


def print_json(value: Any) -> None:
    """Print for programs."""
    click.echo(json.dumps(value, indent=2, ensure_ascii=False, default=str))


def print_facts(facts: Mapping[str, str]) -> None:
    """Print for people what there is to know, one thing a line."""
    table = Table.grid(padding=(0, 2), pad_edge=False)
    for label, value in facts.items():
        table.add_row(Text(label, "bold"), Text(value))
    print_table(table)


def console() -> Console:
    """Return what prints for people: in colour on a terminal, plain and unbroken in a pipe."""
    wide = None if sys.stdout.isatty() else 10_000
    return Console(highlight=False, width=wide, soft_wrap=True)


def print_table(table: Table) -> None:
    """Print a table: fitted to a terminal, unbroken in a pipe, and there without blanks at the ends of lines."""
    screen = console()
    if sys.stdout.isatty():
        screen.print(table, soft_wrap=False)
        return
    with screen.capture() as printed:
        screen.print(table)
    click.echo("\n".join(line.rstrip() for line in printed.get().splitlines()))


def fail(message: str, status: int = NOT_WELL) -> NoReturn:
    """Say why on the standard error stream, and exit."""
    click.echo(message, err=True)
    raise click.exceptions.Exit(status)


def settings() -> dict[str, str]:
    """Return the ``PICKUP_`` variables of the environment, the options of the commands that need no app."""
    return {name: value for name, value in os.environ.items() if name.startswith(PREFIX)}


def instance() -> Path:
    """Return the instance folder for the commands that need no app."""
    return Path(os.environ.get("FLASK_INSTANCE_PATH", "instance")).absolute()


def mounted() -> State:
    """Return what the current app keeps of its Pickup."""
    state: State | None = current_app.extensions.get(EXTENSION)
    if state is None:
        fail("This app has no Pickup. Mount it: app.register_blueprint(Pickup(), url_prefix='/pickup')", ASKED_WRONGLY)
    return state


def with_pickup(command: Callable[P, None]) -> Callable[P, None]:
    """Run a command inside the host's app; where that cannot start as it is configured, say why in a sentence."""
    inside = with_appcontext(command)

    @wraps(command)
    def run(*arguments: P.args, **options: P.kwargs) -> None:
        try:
            inside(*arguments, **options)
        except ConfigurationError as error:
            fail(str(error), ASKED_WRONGLY)

    return run


def reaching(action: Callable[[], T]) -> T:
    """Do what needs the database, or fail with what its driver says."""
    try:
        return action()
    except SQLAlchemyError as error:
        cause = getattr(error, "orig", None) or error
        # The driver's first line says what is wrong; statements and parameters come after it.
        fail(f"The database does not answer: {next(iter(str(cause).splitlines()), type(cause).__name__)}")


def count(number: int, thing: str, things: str = "") -> str:
    """Return "1 error", "2 errors"."""
    return f"{number:,} {thing if number == 1 else things or thing + 's'}"


def experiment_named(state: State, name: str) -> Experiment:
    """Return an experiment of the content, or fail with the names that there are."""
    known = {each.name: each for each in state.catalog.experiments}
    if name not in known:
        fail(f"No experiment is called '{name}'. There are: {', '.join(known) or 'none'}.", ASKED_WRONGLY)
    return known[name]
