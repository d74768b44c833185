"""``flask pickup rehearse``: ringing a running server."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Sequence
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
from flask_pickup.flireo.answer import spoken
from flask_pickup.rehearsal import Delivery, Outcome, Reply


@click.command()
@click.argument("url", required=False)
@click.option("--all", "everything", is_flag=True, help="Play the whole repertoire, and compare.")
@click.option("--from", "number", metavar="NUMBER", default=rehearsal.CALLER, show_default=True,
              help="The caller's number; '' withholds it.")  # fmt: skip
@click.option("--to", "line", metavar="NUMBER", default=rehearsal.LINE, show_default=True, help="The number called.")
@click.option("--call", metavar="NAME", help="The call's name: the same one again is the same call again.")
@formatted
def rehearse(url: str | None, everything: bool, number: str, line: str, call: str | None, style: str) -> None:
    """Ring a running server as the platform does.

    Sends a signed assistant-request and shows the answer and the time that it took. With --all it plays the whole
    repertoire, some forty requests: every message of every generation, signed, tampered, stale, duplicated, out of
    order, from callers without a number and beside a slow client; and shows what was sent, expected and got.

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
    secret = _secret()
    first = rehearsal.single(call or rehearsal.new_name(), caller=number or None, line=line or None)
    reply = _ring(url, secret, first)
    if not everything:
        _show_reply(url, first, reply, style)
    elif why := rehearsal.explain(url, reply):
        fail(why)
    else:
        played = rehearsal.repertoire(rehearsal.new_name(), caller=number or None, line=line or None)
        _show_outcomes(url, list(_progress(rehearsal.play(url, secret, played), len(played))), style)


def _secret() -> str:
    secret = settings().get("PICKUP_WEBHOOK_SECRET", "").split(",")[0].strip()
    return secret or fail("PICKUP_WEBHOOK_SECRET is not set here. Set it to the server's.", ASKED_WRONGLY)


def _ring(url: str, secret: str, delivery: Delivery) -> Reply:
    try:
        return rehearsal.ring(url, secret, delivery)
    except ValueError:
        fail(f"'{url}' is no address. Write it whole: http://127.0.0.1:8000/pickup/webhook", ASKED_WRONGLY)
    except rehearsal.Unreachable as error:
        fail(str(error))


def _progress(outcomes: Iterator[Outcome], total: int) -> Iterator[Outcome]:
    screen = Console(stderr=True)
    return iter(track(outcomes, "Rehearsing", total, console=screen, transient=True, disable=not sys.stderr.isatty()))


def _show_reply(url: str, delivery: Delivery, reply: Reply, style: str) -> None:
    wrong = rehearsal.explain(url, reply) or rehearsal.judge(delivery, [reply], None)
    if style == "json":
        print_json({"call": delivery.call_id, "status": reply.status, "seconds": reply.seconds, "body": reply.body})
    else:
        _print_reply(url, delivery, reply)
    if wrong:
        fail(wrong if wrong.endswith(".") else f"This is no answer to a call: {wrong}.")


def _print_reply(url: str, delivery: Delivery, reply: Reply) -> None:
    facts = {"address": url, "call": delivery.call_id, "answer": f"{reply.status} in {1000 * reply.seconds:.0f} ms"}
    if isinstance(reply.body, dict) and reply.is_answer:
        heard = ", ".join(f"{name}: {arm}" for name, arm in rehearsal.arms(reply.body).items())
        facts |= {"arm": heard or "none", "says": spoken(reply.body) or THE_SAVED_AGENTS}
    print_facts(facts)
    click.echo("\nThe whole answer:\n")
    if isinstance(reply.body, str):
        click.echo(reply.body[:2000])
    else:
        print_json(reply.body)


def _show_outcomes(url: str, outcomes: Sequence[Outcome], style: str) -> None:
    wrong = sum(not outcome.as_expected for outcome in outcomes)
    if style == "json":
        print_json({"url": url, "as_expected": not wrong, "deliveries": [_as_json(outcome) for outcome in outcomes]})
    else:
        print_table(_table(outcomes))
        found = f"{wrong} not as expected" if wrong else "all as expected"
        click.echo(f"\n{url}: {count(len(outcomes), 'delivery', 'deliveries')}, {found}.")
    if wrong:
        raise click.exceptions.Exit(NOT_WELL)


def _table(outcomes: Sequence[Outcome]) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold")
    for name in ("", "sent", "expected", "got"):
        table.add_column(name, overflow="fold")
    table.add_column("ms", justify="right")
    for outcome in outcomes:
        mark = Text("ok", "green") if outcome.as_expected else Text("NO", "bold red")
        took = f"{1000 * outcome.reply.seconds:.0f}" if outcome.reply else ""
        table.add_row(mark, outcome.delivery.title, outcome.delivery.expected.value, Text(outcome.got), took)
    return table


def _as_json(outcome: Outcome) -> dict[str, Any]:
    reply = outcome.reply
    return {
        "sent": outcome.delivery.title,
        "expected": outcome.delivery.expected.value,
        "got": outcome.got,
        "as_expected": outcome.as_expected,
        "call": outcome.delivery.call_id or None,
        "status": reply.status if reply else None,
        "seconds": reply.seconds if reply else None,
    }
