"""What the platforms' signatures share: comparison in constant time, and the age of what was signed."""

from __future__ import annotations

import hmac
from collections.abc import Iterable

from flask_pickup.errors import BadSignature


def timed_hmac(secret: str, timestamp: str, body: bytes) -> bytes:
    """Return the HMAC-SHA256 of a timestamp, a full stop and a body."""
    return hmac.digest(secret.encode(), f"{timestamp}.".encode() + body, "sha256")


def require_match(given: bytes, expected: Iterable[bytes]) -> None:
    """Check that a signature or a token is one of those that our secrets give.

    :raises BadSignature: if it is none of them.
    """
    # A list, so that the time taken does not tell which secret it was.
    if not any([hmac.compare_digest(given, each) for each in expected]):  # noqa: C419
        raise BadSignature("no secret of ours gives this signature")


def require_recent(signed_at: float, *, now: float, tolerance: float, oldest: float = 0) -> None:
    """Check that a delivery was signed not long ago, and not in the future.

    :param tolerance: how many seconds the signed time may be away from ``now``, in either direction.
    :param oldest: how many seconds it may be before ``now``, if that is more.
    :raises BadSignature: if it is further away.
    """
    if not -max(oldest, tolerance) <= signed_at - now <= tolerance:
        raise BadSignature(f"the timestamp is more than {tolerance:g} s away from now")
