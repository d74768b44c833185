"""The platform's signature: Ed25519 over the timestamp, a vertical bar and the raw body.

Needs the extra ``telnyx``, so it is imported only where the platform is enabled.
"""

from __future__ import annotations

from base64 import b64decode, b64encode
from collections.abc import Iterable, Mapping
from contextlib import suppress

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from flask_pickup.errors import BadSignature
from flask_pickup.platforms.events import Delivery
from flask_pickup.platforms.signing import SECONDS, match_header

SIGNATURE = "telnyx-signature-ed25519"
TIMESTAMP = "telnyx-timestamp"


class Keys:
    """The keys of one app.

    :param public: 32 bytes each; any of them verifies.
    :param rehearsal: private keys of one's own, 32 bytes each: they verify too, and the first signs made-up deliveries.
    """

    def __init__(self, public: Iterable[bytes], rehearsal: Iterable[bytes] = ()) -> None:
        self.private = [Ed25519PrivateKey.from_private_bytes(key) for key in rehearsal]
        theirs = [Ed25519PublicKey.from_public_bytes(key) for key in public]
        self._public = [*theirs, *(key.public_key() for key in self.private)]

    def sign(self, timestamp: str, body: bytes) -> Mapping[str, str]:
        """Return the headers that the platform sends with ``body``.

        :param timestamp: Unix seconds, as they stand in the header.
        """
        signature = self.private[0].sign(_signed(timestamp, body))
        return {TIMESTAMP: timestamp, SIGNATURE: b64encode(signature).decode()}

    def verify(self, delivery: Delivery) -> int:
        """Return the Unix time in seconds that was signed with a delivery's body, however long ago.

        :raises BadSignature: if nobody signed, or somebody else did.
        """
        timestamp = match_header(delivery, TIMESTAMP, SECONDS, "1 to 12 digits")[0]
        try:
            given = b64decode(delivery.headers.get(SIGNATURE, ""), validate=True)
        except ValueError:
            raise BadSignature("the signature is not base64") from None
        if not any(_verifies(key, given, _signed(timestamp, delivery.body)) for key in self._public):
            raise BadSignature("the signature is missing, or of none of our public keys")
        return int(timestamp)


def _signed(timestamp: str, body: bytes) -> bytes:
    return f"{timestamp}|".encode() + body


def _verifies(key: Ed25519PublicKey, signature: bytes, message: bytes) -> bool:
    with suppress(InvalidSignature):
        key.verify(signature, message)
        return True
    return False
