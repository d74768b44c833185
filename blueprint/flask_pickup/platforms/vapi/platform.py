"""Vapi as a :class:`.Platform`."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import KW_ONLY, dataclass, field
from time import time
from typing import Any

from flask_pickup.errors import BadWebhook
from flask_pickup.options import ConfigReader
from flask_pickup.platforms.events import Answer, Delivery, Event, JsonObject, Rejection, SampleCall, ToolCalls
from flask_pickup.platforms.reading import read_object
from flask_pickup.platforms.sampling import encode
from flask_pickup.platforms.signing import timed_hmac
from flask_pickup.platforms.vapi import answer as answers
from flask_pickup.platforms.vapi.payloads import read_event
from flask_pickup.platforms.vapi.samples import all_samples, made_up_payload
from flask_pickup.platforms.vapi.schemas import VapiAnswerSchema
from flask_pickup.platforms.vapi.signature import SIGNATURE, TIMESTAMP, verify


@dataclass(frozen=True, eq=False)
class Vapi:
    """A platform without an answer that changes nothing: each names an assistant.

    :param secrets: any of them verifies; the first signs samples.
    :param assistant: the id of the saved assistant where an override names none.
    :param clock: gives the Unix time in seconds.
    :param tolerance: seconds that a signed time may be away from the clock, in either direction.
    """

    name = "vapi"
    deadline = 7.5
    templates_again = True
    acknowledges_large_bodies = False
    # The platform fills {{transcript}}, {{schema}} and {{ $ }} below these keys after the call, or after a tool's answer.
    untemplated = frozenset({"analysisPlan", "artifactPlan", "summaryPlan", "variableExtractionPlan"})
    answer_schema = VapiAnswerSchema()

    notes = staticmethod(answers.notes)
    rejection = staticmethod(answers.rejection)
    words = staticmethod(answers.words)
    metadata = staticmethod(answers.metadata)
    analysis_fields = staticmethod(answers.analysis_fields)
    samples = staticmethod(all_samples)

    secrets: Sequence[str] = field(repr=False)
    assistant: str
    _: KW_ONLY
    clock: Callable[[], float] = time
    tolerance: float = 300.0

    @classmethod
    def from_config(cls, config: ConfigReader, clock: Callable[[], float]) -> Vapi | None:
        """Return the platform as an app's configuration has it; ``None`` if its secret is not set."""
        secrets = config.secrets("vapi_secret", "the secret of your phone number's server at Vapi", needed=False)
        if not secrets:
            return None
        assistant = config.text("vapi_assistant", "the id of a saved assistant: Vapi fails calls without one")
        return cls(secrets, assistant, clock=clock, tolerance=config.number("signature_tolerance", 300))

    def verify(self, delivery: Delivery) -> float | None:
        """Return the signed Unix time; ``None`` if the delivery brings the secret itself."""
        return verify(delivery, secrets=self.secrets, now=self.clock(), tolerance=self.tolerance)

    def parse(self, delivery: Delivery) -> Event:
        """Return the event in the body's ``message``."""
        message = read_object(delivery.body).get("message")
        if not isinstance(message, dict):
            raise BadWebhook("The body has no object 'message'.", "message")
        return read_event(message)

    def answer(self, answer: Answer | Rejection) -> dict[str, Any]:
        """Return the platform's JSON for an answer."""
        return answers.write(answer, self.assistant)

    def default(self) -> dict[str, Any]:
        """Return the answer after which the platform uses the configured assistant as it is saved."""
        return {"assistantId": self.assistant}

    def tool_results(self, event: ToolCalls, result: JsonObject, error: str = "") -> JsonObject:
        """Return the body that answers tool calls; one handler's result is that of each.

        A handler that returns ``results`` answers in the platform's own JSON.
        """
        if not error and isinstance(result.get("results"), list):
            return result
        # The platform takes texts of one line alone.
        outcome = {"error": error} if error else {"result": json.dumps(result, ensure_ascii=False)}
        return {"results": [{"toolCallId": call.id, "name": call.name, **outcome} for call in event.tool_calls]}

    def payload(self, event: type[Event], call: SampleCall, fields: JsonObject | None = None) -> bytes:
        """Return a body of the platform."""
        return encode(made_up_payload(event, call, fields))

    def sign(self, body: bytes, event: type[Event]) -> Delivery:  # noqa: ARG002 (the protocol's)
        """Return a body with the platform's headers, of the three ways the one that signs it."""
        stamp = str(int(self.clock()))
        signature = timed_hmac(self.secrets[0], stamp, body).hex()
        return Delivery({"Content-Type": "application/json", TIMESTAMP: stamp, SIGNATURE: signature}, body)
