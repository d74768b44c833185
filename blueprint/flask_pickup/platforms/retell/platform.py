"""Retell as a :class:`.Platform`."""

from __future__ import annotations

import hmac
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from flask_pickup.options import ConfigReader
from flask_pickup.platforms.base import BasePlatform
from flask_pickup.platforms.events import Delivery, Event
from flask_pickup.platforms.reading import read_object
from flask_pickup.platforms.retell import answer as answers
from flask_pickup.platforms.retell.payloads import read_event
from flask_pickup.platforms.retell.samples import all_samples, make_payload
from flask_pickup.platforms.retell.schemas import CallInboundResponseSchema
from flask_pickup.platforms.retell.starter import STARTER
from flask_pickup.platforms.signing import match_header

SIGNATURE = "X-Retell-Signature"
_TOLERANCE = 300.0
"""Seconds, the platform's own."""


@dataclass(frozen=True, eq=False)
class Retell(BasePlatform):
    """The platform Retell AI.

    :param keys: API keys with the webhook badge; any of them verifies, and the first signs samples.
    """

    name = "retell"
    deadline = 10.0
    plans_analysis = True
    answer_schema = CallInboundResponseSchema()
    starter = STARTER

    answer = staticmethod(answers.write)
    notes = staticmethod(answers.notes)
    rejection = staticmethod(answers.rejection)
    words = staticmethod(answers.words)
    metadata = staticmethod(answers.metadata)
    analysis_fields = staticmethod(answers.analysis_fields)
    payload = staticmethod(make_payload)
    samples = staticmethod(all_samples)

    keys: Sequence[str] = field(repr=False)

    @classmethod
    def from_config(cls, config: ConfigReader, clock: Callable[[], float]) -> Retell | None:
        """Return the platform as an app's configuration has it; ``None`` if its key is not set."""
        keys = config.secrets(
            "retell_api_key", "the API key of your Retell account with the webhook badge", needed=False
        )
        tolerance = max(_TOLERANCE, config.number("signature_tolerance", _TOLERANCE))
        return cls(keys, clock=clock, tolerance=tolerance) if keys else None

    def verify(self, delivery: Delivery) -> float:
        """Return the time that was signed: HMAC-SHA256 of the raw body and the milliseconds, without a separator."""
        right = "v=<milliseconds>,d=<64 hexadecimal digits>"
        given = match_header(delivery, SIGNATURE, "v=([0-9]{1,15}),d=([0-9a-f]{64})", right)
        expected = (_digest(key, delivery.body, given[1]) for key in self.keys)
        return self.require_signed(given[2], expected, int(given[1]) / 1000)

    def parse(self, delivery: Delivery) -> Event:
        """Return the event."""
        return read_event(read_object(delivery.body))

    def default(self) -> dict[str, Any]:
        """Return the answer after which the platform uses the number's agent as it is saved."""
        return {"call_inbound": {}}

    def sign(self, body: bytes, event: type[Event]) -> Delivery:  # noqa: ARG002 (the protocol's)
        """Return a body with the platform's headers."""
        stamp = str(round(1000 * self.clock()))
        signature = f"v={stamp},d={_digest(self.keys[0], body, stamp).hex()}"
        return Delivery({"Content-Type": "application/json", SIGNATURE: signature}, body)


def _digest(key: str, body: bytes, milliseconds: str) -> bytes:
    return hmac.digest(key.encode(), body + milliseconds.encode(), "sha256")
