"""Calls a running server as a platform would, and as a stranger might; needs only its address and the secret.

Sends to the one address that the user named. Follows no redirect and uses no proxy.
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from datetime import timedelta
from enum import Enum
from functools import partial
from http.client import HTTPConnection, HTTPException, HTTPSConnection
from time import perf_counter, time
from typing import Any
from urllib.parse import urlsplit

from flask_pickup.errors import BadSignature, PickupError
from flask_pickup.metadata import Metadata
from flask_pickup.platforms import CallEnded, Delivery, IncomingCall, JsonObject, Platform, SampleCall, Words

CALLER = "+31612345678"
LINE = "+31850835037"
OTHER_CALLER = "+12015550123"
"""Nobody has these numbers: they are from a platform's own page and from a range reserved for examples."""

WITHHELD: Mapping[str, str | None] = {
    "null": None,
    "empty": "",
    "'anonymous'": "anonymous",
    "an anonymous SIP address": "sip:anonymous@anonymous.invalid",
    "ANONYMOUS on a keypad": "266696687",
    "an extension": "204",
}
"""How carriers spell a withheld number."""

MakePlatform = Callable[[Callable[[], float]], Platform]
"""Makes the platform that signs, from a clock."""

_STALE = 20 * 60
_TIMEOUT = 10.0
_LARGEST_REPLY = 4 * 1024 * 1024


class Expected(Enum):
    """The expected result of a step."""

    ANSWER = "an answer"
    NOBODYS = "an answer without a caller"
    SAME_ANSWER = "the same answer"
    ACCEPTED = "accepted"
    UNSIGNED = "refused, 401"
    UNREADABLE = "refused, 400"
    NO_POST = "refused, 405"


_REFUSALS = {Expected.UNSIGNED: 401, Expected.UNREADABLE: 400, Expected.NO_POST: 405}


@dataclass(frozen=True, slots=True)
class Step:
    """One request and its expected result.

    :param make: makes the request, signed at that moment, from the answer to the step ``after``.
    :param after: the title of the step whose answer this one repeats or returns.
    :param at_once: how many copies are sent at the same time.
    """

    title: str
    make: Callable[[JsonObject | None], Delivery]
    expected: Expected = Expected.ANSWER
    call_id: str = ""
    after: str | None = None
    at_once: int = 1
    method: str = "POST"


# --- what is sent -----------------------------------------------------------------------------------------------------


def new_name() -> str:
    """Return a new name for a call; it has only letters, so that it holds no number."""
    return "".join(secrets.choice("abcdefghijkmnpqrstuvwxyz") for _ in range(8))


def incoming_call(platform: Platform, call: SampleCall, title: str = IncomingCall.name) -> Step:
    """Return the request that the platform sends before it answers a call."""
    return Step(title, lambda _: platform.sign(platform.payload(IncomingCall, call), IncomingCall), call_id=call.id)


def all_steps(make_platform: MakePlatform, call: SampleCall) -> list[Step]:
    """Return all steps in order; the ids of their calls begin with that of ``call``."""
    platform = make_platform(time)
    return [
        *_samples(platform, call),
        *_forgeries(make_platform, replace(call, id=f"{call.id}-signed")),
        *_duplicates(platform, call),
        *_withheld(platform, call),
        Step("GET instead of POST", incoming_call(platform, call).make, Expected.NO_POST, method="GET"),
    ]


def report(platform: Platform, call: SampleCall, title: str = CallEnded.name, after: str | None = None) -> Step:
    """Return the report on a call; it brings the answer to the step ``after`` back."""

    def make(answer: JsonObject | None) -> Delivery:
        return platform.sign(platform.payload(CallEnded, replace(call, answer=answer)), CallEnded)

    return Step(title, make, Expected.ACCEPTED, call.id, after)


def reports(platform: Platform, call: SampleCall) -> list[Delivery]:
    """Return the report on a call, in as many parts as the platform sends."""
    samples = [each for each in platform.samples(call) if each.event is CallEnded]
    return [platform.sign(each.body, CallEnded) for each in samples if each.call and each.call.id == call.id]


def not_reported(platform: Platform, call: SampleCall) -> list[str]:
    """Return which findings of the call's analysis the platform's report cannot bring as things are set here."""
    found: dict[str, Any] = {}
    for delivery in reports(platform, call):
        event = platform.parse(delivery)
        found |= event.analysis if isinstance(event, CallEnded) else {}
    return [name for name, value in call.analysis.items() if found.get(name) != value]


def _signed(delivery: Delivery, _: JsonObject | None) -> Delivery:
    return delivery


def _samples(platform: Platform, call: SampleCall) -> Iterator[Step]:
    for sample in platform.samples(call):
        delivery = platform.sign(sample.body, sample.event)
        expected = Expected.ACCEPTED
        if sample.is_refused:
            expected = Expected.UNREADABLE
        elif sample.event is IncomingCall:
            of_somebody = sample.call is not None and sample.call.caller
            expected = Expected.ANSWER if of_somebody else Expected.NOBODYS
        yield Step(sample.title, partial(_signed, delivery), expected, sample.call.id if sample.call else "")
    yield report(platform, call, "a report that returns the answer", after=next(iter(platform.samples(call))).title)


