"""The signature over the raw bytes, the keys that verify it, and the options that name them."""

from __future__ import annotations

import subprocess
import sys
from base64 import b64encode
from collections.abc import Mapping
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from werkzeug.datastructures import Headers

from conftest import NOW
from flask_pickup import ConfigurationError
from flask_pickup.errors import BadSignature
from flask_pickup.options import ConfigReader
from flask_pickup.platforms import Delivery, IncomingCall, Platform, enabled_platforms

SIGNATURE, TIMESTAMP = "telnyx-signature-ed25519", "telnyx-timestamp"
STAMP = str(NOW)
BODY = b'{"data": {"event_type": "assistant.initialization"}}'
VENDOR, OTHER, OWN = (Ed25519PrivateKey.from_private_bytes(letter * 32) for letter in (b"v", b"o", b"w"))


def public(key: Ed25519PrivateKey) -> str:
    return b64encode(key.public_key().public_bytes_raw()).decode()


def private(key: Ed25519PrivateKey) -> str:
    return b64encode(key.private_bytes_raw()).decode()


def telnyx(now: float = NOW, **config: Any) -> Platform:
    reader = ConfigReader({"PICKUP_TELNYX_PUBLIC_KEY": public(VENDOR), **config})
    return enabled_platforms(reader, lambda: now)["telnyx"]


def signed(body: bytes = BODY, stamp: str = STAMP, key: Ed25519PrivateKey = VENDOR) -> dict[str, str]:
    return {TIMESTAMP: stamp, SIGNATURE: b64encode(key.sign(f"{stamp}|".encode() + body)).decode()}


def is_good(headers: Headers | Mapping[str, str], body: bytes = BODY, **config: Any) -> bool:
    try:
        telnyx(**config).verify(Delivery(headers, body))
    except BadSignature:
        return False
    return True


# --- what verifies ----------------------------------------------------------------------------------------------------


def test_every_key_of_a_rotation_verifies() -> None:
    """Of several public keys, in a list or with commas, each verifies; no other does."""
    keys = [public(OTHER), public(VENDOR)]
    for several in (keys, ", ".join(keys)):
        assert is_good(signed(key=OTHER), PICKUP_TELNYX_PUBLIC_KEY=several)
        assert is_good(signed(key=VENDOR), PICKUP_TELNYX_PUBLIC_KEY=several)
        assert not is_good(signed(key=OWN), PICKUP_TELNYX_PUBLIC_KEY=several)


def test_rehearsal_key_signs_and_verifies() -> None:
    """What our own key signs is accepted beside what the platform signs, where that key is set."""
    delivery = telnyx(PICKUP_TELNYX_REHEARSAL_KEY=private(OWN)).sign(BODY, IncomingCall)
    assert delivery.headers[SIGNATURE] == signed(key=OWN)[SIGNATURE]
    assert is_good(delivery.headers, PICKUP_TELNYX_REHEARSAL_KEY=private(OWN))
    assert is_good(signed(), PICKUP_TELNYX_REHEARSAL_KEY=private(OWN))
    assert not is_good(delivery.headers)


def test_without_a_rehearsal_key_nothing_is_signed() -> None:
    """Nobody but the platform can sign for its public key; the sentence says what to set, and makes one."""
    with pytest.raises(ConfigurationError, match="'PICKUP_TELNYX_REHEARSAL_KEY' is not set") as caught:
        telnyx().sign(BODY, IncomingCall)
    command = str(caught.value).partition("Make one: ")[2]
    made = subprocess.run(command, shell=True, check=True, capture_output=True, text=True).stdout
    assert telnyx(PICKUP_TELNYX_REHEARSAL_KEY=made).sign(BODY, IncomingCall).headers[SIGNATURE]


# --- what does not ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {**signed(), TIMESTAMP: str(NOW + 1)},
        {**signed(), TIMESTAMP: f"{NOW}.0"},
        {**signed(), SIGNATURE: "not base64"},
        {**signed(), SIGNATURE: "é"},
        {**signed(), SIGNATURE: signed()[SIGNATURE][:-4]},
        {**signed(), SIGNATURE: b64encode(bytes(64)).decode()},
        signed(BODY + b" "),
        signed(key=OTHER),
    ],
)
def test_anything_else_is_refused(headers: Mapping[str, str]) -> None:
    """A missing, cut, foreign or moved signature is refused."""
    assert is_good(signed())
    assert not is_good(headers)


# --- options ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["telnyx_public_key", "telnyx_rehearsal_key"])
@pytest.mark.parametrize(
    "value", ["", "hunter2", "hunter2" * 6, b64encode(bytes(31)).decode(), [public(OTHER), "hunter2"], 5]
)
def test_odd_key_stops_the_app(name: str, value: Any) -> None:
    """A key that is not base64 of 32 bytes is refused at start, and not repeated."""
    with pytest.raises(ConfigurationError) as caught:
        telnyx(**{f"PICKUP_{name.upper()}": value})
    assert str(caught.value).startswith(f"'PICKUP_{name.upper()}' is n")
    assert "hunter" not in str(caught.value)


def test_missing_extra_stops_the_app(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without cryptography the sentence says what to install."""
    monkeypatch.delitem(sys.modules, "flask_pickup.platforms.telnyx.signature", raising=False)
    monkeypatch.setitem(sys.modules, "cryptography.exceptions", None)
    with pytest.raises(
        ConfigurationError, match=r"cryptography is not installed: pip install 'Flask-Pickup\[telnyx\]'"
    ):
        telnyx()


def test_nobody_else_needs_the_extra() -> None:
    """Without Telnyx the package needs no cryptography."""
    code = (
        "import sys; sys.modules['cryptography'] = None\n"
        "from flask_pickup.options import ConfigReader\n"
        "from flask_pickup.platforms import enabled_platforms\n"
        "print(*enabled_platforms(ConfigReader({'PICKUP_WEBHOOK_SECRET': 'a-webhook-secret'})))"
    )
    found = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert found.stdout == "flireo\n"
