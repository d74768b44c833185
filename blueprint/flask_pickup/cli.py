"""``flask pickup …``: thin; every command calls a room below."""

from __future__ import annotations

import json
import os
import secrets
import sys
from collections.abc import Callable, Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NoReturn, TypeVar

import click
from flask import current_app
from flask.cli import with_appcontext
from rich.console import Console
from rich.table import Table
from rich.text import Text
from sqlalchemy.exc import SQLAlchemyError

from flask_pickup import caller as callers
from flask_pickup import checking, migrating, rehearsal
from flask_pickup.blueprint import EXTENSION, State
from flask_pickup.catalog import Complaint, load
from flask_pickup.catalog.new import write_experiment
from flask_pickup.catalog.reader import NAME
from flask_pickup.decision import Assigned, CallFacts, Decision, Incoming, Recorded, decide
from flask_pickup.flireo.answer import spoken
from flask_pickup.options import environment

F = TypeVar("F", bound=Callable[..., Any])

formatted = click.option(
    "--format", "style", type=click.Choice(["text", "json"]), default="text", help="For people, or for programs."
)


@click.group(help="Decide what a voice agent says when it picks up, and learn which opening works.")
def pickup() -> None:
    """Hold the commands."""


def out(value: Any) -> None:
    """Print for programs."""
    click.echo(json.dumps(value, indent=2, ensure_ascii=False, default=str))


def console() -> Console:
    """Return what prints for people: in colour on a terminal, plain and unbroken in a pipe."""
    wide = None if sys.stdout.isatty() else 10_000
    return Console(highlight=False, width=wide, soft_wrap=True)


def _fail(message: str, status: int = 1) -> NoReturn:
    click.echo(message, err=True)
    raise click.exceptions.Exit(status)


def _settings() -> dict[str, str]:
    """Return the options for the commands that need no app."""
    return environment(Path(os.environ.get("FLASK_INSTANCE_PATH", "instance")).absolute())


@pickup.command()
@click.argument("root", required=False, type=click.Path(exists=True, file_okay=False, path_type=Path))
@formatted
def check(root: Path | None, style: str) -> None:
    """Look for everything in the content that could go wrong on a call.

    ROOT holds experiments/ and greetings/; without it they are where PICKUP_EXPERIMENTS and PICKUP_GREETINGS say, or
    here. The exit status is 1 if there is an error; warnings alone leave it 0.
    """
    settings = _settings()
    experiments = root / "experiments" if root else Path(settings.get("PICKUP_EXPERIMENTS", "experiments"))
    greetings = root / "greetings" if root else Path(settings.get("PICKUP_GREETINGS", "greetings"))
    if not experiments.is_dir() and not greetings.is_dir():
        _fail(f"There is neither '{experiments}' nor '{greetings}'. Name the folder that holds them.", 2)
    region = settings.get("PICKUP_REGION", "NL").upper()
    secret = settings.get("PICKUP_CALLER_SECRET") or secrets.token_hex()
    catalog = load(experiments, greetings, pin_key=_pin_key(secret, region), region=region)
    complaints = checking.check(catalog)
    if style == "json":
        out([checking.as_json(complaint) for complaint in complaints])
    else:
        _print_complaints(complaints, len(catalog.experiments))
    if any(complaint.level == "error" for complaint in complaints):
        raise click.exceptions.Exit(1)


def _pin_key(secret: str, region: str) -> Callable[[str], str | None]:
    def key(text: str) -> str | None:
        number = callers.e164(text, region)
        return callers.caller_key(secret, number) if number else None

    return key


def _print_complaints(complaints: Sequence[Complaint], experiments: int) -> None:
    screen = console()
    for complaint in complaints:
        colour = "red" if complaint.level == "error" else "yellow"
        screen.print(Text.assemble((f"{complaint.level}: ", colour), str(complaint)))
    errors = sum(complaint.level == "error" for complaint in complaints)
    summary = f"{_count(errors, 'error')}, {_count(len(complaints) - errors, 'warning')}" if complaints else "all is well"
    screen.print(f"{_count(experiments, 'experiment')} read: {summary}.")


def _count(number: int, thing: str) -> str:
    return f"{number} {thing}" + ("" if number == 1 else "s")


