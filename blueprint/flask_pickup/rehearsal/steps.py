"""The requests of a rehearsal: what the platform sends, and what a stranger might."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from enum import Enum
from functools import partial
from time import time

from flask_pickup.caller import REHEARSAL
from flask_pickup.errors import BadSignature
from flask_pickup.platforms import CallEnded, Delivery, IncomingCall, JsonObject, Platform, SampleCall

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

_STALE = 20 * 60

MakePlatform = Callable[[Callable[[], float]], Platform]
"""Makes the platform that signs, from a clock."""


class Expected(Enum):
    """The expected result of a step."""

    ANSWER = "an answer"
    NOBODYS = "an answer without a caller"
    SAME_ANSWER = "the same answer"
    ACCEPTED = "accepted"
    UNSIGNED = "refused, 401"
    UNREADABLE = "refused, 400"
    NO_POST = "refused, 405"


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


def new_name() -> str:
    """Return a new name for a call; it has only letters, so that it holds no number."""
    return "".join(secrets.choice("abcdefghijkmnpqrstuvwxyz") for _ in range(8))


def single(platform: Platform, name: str, *, caller: str | None = CALLER, line: str | None = LINE) -> Step:
    """Return the request that the platform sends before it answers a call."""
    return _call(platform, IncomingCall.name, SampleCall(REHEARSAL + name, caller, line, datetime.now(UTC)))


def all_steps(
    make_platform: MakePlatform, name: str, *, caller: str | None = CALLER, line: str | None = LINE
) -> list[Step]:
    """Return all steps in order; ``name`` is part of the ids of their calls."""
    platform = make_platform(time)
    call = SampleCall(REHEARSAL + name, caller, line, datetime.now(UTC))
    return [
        *_samples(platform, call),
        *_forgeries(make_platform, replace(call, id=f"{call.id}-signed")),
        *_duplicates(platform, call),
        *_withheld(platform, call),
        replace(_call(platform, "GET instead of POST", call), expected=Expected.NO_POST, call_id="", method="GET"),
    ]


def _call(platform: Platform, title: str, call: SampleCall) -> Step:
    return Step(title, lambda _: platform.sign(platform.payload(IncomingCall, call), IncomingCall), call_id=call.id)


def _report(platform: Platform, title: str, call: SampleCall, after: str | None = None) -> Step:
    def make(answer: JsonObject | None) -> Delivery:
        return platform.sign(platform.payload(CallEnded, replace(call, answer=answer)), CallEnded)

    return Step(title, make, Expected.ACCEPTED, call.id, after)


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
    yield _report(platform, "a report that returns the answer", call, after=IncomingCall.name)


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
    yield _call(platform, "a call", twice)
    for title, again in (("the same call again", twice), ("the same call, another number", other)):
        yield replace(_call(platform, title, again), expected=Expected.SAME_ANSWER, after="a call")
    yield replace(_call(platform, "a call, five times at once", many), at_once=5)
    yield _report(platform, "a report before its call", late)
    yield _call(platform, "its call", late)
    yield _report(platform, "its report again", late)
    yield _report(platform, "an earlier report of it", replace(late, at=call.at - timedelta(minutes=1)))


def _withheld(platform: Platform, call: SampleCall) -> Iterator[Step]:
    for letter, (title, number) in zip("abcdef", WITHHELD.items(), strict=True):
        ours = replace(call, id=f"{call.id}-withheld-{letter}", caller=number)
        yield replace(_call(platform, f"number: {title}", ours), expected=Expected.NOBODYS)
