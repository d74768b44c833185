"""The platform's signature: HMAC-SHA256 of the timestamp, a full stop and the raw body."""

from __future__ import annotations

import re
from collections.abc import Sequence

from flask_pickup.errors import BadSignature
from flask_pickup.platforms.events import Delivery
from flask_pickup.platforms.signing import require_match, require_recent, timed_hmac

SIGNATURE = "X-Webhook-Signature"
TIMESTAMP = "X-Webhook-Timestamp"
EVENT = "X-Webhook-Event"
"""Repeats the message's type; not signed."""

# Spelled out, because \d and int() also take the digits of other scripts.
_TIMESTAMP = re.compile(r"[0-9]{1,12}")
_SIGNATURE = re.compile(r"(?:sha256=)?([0-9A-Fa-f]{64})")


def sign(secret: str, timestamp: str, body: bytes) -> str:
    """Return the signature that the platform sends with ``body``: ``sha256=`` and hexadecimal digits.

    :param timestamp: Unix seconds, as they stand in the header.
    """
    return f"sha256={timed_hmac(secret, timestamp, body).hex()}"


def verify(delivery: Delivery, *, secrets: Sequence[str], now: float, tolerance: float) -> int:
    """Return the Unix time in seconds that was signed with a delivery's body.

    :param secrets: any of them may have signed.
    :param now: Unix seconds.
    :param tolerance: how many seconds the signed time may be away from ``now``, in either direction.
    :raises BadSignature: if nobody signed, somebody else did, or too long ago.
    """
    timestamp = delivery.headers.get(TIMESTAMP, "")
    if not _TIMESTAMP.fullmatch(timestamp):
        raise BadSignature("the timestamp is missing or is not 1 to 12 digits")
    given = _SIGNATURE.fullmatch(delivery.headers.get(SIGNATURE, ""))
    if given is None:
        raise BadSignature("the signature is missing or is not 64 hexadecimal digits")
    require_match(bytes.fromhex(given[1]), (timed_hmac(secret, timestamp, delivery.body) for secret in secrets))
    require_recent(int(timestamp), now=now, tolerance=tolerance)
    return int(timestamp)
