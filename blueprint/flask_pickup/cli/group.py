"""The group of all commands, and what they share: options, failing, printing for people and for programs."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, NoReturn, TypeVar

import click
from flask import current_app
from rich.console import Console
from sqlalchemy.exc import SQLAlchemyError

from flask_pickup.blueprint import EXTENSION, State
from flask_pickup.options import environment

T = TypeVar("T")

NOT_WELL = 1
"""The exit status where what was asked about is not well."""
ASKED_WRONGLY = 2

THE_SAVED_AGENTS = "what the saved agent says"
"""Stands for the words of an answer that has none."""

formatted = click.option(
    "--format", "style", type=click.Choice(["text", "json"]), default="text", help="For people, or for programs."
)


@click.group()
def pickup() -> None:
    """Decide what a voice agent says when it picks up, and learn which opening works."""


def print_json(value: Any) -> None:
    """Print for programs."""
    click.echo(json.dumps(value, indent=2, ensure_ascii=False, default=str))


def console() -> Console:
    """Return what prints for people: in colour on a terminal, plain and unbroken in a pipe."""
    wide = None if sys.stdout.isatty() else 10_000
    return Console(highlight=False, width=wide, soft_wrap=True)


def fail(message: str, status: int = NOT_WELL) -> NoReturn:
    """Say why on the standard error stream, and exit."""
    click.echo(message, err=True)
    raise click.exceptions.Exit(status)


def settings() -> dict[str, str]:
    """Return the options for the commands that need no app."""
    return environment(Path(os.environ.get("FLASK_INSTANCE_PATH", "instance")).absolute())


def mounted() -> State:
    """Return what the current app keeps of its Pickup."""
    state: State | None = current_app.extensions.get(EXTENSION)
    if state is None:
        fail("This app has no Pickup. Mount it: app.register_blueprint(Pickup(), url_prefix='/pickup')", ASKED_WRONGLY)
    return state


def reaching(action: Callable[[], T]) -> T:
    """Do what needs the database, or fail with what its driver says."""
    try:
        return action()
    except SQLAlchemyError as error:
        cause = getattr(error, "orig", None) or error
        # The driver's first line says what is wrong; statements and parameters come after it.
        fail(f"The database does not answer: {next(iter(str(cause).splitlines()), type(cause).__name__)}")


def count(number: int, thing: str) -> str:
    """Return "1 error", "2 errors"."""
    return f"{number:,} {thing}" + ("" if number == 1 else "s")
