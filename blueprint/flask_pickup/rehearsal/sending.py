"""Sends to the one address that the user named. Follows no redirect and uses no proxy."""

from __future__ import annotations

import json
import socket
import ssl
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime
from http.client import HTTPConnection, HTTPException, HTTPSConnection
from time import perf_counter
from typing import Any
from urllib.parse import SplitResult, urlsplit

from flask_pickup.errors import PickupError
from flask_pickup.metadata import Metadata
from flask_pickup.platforms import CallEnded, Delivery, JsonObject, Platform, SampleCall, Words
from flask_pickup.rehearsal.steps import Expected, Step

_TIMEOUT = 10.0
_LARGEST_REPLY = 4 * 1024 * 1024
_REFUSALS = {Expected.UNSIGNED: 401, Expected.UNREADABLE: 400, Expected.NO_POST: 405}


class Unreachable(PickupError):
    """The server could not be reached; the message says what to check."""


@dataclass(frozen=True, slots=True)
class Reply:
    """What the server answered: ``body`` is the JSON, or a text if it is not JSON."""

    status: int
    body: Any
    seconds: float
    location: str | None = None

    @property
    def is_answer(self) -> bool:
        """Whether the platform would use it as an answer."""
        return 200 <= self.status < 300  # noqa: PLR2004 (HTTP's range of successes)


@dataclass(frozen=True, slots=True)
class StepResult:
    """The result of a step.

    :param got: the status, and what is wrong.
    :param reply: the slowest, if there are several.
    """

    step: Step
    got: str
    as_expected: bool
    reply: Reply | None

    def as_json(self) -> dict[str, Any]:
        """Return the result as plain values."""
        return {
            "sent": self.step.title,
            "expected": self.step.expected.value,
            "got": self.got,
            "as_expected": self.as_expected,
            "call": self.step.call_id or None,
            "status": self.reply.status if self.reply else None,
            "seconds": self.reply.seconds if self.reply else None,
        }


def play(address: str, platform: Platform, steps: Iterable[Step]) -> Iterator[StepResult]:
    """Send the steps one after the other, and yield the result of each."""
    replies: dict[str, Reply] = {}
    for step in steps:
        earlier = replies.get(step.after or "")
        try:
            found = _send_step(address, step, earlier)
        except Unreachable as error:
            yield StepResult(step, str(error), as_expected=False, reply=None)
            continue
        replies[step.title] = found[0]
        same = earlier if step.expected is Expected.SAME_ANSWER and earlier else found[0]
        wrong = next((wrong for reply in found if (wrong := judge(platform, step.expected, reply, same))), "")
        slowest = max(found, key=lambda reply: reply.seconds)
        got = ", ".join(filter(None, (str(slowest.status), wrong)))
        yield StepResult(step, got, as_expected=not wrong, reply=slowest)


def _send_step(address: str, step: Step, earlier: Reply | None) -> list[Reply]:
    delivery = step.make(earlier.body if earlier and isinstance(earlier.body, dict) else None)
    with ThreadPoolExecutor(step.at_once) as threads:
        return list(threads.map(lambda _: send(address, delivery, step.method), range(step.at_once)))


def judge(platform: Platform, expected: Expected, reply: Reply, same: Reply) -> str:
    """Return what is wrong in a reply that should have the arms of ``same``; empty if nothing is."""
    if expected in _REFUSALS:
        return "" if reply.status == _REFUSALS[expected] else f"not {_REFUSALS[expected]}"
    if not reply.is_answer:
        return "not 2xx"
    if expected is Expected.ACCEPTED:
        return ""
    if reply.seconds > platform.deadline:
        return f"later than {platform.deadline:g} s"
    if not isinstance(reply.body, dict):
        return "not a JSON object"
    if problems := platform.answer_schema.validate(reply.body):
        return f"invalid: {next(iter(problems))}"
    found = _metadata(platform, reply.body)
    if expected is Expected.NOBODYS and found and found.caller_key is not None:
        return "identified as a caller"
    return "" if arms(platform, reply.body) == arms(platform, same.body) else "another arm"


