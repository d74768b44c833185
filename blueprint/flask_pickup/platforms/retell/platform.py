"""Retell as a :class:`.Platform`."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import KW_ONLY, dataclass, field
from time import time
from typing import Any

from flask_pickup.options import ConfigReader
from flask_pickup.platforms.events import Answer, Delivery, Event, JsonObject, Rejection, SampleCall, ToolCalls
from flask_pickup.platforms.reading import read_object
from flask_pickup.platforms.retell import answer as answers
from flask_pickup.platforms.retell.payloads import read_event
from flask_pickup.platforms.retell.samples import all_samples, sample_payload
from flask_pickup.platforms.retell.schemas import CallInboundResponseSchema
from flask_pickup.platforms.retell.signature import SIGNATURE, sign, verify
from flask_pickup.platforms.sampling import encode

_TOLERANCE = 300.0
"""Seconds, the platform's own."""


@dataclass(frozen=True, eq=False)
class Retell:
    """The platform Retell AI.

    :param keys: API keys with the webhook badge; any of them verifies, and the first signs samples.
    :param clock: gives the Unix time in seconds.
    :param tolerance: seconds that the signed time may be away from the clock, in either direction.
    """

    name = "retell"
    deadline = 10.0
    templates_again = True
    acknowledges_large_bodies = False
    untemplated = frozenset[str]()
    answer_schema = CallInboundResponseSchema()

    answer = staticmethod(answers.write)
    rejection = staticmethod(answers.rejection)
    words = staticmethod(answers.words)
    metadata = staticmethod(answers.metadata)
    analysis_fields = staticmethod(answers.analysis_fields)
    samples = staticmethod(all_samples)

    keys: Sequence[str] = field(repr=False)
    _: KW_ONLY
    clock: Callable[[], float] = time
    tolerance: float = _TOLERANCE

    @classmethod
    def from_config(cls, config: ConfigReader, clock: Callable[[], float]) -> Retell | None:
        """Return the platform as an app's configuration has it; ``None`` if its key is not set."""
        keys = config.secrets(
            "retell_api_key", "the API key of your Retell account with the webhook badge", needed=False
        )
        tolerance = max(_TOLERANCE, config.number("signature_tolerance", _TOLERANCE))
        return cls(keys, clock=clock, tolerance=tolerance) if keys else None

    def verify(self, delivery: Delivery) -> float:
        """Return the signed Unix time."""
        return verify(delivery, keys=self.keys, now=self.clock(), tolerance=self.tolerance)

    def parse(self, delivery: Delivery) -> Event:
        """Return the event."""
        return read_event(read_object(delivery.body))

    def notes(self, answer: Answer | Rejection) -> Iterator[str]:
        """Yield where the agent has to use our dynamic variables, and what ends a call that is turned away."""
        written = self.words(self.answer(answer))
        if written.prompt is not None:
            yield f"The agent's prompt has to be {{{{{answers.PROMPT}}}}}, or to contain it, with a default for calls without answer."
        if written.greeting:
            yield f"An agent with a conversation flow has to say {{{{{answers.GREETING}}}}} in its first node."
        if isinstance(answer, Rejection) and answer.words:
            yield "The agent needs the function end_call, with which it ends the call after the closing words."

    def default(self) -> dict[str, Any]:
        """Return the answer after which the platform uses the number's agent as it is saved."""
        return {"call_inbound": {}}

    def tool_results(self, event: ToolCalls, result: JsonObject, error: str = "") -> JsonObject:  # noqa: ARG002 (the protocol's)
        """Return the body that answers a custom function."""
        return {"error": error} if error else result

    def payload(self, event: type[Event], call: SampleCall, fields: JsonObject | None = None) -> bytes:
        """Return a body."""
        return encode(sample_payload(event, call, fields))

    def sign(self, body: bytes, event: type[Event]) -> Delivery:  # noqa: ARG002 (the protocol's)
        """Return a body with the platform's headers."""
        signature = sign(self.keys[0], round(1000 * self.clock()), body)
        return Delivery({"Content-Type": "application/json", SIGNATURE: signature}, body)
