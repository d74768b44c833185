"""The three ways to authenticate, told apart by the headers."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Mapping
from typing import Any

import pytest

from conftest import NOW
from flask_pickup import ConfigurationError
from flask_pickup.errors import BadSignature
from flask_pickup.options import ConfigReader
from flask_pickup.platforms import Delivery, enabled_platforms
from flask_pickup.platforms.vapi import Vapi

SECRET = "the-secret-of-vapi"
BODY = b'{"message": {"type": "assistant-request", "call": {"id": "a-call"}}}'
VAPI = Vapi((SECRET, "an-older-secret-of-vapi"), "an-assistant", clock=lambda: NOW)


def signed(body: bytes = BODY, stamp: str = str(NOW), secret: str = SECRET) -> dict[str, str]:
    digest = hmac.new(secret.encode(), stamp.encode() + b"." + body, hashlib.sha256).hexdigest()
    return {"X-Timestamp": stamp, "X-Signature": digest}


def verified(headers: Mapping[str, str], body: bytes = BODY) -> Any:
    """Return the signed time, ``None`` if there is none, or "refused"."""
    try:
        return VAPI.verify(Delivery(headers, body))
    except BadSignature:
        return "refused"


GOOD: list[dict[str, str]] = [
    {"X-Vapi-Secret": SECRET},
    {"X-Vapi-Secret": "an-older-secret-of-vapi"},
    {"Authorization": f"Bearer {SECRET}"},
    {"Authorization": SECRET},
]


@pytest.mark.parametrize("headers", GOOD)
def test_secret_itself_is_accepted(headers: dict[str, str]) -> None:
    """A secret in a header or a bearer token verifies, and signs no time."""
    assert verified(headers) is None
    assert verified(headers, b"any body") is None
    for other in ("", SECRET[:-1], f"{SECRET}x", SECRET.upper(), f"{SECRET},{SECRET}", f"Basic {SECRET}", "é" * 20):
        assert verified(dict.fromkeys(headers, other)) == "refused"
        assert verified(dict.fromkeys(headers, f"Bearer {other}")) == "refused"


@pytest.mark.parametrize(("stamp", "time"), [(str(NOW), NOW), (f"{NOW}250", NOW + 0.25), (f"{NOW - 300}", NOW - 300)])
@pytest.mark.parametrize("spelling", ["{}", "sha256={}"])
def test_time_is_in_seconds_or_milliseconds(stamp: str, time: float, spelling: str) -> None:
    """The signed time is returned in seconds, whichever unit the platform uses."""
    headers = signed(stamp=stamp)
    assert verified({**headers, "X-Signature": spelling.format(headers["X-Signature"])}) == time


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"X-Signature": signed()["X-Signature"]},
        {"X-Timestamp": str(NOW)},
        signed(body=b"another body"),
        signed(secret="somebody-elses-secret"),
        *(signed(stamp=stamp) for stamp in (str(NOW - 301), str(NOW + 301), f"{NOW - 301}000", str(NOW * 1_000_000))),
        *(signed(stamp=stamp) for stamp in ("", "now", "1e9", f"{NOW}.0", "-1", "9" * 15, "١٧٦٥٦٢٧٢٠٠")),
        *({**signed(), "X-Signature": bad} for bad in ("0" * 64, "é" * 64, signed()["X-Signature"][:-1])),
        # A valid secret beside an invalid signature.
        *({**signed(secret="somebody-elses-secret"), **good} for good in GOOD),
    ],
)
def test_bad_headers_are_refused(headers: dict[str, str]) -> None:
    """A signature counts only with its recent time and its body, and no other header takes its place."""
    assert verified(headers) == "refused"


@pytest.mark.parametrize("assistant", [None, "", " ", 5])
def test_assistant_is_required(assistant: Any) -> None:
    """Without the saved assistant of the default answer the app does not start; without a secret it does."""
    config = {"PICKUP_VAPI_SECRET": SECRET, "PICKUP_VAPI_ASSISTANT": assistant}
    with pytest.raises(ConfigurationError, match="'PICKUP_VAPI_ASSISTANT' is not set"):
        enabled_platforms(ConfigReader(config))
    enabled_platforms(ConfigReader({"PICKUP_WEBHOOK_SECRET": SECRET, "PICKUP_VAPI_ASSISTANT": assistant}))