@pickup.command()
@click.argument("name")
@click.option("--arms", required=True, help="The arms beside control, with commas between: warm,brisk.")
def new(name: str, arms: str) -> None:
    """Write a new experiment NAME to edit: a draft whose arms begin with today's openings."""
    names = [arm.strip() for arm in arms.split(",") if arm.strip() and arm.strip() != "control"]
    for word in (name, *names):
        if not NAME.fullmatch(word):
            _fail(f"'{word}' cannot be a name: use lower-case letters, digits, '-' and '_'.", 2)
    if not names:
        _fail("Name at least one arm beside control: --arms warm", 2)
    settings = _settings()
    folder = Path(settings.get("PICKUP_EXPERIMENTS", "experiments"))
    greetings = Path(settings.get("PICKUP_GREETINGS", "greetings"))
    try:
        written = write_experiment(folder, name, names, sorted(greetings.glob("first_message*.j2")))
    except FileExistsError:
        _fail(f"There is an experiment '{name}' already, in '{folder / name}'.")
    for path in written:
        click.echo(f"wrote {path}")
    click.echo(f"Edit the openings, then set status = \"running\" in {written[0]} and run: flask pickup check")


@pickup.command()
@click.option("--from", "number", help="The caller's number; none for a caller who withholds it.")
@click.option("--to", "line", help="The number called, if its line matters.")
@click.option("--experiment", help="Show one arm of this experiment instead of the caller's own.")
@click.option("--arm", help="The arm to show; needs --experiment.")
@click.option("--at", "at", help="When, such as 2026-12-24T22:00; in the business's own time zone unless it names one.")
@formatted
@with_appcontext
def preview(number: str | None, line: str | None, experiment: str | None, arm: str | None, at: str | None, style: str) -> None:  # noqa: E501
    """Show a caller's arm in each experiment and the answer that they would hear. Nothing is recorded."""
    state = _state()
    incoming = _incoming(state, number, line, at)
    decision = decide(state.catalog, incoming, _forced(state, experiment, arm))
    if style == "json":
        out(_preview(incoming, decision))
        return
    _print_preview(incoming, decision)


def _state() -> State:
    state: State | None = current_app.extensions.get(EXTENSION)
    if state is None:
        _fail("This app has no Pickup. Mount it: app.register_blueprint(Pickup(), url_prefix='/pickup')", 2)
    return state


def _incoming(state: State, number: str | None, line: str | None, at: str | None) -> Incoming:
    options = state.options
    called = state.catalog.line(callers.line_number(line, options.region), None)
    who = callers.identify(
        number,
        line=called.number,
        region=options.region,
        secret=options.caller_secret,
        languages=state.catalog.languages,
    )
    if number and not who.identified:
        click.echo("This number identifies nobody: it is withheld, an emergency or short number, or none.", err=True)
    now = datetime.now(UTC)
    if at:
        try:
            now = datetime.fromisoformat(at)
        except ValueError:
            _fail(f"--at {at} is no time. Write it as 2026-12-24T22:00.", 2)
        now = now if now.tzinfo else now.replace(tzinfo=state.catalog.zone(called))
    call = CallFacts(rehearsal.PREFIX + "preview", "inbound_phone_call")
    return Incoming(call, who, called, state.webhook.lookup(who), now)


def _forced(state: State, experiment: str | None, arm: str | None) -> Recorded | None:
    if experiment is None and arm is None:
        return None
    known = {each.name: each for each in state.catalog.experiments}
    if experiment not in known:
        _fail(f"No experiment is called '{experiment}'. There are: {', '.join(known) or 'none'}.", 2)
    chosen = known[experiment]
    if arm not in chosen.arms:
        _fail(f"'{experiment}' has no arm '{arm}'. There are: {', '.join(chosen.arms)}.", 2)
    return Recorded("arm", (Assigned(experiment, arm, "preview", chosen.fingerprint),))


def _preview(incoming: Incoming, decision: Decision) -> dict[str, Any]:
    who = incoming.caller
    assigned = {a.experiment: {"arm": a.arm, "source": a.source, "definition": a.definition} for a in decision.assignments}
    others = {
        name: {"arm": None, "reason": reason}
        for name, reason in decision.reasons.items()
        if name not in assigned and isinstance(reason, str)
    }
    return {
        "caller": {"key": who.key, "country": who.country, "language": who.language, "identified": who.identified},
        "language": decision.language,
        "open": decision.open,
        "decision": decision.kind,
        "assignments": {**assigned, **others},
        "answer": decision.answer,
    }


def _print_preview(incoming: Incoming, decision: Decision) -> None:
    screen = console()
    shown = _preview(incoming, decision)
    who = incoming.caller
    facts = Table.grid(padding=(0, 2))
    facts.add_row("caller", f"{who.short_key}, {who.country or 'country unknown'}")
    facts.add_row("language", decision.language)
    facts.add_row("open", "yes" if decision.open else "no")
    facts.add_row("decision", decision.kind)
    for name, found in shown["assignments"].items():
        facts.add_row(name, found["arm"] or f"not in it ({found['reason']})")
    screen.print(facts)
    words = spoken(decision.answer)
    screen.print(Text.assemble("\n", ("says  ", "bold"), words if words is not None else "what the saved agent says", "\n"))
    out(decision.answer)


