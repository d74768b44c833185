"""The answer that a caller would get, without a call; nothing is recorded."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

from flask_pickup.assignment import Assigned, Recorded
from flask_pickup.caller import REHEARSAL, Caller
from flask_pickup.calls import CallFacts, call_of
from flask_pickup.catalog import Catalog, Experiment, Line
from flask_pickup.customer import UNKNOWN, Customer
from flask_pickup.decision import FAULTS, Decision, decide
from flask_pickup.phone_numbers import e164, is_withheld
from flask_pickup.platforms import Delivery, IncomingCall, Platform
from flask_pickup.rehearsal import CALLER
from flask_pickup.webhook import Webhook


@dataclass(frozen=True, slots=True)
class Preview:
    """A call and what Pickup would decide."""

    call: CallFacts
    decision: Decision
    platform: Platform

    @property
    def answer(self) -> dict[str, Any]:
        """The answer in the platform's JSON."""
        return self.decision.written(self.platform)

    def arms(self) -> dict[str, str]:
        """Return the arm in each experiment, or why there is none, for people."""
        found = self.as_json()["assignments"].items()
        return {name: each["arm"] or f"not enrolled ({each['reason']})" for name, each in found}

    def as_json(self) -> dict[str, Any]:
        """Return the caller, their arms with reasons, and the platform's answer as plain values."""
        who = self.call.caller
        assigned = self.decision.assignments
        reasons = {name: reason for name, reason in self.decision.reasons.items() if name != FAULTS}
        others = {name: {"arm": None, "reason": reason} for name, reason in reasons.items()}
        arms = {
            one.experiment: {"arm": one.arm, "source": one.source, "definition": one.definition} for one in assigned
        }
        return {
            "caller": {"key": who.key, "country": who.country, "language": who.language, "identified": who.identified},
            "language": self.decision.language,
            "open": self.decision.open,
            "decision": self.decision.kind,
            "assignments": {**others, **arms},
            "answer": self.answer,
        }


def entered_number(text: str | None, region: str) -> str | None:
    """Return a caller's number as somebody entered it; None where the caller withholds it.

    :raises ValueError: if it is no phone number, or could be several.
    """
    if text is None or is_withheld(text):
        return None
    if e164(text, region) is None:
        raise ValueError("not a phone number, or several could be meant")
    return text


def preview(  # noqa: PLR0913 (all that a made-up call is)
    webhook: Webhook,
    *,
    platform: Platform | None = None,
    number: str | None = None,
    line: str | None = None,
    at: datetime | None = None,
    arm: tuple[Experiment, str] | None = None,
) -> Preview:
    """Return the decision on a call.

    :param platform: the one that the call comes from; the default one if None.
    :param number: as a person writes it; None for a caller who withholds it.
    :param line: the number called.
    :param at: now by default; in the line's time zone if it has none.
    :param arm: an experiment's arm to use instead of the caller's own.
    """
    now = at or datetime.now(UTC)
    platform = platform or webhook.default_platform
    event = IncomingCall(
        call_id=REHEARSAL + "preview", call_type="inbound_phone_call", caller_number=number, line_number=line
    )
    call = call_of(event, Delivery({}, b""), now, platform.name, webhook.catalog, webhook.options)
    if now.tzinfo is None:
        call = replace(call, at=now.replace(tzinfo=webhook.catalog.zone(call.line)))
    customer = webhook.lookups[platform.name](call.caller)
    decision = decide(webhook.catalog, platform, call, customer, _given(arm) if arm else None)
    return Preview(call, decision, platform)


SOMEBODY = Caller(number=CALLER, country=None, language=None, key="0" * 32)
"""A made-up caller who shows a number."""


def made_up_call(platform: Platform, caller: Caller, at: datetime, line: Line | None = None) -> CallFacts:
    """Return a call that nobody made.

    :param at: aware.
    """
    return CallFacts(REHEARSAL + "preview", platform.name, "inbound_phone_call", caller, line or Line(None), at)


def imagine(
    catalog: Catalog, platform: Platform, arm: tuple[Experiment, str], call: CallFacts, customer: Customer = UNKNOWN
) -> Preview:
    """Return the decision on a made-up call in an arm, or its rejection; the customer hook is not called."""
    if not (decision := decide(catalog, platform, call, customer, _given(arm))).open:
        # A caller who is in an arm already is not rejected; one who calls for the first time may be.
        first = decide(catalog, platform, call, customer)
        decision = first if first.kind == "closed" else decision
    return Preview(call, decision, platform)


def _given(arm: tuple[Experiment, str]) -> Recorded:
    experiment, name = arm
    return Recorded("arm", (Assigned(experiment.name, name, "preview", experiment.fingerprint),))
