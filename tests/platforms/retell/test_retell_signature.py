"""The signature over the raw bytes: the vendor's own example, its time, and its keys."""

from __future__ import annotations

import pytest
from werkzeug.datastructures import Headers

from flask_pickup.errors import BadSignature
from flask_pickup.platforms import CallEnded, Delivery
from flask_pickup.platforms.retell import Retell

# From the tests of the vendor's SDK. Its key is shorter than an app's may be.
BODY = b'{"event":"call_ended"}'
KEY = "test-api-key"
AT = 1_700_000_000
DIGEST = "07024cabe7dd8f6d1c6e4a8324ca92c812e6ad4a7ee506c04f7e462e3321823e"

RETELL = Retell((KEY,), clock=lambda: AT)


def is_good(header: str, body: bytes = BODY, platform: Retell = RETELL) -> bool:
    try:
        platform.verify(Delivery(Headers({"x-retell-signature": header}), body))
    except BadSignature:
        return False
    return True


def test_vendors_example_is_signed_and_verified() -> None:
    """The signature of the vendor's own example verifies, and is what we sign."""
    assert is_good(f"v={AT}000,d={DIGEST}")
    assert RETELL.sign(BODY, CallEnded).headers["X-Retell-Signature"] == f"v={AT}000,d={DIGEST}"


@pytest.mark.parametrize(
    "header",
    [
        "",
        DIGEST,
        f"v={AT}000,d={DIGEST[:-1]}",
        f"v={AT}000,d={DIGEST.upper()}",
        f"v={AT}000, d={DIGEST}",
        f"v={AT}001,d={DIGEST}",
        f"v=0{AT}000,d={DIGEST}",
        f"v=1７00000000000,d={DIGEST}",
        f"v={'9' * 400},d={DIGEST}",
    ],
)
def test_other_headers_are_refused(header: str) -> None:
    """The header is refused if anything in it differs."""
    assert not is_good(header)
