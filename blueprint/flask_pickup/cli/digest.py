"""``flask pickup digest``: what changed, for the owner of the line, by mail or chat."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from datetime import datetime
from typing import Any
from urllib.parse import quote

import click
from flask import current_app

from flask_pickup.blueprint import State
from flask_pickup.catalog import Line
from flask_pickup.cli.group import fail, with_state, without_complaints
from flask_pickup.digest import Digest, News, digest_for
from flask_pickup.translation import LANGUAGES, PageFormat, gettext, in_language, ngettext, reader_language

_SECONDS = 60
"""How long delivering may take: less than the lease of a digest."""
_NOT_DELIVERED = "The digest was not delivered, and will be told again."
_NOT_REPEATED = "The digest was not delivered. Repeat it with --again."
_BUSY = "Another digest is being delivered; try again in two minutes."


def _base_url(_context: click.Context, _option: click.Parameter, url: str | None) -> str | None:
    if url and not url.startswith(("https://", "http://")):
        raise click.BadParameter("write the address of the dashboard, such as https://example.com/pickup/")
    return url and f"{url.rstrip('/')}/"


@click.command()
@click.option(
    "--format", "style", type=click.Choice(["text", "html"]), default="text", show_default=True,
    help="Text for a chat or a terminal, or HTML for a mail.",
)  # fmt: skip
@click.option(
    "--language", type=click.Choice(LANGUAGES), help="The reader's; by default that of settings.toml, or English."
)
@click.option(
    "--url", callback=_base_url, help="The dashboard's address, such as https://example.com/pickup/, to link to it."
)
@click.option(
    "--reader", metavar="NAME", default="owner", show_default=True, help="Whose digest: each reader has a last one."
)
@click.option(
    "--deliver", metavar="COMMAND", help="Give the digest to this command of the shell, instead of printing it."
)
@click.option("--again", is_flag=True, help="Tell what the last digest told once more, and what changed since.")
@without_complaints
@with_state
def digest_command(
    state: State, *, style: str, language: str | None, url: str | None, reader: str, deliver: str | None, again: bool
) -> None:
    """Tell what changed since the last digest.

    Tells verdicts and those that no longer hold, alarms, lines without calls at hours that usually have some, and
    experiments that start, end or do not load. The first digest tells how things are. Where nothing changed it prints
    nothing and runs no command.

    With --deliver a digest counts as told if the command ends with status 0 within a minute; otherwise the exit status
    is 1, and the next digest tells it too. Without it, it counts as told when it is printed. While another process
    delivers to the same reader nothing is told, and nothing is lost: the exit status is 0, or 1 with --again.
    """
    content = state.catalog.settings.language
    chosen = language or (content if content in LANGUAGES else LANGUAGES[0])
    with in_language(chosen), digest_for(state, reader, again=again) as digest:
        if digest is None and again:
            fail(_BUSY)
        if digest is None:
            # What the other one does not deliver, the next digest tells.
            click.echo(_BUSY, err=True)
        elif digest.has_news:
            _deliver(_written(digest, style, url, state), deliver, _NOT_REPEATED if again else _NOT_DELIVERED)


def _deliver(text: str, command: str | None, failed: str) -> None:
    try:
        if command is None:
            click.echo(text, nl=False)
            sys.stdout.flush()
        else:
            subprocess.run(command, shell=True, input=text.encode(), timeout=_SECONDS, check=True)  # noqa: S602 (the operator's)
    except BrokenPipeError:
        # Click ends with status 1 where nobody reads any more.
        raise
    except subprocess.CalledProcessError as error:
        fail(f"{failed} The command of --deliver ended with status {error.returncode}.")
    except subprocess.TimeoutExpired:
        fail(f"{failed} The command of --deliver took more than {_SECONDS} seconds.")
    except OSError as error:
        fail(f"{failed} {error.strerror}.")


def _written(digest: Digest, style: str, url: str | None, state: State) -> str:
    title = _title(digest, state.now, PageFormat(reader_language(), state.catalog.zone(Line(None))))
    empty = "" if digest.changes else gettext("No experiment is running: every caller hears the base.")
    if style == "html":
        # Without what the host adds to its own pages, which may need a request.
        template = current_app.jinja_env.get_template("pickup/digest.html")
        values: dict[str, Any] = {"title": title, "changes": digest.changes, "empty": empty, "_": gettext}
        return template.render(**values, link=lambda change: _link(change, url), language=reader_language()) + "\n"
    parts = ["\n".join(_lines(change, url)) for change in digest.changes]
    return "\n\n".join([title, *parts, *([empty] if empty else [])]) + "\n"


def _title(digest: Digest, now: datetime, formats: PageFormat) -> str:
    today = formats.day(now)
    if digest.since is None:
        return gettext("Pickup on %(day)s: how things are", day=today)
    since, number = formats.day(digest.since), len(digest.changes)
    return ngettext(
        "Pickup on %(day)s: 1 change since %(since)s",
        "Pickup on %(day)s: %(n)s changes since %(since)s",
        number, day=today, since=since,
    )  # fmt: skip


def _lines(change: News, url: str | None) -> Iterator[str]:
    yield change.what
    if change.number:
        yield change.number
    yield gettext("What to do: %(action)s", action=change.action)
    if url:
        yield _link(change, url)


def _link(change: News, url: str | None) -> str:
    """Return the address of the page about a change; empty where the dashboard's is not known."""
    if not url:
        return ""
    return f"{url}experiments/{quote(change.experiment, safe='')}" if change.experiment else url
