"""The signature over the raw bytes: the vendor's own example, its time, and its keys."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from werkzeug.datastructures import Headers

from flask_pickup.errors import BadSignature
from flask_pickup.options import ConfigReader
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


@given(st.text(st.characters(codec="utf-8"), min_size=1, max_size=20), st.integers(0, 10**11), st.binary(max_size=200))
def test_signed_bytes_verify(key: str, at: int, body: bytes) -> None:
    """Any bytes verify once they are signed, and no others do."""
    platform = Retell((key,), clock=lambda: at)
    delivery = platform.sign(body, CallEnded)
    assert platform.verify(delivery) == at
    with pytest.raises(BadSignature):
        platform.verify(replace(delivery, body=body + b" "))


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


@pytest.mark.parametrize(("away", "good"), [(0, True), (299, True), (-299, True), (301, False), (-301, False)])
def test_time_has_to_be_near(away: int, good: bool) -> None:  # noqa: FBT001 (the table's)
    """The signed time is at most five minutes from now, in either direction."""
    later = replace(RETELL, clock=lambda: AT + away)
    assert is_good(f"v={AT}000,d={DIGEST}", platform=later) is good


@pytest.mark.parametrize(("option", "tolerance"), [(None, 300), ("60", 300), ("900", 900)])
def test_tolerance_is_at_least_the_vendors(option: str | None, tolerance: float) -> None:
    """A shorter PICKUP_SIGNATURE_TOLERANCE would refuse what the vendor's own verifier accepts."""
    config = {"PICKUP_RETELL_API_KEY": "key_of-the-account", "PICKUP_SIGNATURE_TOLERANCE": option}
    platform = Retell.from_config(ConfigReader(config), lambda: AT)
    assert platform is not None
    assert platform.tolerance == tolerance


def test_not_enabled_without_a_key() -> None:
    """Without its key the platform is not there, and no object shows the keys."""
    assert Retell.from_config(ConfigReader({}), lambda: AT) is None
    assert KEY not in repr(RETELL)
