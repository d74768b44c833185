"""Vapi as a :class:`.Platform`."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from flask_pickup.errors import BadSignature, BadWebhook
from flask_pickup.options import ConfigReader
from flask_pickup.platforms.assistants import rejection_in
from flask_pickup.platforms.base import BasePlatform
from flask_pickup.platforms.events import Answer, Delivery, Event, JsonObject, Rejection, ToolCalls
from flask_pickup.platforms.reading import moment, read_object
from flask_pickup.platforms.signing import DIGEST, match_header, require_match, timed_hmac
from flask_pickup.platforms.vapi import answer as answers
from flask_pickup.platforms.vapi.payloads import read_event
from flask_pickup.platforms.vapi.samples import all_samples, make_payload
from flask_pickup.platforms.vapi.schemas import VapiAnswerSchema
from flask_pickup.platforms.vapi.starter import STARTER

PLAIN = "X-Vapi-Secret"
BEARER = "Authorization"
SIGNATURE = "X-Signature"
TIMESTAMP = "X-Timestamp"


@dataclass(frozen=True, eq=False)
class Vapi(BasePlatform):
    """A platform without an answer that changes nothing: each names an assistant.

    :param secrets: any of them verifies; the first signs samples.
    :param assistant: the id of the saved assistant where an override names none.
    """

    name = "vapi"
    deadline = 7.5
    plans_analysis = True
    # The platform fills {{transcript}}, {{schema}} and {{ $ }} below these keys after the call, or after a tool's answer.
    untemplated = frozenset({"analysisPlan", "artifactPlan", "summaryPlan", "variableExtractionPlan"})
    answer_schema = VapiAnswerSchema()
    starter = STARTER

    notes = staticmethod(answers.notes)
    rejection = staticmethod(rejection_in)
    words = staticmethod(answers.words)
    metadata = staticmethod(answers.metadata)
    analysis_fields = staticmethod(answers.analysis_fields)
    payload = staticmethod(make_payload)
    samples = staticmethod(all_samples)

    secrets: Sequence[str] = field(repr=False)
    assistant: str

    @classmethod
    def from_config(cls, config: ConfigReader, clock: Callable[[], float]) -> Vapi | None:
        """Return the platform as an app's configuration has it; ``None`` if its secret is not set."""
        secrets = config.secrets("vapi_secret", "the secret of your phone number's server at Vapi", needed=False)
        if not secrets:
            return None
        assistant = config.text("vapi_assistant", "the id of a saved assistant: Vapi fails calls without one")
        return cls(secrets, assistant, clock=clock, tolerance=config.number("signature_tolerance", 300))

    def verify(self, delivery: Delivery) -> float | None:
        """Return the signed Unix time; ``None`` if the delivery brings the secret itself, in a header or as bearer token.

        The headers tell which way it is. A delivery with a signature needs a valid one, whatever else it brings.
        """
        headers = delivery.headers
        if headers.get(SIGNATURE, ""):
            return self._verify_signature(delivery)
        bearer = re.sub("^bearer +", "", headers.get(BEARER, ""), flags=re.IGNORECASE)
        given = [each.encode() for each in (headers.get(PLAIN, ""), bearer) if each]
        if not given:
            raise BadSignature(f"there is no {PLAIN}, {BEARER} or {SIGNATURE}")
        require_match(given, (secret.encode() for secret in self.secrets))
        return None

    def _verify_signature(self, delivery: Delivery) -> float:
        """Return the time that was signed: HMAC-SHA256 of the timestamp, a full stop and the raw body."""
        # The platform does not say whether it is in seconds or in milliseconds.
        stamp = match_header(delivery, TIMESTAMP, "[0-9]{1,14}", "1 to 14 digits")[0]
        signed_at = moment(int(stamp))
        if signed_at is None:
            raise BadSignature(f"{TIMESTAMP} is no Unix time")
        given = match_header(delivery, SIGNATURE, f"(?:sha256=)?({DIGEST})", "64 hexadecimal digits")[1]
        expected = (timed_hmac(secret, stamp, delivery.body) for secret in self.secrets)
        return self.require_signed(given, expected, signed_at.timestamp())

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

    def sign(self, body: bytes, event: type[Event]) -> Delivery:  # noqa: ARG002 (the protocol's)
        """Return a body with the platform's headers, of the three ways the one that signs it."""
        stamp = str(int(self.clock()))
        signature = timed_hmac(self.secrets[0], stamp, body).hex()
        return Delivery({"Content-Type": "application/json", TIMESTAMP: stamp, SIGNATURE: signature}, body)
