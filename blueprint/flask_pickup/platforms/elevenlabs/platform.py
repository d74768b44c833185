"""ElevenLabs as a :class:`.Platform`."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from flask_pickup.errors import BadWebhook, UnreadableCall
from flask_pickup.options import ConfigReader
from flask_pickup.platforms.base import BasePlatform
from flask_pickup.platforms.elevenlabs import answer as answers
from flask_pickup.platforms.elevenlabs.payloads import read_call, read_event
from flask_pickup.platforms.elevenlabs.samples import all_samples, make_payload
from flask_pickup.platforms.elevenlabs.schemas import ConversationInitiationSchema
from flask_pickup.platforms.elevenlabs.starter import STARTER
from flask_pickup.platforms.events import Delivery, Event, IncomingCall
from flask_pickup.platforms.reading import read_object
from flask_pickup.platforms.signing import DIGEST, SECONDS, match_header, require_match, timed_hmac

SIGNATURE = "ElevenLabs-Signature"
TOKEN = "X-Pickup-Token"  # noqa: S105 (a header's name)
"""The header in which samples have the token; the platform may send it in any."""

_OLDEST = 1800.0
"""Seconds. The vendor's own limit."""
_OPTIONS = (
    ("elevenlabs_token", "a random text, and let a header of your conversation initiation webhook have the same"),
    ("elevenlabs_secret", "the secret of your post-call webhook, which signs the reports"),
)


@dataclass(frozen=True, eq=False)
class ElevenLabs(BasePlatform):
    """ElevenLabs Agents: a request with a static token before a call, signed events after it.

    :param tokens: any of them verifies a request; the first is in samples.
    :param secrets: any of them verifies what is signed; the first signs samples.
    """

    name = "elevenlabs"
    # The platform publishes none. It asks while the phone rings.
    deadline = 2.0
    # The variable with it is one of the agent's, and an answer has to bring every variable of the agent's.
    needs_metadata = True
    # Ten failures in a row switch the webhook off, and a call's audio is larger than the limit.
    acknowledges_large_bodies = True
    answer_schema = ConversationInitiationSchema()
    starter = STARTER

    answer = staticmethod(answers.write)
    notes = staticmethod(answers.notes)
    words = staticmethod(answers.words)
    metadata = staticmethod(answers.metadata)
    analysis_fields = staticmethod(answers.analysis_fields)
    payload = staticmethod(make_payload)
    samples = staticmethod(all_samples)

    tokens: Sequence[str] = field(repr=False)
    secrets: Sequence[str] = field(repr=False)

    @classmethod
    def from_config(cls, config: ConfigReader, clock: Callable[[], float]) -> ElevenLabs | None:
        """Return the platform as an app's configuration has it; ``None`` if neither of its two options is set.

        :raises ConfigurationError: if only one of them is.
        """
        if not any(config.secrets(name, what, needed=False) for name, what in _OPTIONS):
            return None
        tokens, secrets = (config.secrets(name, what, needed=True) for name, what in _OPTIONS)
        return cls(tokens, secrets, clock=clock, tolerance=config.number("signature_tolerance", 300))

    def verify(self, delivery: Delivery) -> float | None:
        """Return the signed Unix time; ``None`` for the request before a call, which has a token instead.

        What is signed is the time, a full stop and the raw body. The token may be in any header, also behind ``Bearer``.
        """
        if SIGNATURE not in delivery.headers:
            require_match(_values(delivery), (token.encode() for token in self.tokens))
            return None
        right = "t=<seconds>,v0=<64 hexadecimal digits>"
        given = match_header(delivery, SIGNATURE, f"t=({SECONDS}),v0=({DIGEST})", right)
        expected = (timed_hmac(secret, given[1], delivery.body) for secret in self.secrets)
        return self.require_signed(given[2], expected, int(given[1]), oldest=_OLDEST)

    def parse(self, delivery: Delivery) -> Event:
        """Return the event."""
        if SIGNATURE in delivery.headers:
            return read_event(read_object(delivery.body))
        try:
            body = read_object(delivery.body)
        except BadWebhook as error:
            raise UnreadableCall(error.detail) from None
        return read_call(body)

    def default(self) -> dict[str, Any]:
        """Return the answer after which the platform uses the agent as it is saved."""
        return {"type": answers.TYPE, answers.VARIABLES: {"pickup": ""}}

    def sign(self, body: bytes, event: type[Event]) -> Delivery:
        """Return a body with the platform's headers: the token for an incoming call, a signature for all else."""
        if event is IncomingCall:
            authentication = {TOKEN: self.tokens[0]}
        else:
            stamp = str(int(self.clock()))
            authentication = {SIGNATURE: f"t={stamp},v0={timed_hmac(self.secrets[0], stamp, body).hex()}"}
        return Delivery({"Content-Type": "application/json", **authentication}, body)


def _values(delivery: Delivery) -> Iterator[bytes]:
    for value in delivery.headers.values():
        yield value.encode()
        scheme, _, token = value.partition(" ")
        if scheme.lower() == "bearer":
            yield token.strip().encode()
