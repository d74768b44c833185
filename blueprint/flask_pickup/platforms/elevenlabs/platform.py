"""ElevenLabs as a :class:`.Platform`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import KW_ONLY, dataclass, field
from time import time
from typing import Any

from flask_pickup.errors import BadWebhook, UnreadableCall
from flask_pickup.options import ConfigReader
from flask_pickup.platforms.elevenlabs import answer as answers
from flask_pickup.platforms.elevenlabs.payloads import read_call, read_event
from flask_pickup.platforms.elevenlabs.samples import all_samples, payload
from flask_pickup.platforms.elevenlabs.schemas import ConversationInitiationSchema
from flask_pickup.platforms.elevenlabs.signature import (
    SIGNATURE,
    TOKEN,
    is_signed,
    sign,
    verify_signature,
    verify_token,
)
from flask_pickup.platforms.events import Delivery, Event, IncomingCall, JsonObject, SampleCall, ToolCalls
from flask_pickup.platforms.reading import read_object
from flask_pickup.platforms.sampling import encode

_OPTIONS = (
    ("elevenlabs_token", "a random text, and let a header of your conversation initiation webhook have the same"),
    ("elevenlabs_secret", "the secret of your post-call webhook, which signs the reports"),
)


@dataclass(frozen=True, eq=False)
class ElevenLabs:
    """ElevenLabs Agents: a request with a static token before a call, signed events after it.

    :param tokens: any of them verifies a request; the first is in samples.
    :param secrets: any of them verifies what is signed; the first signs samples.
    :param clock: gives the Unix time in seconds.
    :param tolerance: seconds that the signed time may be ahead of the clock.
    """

    name = "elevenlabs"
    # The platform publishes none. It asks while the phone rings.
    deadline = 2.0
    templates_again = True
    # Ten failures in a row switch the webhook off, and a call's audio is larger than the limit.
    acknowledges_large_bodies = True
    untemplated = frozenset[str]()
    answer_schema = ConversationInitiationSchema()

    answer = staticmethod(answers.write)
    notes = staticmethod(answers.notes)
    rejection = staticmethod(answers.rejection)
    words = staticmethod(answers.words)
    metadata = staticmethod(answers.metadata)
    analysis_fields = staticmethod(answers.analysis_fields)
    samples = staticmethod(all_samples)

    tokens: Sequence[str] = field(repr=False)
    secrets: Sequence[str] = field(repr=False)
    _: KW_ONLY
    clock: Callable[[], float] = time
    tolerance: float = 300.0

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
        """Return the signed Unix time; ``None`` for the request before a call, which has a token instead."""
        if is_signed(delivery.headers):
            return verify_signature(delivery, secrets=self.secrets, now=self.clock(), tolerance=self.tolerance)
        verify_token(delivery.headers, self.tokens)
        return None

    def parse(self, delivery: Delivery) -> Event:
        """Return the event."""
        if is_signed(delivery.headers):
            return read_event(read_object(delivery.body))
        try:
            body = read_object(delivery.body)
        except BadWebhook as error:
            raise UnreadableCall(error.detail) from None
        return read_call(body)

    def default(self) -> dict[str, Any]:
        """Return the answer after which the platform uses the agent as it is saved."""
        return {"type": answers.TYPE}

    def tool_results(self, event: ToolCalls, result: JsonObject, error: str = "") -> JsonObject:  # noqa: ARG002 (the protocol's)
        """Return nothing: the platform sends tool calls to the tools' own URLs."""
        return {}

    def payload(self, event: type[Event], call: SampleCall, fields: JsonObject | None = None) -> bytes:
        """Return a body."""
        return encode(payload(event, call, fields))

    def sign(self, body: bytes, event: type[Event]) -> Delivery:
        """Return a body with the platform's headers: the token for an incoming call, a signature for all else."""
        if event is IncomingCall:
            authentication = {TOKEN: self.tokens[0]}
        else:
            authentication = {SIGNATURE: sign(self.secrets[0], int(self.clock()), body)}
        return Delivery({"Content-Type": "application/json", **authentication}, body)
