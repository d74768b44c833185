"""``flask pickup rehearse``: ringing a running server."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator, Sequence
from time import time
from typing import Any

import click
from rich.console import Console
from rich.progress import track
from rich.table import Table
from rich.text import Text

from flask_pickup import rehearsal
from flask_pickup.cli.group import (
    ASKED_WRONGLY,
    NOT_WELL,
    THE_SAVED_AGENTS,
    count,
    fail,
    formatted,
    print_facts,
    print_json,
    print_table,
    settings,
)
from flask_pickup.errors import ConfigurationError
from flask_pickup.options import ConfigReader
from flask_pickup.platforms import DEFAULT, Platform, enabled_platforms
from flask_pickup.rehearsal import Reply, Step, StepResult


@click.command()
@click.argument("url", required=False)
@click.option("--all", "everything", is_flag=True, help="Play everything that the platform sends, and compare.")
@click.option("--from", "number", metavar="NUMBER", default=rehearsal.CALLER, show_default=True,
              help="The caller's number; '' withholds it.")  # fmt: skip
@click.option("--to", "line", metavar="NUMBER", default=rehearsal.LINE, show_default=True, help="The number called.")
@click.option("--call", metavar="NAME", help="The call's name: the same one again is the same call again.")
@formatted
def rehearse_command(url: str | None, everything: bool, number: str, line: str, call: str | None, style: str) -> None:
    """Call a running server as the platform does.

    Sends the signed request of an incoming call and shows the answer and the time that it took. With --all it sends some
    forty requests: every event of every generation, signed, tampered, stale, duplicated, out of order and from callers
    without a number; and shows what was sent, expected and got.

    URL is the webhook's; without it, the one that scripts/serve starts here. Nothing but that address is used. The secret
    is PICKUP_WEBHOOK_SECRET, from the environment or, with python-dotenv, from .env.

    The calls are recorded under ids that begin with pickup-rehearsal-, and results leave them out. The exit status is 1
    if the server cannot be reached or anything is not as expected.

    \b
    flask pickup rehearse https://example.com/pickup/webhook
    flask pickup rehearse --all
    """
    if everything and call:
        fail("--all names its calls itself: leave --call out.", ASKED_WRONGLY)
    url = url or f"http://127.0.0.1:{os.environ.get('PORT', '8000')}/pickup/webhook"
    platform = _platform(time)
    first = rehearsal.single(platform, call or rehearsal.new_name(), caller=number or None, line=line or None)
    reply = _ring(url, first)
    if not everything:
        _show_reply(url, platform, first, reply, style)
    elif why := rehearsal.explain(url, reply):
        fail(why)
    else:
        steps = rehearsal.all_steps(_platform, rehearsal.new_name(), caller=number or None, line=line or None)
        _show_outcomes(url, list(_progress(rehearsal.play(url, platform, steps), len(steps))), style)


def _platform(clock: Callable[[], float]) -> Platform:
    try:
        return enabled_platforms(ConfigReader(settings()), clock)[DEFAULT]
    except ConfigurationError as error:
        fail(str(error), ASKED_WRONGLY)


def _ring(url: str, step: Step) -> Reply:
    try:
        return rehearsal.ring(url, step)
    except ValueError:
        fail(f"'{url}' is not a web address. Write it whole: http://127.0.0.1:8000/pickup/webhook", ASKED_WRONGLY)
    except rehearsal.Unreachable as error:
        fail(str(error))


def _progress(outcomes: Iterator[StepResult], total: int) -> Iterator[StepResult]:
    screen = Console(stderr=True)
    return iter(track(outcomes, "Rehearsing", total, console=screen, transient=True, disable=not sys.stderr.isatty()))


def _show_reply(url: str, platform: Platform, step: Step, reply: Reply, style: str) -> None:
    wrong = rehearsal.explain(url, reply) or rehearsal.judge(platform, step.expected, reply, reply)
    if style == "json":
        print_json({"call": step.call_id, "status": reply.status, "seconds": reply.seconds, "body": reply.body})
    else:
        _print_reply(url, platform, step, reply)
    if wrong:
        fail(wrong if wrong.endswith(".") else f"This is no answer to a call: {wrong}.")


def _print_reply(url: str, platform: Platform, step: Step, reply: Reply) -> None:
    facts = {"address": url, "call": step.call_id, "answer": f"{reply.status} in {1000 * reply.seconds:.0f} ms"}
    if isinstance(reply.body, dict) and reply.is_answer:
        heard = ", ".join(f"{name}: {arm}" for name, arm in rehearsal.arms(platform, reply.body).items())
        facts |= {"arm": heard or "none", "says": rehearsal.words_in(platform, reply.body).greeting or THE_SAVED_AGENTS}
    print_facts(facts)
    click.echo("\nThe whole answer:\n")
    if isinstance(reply.body, str):
        click.echo(reply.body[:2000])
    else:
        print_json(reply.body)


def _show_outcomes(url: str, outcomes: Sequence[StepResult], style: str) -> None:
    wrong = sum(not outcome.as_expected for outcome in outcomes)
    if style == "json":
        print_json({"url": url, "as_expected": not wrong, "deliveries": [_as_json(outcome) for outcome in outcomes]})
    else:
        print_table(_table(outcomes))
        found = f"{wrong} not as expected" if wrong else "all as expected"
        click.echo(f"\n{url}: {count(len(outcomes), 'request')}, {found}.")
    if wrong:
        raise click.exceptions.Exit(NOT_WELL)


def _table(outcomes: Sequence[StepResult]) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold")
    for name in ("", "sent", "expected", "got"):
        table.add_column(name, overflow="fold")
    table.add_column("ms", justify="right")
    for outcome in outcomes:
        mark = Text("ok", "green") if outcome.as_expected else Text("NO", "bold red")
        took = f"{1000 * outcome.reply.seconds:.0f}" if outcome.reply else ""
        table.add_row(mark, outcome.step.title, outcome.step.expected.value, Text(outcome.got), took)
    return table


def _as_json(outcome: StepResult) -> dict[str, Any]:
    reply = outcome.reply
    return {
        "sent": outcome.step.title,
        "expected": outcome.step.expected.value,
        "got": outcome.got,
        "as_expected": outcome.as_expected,
        "call": outcome.step.call_id or None,
        "status": reply.status if reply else None,
        "seconds": reply.seconds if reply else None,
    }
