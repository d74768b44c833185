"""All that is played to a server, as plain data: what the platform sends, and what a stranger might."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from enum import Enum
from typing import Any

from flask_pickup.caller import REHEARSAL
from flask_pickup.flireo import outgoing
from flask_pickup.flireo.outgoing import Ringing, Sent
from flask_pickup.flireo.signature import SIGNATURE, TIMESTAMP, sign

CALLER = "+31612345678"
LINE = "+31850835037"
OTHER_CALLER = "+12015550123"
"""All three are numbers that nobody has: from the platform's own page, and from a range reserved for examples."""

WITHHELD: Mapping[str, str | None] = {
    "null": None,
    "empty": "",
    "'anonymous'": "anonymous",
    "a SIP address of nobody": "sip:anonymous@anonymous.invalid",
    "ANONYMOUS on keys": "266696687",
    "an extension": "204",
}
"""How carriers spell that a number is withheld."""


_STALE = timedelta(minutes=20)


class Expected(Enum):
    """What has to come of a delivery."""

    ANSWER = "an answer"
    NOBODYS = "nobody's answer"
    SAME_ANSWER = "the same answer"
    ACCEPTED = "accepted"
    UNSIGNED = "refused, 401"
    NO_CALL = "refused, 400"
    NO_POST = "refused, 405"


@dataclass(frozen=True, slots=True)
class Post:
    """What goes over the wire."""

    body: bytes
    headers: Mapping[str, str]
    method: str = "POST"


Seal = Callable[[str, str, bytes, str], Post]
"""Makes a post from the secret, the timestamp, the body and the event: rightly signed, or not."""


def _signed(secret: str, stamp: str, body: bytes, event: str) -> Post:
    return Post(body, outgoing.headers(secret, stamp, body, event))


def _bare(secret: str, stamp: str, body: bytes, event: str) -> Post:
    signature = sign(secret, stamp, body).removeprefix("sha256=")
    return _with(_signed(secret, stamp, body, event), SIGNATURE, signature)


def _unsigned(secret: str, stamp: str, body: bytes, event: str) -> Post:
    return _with(_with(_signed(secret, stamp, body, event), SIGNATURE, None), TIMESTAMP, None)


def _foreign(_: str, stamp: str, body: bytes, event: str) -> Post:
    return _signed(secrets.token_hex(), stamp, body, event)


def _changed(secret: str, stamp: str, body: bytes, event: str) -> Post:
    return replace(_signed(secret, stamp, body, event), body=body + b" ")


def _restamped(secret: str, stamp: str, body: bytes, event: str) -> Post:
    return _with(_signed(secret, stamp, body, event), TIMESTAMP, str(int(stamp) + 1))


def _cut_short(secret: str, stamp: str, body: bytes, event: str) -> Post:
    return _with(_signed(secret, stamp, body, event), SIGNATURE, sign(secret, stamp, body)[:-8])


def _timeless(secret: str, stamp: str, body: bytes, event: str) -> Post:
    return _with(_signed(secret, stamp, body, event), TIMESTAMP, None)


def _wordy(secret: str, _: str, body: bytes, event: str) -> Post:
    return _signed(secret, "now", body, event)


def _get(secret: str, stamp: str, body: bytes, event: str) -> Post:
    return replace(_unsigned(secret, stamp, body, event), method="GET")


def _with(post: Post, name: str, value: str | None) -> Post:
    others = {key: kept for key, kept in post.headers.items() if key != name}
    return replace(post, headers=others if value is None else {**others, name: value})


@dataclass(frozen=True, slots=True)
class Delivery:
    """One request, and what has to come of it.

    :param title: what it is, for people.
    :param event: as it stands in the header.
    :param age: how long ago it was signed.
    :param after: the title of the delivery whose answer this one repeats or brings back.
    :param at_once: how many times it is delivered at the same time.
    :param slowly: it is delivered while another client sends a body byte by byte.
    """

    title: str
    message: Sent | bytes
    expected: Expected = Expected.ANSWER
    event: str = "assistant-request"
    seal: Seal = _signed
    age: timedelta = timedelta()
    after: str | None = None
    at_once: int = 1
    slowly: bool = False

    @property
    def call_id(self) -> str:
        """The call's id; empty where the message names no call."""
        return "" if isinstance(self.message, bytes) else outgoing.call_id(self.message)


def new_name() -> str:
    """Return a name that no call has had: letters only, so that it holds no number."""
    return "".join(secrets.choice("abcdefghijkmnpqrstuvwxyz") for _ in range(8))


def single(name: str, *, caller: str | None = CALLER, line: str | None = LINE) -> Delivery:
    """Return the request that the platform sends before it answers a call."""
    call = Ringing(REHEARSAL + name, caller, line, datetime.now(UTC))
    return Delivery("assistant-request", outgoing.current("assistant-request", call))


