"""The list of calls, and one call: what was decided and why, and what came of it."""

from __future__ import annotations

from flask import Response, abort, request

from flask_pickup.dashboard import rows
from flask_pickup.dashboard.downloads import TABLES, download, table_chunks
from flask_pickup.dashboard.frame import Frame
from flask_pickup.dashboard.parameters import BadParameter
from flask_pickup.translation import gettext


def calls_page(frame: Frame) -> Response:
    """Return a page of calls, the latest first."""
    before = request.args.get("before", "")
    if (latest := rows.latest_calls(frame.webhook.engine, before)) is None:
        raise BadParameter(gettext("The call after which the page begins is not there, or not any more."))
    found, has_more = latest
    return frame.page("calls", calls=found, has_more=has_more, first=not before)


def call_page(frame: Frame) -> Response:
    """Return the page of a call."""
    # In the query, because servers and browsers change a path with a line break, '..' or '//' in it.
    row, transcript = rows.one_call(frame.webhook.engine, request.args.get("id", "")) or abort(404)
    return frame.page("call", row=row, transcript=transcript)


def table_download(frame: Frame, table: str, kind: str) -> Response:
    """Return a table as a file."""
    found = TABLES[table] if table in TABLES else abort(404)
    columns = [column.name for column in found.columns]
    return download(columns, table_chunks(frame.webhook.engine, found), f"pickup_{table}", kind)
