"""The platform's three ways to authenticate: a secret in a header, a bearer token, or an HMAC with a time."""

from __future__ import annotations

import re
from collections.abc import Sequence

from flask_pickup.errors import BadSignature
from flask_pickup.platforms.events import Delivery
from flask_pickup.platforms.reading import moment
from flask_pickup.platforms.signing import require_match, require_recent, timed_hmac

PLAIN = "X-Vapi-Secret"
BEARER = "Authorization"
SIGNATURE = "X-Signature"
TIMESTAMP = "X-Timestamp"

# Spelled out, because \d and int() also take the digits of other scripts.
_TIMESTAMP = re.compile(r"[0-9]{1,14}")
_SIGNATURE = re.compile(r"(?:sha256=)?([0-9A-Fa-f]{64})")


def verify(delivery: Delivery, *, secrets: Sequence[str], now: float, tolerance: float) -> float | None:
    """Return the Unix time in seconds that was signed; ``None`` if the delivery brings the secret itself.

    The headers tell which way it is. A delivery with a signature needs a valid one, whatever else it brings.

    :param secrets: any of them may have been used.
    :param tolerance: how many seconds the signed time may be away from ``now``, in either direction.
    :raises BadSignature: if it is not authenticated, or was signed too long ago.
    """
    headers = delivery.headers
    if signature := headers.get(SIGNATURE, ""):
        return _verify_signature(signature, delivery, secrets, now, tolerance)
    given = headers.get(PLAIN, "") or headers.get(BEARER, "").removeprefix("Bearer ")
    if not given:
        raise BadSignature(f"there is no {PLAIN}, {BEARER} or {SIGNATURE}")
    require_match(given.encode(), (secret.encode() for secret in secrets))
    return None


def _verify_signature(
    signature: str, delivery: Delivery, secrets: Sequence[str], now: float, tolerance: float
) -> float:
    stamp = delivery.headers.get(TIMESTAMP, "")
    # The platform does not say whether it is in seconds or in milliseconds.
    signed = moment(int(stamp)) if _TIMESTAMP.fullmatch(stamp) else None
    if signed is None:
        raise BadSignature("the timestamp is missing or is no Unix time in seconds or milliseconds")
    given = _SIGNATURE.fullmatch(signature)
    if given is None:
        raise BadSignature("the signature is not 64 hexadecimal digits")
    require_match(bytes.fromhex(given[1]), (timed_hmac(secret, stamp, delivery.body) for secret in secrets))
    require_recent(signed.timestamp(), now=now, tolerance=tolerance)
    return signed.timestamp()
