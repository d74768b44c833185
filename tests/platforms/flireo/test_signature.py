"""The signature over the raw bytes: its time, its secrets, and what a refusal reveals."""

from __future__ import annotations

import hashlib
import hmac
import json
import logging
from collections.abc import Mapping

import pytest

from conftest import FLIREO, NOW, WEBHOOK_SECRET, MakePhone
from conftest import signature as signed
from flask_pickup.errors import BadSignature
from flask_pickup.platforms import Delivery, IncomingCall

SIGNATURE, TIMESTAMP = "X-Webhook-Signature", "X-Webhook-Timestamp"
STAMP = str(NOW)
BODY = json.dumps({"message": {"type": "assistant-request", "call": {"id": "a-call"}}}).encode()


def is_good(headers: Mapping[str, str]) -> bool:
    try:
        FLIREO.verify(Delivery(headers, BODY))
    except BadSignature:
        return False
    return True


# --- what verifies ----------------------------------------------------------------------------------------------------


def test_signature_is_the_platforms() -> None:
    """It is HMAC-SHA256 of timestamp, full stop and body under the secret, worked out here once more from the parts."""
    digest = hmac.new(b"a-webhook-secret", STAMP.encode() + b"." + BODY, hashlib.sha256).hexdigest()
    assert FLIREO.sign(BODY, IncomingCall).headers[SIGNATURE] == f"sha256={digest}"


@pytest.mark.parametrize("spelling", ["sha256={}", "{}"])
@pytest.mark.parametrize("case", [str.lower, str.upper])
def test_both_spellings_are_accepted(spelling: str, case: type[str]) -> None:
    """The hexadecimal digits may stand bare or behind ``sha256=``, in small letters or capitals."""
    assert is_good({**signed(BODY), SIGNATURE: spelling.format(case(DIGITS))})


# --- what does not ----------------------------------------------------------------------------------------------------

DIGITS = signed(BODY)[SIGNATURE].removeprefix("sha256=")
EMPTY_KEY = hmac.new(b"", STAMP.encode() + b"." + BODY, hashlib.sha256).hexdigest()

BAD_SIGNATURES = [
    *("", " ", "sha256=", "sha256", "=", ",", "0", "0" * 64, "sha256=" + "0" * 64, "none", "null", EMPTY_KEY),
    *(DIGITS[:-1], DIGITS + "0", DIGITS + DIGITS, f"{DIGITS},{DIGITS}", f"sha256={DIGITS},sha256={DIGITS}"),
    *(f" {DIGITS}x", f"sha512={DIGITS}", f"SHA256={DIGITS}", f"sha256:{DIGITS}", f"sha256=sha256={DIGITS}"),
    *(f"sha256= {DIGITS}", f"v0={DIGITS}", f'"{DIGITS}"', f"{DIGITS};", f"0x{DIGITS}", f"sha1={DIGITS[:40]}"),
    *("é" * 64, "sha256=" + "é" * 64, "\x80" * 64, DIGITS[:-1] + "é", "½" * 64, DIGITS[:-1] + "g", "x" * 4000),
]
BAD_TIMESTAMPS = [
    *("", " ", "1_765_627_200", "1_767", "nan", "NaN", "inf", "-inf", "+1765627200", "-1765627200", "1765627200.0"),
    *("1765627200.", "1.765627200e9", "1e9", "0x693d5380", "1,765,627,200", "1765627200 ", "1765627200,1765627200"),
    *("2025-12-13T12:00:00Z", "now", "1765627200Z", "1765627200\x0b", "²", "1765627200²", "0" * 13, "9" * 400),
    # Digits of other scripts, which int() would take.
    *("١٧٦٥٦٢٧٢٠٠", "１７６５６２７２００", "१७६५६२७२००"),
]  # fmt: skip


@pytest.mark.parametrize(
    "headers",
    [
        *({**signed(BODY), SIGNATURE: signature} for signature in BAD_SIGNATURES),
        *(signed(BODY, stamp=stamp) for stamp in BAD_TIMESTAMPS),
        *({name: signed(BODY)[name]} for name in (SIGNATURE, TIMESTAMP)),
    ],
)
def test_bad_headers_are_refused(headers: Mapping[str, str]) -> None:
    """A missing, malformed or duplicated signature does not verify, nor does a signed time that is not plain digits."""
    assert not is_good(headers)


# --- what a refusal reveals -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("headers", "reason"),
    [
        ({TIMESTAMP: "nan"}, "X-Webhook-Timestamp is missing or is not 1 to 12 digits"),
        ({SIGNATURE: "sha256=xyz"}, "X-Webhook-Signature is missing or is not 64 hexadecimal digits"),
        (signed(BODY, secret="another"), "no secret of ours"),
        (signed(BODY, stamp=str(NOW + 301)), "more than 300 s away"),
    ],
)
def test_log_says_what_the_reply_does_not(
    make_phone: MakePhone, caplog: pytest.LogCaptureFixture, headers: Mapping[str, str], reason: str
) -> None:
    """Every refusal is the same to the sender, byte for byte; the log says which part was bad."""
    phone = make_phone()
    with caplog.at_level(logging.WARNING, "flask_pickup"):
        response = phone.post(BODY, **headers)
    unsigned = phone.client.post("/pickup/webhook", data=BODY)
    assert (response.status_code, response.data) == (401, unsigned.data)
    assert response.get_json() == {"detail": "The request is not signed, or not validly signed."}
    assert dict(response.headers) == dict(unsigned.headers)
    assert reason in caplog.messages[0]
    assert WEBHOOK_SECRET not in caplog.text
    assert DIGITS not in caplog.text