def arms(platform: Platform, answer: JsonObject) -> dict[str, str]:
    """Return the arm in each experiment that the platform's JSON names."""
    found = _metadata(platform, answer)
    return {assigned.experiment: assigned.arm for assigned in found.assignments} if found else {}


def _metadata(platform: Platform, answer: JsonObject) -> Metadata | None:
    return Metadata.read(_report_on(platform, answer).metadata)


def words_in(platform: Platform, answer: JsonObject) -> Words:
    """Return the greeting and prompt that the platform would use."""
    rejection = platform.rejection(answer)
    return Words(rejection) if rejection else _report_on(platform, answer).applied or Words()


def _report_on(platform: Platform, answer: JsonObject) -> CallEnded:
    call = SampleCall("judged", None, None, datetime.now(UTC), answer=answer)
    event = platform.parse(platform.sign(platform.payload(CallEnded, call), CallEnded))
    assert isinstance(event, CallEnded)
    return event


def explain(address: str, reply: Reply) -> str:
    """Return the likely cause of a reply that is not an answer; empty if there is none."""
    if reply.location and not reply.is_answer:
        return f"{address} redirects to {reply.location}. The platform may not follow it: use that address."
    found = _EXPLANATIONS.get(reply.status)
    return f"{address} answered {reply.status}: {found}" if found else ""


_EXPLANATIONS = {
    401: "the signature is refused. PICKUP_WEBHOOK_SECRET differs from the server's, or the clocks are minutes apart.",
    404: "there is no webhook at this path. It is below the app's prefix, as in /pickup/webhook.",
    405: "this path does not accept POST. The webhook's ends in /webhook.",
    502: "the proxy in front of the app cannot reach it.",
    503: "the server accepts no calls now.",
    504: "the app did not answer the proxy in front of it.",
}


def send(address: str, delivery: Delivery, method: str = "POST") -> Reply:
    """Send bytes as they are and return the reply, whatever its status.

    :raises ValueError: if ``address`` is not an http or https URL.
    :raises Unreachable: if there is no reply within ten seconds.
    """
    url = urlsplit(address)
    if url.scheme not in {"http", "https"} or not url.hostname or url.port == 0 or not address.isascii():
        raise ValueError("not a web address")
    kind = HTTPSConnection if url.scheme == "https" else HTTPConnection
    target = (url.path or "/") + (f"?{url.query}" if url.query else "")
    started = perf_counter()
    connection = kind(url.hostname, url.port, timeout=_TIMEOUT)
    try:
        connection.request(method, target, delivery.body, dict(delivery.headers))
        response = connection.getresponse()
        body = b""
        while (chunk := response.read1(65536)) and len(body) < _LARGEST_REPLY:
            body += chunk
            if perf_counter() - started > _TIMEOUT:
                raise TimeoutError
    except (OSError, HTTPException) as error:
        raise Unreachable(_why(address, url, error)) from error
    finally:
        connection.close()
    try:
        found = json.loads(body)
    except ValueError:
        found = body.decode("utf-8", "replace")
    return Reply(response.status, found, perf_counter() - started, response.headers.get("Location"))


def _why(address: str, url: SplitResult, error: OSError | HTTPException) -> str:
    port = url.port or (443 if url.scheme == "https" else 80)
    if isinstance(error, ConnectionRefusedError):
        return f"Nothing listens on port {port} of {url.hostname}. Is the server running? scripts/serve starts it."
    if isinstance(error, socket.gaierror):
        return f"There is no host called {url.hostname}."
    if isinstance(error, TimeoutError):
        return f"{address} did not answer within {_TIMEOUT:g} seconds; platforms wait five or less."
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"The certificate of {url.hostname} is not trusted: {error.verify_message}."
    if isinstance(error, ssl.SSLError):
        return f"Port {port} of {url.hostname} does not speak TLS. Is the address http://…?"
    if isinstance(error, HTTPException | ConnectionError):
        return f"{address} closed the connection without an answer. Does it speak {url.scheme}?"
    return f"{address} cannot be reached: {error.strerror or type(error).__name__}."
