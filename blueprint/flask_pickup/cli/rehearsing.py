"""``flask pickup rehearse``: ringing a running server."""

from __future__ import annotations

import os
from dataclasses import asdict
from typing import Any

import click
from rich.text import Text

from flask_pickup import rehearsal
from flask_pickup.caller import REHEARSAL
from flask_pickup.cli.group import (
    ASKED_WRONGLY,
    NOT_WELL,
    THE_SAVED_AGENTS,
    console,
    fail,
    formatted,
    print_json,
    settings,
)
from flask_pickup.flireo.answer import metadata, spoken


@click.command()
@click.argument("url", required=False)
@click.option(
    "--from", "number", default=rehearsal.CALLER, show_default=True, help="The caller's number; '' withholds it."
)
@click.option("--to", "line", default=rehearsal.LINE, show_default=True, help="The number called.")
@click.option("--call", "call", help="The call's name: the same one again is the same call delivered twice.")
@formatted
def rehearse(url: str | None, number: str, line: str, call: str | None, style: str) -> None:
    """Send a signed assistant-request to a running server, and show its answer and the time that it took.

    URL is the webhook's; by default the one that scripts/serve starts. The secret is PICKUP_WEBHOOK_SECRET, from the
    environment or instance/pickup.env. The rehearsal is recorded as a call whose id begins with pickup-rehearsal-.
    """
    secret = settings().get("PICKUP_WEBHOOK_SECRET", "").split(",")[0].strip()
    if not secret:
        fail("PICKUP_WEBHOOK_SECRET is not set here. Set it to the server's.", ASKED_WRONGLY)
    url = url or f"http://127.0.0.1:{os.environ.get('PORT', '8000')}/pickup/webhook"
    call_id = REHEARSAL + (call or rehearsal.new_call_id())
    try:
        reply = rehearsal.ring(url, secret, rehearsal.assistant_request(call_id, caller=number or None, line=line))
    except (OSError, ValueError) as error:
        fail(f"{url} does not answer: {error}")
    if style == "json":
        print_json({"call": call_id, **asdict(reply)})
    else:
        _print_reply(url, call_id, reply)
    if not reply.is_answer:
        raise click.exceptions.Exit(NOT_WELL)


def _print_reply(url: str, call_id: str, reply: rehearsal.Reply) -> None:
    screen = console()
    screen.print(f"{url} answered {reply.status} in {1000 * reply.seconds:.0f} ms, call {call_id}")
    if isinstance(reply.body, dict) and reply.is_answer:
        screen.print("arm   " + (", ".join(_arms(reply.body)) or "none"))
        screen.print(Text.assemble(("says  ", "bold"), spoken(reply.body) or THE_SAVED_AGENTS, "\n"))
    print_json(reply.body)


def _arms(answer: dict[str, Any]) -> list[str]:
    assignments = metadata(answer).get("pickup", {}).get("assignments", {})
    return [f"{experiment}: {assigned['arm']}" for experiment, assigned in assignments.items()]
