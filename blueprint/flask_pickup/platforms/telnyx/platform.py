"""Telnyx as a :class:`.Platform`."""

from __future__ import annotations

from base64 import b64decode
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from flask_pickup.errors import ConfigurationError
from flask_pickup.options import ConfigReader
from flask_pickup.platforms.base import BasePlatform
from flask_pickup.platforms.events import Delivery, Event, Sample, SampleCall
from flask_pickup.platforms.reading import read_object
from flask_pickup.platforms.signing import require_recent
from flask_pickup.platforms.telnyx import answer as answers
from flask_pickup.platforms.telnyx.insights import Names, read_names
from flask_pickup.platforms.telnyx.payloads import read_event
from flask_pickup.platforms.telnyx.samples import all_samples, make_payload
from flask_pickup.platforms.telnyx.schemas import InitializationResponseSchema
from flask_pickup.platforms.telnyx.starter import STARTER

if TYPE_CHECKING:
    from flask_pickup.platforms.telnyx.signature import Keys

_KEY_BYTES = 32
_TOLERANCE = 300
"""Seconds, the platform's own."""
_GENERATOR = 'python3 -c "import base64, secrets; print(base64.b64encode(secrets.token_bytes(32)).decode())"'


@dataclass(frozen=True, eq=False)
class Telnyx(BasePlatform):
    """Telnyx AI Assistants.

    :param keys: those that verify, and that sign samples.
    :param insights: ids to names.
    """

    name = "telnyx"
    deadline = 1.5
    untold = frozenset({"early_hang_up", "transferred", "voicemail", "silence", "error"})
    answer_schema = InitializationResponseSchema()
    starter = STARTER

    answer = staticmethod(answers.write)
    notes = staticmethod(answers.notes)
    words = staticmethod(answers.words)
    metadata = staticmethod(answers.metadata)
    payload = staticmethod(make_payload)

    keys: Keys = field(repr=False)
    insights: Names = field(default_factory=dict)

    @classmethod
    def from_config(cls, config: ConfigReader, clock: Callable[[], float]) -> Telnyx | None:
        """Return the platform as an app's configuration has it; ``None`` if its public key is not set."""
        public = list(_keys(config, "telnyx_public_key", "the public key of your Telnyx account"))
        if not public:
            return None
        rehearsal = _keys(config, "telnyx_rehearsal_key", f"a private key of your own. Make one: {_GENERATOR}")
        try:
            from flask_pickup.platforms.telnyx.signature import Keys  # noqa: PLC0415 (an extra)
        except ImportError as error:
            why = "is set, and cryptography is not installed: pip install 'Flask-Pickup[telnyx]'."
            raise config.invalid("telnyx_public_key", why) from error
        tolerance = max(config.number("signature_tolerance", _TOLERANCE), _TOLERANCE)
        return cls(Keys(public, rehearsal), insights=read_names(config), clock=clock, tolerance=tolerance)

    def verify(self, delivery: Delivery) -> float | None:
        """Return the signed Unix time."""
        signed_at = self.keys.verify(delivery)
        require_recent(signed_at, now=self.clock(), tolerance=self.tolerance)
        return signed_at

    def parse(self, delivery: Delivery) -> Event:
        """Return the event."""
        return read_event(read_object(delivery.body), self.insights)

    def samples(self, call: SampleCall) -> Iterator[Sample]:
        """Yield all events, and what the platform might send."""
        return all_samples(call, self.insights)

    def sign(self, body: bytes, event: type[Event]) -> Delivery:  # noqa: ARG002 (the protocol's)
        """Return a body with the platform's headers, signed with our own key.

        :raises ConfigurationError: if there is none: the platform's private key is nobody else's.
        """
        if not self.keys.private:
            raise ConfigurationError(
                f"'PICKUP_TELNYX_REHEARSAL_KEY' is not set. Set it here and where the app runs. Make one: {_GENERATOR}"
            )
        return Delivery({"Content-Type": "application/json", **self.keys.sign(str(int(self.clock())), body)}, body)


def _keys(config: ConfigReader, name: str, what: str) -> Iterator[bytes]:
    for text in config.texts(name, what, needed=False):
        try:
            key = b64decode(text, validate=True)
        except ValueError:
            key = b""
        if len(key) != _KEY_BYTES:
            raise config.invalid(name, f"is not base64 of {_KEY_BYTES} bytes. Set it to {what}.")
        yield key