@pickup.command()
@click.argument("url", required=False)
@click.option("--from", "number", default=rehearsal.CALLER, show_default=True, help="The caller's number; '' withholds it.")
@click.option("--to", "line", default=rehearsal.LINE, show_default=True, help="The number called.")
@click.option("--call", "call", help="The call's name: the same one again is the same call delivered twice.")
@formatted
def rehearse(url: str | None, number: str, line: str, call: str | None, style: str) -> None:
    """Send a signed assistant-request to a running server, and show its answer and the time that it took.

    URL is the webhook's; by default the one that scripts/serve starts. The secret is PICKUP_WEBHOOK_SECRET, from the
    environment or instance/pickup.env. The rehearsal is recorded as a call whose id begins with pickup-rehearsal-.
    """
    secret = _settings().get("PICKUP_WEBHOOK_SECRET", "").split(",")[0].strip()
    if not secret:
        _fail("PICKUP_WEBHOOK_SECRET is not set here. Set it to the server's.", 2)
    url = url or f"http://127.0.0.1:{os.environ.get('PORT', '8000')}/pickup/webhook"
    call_id = rehearsal.PREFIX + (call or rehearsal.new_call_id())
    try:
        reply = rehearsal.ring(url, secret, rehearsal.assistant_request(call_id, caller=number or None, line=line))
    except (OSError, ValueError) as error:
        _fail(f"{url} does not answer: {error}")
    if style == "json":
        out({"call": call_id, **asdict(reply)})
    else:
        _print_reply(url, call_id, reply)
    if not 200 <= reply.status < 300:  # noqa: PLR2004
        raise click.exceptions.Exit(1)


def _print_reply(url: str, call_id: str, reply: rehearsal.Reply) -> None:
    screen = console()
    screen.print(f"{url} answered {reply.status} in {1000 * reply.seconds:.0f} ms, call {call_id}")
    if isinstance(reply.body, dict) and reply.status == 200:  # noqa: PLR2004
        words = spoken(reply.body)
        assigned = _assignments(reply.body)
        screen.print("arm   " + (", ".join(f"{name}: {arm}" for name, arm in assigned.items()) or "none"))
        screen.print(Text.assemble(("says  ", "bold"), words if words is not None else "what the saved agent says", "\n"))
    out(reply.body)


def _assignments(answer: dict[str, Any]) -> dict[str, str]:
    assistant = answer.get("assistant") or answer.get("assistant_override") or {}
    pickup_metadata = (assistant.get("metadata") or {}).get("pickup") or {}
    return {name: found["arm"] for name, found in pickup_metadata.get("assignments", {}).items()}


@pickup.group(help="Make and change Pickup's tables.")
def db() -> None:
    """Hold the commands on the schema."""


def _reaching(action: Callable[[], Any]) -> Any:
    try:
        return action()
    except SQLAlchemyError as error:
        cause = getattr(error, "orig", None) or error
        # The driver's first line says what is wrong; statements and parameters come after it.
        _fail(f"The database does not answer: {str(cause).splitlines()[0] if str(cause) else type(cause).__name__}")


@db.command()
@click.argument("revision", default="head")
@with_appcontext
def upgrade(revision: str) -> None:
    """Bring the tables up to REVISION, the newest if none is named."""
    engine = _state().engine
    before = _reaching(lambda: migrating.current(engine))
    _reaching(lambda: migrating.upgrade(engine, revision))
    after = _reaching(lambda: migrating.current(engine))
    click.echo(f"The tables are up to date ({after})." if before == after else f"The tables are at {after} now.")


@db.command()
@click.argument("revision")
@with_appcontext
def downgrade(revision: str) -> None:
    """Take the tables back to REVISION; 'base' drops them with all rows."""
    engine = _state().engine
    _reaching(lambda: migrating.downgrade(engine, revision))
    click.echo(f"The tables are at {_reaching(lambda: migrating.current(engine)) or 'base'} now.")


@db.command()
@with_appcontext
def current() -> None:
    """Say at which revision the tables are."""
    click.echo(_reaching(lambda: migrating.current(_state().engine)) or "There are no tables yet: flask pickup db upgrade")


@db.command()
@click.argument("revisions", default="head")
@with_appcontext
def sql(revisions: str) -> None:
    """Print the statements of REVISIONS, such as head or 0001:head."""
    migrating.sql(_state().engine, revisions)
