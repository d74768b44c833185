"""What the platforms' signatures share: how headers are read, comparison in constant time, and the age of what was signed."""

from __future__ import annotations

import hmac
import re
from collections.abc import Iterable

from flask_pickup.errors import BadSignature
from flask_pickup.platforms.events import Delivery

# Spelled out, because \d and int() also take the digits of other scripts.
SECONDS = "[0-9]{1,12}"
DIGEST = "[0-9A-Fa-f]{64}"
"""Patterns of a Unix time, and of an SHA-256 in hexadecimal digits."""


def match_header(delivery: Delivery, name: str, pattern: str, right: str) -> re.Match[str]:
    """Return what the whole of a header has of a pattern.

    :param right: what the header has to be, for the log.
    :raises BadSignature: if it is anything else.
    """
    found = re.fullmatch(pattern, delivery.headers.get(name, ""))
    if found is None:
        raise BadSignature(f"{name} is missing or is not {right}")
    return found


def timed_hmac(secret: str, timestamp: str, body: bytes) -> bytes:
    """Return the HMAC-SHA256 of a timestamp, a full stop and a body."""
    return hmac.digest(secret.encode(), f"{timestamp}.".encode() + body, "sha256")


def require_match(given: Iterable[bytes], expected: Iterable[bytes]) -> None:
    """Check that one of the given signatures or tokens is one of those that our secrets give.

    :raises BadSignature: if none is.
    """
    ours = list(expected)
    # A list, so that the time taken does not tell which secret it was.
    if not any([hmac.compare_digest(each, one) for each in given for one in ours]):  # noqa: C419
        raise BadSignature("no secret of ours gives this signature or token")


def require_recent(signed_at: float, *, now: float, tolerance: float, oldest: float = 0) -> None:
    """Check that a delivery was signed not long ago, and not in the future.

    :param tolerance: how many seconds the signed time may be away from ``now``, in either direction.
    :param oldest: how many seconds it may be before ``now``, if that is more.
    :raises BadSignature: if it is further away.
    """
    if not -max(oldest, tolerance) <= signed_at - now <= tolerance:
        raise BadSignature(f"the timestamp is more than {tolerance:g} s away from now")
