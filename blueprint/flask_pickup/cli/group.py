"""The group of all commands, and what they share: options, errors, output."""

from __future__ import annotations

import json
import logging
import os
import sys
import textwrap
from collections.abc import Callable, Mapping
from functools import wraps
from pathlib import Path
from typing import Any, Concatenate, NoReturn, ParamSpec

import click
from flask import Flask, current_app
from flask.cli import ScriptInfo, with_appcontext
from rich.console import Console
from rich.table import Table
from rich.text import Text
from sqlalchemy.exc import SQLAlchemyError

from flask_pickup.blueprint import EXTENSION, State
from flask_pickup.catalog import Catalog, Experiment
from flask_pickup.engines import reason_of
from flask_pickup.errors import ConfigurationError
from flask_pickup.ledger.spool import SpoolUnavailable
from flask_pickup.options import ConfigReader

P = ParamSpec("P")

FAILED = 1
"""The exit status where an action failed or a check found an error."""
USAGE_ERROR = 2

UNCHANGED_GREETING = "the saved agent's own greeting"
WIDTH = 80
_SHOWN = 5
NO_CALLER = "this identifies no caller: the number is withheld, an emergency or short number, or invalid"

formatted = click.option(
    "--format",
    "style",
    type=click.Choice(["text", "json"]),
    default="text",
    show_default=True,
    help="Text, or JSON for programs.",
)


class Number(click.ParamType):  # type: ignore[type-arg]
    """A number between two others, both included. Click's own range lets "nan" pass, and is long in the help."""

    name = "number"

    def __init__(self, least: float, most: float) -> None:
        self.least = least
        self.most = most

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        """Return the number."""
        found: float = click.FLOAT.convert(value, param, ctx)
        if not self.least <= found <= self.most:
            self.fail(f"{value} is not between {self.least:g} and {self.most:g}.", param, ctx)
        return found


class _Commands(click.Group):
    """Commands that report a wrong configuration, or a database or spool that does not answer, in one sentence."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        if any("\ud800" <= letter <= "\udfff" for each in args for letter in each):
            ctx.fail("The arguments are not UTF-8 text.")
        return super().parse_args(ctx, args)

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except ConfigurationError as error:
            fail(str(error), USAGE_ERROR)
        except SQLAlchemyError as error:
            fail(f"The database does not answer: {reason_of(error)}")
        except SpoolUnavailable as error:
            fail(str(error))


@click.group(cls=_Commands)
def pickup() -> None:
    """Decide what callers hear, and measure it.

    Commands print text, or JSON with --format json. Exceptions: demo (serves), digest (text or HTML), export (CSV), db
    sql (SQL). The exit status is 0; 1 if a command failed or found a problem; 2 for wrong usage or configuration.
    """


def with_state(command: Callable[Concatenate[State, P], None]) -> Callable[P, None]:
    """Run a command in the context of the host's app, with what the app keeps of its Pickup."""

    @with_appcontext
    @wraps(command)
    def run(*arguments: P.args, **options: P.kwargs) -> None:
        state: State | None = current_app.extensions.get(EXTENSION)
        if state is None:
            fail(
                "This app has no Pickup. Mount it: app.register_blueprint(Pickup(), url_prefix='/pickup')", USAGE_ERROR
            )
        command(state, *arguments, **options)

    return run


def load_app() -> Flask:
    """Return the app here, which may raise anything as it loads, or exit."""
    log = logging.getLogger("flask_pickup.content")
    # The command says itself what is wrong with the content.
    log.disabled = True
    try:
        return click.get_current_context().ensure_object(ScriptInfo).load_app()
    finally:
        log.disabled = False


def state_here() -> State | None:
    """Return what the app here keeps of its Pickup; None if there is no app here that can be loaded and has one."""
    try:
        return load_app().extensions.get(EXTENSION)
    except (Exception, SystemExit):  # noqa: BLE001 (loading an app may raise anything, or exit)
        return None


