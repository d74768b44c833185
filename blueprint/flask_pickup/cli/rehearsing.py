"""``flask pickup rehearse``: calling a running server."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Sequence
from time import time

import click
from rich.console import Console
from rich.progress import track
from rich.table import Table
from rich.text import Text

from flask_pickup.cli.group import (
    UNCHANGED_GREETING,
    USAGE_ERROR,
    as_json,
    fail,
    formatted,
    labelled,
    plural,
    settings,
    show,
)
from flask_pickup.options import ConfigReader
from flask_pickup.platforms import DEFAULT, Platform, enabled_platforms
from flask_pickup.rehearsal import sending, steps
from flask_pickup.rehearsal.sending import Reply, StepResult
from flask_pickup.rehearsal.steps import Step


@click.command()
@click.argument("url", required=False)
@click.option("--all", "everything", is_flag=True, help="Send all that the platform sends, and check each reply.")
@click.option("--from", "number", metavar="NUMBER", default=steps.CALLER, show_default=True,
              help="The caller's number; '' withholds it.")  # fmt: skip
@click.option("--to", "line", metavar="NUMBER", default=steps.LINE, show_default=True, help="The number called.")
@click.option("--call", metavar="NAME", help="The call's name: the same one again is the same call again.")
@formatted
def rehearse_command(url: str | None, everything: bool, number: str, line: str, call: str | None, style: str) -> None:
    """Call a running server as the platform does.

    Sends the signed request of an incoming call and shows the answer and its time. With --all it sends some forty
    requests: every event of every generation, signed, tampered, stale, duplicated, out of order and from callers
    without a number; and shows what was sent, expected and received.

    URL is the webhook's, by default that of scripts/serve on this machine. No other address is contacted. The secret is
    PICKUP_WEBHOOK_SECRET, from the environment or, with python-dotenv, from .env.

    The calls are recorded under ids that begin with pickup-rehearsal-, and results exclude them. The exit status is 1
    if the server cannot be reached or a reply is not as expected.

    \b
    flask pickup rehearse https://example.com/pickup/webhook
    flask pickup rehearse --all
    """
    if everything and call:
        fail("--all names its calls itself: remove --call.", USAGE_ERROR)
    url = url or f"http://127.0.0.1:{os.environ.get('PORT', '8000')}/pickup/webhook"
    numbers = {"caller": number or None, "line": line or None}
    platform = _platform(time)
    first = steps.single(platform, call or steps.new_name(), **numbers)
    try:
        reply = sending.send(url, first.make(None))
    except ValueError:
        fail(f"'{url}' is not a web address. Write it whole: http://127.0.0.1:8000/pickup/webhook", USAGE_ERROR)
    except sending.Unreachable as error:
        fail(str(error))
    if not everything:
        _show_reply(url, platform, first, reply, style)
    elif why := sending.explain(url, reply):
        fail(why)
    else:
        planned = steps.all_steps(_platform, steps.new_name(), **numbers)
        results = sending.play(url, platform, planned)
        screen = Console(stderr=True)
        hidden = not sys.stderr.isatty()
        shown = track(results, "Rehearsing", len(planned), console=screen, transient=True, disable=hidden)
        _show_results(url, list(shown), style)


def _platform(clock: Callable[[], float]) -> Platform:
    return enabled_platforms(ConfigReader(settings()), clock)[DEFAULT]


def _show_reply(url: str, platform: Platform, step: Step, reply: Reply, style: str) -> None:
    facts = {"address": url, "call": step.call_id, "answer": f"{reply.status} in {1000 * reply.seconds:.0f} ms"}
    if isinstance(reply.body, dict) and reply.is_answer:
        arms = ", ".join(f"{name}: {arm}" for name, arm in sending.arms(platform, reply.body).items())
        greeting = sending.words_in(platform, reply.body).greeting or UNCHANGED_GREETING
        facts |= {"arm": arms or "none", "greeting": greeting}
    body = reply.body[:2000] if isinstance(reply.body, str) else as_json(reply.body)
    value = {"call": step.call_id, "status": reply.status, "seconds": reply.seconds, "body": reply.body}
    show(style, value, labelled(facts), f"\nThe whole answer:\n\n{body}")
    if why := sending.explain(url, reply):
        fail(why)
    if wrong := sending.judge(platform, step.expected, reply, reply):
        fail(f"This does not answer a call: {wrong}.")


def _show_results(url: str, results: Sequence[StepResult], style: str) -> None:
    wrong = sum(not result.as_expected for result in results)
    summary = f"{wrong} not as expected" if wrong else "all as expected"
    value = {"url": url, "as_expected": not wrong, "deliveries": [result.as_json() for result in results]}
    text = f"\n{url}: {plural(len(results), 'request')}, {summary}."
    show(style, value, _table(results), text, failed=bool(wrong))


def _table(results: Sequence[StepResult]) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold")
    for name in ("", "sent", "expected", "received"):
        table.add_column(name, overflow="fold")
    table.add_column("ms", justify="right")
    for result in results:
        mark = Text("ok", "green") if result.as_expected else Text("NO", "bold red")
        took = f"{1000 * result.reply.seconds:.0f}" if result.reply else ""
        table.add_row(mark, result.step.title, result.step.expected.value, Text(result.got), took)
    return table
