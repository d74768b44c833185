"""The sending: to the one address that the user named. No redirect is followed, no proxy is asked."""

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
"""Seconds for a reply."""
_LARGEST_REPLY = 4 * 1024 * 1024
_REFUSALS = {Expected.UNSIGNED: 401, Expected.UNREADABLE: 400, Expected.NO_POST: 405}


class Unreachable(PickupError):
    """The server could not be reached; the message says what to look at."""


@dataclass(frozen=True, slots=True)
class Reply:
    """What the server answered.

    :param body: the JSON, or the text where it is none.
    :param seconds: from connecting to the last byte.
    :param location: where it redirects to.
    """

    status: int
    body: Any
    seconds: float
    location: str | None = None

    @property
    def is_answer(self) -> bool:
        """Whether the platform would take it as an answer."""
        return 200 <= self.status < 300  # noqa: PLR2004 (HTTP's range of successes)


@dataclass(frozen=True, slots=True)
class StepResult:
    """What came of a step.

    :param got: for people.
    :param reply: the slowest where there are several.
    """

    step: Step
    got: str
    as_expected: bool
    reply: Reply | None


def play(address: str, platform: Platform, steps: Iterable[Step]) -> Iterator[StepResult]:
    """Send the steps one after the other, and yield what came of each."""
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


def ring(address: str, step: Step) -> Reply:
    """Send one step and return the reply.

    :raises ValueError: if ``address`` is not a web server's.
    :raises Unreachable: if there is no reply.
    """
    return _send_step(address, step, None)[0]


def _send_step(address: str, step: Step, earlier: Reply | None) -> list[Reply]:
    delivery = step.make(earlier.body if earlier and isinstance(earlier.body, dict) else None)
    with ThreadPoolExecutor(step.at_once) as threads:
        return list(threads.map(lambda _: send(address, delivery, step.method), range(step.at_once)))


def judge(platform: Platform, expected: Expected, reply: Reply, same: Reply) -> str:
    """Return what is not as expected in a reply; empty if all is.

    :param same: the reply whose arms this one should have.
    """
    if expected in _REFUSALS:
        return "" if reply.status == _REFUSALS[expected] else f"not {_REFUSALS[expected]}"
    if not reply.is_answer:
        return "no 2xx"
    if expected is Expected.ACCEPTED:
        return ""
    if reply.seconds > platform.deadline:
        return f"later than {platform.deadline:g} s"
    if not isinstance(reply.body, dict):
        return "no JSON object"
    if problems := platform.answer_schema.validate(reply.body):
        return f"not understood: {next(iter(problems))}"
    found = returned_metadata(platform, reply.body)
    if expected is Expected.NOBODYS and found and found.caller_key is not None:
        return "taken for somebody"
    return "" if arms(platform, reply.body) == arms(platform, same.body) else "another arm"


def arms(platform: Platform, answer: JsonObject) -> dict[str, str]:
    """Return the arm in each experiment that the platform's JSON names."""
    found = returned_metadata(platform, answer)
    return {assigned.experiment: assigned.arm for assigned in found.assignments} if found else {}


def returned_metadata(platform: Platform, answer: JsonObject) -> Metadata | None:
    """Return our metadata as the platform's report would bring it back."""
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
    """Return what a person should look at, where the server answered and not as it should; else nothing."""
    if reply.location and not reply.is_answer:
        return f"{address} redirects to {reply.location}. The platform may not follow: name that address."
    found = _EXPLANATIONS.get(reply.status)
    return f"{address} answered {reply.status}: {found}" if found else ""


_EXPLANATIONS = {
    401: "the signature is refused. PICKUP_WEBHOOK_SECRET is another one here than there, or the two clocks are "
    "minutes apart.",
    404: "there is no webhook at this path. It is behind the app's prefix, as in /pickup/webhook.",
    405: "this path takes no POST. The webhook's ends in /webhook.",
    502: "the proxy in front of the app cannot reach it.",
    503: "the server is there and takes no calls now.",
    504: "the proxy in front of the app had no answer from it.",
}


def send(address: str, delivery: Delivery, method: str = "POST") -> Reply:
    """Send bytes as they are and return the reply, whatever its status.

    :raises Unreachable: if there is none within ten seconds.
    """
    started = perf_counter()
    connection = _connection(address)
    try:
        connection.request(method, _target(address), delivery.body, dict(delivery.headers))  # type: ignore[call-overload]
        response = connection.getresponse()
        answer = b""
        while (chunk := response.read1(65536)) and len(answer) < _LARGEST_REPLY:
            answer += chunk
            if perf_counter() - started > _TIMEOUT:
                raise TimeoutError
    except (OSError, HTTPException) as error:
        raise Unreachable(_why(address, error)) from error
    finally:
        connection.close()
    return Reply(response.status, _parsed(answer), perf_counter() - started, response.headers.get("Location"))


def _connection(address: str) -> HTTPConnection:
    parts = _parts(address)
    kind = HTTPSConnection if parts.scheme == "https" else HTTPConnection
    return kind(parts.hostname or "", parts.port, timeout=_TIMEOUT)


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
        return f"{address} did not answer within {_TIMEOUT:g} seconds; platforms wait five or less."
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
