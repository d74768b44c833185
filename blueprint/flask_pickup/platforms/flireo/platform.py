"""Flireo as a :class:`.Platform`."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import KW_ONLY, dataclass, field
from time import time
from typing import Any

from flask_pickup.errors import BadWebhook, UnreadableCall
from flask_pickup.options import ConfigReader
from flask_pickup.platforms.events import (
    Answer,
    Delivery,
    Event,
    IncomingCall,
    JsonObject,
    OtherEvent,
    Rejection,
    SampleCall,
    ToolCalls,
)
from flask_pickup.platforms.flireo import answer as answers
from flask_pickup.platforms.flireo.generations import current_message
from flask_pickup.platforms.flireo.payloads import read_event
from flask_pickup.platforms.flireo.samples import all_samples, current_payload
from flask_pickup.platforms.flireo.schemas import AssistantRequestResponseSchema
from flask_pickup.platforms.flireo.signature import EVENT, SIGNATURE, TIMESTAMP, sign, verify
from flask_pickup.platforms.reading import read_object
from flask_pickup.platforms.sampling import encode


@dataclass(frozen=True, eq=False)
class Flireo:
    """The platform that has also been called HMS Sovereign and VoiceDock.

    :param secrets: any of them verifies; the first signs samples.
    :param clock: gives the Unix time in seconds.
    :param tolerance: seconds that the signed time may be away from the clock, in either direction.
    :param allow_unsigned: whether deliveries without a signature are accepted.
    """

    name = "flireo"
    deadline = 5.0
    templates_again = False
    acknowledges_large_bodies = False
    # The platform fills {{schema}}, {{transcript}} and {{ended_reason}} below this key.
    untemplated = frozenset({"analysis_plan"})
    answer_schema = AssistantRequestResponseSchema()

    answer = staticmethod(answers.write)
    rejection = staticmethod(answers.rejection)
    words = staticmethod(answers.words)
    metadata = staticmethod(answers.metadata)
    analysis_fields = staticmethod(answers.analysis_fields)
    samples = staticmethod(all_samples)

    secrets: Sequence[str] = field(repr=False)
    _: KW_ONLY
    clock: Callable[[], float] = time
    tolerance: float = 300.0
    allow_unsigned: bool = False

    @classmethod
    def from_config(cls, config: ConfigReader, clock: Callable[[], float]) -> Flireo | None:
        """Return the platform as an app's configuration has it; ``None`` if its secret is not set."""
        allow_unsigned = config.boolean("allow_unsigned", default=False)
        secrets = config.secrets("webhook_secret", "the webhook_secret of your agent", needed=False)
        if not secrets and not allow_unsigned:
            return None
        tolerance = config.number("signature_tolerance", 300)
        return cls(secrets, clock=clock, tolerance=tolerance, allow_unsigned=allow_unsigned)

    def verify(self, delivery: Delivery) -> float | None:
        """Return the signed Unix time."""
        if self.allow_unsigned and not delivery.headers.get(SIGNATURE, ""):
            return None
        return verify(delivery, secrets=self.secrets, now=self.clock(), tolerance=self.tolerance)

    def parse(self, delivery: Delivery) -> Event:
        """Return the event, of whichever generation."""
        try:
            message = current_message(read_object(delivery.body))
        except BadWebhook as error:
            raise _refusal(delivery.headers.get(EVENT, ""), error.detail, error.field) from None
        if not message["type"]:
            raise BadWebhook("The message has no type.", "message.type")
        event = read_event(message)
        # A flat message brings no id; every other event but an unknown one has to.
        if not (event.call_id or "is_flat" in message or isinstance(event, OtherEvent)):
            raise _refusal(event.name, "The call has no id of 1 to 256 characters.", "message.call.id")
        return event

    def notes(self, answer: Answer | Rejection) -> Iterable[str]:  # noqa: ARG002 (the protocol's)
        """Return nothing: the platform takes every answer as it is."""
        return ()

    def default(self) -> dict[str, Any]:
        """Return the answer after which the platform uses the agent as it is saved."""
        return {}

    def tool_results(self, event: ToolCalls, result: JsonObject, error: str = "") -> JsonObject:  # noqa: ARG002 (the protocol's)
        """Return the body that answers tool calls."""
        return {"error": error} if error else result

    def payload(self, event: type[Event], call: SampleCall, fields: JsonObject | None = None) -> bytes:
        """Return a body of the current generation."""
        return encode(current_payload(event, call, fields))

    def sign(self, body: bytes, event: type[Event]) -> Delivery:
        """Return a body with the platform's headers; without a secret it is not signed."""
        stamp = str(int(self.clock()))
        headers = {"Content-Type": "application/json", EVENT: event.name, TIMESTAMP: stamp}
        if self.secrets:
            headers[SIGNATURE] = sign(self.secrets[0], stamp, body)
        return Delivery(headers, body)


def _refusal(event: str, detail: str, field: str | None) -> BadWebhook:
    return (UnreadableCall if event == IncomingCall.name else BadWebhook)(detail, field)
