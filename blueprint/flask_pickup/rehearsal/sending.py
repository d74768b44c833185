"""The sending: to the one address that the user named. No redirect is followed, no proxy is asked."""

from __future__ import annotations

import json
import socket
import ssl
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from http.client import HTTPConnection, HTTPException, HTTPSConnection
from select import select
from time import perf_counter, sleep
from typing import Any
from urllib.parse import SplitResult, urlsplit

from flask_pickup.errors import PickupError
from flask_pickup.flireo import outgoing
from flask_pickup.flireo.answer import resolved
from flask_pickup.flireo.outgoing import Sent
from flask_pickup.rehearsal.judging import DEADLINE, Outcome, Reply, judge
from flask_pickup.rehearsal.repertoire import Delivery, Expected, Post

PATIENCE = 10.0
"""Seconds for a reply; the platform waits that long for the slowest kind."""
_TRICKLE = 3.0
"""Seconds for which a slow client sends, at most."""
_LARGEST_REPLY = 4 * 1024 * 1024


class Unreachable(PickupError):
    """The server could not be rung; the message says what to look at."""


def play(address: str, secret: str, deliveries: Iterable[Delivery]) -> Iterator[Outcome]:
    """Send ``deliveries`` one after the other, and yield what came of each."""
    replies: dict[str, Reply] = {}
    for delivery in deliveries:
        earlier = replies.get(delivery.after or "")
        try:
            found, beside = _deliver(address, secret, _brought_back(delivery, earlier), delivery)
        except Unreachable as error:
            yield Outcome(delivery, str(error), as_expected=False, reply=None)
            continue
        replies[delivery.title] = found[0]
        wrong = judge(delivery, found, earlier if delivery.expected is Expected.SAME_ANSWER else None)
        slowest = max(found, key=lambda reply: reply.seconds)
        got = ", ".join(filter(None, (str(slowest.status), wrong, beside)))
        yield Outcome(delivery, got, as_expected=not wrong, reply=slowest)


def ring(address: str, secret: str, delivery: Delivery) -> Reply:
    """Send one delivery and return the reply.

    :raises ValueError: if ``address`` is none of a web server.
    :raises Unreachable: if there is no reply.
    """
    return _deliver(address, secret, delivery.message, delivery)[0][0]


def _brought_back(delivery: Delivery, earlier: Reply | None) -> Sent | bytes:
    """Return the message, with what the answer to its call put into the metadata if it is the call's report."""
    if isinstance(delivery.message, bytes) or delivery.expected is Expected.SAME_ANSWER or earlier is None:
        return delivery.message
    assistant = resolved(earlier.body) if isinstance(earlier.body, dict) else {}
    return outgoing.with_assistant(delivery.message, assistant) if assistant else delivery.message


def _deliver(address: str, secret: str, message: Sent | bytes, delivery: Delivery) -> tuple[list[Reply], str]:
    body = message if isinstance(message, bytes) else json.dumps(message).encode()
    stamp = str(int((datetime.now(UTC) - delivery.age).timestamp()))
    post = delivery.seal(secret, stamp, body, delivery.event)
    with ThreadPoolExecutor(delivery.at_once + 1) as threads:
        slow = threads.submit(_trickle, address) if delivery.slowly else None
        if slow:
            sleep(_TRICKLE / 10)
        replies = list(threads.map(lambda _: send(address, post), range(delivery.at_once)))
        return replies, f"slow: {slow.result()}" if slow else ""


def send(address: str, post: Post) -> Reply:
    """Send bytes as they are and return the reply, whatever its status.

    :raises Unreachable: if there is none within ten seconds.
    """
    started = perf_counter()
    connection = _connection(address)
    try:
        connection.request(post.method, _target(address), post.body or None, dict(post.headers))
        response = connection.getresponse()
        answer = b""
        while (chunk := response.read1(65536)) and len(answer) < _LARGEST_REPLY:
            answer += chunk
            if perf_counter() - started > PATIENCE:
                raise TimeoutError
    except (OSError, HTTPException) as error:
        raise Unreachable(_why(address, error)) from error
    finally:
        connection.close()
    return Reply(response.status, _parsed(answer), perf_counter() - started, response.headers.get("Location"))


def _trickle(address: str) -> str:
    """Send a body byte by byte; return how the server took it."""
    connection = _connection(address)
    try:
        connection.putrequest("POST", _target(address))
        connection.putheader("Content-Length", "200")
        connection.endheaders()
        end = perf_counter() + _TRICKLE
        while perf_counter() < end:
            connection.send(b" ")
            if select([connection.sock], [], [], 0.1)[0]:
                return str(connection.getresponse().status)
    except (OSError, HTTPException):
        return "cut off"
    finally:
        connection.close()
    return "goes on"


def _connection(address: str) -> HTTPConnection:
    parts = _parts(address)
    kind = HTTPSConnection if parts.scheme == "https" else HTTPConnection
    return kind(parts.hostname or "", parts.port, timeout=PATIENCE)


def _target(address: str) -> str:
    parts = _parts(address)
    return (parts.path or "/") + (f"?{parts.query}" if parts.query else "")


def _parts(address: str) -> SplitResult:
    """Take an address apart.

    :raises ValueError: if it is none.
    """
    parts = urlsplit(address)
    if parts.scheme not in {"http", "https"} or not parts.hostname or parts.port == 0 or not address.isascii():
        raise ValueError("no web address")
    return parts


def _why(address: str, error: OSError | HTTPException) -> str:
    parts = _parts(address)
    port = parts.port or (443 if parts.scheme == "https" else 80)
    if isinstance(error, ConnectionRefusedError):
        return f"Nothing listens on port {port} of {parts.hostname}. Is the server running? scripts/serve starts it."
    if isinstance(error, socket.gaierror):
        return f"There is no host called {parts.hostname}."
    if isinstance(error, TimeoutError):
        return f"{address} did not answer within {PATIENCE:g} seconds; the platform waits {DEADLINE:g}."
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"The certificate of {parts.hostname} is not trusted: {error.verify_message}."
    if isinstance(error, ssl.SSLError):
        return f"Port {port} of {parts.hostname} does not speak TLS. Is the address http://…?"
    if isinstance(error, HTTPException | ConnectionError):
        return f"{address} closed the connection without an answer. Does it speak {parts.scheme}?"
    return f"{address} cannot be reached: {error.strerror or type(error).__name__}."


def _parsed(answer: bytes) -> Any:
    try:
        return json.loads(answer)
    except ValueError:
        return answer.decode("utf-8", "replace")
