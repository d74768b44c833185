"""The platform's signature: HMAC-SHA256 of the raw body and the time in milliseconds, without a separator."""

from __future__ import annotations

import hmac
import re
from collections.abc import Sequence

from flask_pickup.errors import BadSignature
from flask_pickup.platforms.events import Delivery
from flask_pickup.platforms.signing import require_match, require_recent

SIGNATURE = "X-Retell-Signature"

# Spelled out, because \d and int() also take the digits of other scripts.
_SIGNATURE = re.compile(r"v=([0-9]{1,15}),d=([0-9a-f]{64})")


def sign(key: str, milliseconds: int, body: bytes) -> str:
    """Return the header that the platform sends with ``body``.

    :param milliseconds: the Unix time.
    """
    return f"v={milliseconds},d={_digest(key, str(milliseconds), body).hex()}"


def verify(delivery: Delivery, *, keys: Sequence[str], now: float, tolerance: float) -> float:
    """Return the Unix time in seconds that was signed with a delivery's body.

    :param keys: any of them may have signed.
    :param now: Unix seconds.
    :param tolerance: how many seconds the signed time may be away from ``now``, in either direction.
    :raises BadSignature: if nobody signed, somebody else did, or too long ago.
    """
    given = _SIGNATURE.fullmatch(delivery.headers.get(SIGNATURE, ""))
    if given is None:
        raise BadSignature("the signature is missing or is not v=<milliseconds>,d=<64 hexadecimal digits>")
    require_match(bytes.fromhex(given[2]), (_digest(key, given[1], delivery.body) for key in keys))
    signed_at = int(given[1]) / 1000
    require_recent(signed_at, now=now, tolerance=tolerance)
    return signed_at


def _digest(key: str, milliseconds: str, body: bytes) -> bytes:
    return hmac.digest(key.encode(), body + milliseconds.encode(), "sha256")