def without_complaints(command: Callable[P, None]) -> Callable[P, None]:
    """Load the host's app, if it can be loaded, before the command does, and log nothing about its content."""

    @wraps(command)
    def run(*arguments: P.args, **options: P.kwargs) -> None:
        state_here()
        command(*arguments, **options)

    return run


def options_here() -> ConfigReader:
    """Return the options of the environment, and those of the app here for what it leaves out."""
    state = state_here()
    return ConfigReader(os.environ, state.given if state else None)


def show(style: str, value: Any, *parts: str | Text | Table, failed: bool = False) -> None:
    """Print ``value`` as JSON, or ``parts`` as text, and exit with status 1 if the command failed."""
    if style == "json":
        click.echo(as_json(value))
    else:
        say(*parts)
    if failed:
        raise click.exceptions.Exit(FAILED)


def say(*parts: str | Text | Table) -> None:
    """Print text: fitted to a terminal, in colour; plain and with whole lines in a pipe.

    Lines that are indented stay whole: they are JSON, or commands to copy.
    """
    is_terminal = sys.stdout.isatty()
    screen = Console(highlight=False, width=None if is_terminal else 10_000, soft_wrap=True)
    for part in parts:
        if isinstance(part, Table):
            with screen.capture() as printed:
                screen.print(part)
            click.echo("\n".join(line.rstrip() for line in printed.get().splitlines()))
            continue
        for line in (Text(part) if isinstance(part, str) else part).split(allow_blank=True):
            is_whole = not is_terminal or line.plain.startswith(" ") or not line
            for each in [line] if is_whole else line.wrap(screen, screen.width):
                each.rstrip()
                screen.print(each, soft_wrap=True)


def wrapped(text: str, style: str = "", *, hanging: str = "") -> Text:
    """Return text in lines of at most :data:`WIDTH` columns; ``hanging`` indents those after the first further."""
    indent = text[: len(text) - len(text.lstrip())]
    return Text(textwrap.fill(text, WIDTH, subsequent_indent=indent + hanging, break_on_hyphens=False), style)


def as_json(value: Any) -> str:
    """Return a value as indented JSON."""
    return json.dumps(value, indent=2, ensure_ascii=False, default=str)


def labelled(facts: Mapping[str, str]) -> Table:
    """Return a table with a label and its value in each row."""
    table = Table.grid(padding=(0, 2), pad_edge=False)
    for label, value in facts.items():
        table.add_row(Text(label, "bold"), Text(value))
    return table


def layer_ranges(catalog: Catalog, layer: str) -> str:
    """Return who has which range of a layer, and what is free, five of each: "warm-opening [0.0, 0.5], free [0.5, 1.0]"."""
    taken = [f"{each.name} {each.layer_range}" for each in catalog.layers.get(layer, {}).values()]
    free = [f"free {each}" for each in catalog.free_ranges(layer)] or ["nothing free"]
    return ", ".join([*_first(taken), *_first(free)])


def _first(parts: list[str]) -> list[str]:
    more = len(parts) - _SHOWN
    return [*parts[:_SHOWN], f"and {more:,} more"] if more > 1 else parts


def fail(message: str, status: int = FAILED) -> NoReturn:
    """Print an error on the standard error stream, and exit."""
    click.echo(message, err=True)
    raise click.exceptions.Exit(status)


def seen_from_here(absolute: str | Path) -> Path:
    """Return a path as somebody here calls it; an app's own are absolute."""
    path, here = Path(absolute), Path.cwd()
    return path.relative_to(here) if path.is_relative_to(here) else path


def plural(number: int, thing: str, things: str = "") -> str:
    """Return "1 error", "2 errors"."""
    return f"{number:,} {thing if number == 1 else things or thing + 's'}"


def experiment_named(state: State, name: str) -> Experiment:
    """Return an experiment of the content, or fail with the names of those that exist."""
    known = {each.name: each for each in state.catalog.experiments}
    if name in state.catalog.problems["left_out"]:
        fail(f"'{name}' does not load. Run: flask pickup check", USAGE_ERROR)
    if name not in known:
        fail(f"No experiment is called '{name}'. There are: {', '.join(known) or 'none'}.", USAGE_ERROR)
    return known[name]
