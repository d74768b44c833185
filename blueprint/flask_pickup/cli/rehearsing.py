"""``flask pickup rehearse``: calling a running server."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from time import time
from typing import Any

import click
from rich.console import Console
from rich.progress import track
from rich.table import Table
from rich.text import Text
from sqlalchemy.exc import SQLAlchemyError

from flask_pickup import rehearsal
from flask_pickup.caller import REHEARSAL
from flask_pickup.cli.group import (
    UNCHANGED_GREETING,
    USAGE_ERROR,
    as_json,
    fail,
    formatted,
    labelled,
    options_here,
    plural,
    show,
    state_here,
)
from flask_pickup.dashboard.rows import one_call
from flask_pickup.platforms import DEFAULT, Platform, SampleCall, enabled_platforms, endpoint_of
from flask_pickup.platforms.reading import as_number
from flask_pickup.rehearsal import Expected, Reply, Step


@click.command()
@click.argument("url", required=False)
@click.option("--all", "everything", is_flag=True, help="Send all kinds of requests; check each reply.")
@click.option("--from", "number", metavar="NUMBER", default=rehearsal.CALLER, show_default=True,
              help="The caller; '' withholds it.")  # fmt: skip
@click.option("--to", "line", metavar="NUMBER", default=rehearsal.LINE, show_default=True, help="The number called.")
@click.option("--analysis", "findings", metavar="NAME=VALUE", multiple=True,
              help="A finding of the report's analysis: true, false, a number or a text; repeat it for more.")  # fmt: skip
@click.option("--call", metavar="NAME", help="The call's name; the same name is the same call.")
@click.option("--platform", "name", metavar="NAME", help="The platform that calls, if there are several.")
@formatted
def rehearse_command(
    url: str | None,
    everything: bool,
    number: str,
    line: str,
    findings: Sequence[str],
    call: str | None,
    name: str | None,
    style: str,
) -> None:
    """Call a running server as the platform does.

    Sends the signed request of an incoming call, then its report. Shows the answer, its time, and the call's row if the
    app here has the database. Results exclude these calls: their ids begin with pickup-rehearsal-.

    URL is the webhook's; without it, scripts/serve on this machine is called. The platform's secret is read from the
    environment, from .env, or from the app here.

    --all sends about forty requests: every event, signed, tampered with, stale, duplicated, out of order, and from
    callers without a number. It shows what was sent, expected and received.

    The exit status is 1 if the server cannot be reached or a reply is not as expected.

    \b
    flask pickup rehearse http://127.0.0.1:5000/pickup/webhook --from +12015550123
    flask pickup rehearse --analysis appointment_booked=true --analysis score=7.5
    flask pickup rehearse --platform vapi https://example.com/pickup/vapi --all
    """
    if everything and call:
        fail("--all names its calls itself: remove --call.", USAGE_ERROR)
    options = options_here()
    platforms = enabled_platforms(options, time)
    name = name or (DEFAULT if DEFAULT in platforms else next(iter(platforms)))
    if name not in platforms:
        fail(f"The secret of '{name}' is not set here. Those of {', '.join(platforms)} are.", USAGE_ERROR)
    platform = platforms[name]
    url = url or f"http://127.0.0.1:{os.environ.get('PORT', '8000')}/pickup/{endpoint_of(name)}"
    sample = SampleCall(REHEARSAL + (call or rehearsal.new_name()), number or None, line or None, datetime.now(UTC))
    if findings:
        sample = replace(sample, analysis=dict(map(_finding, findings)))
        if lost := rehearsal.not_reported(platform, sample):
            why = f"docs/platforms/{name}.md says what its analysis needs."
            fail(f"The report of {name} cannot bring {', '.join(lost)} with the options here: {why}", USAGE_ERROR)
    try:
        reply = rehearsal.send(url, rehearsal.incoming_call(platform, sample).make(None))
        reports = []
        if not everything and reply.is_answer and isinstance(reply.body, dict):
            parts = rehearsal.reports(platform, replace(sample, answer=reply.body))
            reports = [rehearsal.send(url, each) for each in parts]
    except ValueError:
        fail(f"'{url}' is not a web address. Write it whole: http://127.0.0.1:8000/pickup/webhook", USAGE_ERROR)
    except rehearsal.Unreachable as error:
        fail(str(error))
    if not everything:
        _show_call(url, platform, sample, reply, reports, style)
    elif why := rehearsal.explain(url, reply):
        fail(why)
    else:
        sample = replace(sample, id=REHEARSAL + rehearsal.new_name())
        steps = rehearsal.all_steps(lambda clock: enabled_platforms(options, clock)[platform.name], sample)
        _rehearse_all(url, platform, steps, style)


def _finding(text: str) -> tuple[str, bool | float | str]:
    name, is_given, value = text.partition("=")
    if not (name and is_given):
        fail(f"--analysis {text} must be a name and a value, such as appointment_booked=true.", USAGE_ERROR)
    if value in {"true", "false"}:
        return name, value == "true"
    number = as_number(value)
    return name, value if number is None else number


def _show_call(
    url: str, platform: Platform, call: SampleCall, reply: Reply, reports: Sequence[Reply], style: str
) -> None:
    value = {"call": call.id, "status": reply.status, "seconds": reply.seconds, "body": reply.body}
    who = {"caller": call.caller or "withheld", "line": call.line or "none"}
    facts, hint = {"address": url, "call": call.id, **who, "answer": _took(reply)}, ""
    row, outcomes = _row_of(call.id) if reports else (None, "")
    if isinstance(reply.body, dict) and reply.is_answer:
        metadata, words = rehearsal.read_answer(platform, reply.body)
        arms = ", ".join(f"{name}: {arm}" for name, arm in rehearsal.arms(metadata).items())
        facts["arm"] = arms or (f"none ({row['decision']})" if row else "none")
        facts["greeting"] = words.greeting or UNCHANGED_GREETING
        if call.caller == rehearsal.CALLER and metadata and any(each.source == "hash" for each in metadata.assignments):
            hint = f"\nOther numbers may hear another arm: --from {rehearsal.OTHER_CALLER}"
    if reports:
        facts |= {"report": ", ".join(map(_took, reports)), "row": outcomes}
        value["reports"] = [{"status": each.status, "seconds": each.seconds} for each in reports]
        value["row"] = row
    body = reply.body[:2000] if isinstance(reply.body, str) else as_json(reply.body)
    show(style, value, labelled(facts), *filter(None, [hint]), f"\nThe whole answer:\n\n{body}")
    if why := rehearsal.explain(url, reply):
        fail(why)
    if wrong := rehearsal.judge(platform, Expected.ANSWER, reply, reply):
        fail(f"This does not answer a call: {wrong}.")


def _took(reply: Reply) -> str:
    return f"{reply.status} in {1000 * reply.seconds:.0f} ms"


def _row_of(call_id: str) -> tuple[dict[str, Any] | None, str]:
    """Return a call's row with its outcomes as plain values, and its outcomes in words.

    The row is None if no app here has it; the words then say why.
    """
    if (state := state_here()) is None:
        return None, "not shown: there is no app here"
    try:
        found = one_call(state.engine, call_id)
    except SQLAlchemyError:
        return None, "not shown: the database of the app here does not answer"
    if found is None:
        return None, "not in the database of the app here"
    row, _ = found
    width = max(map(len, row.outcomes), default=0)
    outcomes = "\n".join(f"{name:{width}}  {value:g}" for name, value in sorted(row.outcomes.items()))
    return {**row.call, "outcomes": row.outcomes}, outcomes or "no outcome yet"


def _rehearse_all(url: str, platform: Platform, steps: Sequence[Step], style: str) -> None:
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
