"""The list of calls, with its filters, and each table as a file."""

from __future__ import annotations

from itertools import chain

from flask import Response, abort, request

from flask_pickup.catalog import Line
from flask_pickup.dashboard import rows
from flask_pickup.dashboard.call_filter import call_filter, offered
from flask_pickup.dashboard.downloads import TABLES, download, table_chunks
from flask_pickup.dashboard.frame import Frame
from flask_pickup.dashboard.outcome_words import OutcomeWords, duration
from flask_pickup.dashboard.parameters import BadParameter
from flask_pickup.translation import gettext


def calls_page(frame: Frame) -> Response:
    """Return a page of the calls that the address asks for, the latest first."""
    choices = offered(frame.catalog, frame.webhook.platforms)
    wanted, before = call_filter(request.args, choices), request.args.get("before", "")
    found = rows.latest_calls(frame.webhook.engine, before, wanted, frame.catalog.zone(Line(None)))
    if found is None:
        raise BadParameter(gettext("The call after which the page begins is not there, or not any more."))
    return frame.page(
        "calls",
        found=found,
        filters=wanted.given,
        choices=choices,
        experiments=choices["experiment"],
        is_first=not before,
        outcomes=OutcomeWords(frame.catalog),
        duration=duration,
    )


def table_download(frame: Frame, table: str, kind: str) -> Response:
    """Return a table as a file."""
    found = TABLES[table] if table in TABLES else abort(404)
    columns = [column.name for column in found.columns]
    chunks = table_chunks(frame.webhook.engine, found)
    # The first rows before the answer begins: a database that does not answer has a page.
    return download(columns, chain([next(chunks)], chunks), f"pickup_{table}", kind)