def _forgeries(make_platform: MakePlatform, call: SampleCall) -> Iterator[Step]:
    """Yield deliveries that the platform's own verification refuses."""
    platform = make_platform(time)
    good = platform.sign(platform.payload(IncomingCall, call), IncomingCall)
    headers = dict(good.headers)
    forged = {
        "not signed": Delivery({"Content-Type": "application/json"}, good.body),
        "another body than signed": Delivery(headers, good.body + b" "),
    }
    for name, value in headers.items():
        forged[f"without {name}"] = Delivery({k: v for k, v in headers.items() if k != name}, good.body)
        forged[f"{name} cut short"] = Delivery({**headers, name: value[:-2]}, good.body)
    past, future = time() - _STALE, time() + _STALE
    forged["signed 20 minutes ago"] = make_platform(lambda: past).sign(good.body, IncomingCall)
    forged["signed 20 minutes ahead"] = make_platform(lambda: future).sign(good.body, IncomingCall)
    for title, delivery in forged.items():
        try:
            platform.verify(delivery)
        except BadSignature:
            yield Step(title, partial(_signed, delivery), Expected.UNSIGNED, call.id)


def _duplicates(platform: Platform, call: SampleCall) -> Iterator[Step]:
    twice, late, many = (replace(call, id=f"{call.id}-{name}") for name in ("twice", "late", "many"))
    other = replace(twice, caller=OTHER_CALLER)
    yield incoming_call(platform, twice, "a call")
    for title, again in (("the same call again", twice), ("the same call, another number", other)):
        yield replace(incoming_call(platform, again, title), expected=Expected.SAME_ANSWER, after="a call")
    yield replace(incoming_call(platform, many, "a call, five times at once"), at_once=5)
    yield report(platform, late, "a report before its call")
    yield incoming_call(platform, late, "its call")
    yield report(platform, late, "its report again")
    yield report(platform, replace(late, at=call.at - timedelta(minutes=1)), "an earlier report of it")


def _withheld(platform: Platform, call: SampleCall) -> Iterator[Step]:
    for letter, (title, number) in zip("abcdef", WITHHELD.items(), strict=True):
        ours = replace(call, id=f"{call.id}-withheld-{letter}", caller=number)
        yield replace(incoming_call(platform, ours, f"number: {title}"), expected=Expected.NOBODYS)


# --- what comes back --------------------------------------------------------------------------------------------------


class Unreachable(PickupError):
    """The server could not be reached; the message says why."""


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

    :param wrong: what is not as expected; empty if all is.
    :param reply: the slowest, if there are several; ``None`` if the server could not be reached.
    """

    step: Step
    wrong: str
    reply: Reply | None = None

    def as_json(self) -> dict[str, Any]:
        """Return the result as plain values."""
        status = str(self.reply.status) if self.reply else ""
        return {
            "sent": self.step.title,
            "expected": self.step.expected.value,
            "got": ", ".join(filter(None, (status, self.wrong))),
            "as_expected": not self.wrong,
            "call": self.step.call_id or None,
            "status": self.reply.status if self.reply else None,
            "seconds": self.reply.seconds if self.reply else None,
        }


def play(address: str, platform: Platform, steps: Iterable[Step]) -> Iterator[StepResult]:
    """Send the steps one after the other, and yield the result of each."""
    replies: dict[str, Reply] = {}
    for step in steps:
        earlier = replies.get(step.after or "")
        delivery = step.make(earlier.body if earlier and isinstance(earlier.body, dict) else None)
        try:
            with ThreadPoolExecutor(step.at_once) as threads:
                found = list(threads.map(partial(send, address, delivery), [step.method] * step.at_once))
        except Unreachable as error:
            yield StepResult(step, str(error))
            continue
        replies[step.title] = found[0]
        same = earlier if step.expected is Expected.SAME_ANSWER and earlier else found[0]
        wrong = next((wrong for reply in found if (wrong := judge(platform, step.expected, reply, same))), "")
        yield StepResult(step, wrong, max(found, key=lambda reply: reply.seconds))


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
    found, _ = read_answer(platform, reply.body)
    if expected is Expected.NOBODYS and found and found.caller_key is not None:
        return "identified as a caller"
    first, _ = read_answer(platform, same.body)
    return "" if arms(found) == arms(first) else "another arm"


def read_answer(platform: Platform, answer: JsonObject) -> tuple[Metadata | None, Words]:
    """Return Pickup's metadata in the platform's JSON, and the greeting and prompt that the platform would use."""
    rejection = platform.rejection(answer)
    return Metadata.read(platform.metadata(answer)), Words(rejection) if rejection else platform.words(answer)


def arms(metadata: Metadata | None) -> dict[str, str]:
    """Return the arm in each experiment."""
    return {assigned.experiment: assigned.arm for assigned in metadata.assignments} if metadata else {}


def explain(address: str, reply: Reply) -> str:
    """Return the likely cause of a reply that is not an answer; empty if there is none."""
    if reply.location and not reply.is_answer:
        return f"{address} redirects to {reply.location}. The platform may not follow it: use that address."
    found = _EXPLANATIONS.get(reply.status)
    return f"{address} answered {reply.status}: {found}" if found else ""


_EXPLANATIONS = {
    401: "the signature is refused. The secret here differs from the server's, the address is another "
    "platform's, or the clocks are minutes apart.",
    404: "there is no webhook at this path. It is below the app's prefix, as in /pickup/webhook or /pickup/vapi.",
    405: "this path does not accept POST. The webhook's ends in /webhook, or in the platform's name.",
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
    is_clean = address.isascii() and address.isprintable() and " " not in address
    if url.scheme not in {"http", "https"} or not url.hostname or url.port == 0 or not is_clean:
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
                raise TimeoutError("timed out")
    except (OSError, HTTPException) as error:
        is_down = isinstance(error, ConnectionRefusedError)
        remedy = " Start the app first: flask run (port 5000), or scripts/serve (port 8000)." if is_down else ""
        raise Unreachable(f"{address} gives no answer: {error}.{remedy}") from error
    finally:
        connection.close()
    try:
        found = json.loads(body)
    except ValueError:
        found = body.decode("utf-8", "replace")
    return Reply(response.status, found, perf_counter() - started, response.headers.get("Location"))
