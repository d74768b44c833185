"""What came of a delivery, and whether that is as it should be."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from flask_pickup.flireo import AssistantRequestResponseSchema
from flask_pickup.flireo.answer import metadata
from flask_pickup.rehearsal.repertoire import Delivery, Expected

DEADLINE = 5.0
"""Seconds after which the platform goes on without our answer."""

_REFUSALS = {Expected.UNSIGNED: 401, Expected.NO_CALL: 400, Expected.NO_POST: 405}


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
class Outcome:
    """What came of a delivery.

    :param got: for people.
    :param reply: the slowest where there are several.
    """

    delivery: Delivery
    got: str
    as_expected: bool
    reply: Reply | None


def judge(delivery: Delivery, replies: Sequence[Reply], earlier: Reply | None) -> str:
    """Return what is not as expected in the replies to a delivery; empty if all is.

    :param earlier: the reply to the delivery that this one comes after.
    """
    same = earlier or replies[0]
    return next((wrong for reply in replies if (wrong := _judge(delivery.expected, reply, same))), "")


def _judge(expected: Expected, reply: Reply, same: Reply) -> str:
    if expected in _REFUSALS:
        return _judge_refusal(_REFUSALS[expected], reply)
    if not reply.is_answer:
        return "no 2xx"
    if expected is Expected.ACCEPTED:
        return ""
    if reply.seconds > DEADLINE:
        return f"later than {DEADLINE:g} s"
    if not isinstance(reply.body, dict):
        return "no JSON object"
    if problems := AssistantRequestResponseSchema().validate(reply.body):
        return f"not understood: {next(iter(problems))}"
    if expected is Expected.NOBODYS and _is_somebodys(reply.body):
        return "taken for somebody"
    return "" if _arms(reply) == _arms(same) else "another arm"


def _judge_refusal(status: int, reply: Reply) -> str:
    if reply.status != status:
        return f"not {status}"
    return "its 'error' would be spoken" if isinstance(reply.body, dict) and "error" in reply.body else ""


def _is_somebodys(answer: Mapping[str, Any]) -> bool:
    pickup = metadata(answer).get("pickup")
    return isinstance(pickup, Mapping) and pickup.get("caller_key") is not None


def arms(answer: Mapping[str, Any]) -> dict[str, str]:
    """Return the arm in each experiment that the answer names."""
    pickup = metadata(answer).get("pickup")
    assignments = pickup.get("assignments") if isinstance(pickup, Mapping) else None
    found = assignments.items() if isinstance(assignments, Mapping) else ()
    return {
        name: str(assigned["arm"]) for name, assigned in found if isinstance(assigned, Mapping) and "arm" in assigned
    }


def _arms(reply: Reply) -> dict[str, str]:
    return arms(reply.body) if isinstance(reply.body, dict) else {}


def explain(address: str, reply: Reply) -> str:
    """Return what a person should look at, where the server answered and not as it should; else nothing."""
    if reply.location and not reply.is_answer:
        return f"{address} redirects to {reply.location}. The platform may not follow: name that address."
    found = _EXPLANATIONS.get(reply.status)
    return f"{address} answered {reply.status}: {found}" if found else ""


_EXPLANATIONS = {
    401: "the signature is refused. PICKUP_WEBHOOK_SECRET is another one here than there, or the two clocks are "
    "minutes apart.",
    404: "there is no webhook at this path. It stands behind the app's prefix, as in /pickup/webhook.",
    405: "this path takes no POST. The webhook's ends in /webhook.",
    502: "what stands in front of the app cannot reach it.",
    503: "the server is there and takes no calls now.",
    504: "what stands in front of the app had no answer from it.",
}
