"""``flask pickup rehearse``: calling a running server."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from time import time

import click
from rich.console import Console
from rich.progress import track
from rich.table import Table
from rich.text import Text

from flask_pickup import rehearsal
from flask_pickup.caller import REHEARSAL
from flask_pickup.cli.group import (
    UNCHANGED_GREETING,
    USAGE_ERROR,
    as_json,
    fail,
    formatted,
    labelled,
    plural,
    show,
)
from flask_pickup.options import ConfigReader
from flask_pickup.platforms import DEFAULT, Platform, SampleCall, enabled_platforms
from flask_pickup.rehearsal import Expected, Reply


@click.command()
@click.argument("url", required=False)
@click.option("--all", "everything", is_flag=True, help="Send all that the platform sends, and check each reply.")
@click.option("--from", "number", metavar="NUMBER", default=rehearsal.CALLER, show_default=True,
              help="The caller's number; '' withholds it.")  # fmt: skip
@click.option("--to", "line", metavar="NUMBER", default=rehearsal.LINE, show_default=True, help="The number called.")
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
    platform = _platform(time)
    sample = SampleCall(REHEARSAL + (call or rehearsal.new_name()), number or None, line or None, datetime.now(UTC))
    try:
        reply = rehearsal.send(url, rehearsal.incoming_call(platform, sample).make(None))
    except ValueError:
        fail(f"'{url}' is not a web address. Write it whole: http://127.0.0.1:8000/pickup/webhook", USAGE_ERROR)
    except rehearsal.Unreachable as error:
        fail(str(error))
    if not everything:
        _show_reply(url, platform, sample.id, reply, style)
    elif why := rehearsal.explain(url, reply):
        fail(why)
    else:
        _rehearse_all(url, platform, replace(sample, id=REHEARSAL + rehearsal.new_name()), style)


def _platform(clock: Callable[[], float]) -> Platform:
    return enabled_platforms(ConfigReader(os.environ), clock)[DEFAULT]


def _show_reply(url: str, platform: Platform, call_id: str, reply: Reply, style: str) -> None:
    facts = {"address": url, "call": call_id, "answer": f"{reply.status} in {1000 * reply.seconds:.0f} ms"}
    if isinstance(reply.body, dict) and reply.is_answer:
        metadata, words = rehearsal.read_answer(platform, reply.body)
        arms = ", ".join(f"{name}: {arm}" for name, arm in rehearsal.arms(metadata).items())
        facts |= {"arm": arms or "none", "greeting": words.greeting or UNCHANGED_GREETING}
    body = reply.body[:2000] if isinstance(reply.body, str) else as_json(reply.body)
    value = {"call": call_id, "status": reply.status, "seconds": reply.seconds, "body": reply.body}
    show(style, value, labelled(facts), f"\nThe whole answer:\n\n{body}")
    if why := rehearsal.explain(url, reply):
        fail(why)
    if wrong := rehearsal.judge(platform, Expected.ANSWER, reply, reply):
        fail(f"This does not answer a call: {wrong}.")


def _rehearse_all(url: str, platform: Platform, call: SampleCall, style: str) -> None:
    steps = rehearsal.all_steps(_platform, call)
    results = []
    table = Table(box=None, pad_edge=False, header_style="bold")
    for name in ("", "sent", "expected", "received"):
        table.add_column(name, overflow="fold")
    table.add_column("ms", justify="right")
    screen, hidden = Console(stderr=True), not sys.stderr.isatty()
    played = rehearsal.play(url, platform, steps)
    for result in track(played, "Rehearsing", len(steps), console=screen, transient=True, disable=hidden):
        found = result.as_json()
        results.append(found)
        mark = Text("ok", "green") if found["as_expected"] else Text("NO", "bold red")
        took = f"{1000 * result.reply.seconds:.0f}" if result.reply else ""
        table.add_row(mark, found["sent"], found["expected"], Text(found["got"]), took)
    wrong = sum(not found["as_expected"] for found in results)
    value = {"url": url, "as_expected": not wrong, "deliveries": results}
    summary = f"{wrong} not as expected" if wrong else "all as expected"
    show(style, value, table, f"\n{url}: {plural(len(results), 'request')}, {summary}.", failed=bool(wrong))
