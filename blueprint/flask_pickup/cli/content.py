"""``flask pickup check`` and ``new``: the content, without an app."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
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
from flask_pickup.catalog.layers import WHOLE
from flask_pickup.catalog.loading import EXPERIMENTS
from flask_pickup.catalog.new import new_experiment, write_files
from flask_pickup.catalog.toml import NAME
from flask_pickup.cli.group import (
    USAGE_ERROR,
    fail,
    formatted,
    layer_ranges,
    options_here,
    plural,
    seen_from_here,
    show,
)
from flask_pickup.enrolment import forecasts, undetectable
from flask_pickup.errors import ChecksFailed, ConfigurationError
from flask_pickup.options import ConfigReader, config_key
from flask_pickup.platforms import content_platforms
from flask_pickup.platforms.starter import is_placeholder
from flask_pickup.rendering import BASE

T = TypeVar("T")


@click.command()
@click.argument("root", required=False, type=click.Path(exists=True, file_okay=False, path_type=Path))
@formatted
def check_command(root: Path | None, style: str) -> None:
    """Find what could go wrong on a call.

    Prints a line for each problem: where it is, what is wrong, and what to do. Renders every arm for many kinds of
    callers. Compares running experiments with the database, if it answers. Needs no app.

    ROOT is the folder that holds experiments/ and greetings/. The default is PICKUP_EXPERIMENTS and PICKUP_GREETINGS,
    or the folders of the app here. The content is checked for each platform whose secret is set, or else for Flireo.

    The exit status is 1 if there is an error. Warnings and notes leave it 0.

    \b
    flask pickup check
    flask pickup check path/to/folder --format json
    """
    options = options_here()
    platforms = content_platforms(options)
    experiments, greetings = (root / "experiments", root / "greetings") if root else _folders(options)
    if not experiments.is_dir() and not greetings.is_dir():
        fail(f"Neither '{experiments}' nor '{greetings}' exists. Name the folder that holds them.", USAGE_ERROR)
    try:
        found = checking.check_folders(
            experiments,
            greetings,
            region=options.region("NL"),
            options=options.given(),
            recorded=(recorded := _recorded(options)),
        )
    except ChecksFailed as error:
        fail(str(error))
    complaints = [*found.complaints]
    if recorded.definitions:
        # Loaded before the database is asked, which has little time to answer.
        catalog = checking.load_content(experiments, greetings, region=options.region("NL"), platforms=platforms)
        now = datetime.now(UTC)
        known = _asked(options, lambda engine: list(forecasts(engine, catalog, now=now))) or ()
        complaints += [complaint for each in known for complaint in undetectable(each)]
    complaints = [_placed(complaint, experiments, greetings) for complaint in complaints]
    complaints += _placeholders(options.given())
    levels = Counter(complaint.level for complaint in complaints)
    counts = f"{plural(levels['error'], 'error')}, {plural(levels['warning'], 'warning')}"
    if not levels["error"] + levels["warning"]:
        counts = "no problems"
    if levels["note"]:
        counts += f", {plural(levels['note'], 'note')}"
    total = f"{_checked(found)}: {counts}."
    values = [asdict(complaint) for complaint in complaints]
    show(style, values, *map(_coloured, complaints), total, failed=levels["error"] > 0)


@click.command()
@click.argument("name")
@click.option("--arms", metavar="ARMS", required=True, help="The arms beside control: warm,brisk.")
@click.option("--layer", metavar="LAYER", default="opening", show_default=True, help="Its experiments share no caller.")
@formatted
def new_command(name: str, arms: str, layer: str, style: str) -> None:
    """Write a draft experiment to edit.

    Creates the folder NAME among the experiments, with a folder for each arm that holds the current greetings. The
    draft gets the widest free range of its layer. Needs no app.

    \b
    flask pickup new short-opening --arms short,shorter
    """
    names = dict.fromkeys(arm.strip() for arm in arms.split(",") if arm.strip())
    names.pop(CONTROL, None)
    for word in (name, layer, *names):
        if not NAME.fullmatch(word):
            fail(f"'{word}' cannot be a name: use lower-case letters, digits, '-' and '_'.", USAGE_ERROR)
    if not names:
        fail("Name at least one arm beside control: --arms warm", USAGE_ERROR)
    options = options_here()
    folder, greetings = _folders(options)
    platforms = content_platforms(options)
    catalog = checking.load_content(folder, greetings, region=options.region("NL"), platforms=platforms)
    free = catalog.free_ranges(layer)
    chosen = max(free, key=lambda each: each.end - each.start, default=WHOLE)
    untold = frozenset.intersection(*(platform.untold for platform in platforms))
    try:
        openings = {path.name: path.read_text("utf-8") for path in sorted(greetings.glob("first_message*.j2"))}
        files = new_experiment(
            f"What does {name} change?",
            arms=names,
            layer=layer,
            layer_range=chosen,
            greetings=openings,
            untold=untold,
        )
        (folder / name).mkdir(parents=True)
        written = write_files(folder / name, files)
    except FileExistsError:
        fail(f"'{folder / name}' exists already. Choose another name.")
    except OSError as error:
        fail(f"'{folder / name}' cannot be written: {error.strerror}.")
    ranges = layer_ranges(catalog, layer)
    if free:
        place = f"It has {chosen} of the layer '{layer}': {ranges}."
        warnings = ["; ".join(each) for each in checking.carry_over(name, layer, chosen, _recorded(options))]
    else:
        place = f"The layer '{layer}' has no callers left for it: {ranges}."
        warnings = [
            "before it runs, conclude another of the layer, or narrow its layer_range and set this one's to the rest"
        ]
    value = {
        "experiment": name,
        "arms": [CONTROL, *names],
        "layer": layer,
        "layer_range": chosen,
        "warnings": warnings,
        "files": [str(path) for path in written],
    }
    show(
        style,
        value,
        *(f"wrote {path}" for path in written),
        f"\n{place}",
        *(Text.assemble(("warning: ", "yellow"), warning) for warning in warnings),
        f'\nEdit the greetings, then set status = "running" in {written[0]} and run: flask pickup check',
    )


def _checked(found: checking.Found) -> str:
    if found.experiments is None:
        return "The checks ended early"
    skipped = f", {found.skipped:,} skipped on calls" if found.skipped else ""
    return f"{plural(found.experiments, 'experiment')} checked{skipped}"


def _folders(options: ConfigReader) -> tuple[Path, Path]:
    experiments, greetings = (seen_from_here(options.get(name, name)) for name in ("experiments", "greetings"))
    return experiments, greetings


def _asked(options: ConfigReader, question: Callable[[Engine], T]) -> T | None:
    """Return what the database answers; None without one."""
    instance = Path(os.environ.get("FLASK_INSTANCE_PATH", "instance")).absolute()
    with suppress(ConfigurationError):
        return checking.ask(options.database_url(instance), question)
    return None


def _recorded(options: ConfigReader) -> checking.History:
    return _asked(options, checking.history_of_experiments) or checking.NO_HISTORY


def _placed(complaint: Complaint, experiments: Path, greetings: Path) -> Complaint:
    """Return the complaint with its file as it is found from here."""
    name, slash, rest = complaint.file.partition("/")
    folder = {EXPERIMENTS: experiments, BASE: greetings}.get(name, Path(name))
    return replace(complaint, file=f"{folder}{slash}{rest}")


def _placeholders(options: Mapping[str, object]) -> Iterator[Complaint]:
    """Yield a note for each option that the vendor's value has yet to replace."""
    for name in sorted(name for name, value in options.items() if is_placeholder(value)):
        yield Complaint(
            ".env", 0, f"{config_key(name)} is a placeholder. Replace it before the first real call.", "", "note"
        )


def _coloured(complaint: Complaint) -> Text:
    colour = {"error": "red", "warning": "yellow", "note": "cyan"}[complaint.level]
    place, _, words = str(complaint).partition(": ")
    return Text.assemble((f"{place}: ", "bold"), (f"{complaint.level}: ", colour), words)
