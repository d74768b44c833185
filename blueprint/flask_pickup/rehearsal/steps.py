"""All that a rehearsal plays to a server: what the platform sends, and what a stranger might."""

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
"""All three are numbers that nobody has: from a platform's own page, and from a range reserved for examples."""

WITHHELD: Mapping[str, str | None] = {
    "null": None,
    "empty": "",
    "'anonymous'": "anonymous",
    "a SIP address of nobody": "sip:anonymous@anonymous.invalid",
    "ANONYMOUS on a keypad": "266696687",
    "an extension": "204",
}
"""How carriers spell a withheld number."""

_STALE = timedelta(minutes=20)

MakePlatform = Callable[[Callable[[], float]], Platform]
"""Makes the platform that signs, from a clock."""


class Expected(Enum):
    """What has to come of a step."""

    ANSWER = "an answer"
    NOBODYS = "nobody's answer"
    SAME_ANSWER = "the same answer"
    ACCEPTED = "accepted"
    UNSIGNED = "refused, 401"
    UNREADABLE = "refused, 400"
    NO_POST = "refused, 405"


@dataclass(frozen=True, slots=True)
class Step:
    """One request, and what has to come of it.

    :param make: makes the request, signed at that moment; gets the answer to the step that this one comes after.
    :param after: the title of the step whose answer this one repeats or brings back.
    :param at_once: how many times it is sent at the same time.
    """

    title: str
    make: Callable[[JsonObject | None], Delivery]
    expected: Expected = Expected.ANSWER
    call_id: str = ""
    after: str | None = None
    at_once: int = 1
    method: str = "POST"


def new_name() -> str:
    """Return a name that no call has had: letters only, so that it holds no number."""
    return "".join(secrets.choice("abcdefghijkmnpqrstuvwxyz") for _ in range(8))


def single(platform: Platform, name: str, *, caller: str | None = CALLER, line: str | None = LINE) -> Step:
    """Return the request that the platform sends before it answers a call."""
    return _call(platform, IncomingCall.name, SampleCall(REHEARSAL + name, caller, line, datetime.now(UTC)))


def all_steps(
    make_platform: MakePlatform, name: str, *, caller: str | None = CALLER, line: str | None = LINE
) -> list[Step]:
    """Return all that is played, in order.

    :param name: tells this rehearsal's calls from those of others.
    """
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


def _constant(delivery: Delivery) -> Callable[[JsonObject | None], Delivery]:
    return lambda _: delivery


def _shifted_time(shift: timedelta) -> float:
    return time() + shift.total_seconds()


def _samples(platform: Platform, call: SampleCall) -> Iterator[Step]:
    for sample in platform.samples(call):
        delivery = platform.sign(sample.body, sample.event)
        expected = Expected.ACCEPTED
        if sample.is_refused:
            expected = Expected.UNREADABLE
        elif sample.event is IncomingCall:
            of_somebody = sample.call is not None and sample.call.caller
            expected = Expected.ANSWER if of_somebody else Expected.NOBODYS
        yield Step(sample.title, _constant(delivery), expected, sample.call.id if sample.call else "")
    yield _report(platform, "a report that brings the answer back", call, after=IncomingCall.name)


def _forgeries(make_platform: MakePlatform, call: SampleCall) -> Iterator[Step]:
    """Yield deliveries that the platform would not have sent, of which its own verification refuses each."""
    platform = make_platform(time)
    good = platform.sign(platform.payload(IncomingCall, call), IncomingCall)
    headers = dict(good.headers)  # type: ignore[call-overload]
    forged = {
        "not signed": Delivery({"Content-Type": "application/json"}, good.body),
        "another body than signed": Delivery(headers, good.body + b" "),
    }
    for name, value in headers.items():
        forged[f"without {name}"] = Delivery({k: v for k, v in headers.items() if k != name}, good.body)
        forged[f"{name} cut short"] = Delivery({**headers, name: value[:-2]}, good.body)
    for title, shift in (("signed 20 minutes ago", -_STALE), ("signed 20 minutes ahead", _STALE)):
        forged[title] = make_platform(partial(_shifted_time, shift)).sign(good.body, IncomingCall)
    for title, delivery in forged.items():
        try:
            platform.verify(delivery)
        except BadSignature:
            yield Step(title, _constant(delivery), Expected.UNSIGNED, call.id)


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
