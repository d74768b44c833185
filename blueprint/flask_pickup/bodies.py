"""Bodies over HTTP: a request's is read whole, or not at all, and every answer is JSON."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from typing import Any

import orjson
from flask import Request, Response
from werkzeug.exceptions import RequestEntityTooLarge
from werkzeug.wsgi import get_input_stream

from flask_pickup.errors import BadWebhook, BodyTooLarge

_PIECE = 64 * 1024
_MOST_DISCARDED = 4 * 1024 * 1024


def read_body(incoming: Request, most: int) -> bytes:
    """Return the whole body of a request, which stays cached for the host's handlers.

    :param most: the largest accepted body, in bytes; it replaces the host's ``MAX_CONTENT_LENGTH`` for this request.
    :raises BodyTooLarge: if the body is larger.
    :raises BadWebhook: if the body does not arrive whole.
    """
    # One byte more is read: Werkzeug cuts a body without a length at the limit instead of refusing it.
    incoming.max_content_length = most + 1
    try:
        body = incoming.get_data()
    except RequestEntityTooLarge:
        body = None
    except Exception as error:  # each server has its own exceptions for invalid chunks
        raise BadWebhook("The body did not arrive whole.") from error
    if body is None or len(body) > most:
        raise BodyTooLarge(f"The body has more than {most} bytes.")
    if len(body) < (incoming.content_length or 0):
        raise BadWebhook("The body did not arrive whole.")
    return body


def discard_body(incoming: Request) -> None:
    """Take in what is left of a body that a proxy passed on, piece by piece.

    A server closes a connection on which much is left. The sender, still sending, may then not see the answer. A larger
    body, which no proxy of ours lets through, would hold a thread.
    """
    if (incoming.content_length or 0) > _MOST_DISCARDED:
        return
    # The request's own stream refuses a body over its limit.
    stream = get_input_stream(incoming.environ)
    with suppress(Exception):  # each server has its own exceptions for a body that does not arrive whole
        for _ in range(_MOST_DISCARDED // _PIECE):
            if not stream.read(_PIECE):
                return


def json_response(body: Mapping[str, Any], status: int = 200) -> Response:
    """Return ``body`` as JSON that no cache keeps."""
    response = Response(orjson.dumps(body), status, mimetype="application/json")
    response.headers["Cache-Control"] = "no-store"
    return response
