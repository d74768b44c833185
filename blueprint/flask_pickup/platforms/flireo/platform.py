"""Flireo as a :class:`.Platform`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from flask_pickup.errors import BadWebhook, UnreadableCall
from flask_pickup.options import ConfigReader
from flask_pickup.platforms.assistants import rejection_in
from flask_pickup.platforms.base import BasePlatform
from flask_pickup.platforms.events import Delivery, Event, IncomingCall, OtherEvent
from flask_pickup.platforms.flireo import answer as answers
from flask_pickup.platforms.flireo.generations import current_message
from flask_pickup.platforms.flireo.payloads import read_event
from flask_pickup.platforms.flireo.samples import all_samples, make_payload
from flask_pickup.platforms.flireo.schemas import AssistantRequestResponseSchema
from flask_pickup.platforms.flireo.starter import STARTER
from flask_pickup.platforms.reading import read_object
from flask_pickup.platforms.signing import DIGEST, SECONDS, match_header, timed_hmac

SIGNATURE = "X-Webhook-Signature"
TIMESTAMP = "X-Webhook-Timestamp"
EVENT = "X-Webhook-Event"
"""Repeats the message's type; not signed."""


@dataclass(frozen=True, eq=False)
class Flireo(BasePlatform):
    """The platform that has also been called HMS Sovereign and VoiceDock.

    :param secrets: any of them verifies; the first signs samples.
    :param allow_unsigned: whether deliveries without a signature are accepted.
    """

    name = "flireo"
    deadline = 5.0
    plans_analysis = True
    templates_again = False
    # The platform fills {{schema}}, {{transcript}} and {{ended_reason}} below this key.
    untemplated = frozenset({"analysis_plan"})
    answer_schema = AssistantRequestResponseSchema()
    starter = STARTER

    answer = staticmethod(answers.write)
    rejection = staticmethod(rejection_in)
    words = staticmethod(answers.words)
    metadata = staticmethod(answers.metadata)
    analysis_fields = staticmethod(answers.analysis_fields)
    payload = staticmethod(make_payload)
    samples = staticmethod(all_samples)

    secrets: Sequence[str] = field(repr=False)
    allow_unsigned: bool = field(default=False, kw_only=True)

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
        """Return the time that was signed: HMAC-SHA256 of the timestamp, a full stop and the raw body."""
        if self.allow_unsigned and not delivery.headers.get(SIGNATURE, ""):
            return None
        stamp = match_header(delivery, TIMESTAMP, SECONDS, "1 to 12 digits")[0]
        given = match_header(delivery, SIGNATURE, f"(?:sha256=)?({DIGEST})", "64 hexadecimal digits")[1]
        expected = (timed_hmac(secret, stamp, delivery.body) for secret in self.secrets)
        return self.require_signed(given, expected, int(stamp))

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

    def sign(self, body: bytes, event: type[Event]) -> Delivery:
        """Return a body with the platform's headers; without a secret it is not signed."""
        stamp = str(int(self.clock()))
        headers = {"Content-Type": "application/json", EVENT: event.name, TIMESTAMP: stamp}
        if self.secrets:
            headers[SIGNATURE] = f"sha256={timed_hmac(self.secrets[0], stamp, body).hex()}"
        return Delivery(headers, body)


def _refusal(event: str, detail: str, field: str | None) -> BadWebhook:
    return (UnreadableCall if event == IncomingCall.name else BadWebhook)(detail, field)
