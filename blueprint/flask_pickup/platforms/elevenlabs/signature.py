"""How the platform authenticates: a static token on the request before a call, a signature on all that comes after it.

The signature is HMAC-SHA256 of the Unix time, a full stop and the raw body.
"""

from __future__ import annotations

import hmac
import re
from collections.abc import Iterator, Mapping, Sequence

from werkzeug.datastructures import Headers

from flask_pickup.errors import BadSignature
from flask_pickup.platforms.events import Delivery
from flask_pickup.platforms.signing import require_match, require_recent, timed_hmac

SIGNATURE = "ElevenLabs-Signature"
TOKEN = "X-Pickup-Token"  # noqa: S105 (a header's name)
"""The header in which samples have the token; the platform may send it in any."""

_OLDEST = 1800.0
"""Seconds. The vendor's own limit."""

# Spelled out, because \d and int() also take the digits of other scripts.
_SIGNATURE = re.compile(r"t=([0-9]{1,12}),v0=([0-9A-Fa-f]{64})")


def is_signed(headers: Headers | Mapping[str, str]) -> bool:
    """Return whether a delivery claims to be signed, as all but the request before a call are."""
    return headers.get(SIGNATURE) is not None


def sign(secret: str, stamp: int, body: bytes) -> str:
    """Return the header that the platform sends with ``body``.

    :param stamp: Unix seconds.
    """
    return f"t={stamp},v0={timed_hmac(secret, str(stamp), body).hex()}"


def verify_token(headers: Headers | Mapping[str, str], tokens: Sequence[str]) -> None:
    """Check that the value of any header is one of the tokens, alone or behind ``Bearer``.

    :raises BadSignature: if none is.
    """
    # A list, so that the time taken does not tell which token it was.
    if not any([hmac.compare_digest(given, token.encode()) for given in _values(headers) for token in tokens]):  # noqa: C419
        raise BadSignature("no header has a token of ours")


def verify_signature(delivery: Delivery, *, secrets: Sequence[str], now: float, tolerance: float) -> int:
    """Return the Unix time in seconds that was signed with a delivery's body.

    :param secrets: any of them may have signed.
    :param now: Unix seconds.
    :param tolerance: how many seconds the signed time may be ahead of ``now``; behind it, at least half an hour.
    :raises BadSignature: if nobody signed, somebody else did, or too long ago.
    """
    given = _SIGNATURE.fullmatch(delivery.headers.get(SIGNATURE, ""))
    if given is None:
        raise BadSignature("the signature is not t=<seconds>,v0=<64 hexadecimal digits>")
    require_match(bytes.fromhex(given[2]), (timed_hmac(secret, given[1], delivery.body) for secret in secrets))
    require_recent(int(given[1]), now=now, tolerance=tolerance, oldest=_OLDEST)
    return int(given[1])


def _values(headers: Headers | Mapping[str, str]) -> Iterator[bytes]:
    for value in headers.values():
        yield value.encode()
        scheme, _, token = value.partition(" ")
        if scheme.lower() == "bearer":
            yield token.strip().encode()
