"""The token on the request before a call, the signature on all that comes after it, and which may stand for which."""

from __future__ import annotations

import hashlib
import hmac
import json
import re
from typing import Any

import pytest

from conftest import NOW, MakePhone
from elevens import REPORT, REQUEST, SECRET, TOKEN, platform, post
from flask_pickup import ConfigurationError
from flask_pickup.errors import BadSignature
from flask_pickup.options import ConfigReader
from flask_pickup.platforms import CallEnded, Delivery, enabled_platforms

BODY = json.dumps(REPORT).encode()


def is_good(headers: dict[str, str], body: bytes = BODY, now: float = NOW, **config: Any) -> bool:
    try:
        platform(now, **config).verify(Delivery(headers, body))
    except BadSignature:
        return False
    return True


def signed(stamp: int = NOW, body: bytes = BODY, secret: str = SECRET) -> dict[str, str]:
    digest = hmac.new(secret.encode(), f"{stamp}.".encode() + body, hashlib.sha256).hexdigest()
    return {"ElevenLabs-Signature": f"t={stamp},v0={digest}"}


# --- the token --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["X-Pickup-Token", "Authorization", "x-anything"])
@pytest.mark.parametrize("value", [TOKEN, f"Bearer {TOKEN}", f"bearer {TOKEN}"])
def test_token_is_accepted_in_any_header(name: str, value: str) -> None:
    """The vendor lets an account name the header, so any may have the token, alone or behind ``Bearer``."""
    assert is_good({"Content-Type": "application/json", name: value})


@pytest.mark.parametrize(
    "value", ["", "Bearer", "Bearer ", TOKEN[:-1], TOKEN + "x", f"Basic {TOKEN}", TOKEN.upper(), f"{TOKEN}é"]
)
def test_no_other_token_is_accepted(value: str) -> None:
    """Nothing else is the token, however near."""
    assert not is_good({"Authorization": value, "X-Other": "something"})


# --- the signature ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "header", ["", "v0={v0}", "t={t}", "t={t},v0=", "t={t},v1={v0}", "t=٣,v0={v0}", "t={t},v0={v0}0", "t=-{t},v0={v0}"]
)
def test_malformed_signature_is_refused(header: str) -> None:
    """A header in another form is no signature."""
    stamp, digest = re.fullmatch("t=(.*),v0=(.*)", signed()["ElevenLabs-Signature"]).groups()  # type: ignore[union-attr]
    assert not is_good({"ElevenLabs-Signature": header.format(t=stamp, v0=digest)})


# --- which may stand for which ----------------------------------------------------------------------------------------


def test_token_does_not_rescue_a_bad_signature() -> None:
    """What claims to be signed is verified by its signature alone."""
    assert not is_good({**signed(secret="somebody-elses-secret"), "X-Pickup-Token": TOKEN})


@pytest.mark.parametrize("body", [REPORT, {"type": "post_call_audio"}, {"type": "something_new", "data": {}}])
def test_report_with_the_token_alone_is_refused(make_phone: MakePhone, body: dict[str, Any]) -> None:
    """A report changes results, and the token, which is in every request, does not authenticate it."""
    phone = make_phone(PICKUP_ELEVENLABS_TOKEN=TOKEN, PICKUP_ELEVENLABS_SECRET=SECRET)
    response = phone.client.post("/pickup/elevenlabs", json=body, headers={"X-Pickup-Token": TOKEN})
    assert response.status_code == 401
    assert phone.rows("SELECT COUNT(*) FROM pickup_calls") == [(0,)]


def test_signed_request_is_no_call(make_phone: MakePhone) -> None:
    """The post-call webhook's secret answers no call: a signed body without a type cannot be read."""
    phone = make_phone(PICKUP_ELEVENLABS_TOKEN=TOKEN, PICKUP_ELEVENLABS_SECRET=SECRET)
    response = post(phone, json.dumps(REQUEST).encode(), CallEnded)
    assert (response.status_code, response.get_json()["field"]) == (400, "type")


# --- the options ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("given", "missing"),
    [
        ("PICKUP_ELEVENLABS_TOKEN", "'PICKUP_ELEVENLABS_SECRET'"),
        ("PICKUP_ELEVENLABS_SECRET", "'PICKUP_ELEVENLABS_TOKEN'"),
    ],
)
def test_one_option_without_the_other_stops_the_app(given: str, missing: str) -> None:
    """With the token alone every report would be refused, with the secret alone every call."""
    with pytest.raises(ConfigurationError, match=f"{missing} is not set. Set it to "):
        enabled_platforms(ConfigReader({given: "a-secret-of-some-length"}))