def repertoire(name: str, *, caller: str | None = CALLER, line: str | None = LINE) -> list[Delivery]:
    """Return all that is played, in order.

    :param name: what tells this performance's calls from those of others.
    """
    call = Ringing(REHEARSAL + name, caller, line, datetime.now(UTC))
    parts = (_messages, _signatures, _duplicates, _strangers, _withheld, _odd_bodies)
    return [delivery for part in parts for delivery in part(call)]


def _named(call: Ringing, name: str, **changes: Any) -> Ringing:
    return replace(call, id=f"{call.id}-{name}", **changes)


def _messages(call: Ringing) -> Iterator[Delivery]:
    generations = (("current", outgoing.current), ("camel", outgoing.camel), ("flat", outgoing.flat))
    for generation, write in generations:
        ours = _named(call, generation.lower())
        request = f"{generation}: assistant-request"
        yield Delivery(request, write("assistant-request", ours))
        for event in outgoing.EVENTS[1:]:
            is_report = event == "end-of-call-report"
            # The first generation has no other messages on record.
            if is_report or generation != "flat":
                after = request if is_report else None
                yield Delivery(f"{generation}: {event}", write(event, ours), Expected.ACCEPTED, event, after=after)
    unheard_of = {"message": {"type": "something-new", "call": {"id": _named(call, "new").id}}}
    yield Delivery("an event of the future", unheard_of, Expected.ACCEPTED, "something-new")


def _signatures(call: Ringing) -> Iterator[Delivery]:
    message = outgoing.current("assistant-request", _named(call, "signed"))
    yield Delivery("signed without 'sha256='", message, seal=_bare)
    for title, seal in (
        ("not signed", _unsigned),
        ("signed with another secret", _foreign),
        ("another body than signed", _changed),
        ("another timestamp than signed", _restamped),
        ("signature cut short", _cut_short),
        ("no timestamp", _timeless),
        ("timestamp is no number", _wordy),
    ):
        yield Delivery(title, message, Expected.UNSIGNED, seal=seal)
    yield Delivery("signed 20 minutes ago", message, Expected.UNSIGNED, age=_STALE)
    yield Delivery("signed 20 minutes ahead", message, Expected.UNSIGNED, age=-_STALE)


def _duplicates(call: Ringing) -> Iterator[Delivery]:
    twice, late, many = (_named(call, name) for name in ("twice", "late", "many"))
    request = outgoing.current("assistant-request", twice)
    yield Delivery("a call", request)
    yield Delivery("the same call again", request, Expected.SAME_ANSWER, after="a call")
    other = outgoing.current("assistant-request", replace(twice, caller=OTHER_CALLER))
    yield Delivery("the same call, another number", other, Expected.SAME_ANSWER, after="a call")
    yield Delivery("a call, five times at once", outgoing.current("assistant-request", many), at_once=5)
    report = outgoing.current("end-of-call-report", late)
    earlier = outgoing.current("end-of-call-report", replace(late, at=call.at - timedelta(minutes=1)))
    yield Delivery("a report before its call", report, Expected.ACCEPTED, "end-of-call-report")
    yield Delivery("its call", outgoing.current("assistant-request", late))
    yield Delivery("its report again", report, Expected.ACCEPTED, "end-of-call-report")
    yield Delivery("an earlier report of it", earlier, Expected.ACCEPTED, "end-of-call-report")


def _withheld(call: Ringing) -> Iterator[Delivery]:
    for letter, (title, number) in zip("abcdef", WITHHELD.items(), strict=True):
        ours = _named(call, f"withheld-{letter}", caller=number)
        yield Delivery(f"number: {title}", outgoing.current("assistant-request", ours), Expected.NOBODYS)
    nobody = outgoing.current("assistant-request", _named(call, "nobody", caller=None))
    yield Delivery("neither a caller nor a line", outgoing.without_numbers(nobody), Expected.NOBODYS)
    web = _named(call, "web", caller=None, line=None, type="web_call")
    yield Delivery("a call from the web", outgoing.current("assistant-request", web), Expected.NOBODYS)


def _strangers(call: Ringing) -> Iterator[Delivery]:
    beside = outgoing.current("assistant-request", _named(call, "beside"))
    yield Delivery("a call beside a slow client", beside, slowly=True)
    yield Delivery("GET instead of POST", b"", Expected.NO_POST, seal=_get)


def _odd_bodies(call: Ringing) -> Iterator[Delivery]:
    request = outgoing.current("assistant-request", _named(call, "odd"))
    yield Delivery("signed, no JSON", b"Hello?", Expected.NO_CALL)
    yield Delivery("signed, empty", b"", Expected.NO_CALL)
    yield Delivery("signed, a call without id", outgoing.without_call(request), Expected.NO_CALL)
