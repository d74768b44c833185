"""Nothing unsigned is acted on: the signature over the raw bytes, its time, its secrets, and what a refusal gives away."""

from __future__ import annotations

import hashlib
import hmac
import json
import logging
from collections.abc import Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st
from werkzeug.datastructures import Headers

from conftest import NOW, WEBHOOK_SECRET, MakePhone, Phone
from flask_pickup.errors import BadSignature, ConfigurationError
from flask_pickup.platforms.flireo.signature import sign, verify

SIGNATURE, TIMESTAMP = "X-Webhook-Signature", "X-Webhook-Timestamp"
STAMP = str(NOW)
BODY = json.dumps(
    {
        "message": {
            "type": "assistant-request",
            "call": {"id": "a-call", "type": "inbound_phone_call", "status": "ringing"},
        }
    }
).encode()

secrets = st.text(st.characters(codec="utf-8"), min_size=1, max_size=20)
stamps = st.integers(0, 999_999_999_999).map(str)


@pytest.fixture
def phone(make_phone: MakePhone) -> Phone:
    """An app on SQLite alone: what is refused here meets no database."""
    return make_phone()


def signed(body: bytes = BODY, stamp: str = STAMP, secret: str = WEBHOOK_SECRET) -> dict[str, str]:
    return {TIMESTAMP: stamp, SIGNATURE: sign(secret, stamp, body)}


def is_good(headers: Mapping[str, str], body: bytes = BODY, *keys: str, now: float = NOW) -> bool:
    try:
        verify(headers, body, secrets=keys or (WEBHOOK_SECRET,), now=now, tolerance=300)
    except BadSignature:
        return False
    return True


# --- what verifies ----------------------------------------------------------------------------------------------------


def test_signature_is_the_platforms() -> None:
    """It is HMAC-SHA256 of timestamp, full stop and body under the secret, worked out here once more from the parts."""
    digest = hmac.new(b"a-webhook-secret", STAMP.encode() + b"." + BODY, hashlib.sha256).hexdigest()
    assert sign("a-webhook-secret", STAMP, BODY) == f"sha256={digest}"


@given(secrets, stamps, st.binary(max_size=200))
def test_signed_bytes_verify(secret: str, stamp: str, body: bytes) -> None:
    """Whatever the bytes are, signed they verify, and the time comes back that was signed."""
    headers = {TIMESTAMP: stamp, SIGNATURE: sign(secret, stamp, body)}
    assert verify(headers, body, secrets=(secret,), now=int(stamp), tolerance=300) == int(stamp)


@pytest.mark.parametrize("spelling", ["sha256={}", "{}"])
@pytest.mark.parametrize("case", [str.lower, str.upper])
def test_both_spellings_are_accepted(phone: Phone, spelling: str, case: type[str]) -> None:
    """The hexadecimal digits may stand bare or behind ``sha256=``, in small letters or capitals."""
    digits = case(sign(WEBHOOK_SECRET, STAMP, BODY).removeprefix("sha256="))
    assert phone.post(BODY, **{SIGNATURE: spelling.format(digits)}).status_code == 200


@given(st.binary(min_size=1, max_size=60), st.integers(0), st.integers(1, 255))
def test_one_other_byte_does_not_verify(body: bytes, place: int, change: int) -> None:
    """A body that differs in one byte is not the one that was signed."""
    place %= len(body)
    other = body[:place] + bytes([body[place] ^ change]) + body[place + 1 :]
    assert is_good(signed(body), body)
    assert not is_good(signed(body), other)


@given(st.binary(max_size=60), st.binary(max_size=60))
def test_body_is_signed_from_its_first_byte_to_its_last(body: bytes, more: bytes) -> None:
    """Neither what is put before a body nor what is put after it is signed with it."""
    assert is_good(signed(body), body + more) == (not more)
    assert is_good(signed(body), more + body) == (more + body == body)


@given(st.integers(NOW - 300, NOW + 300), st.integers(NOW - 300, NOW + 300))
def test_time_is_signed(one: int, other: int) -> None:
    """A signature cannot be sent again as of another time."""
    assert is_good({**signed(stamp=str(one)), TIMESTAMP: str(other)}) == (one == other)


@given(st.text(max_size=80), st.text(max_size=80))
def test_nothing_else_verifies(stamp: str, given_signature: str) -> None:
    """Text that nobody signed does not verify, and raises nothing else."""
    assert not is_good({TIMESTAMP: stamp, SIGNATURE: given_signature})
    assert not is_good({**signed(), SIGNATURE: given_signature})
    assert not is_good({**signed(), TIMESTAMP: stamp}) or stamp == STAMP


# --- what does not ----------------------------------------------------------------------------------------------------

DIGITS = sign(WEBHOOK_SECRET, STAMP, BODY).removeprefix("sha256=")

BAD_SIGNATURES = [
    *("", " ", "sha256=", "sha256", "=", ",", "0", "0" * 64, "sha256=" + "0" * 64, "none", "null"),
    *(DIGITS[:-1], DIGITS + "0", DIGITS + DIGITS, f"{DIGITS},{DIGITS}", f"sha256={DIGITS},sha256={DIGITS}"),
    *(f" {DIGITS}x", f"sha512={DIGITS}", f"SHA256={DIGITS}", f"sha256:{DIGITS}", f"sha256=sha256={DIGITS}"),
    *(f"sha256= {DIGITS}", f"v0={DIGITS}", f'"{DIGITS}"', f"{DIGITS};", f"0x{DIGITS}", f"sha1={DIGITS[:40]}"),
    *("é" * 64, "sha256=" + "é" * 64, "\x80" * 64, DIGITS[:-1] + "é", "½" * 64, DIGITS[:-1] + "g", "x" * 4000),
    *("a" * 64 * 60, f"sha256={DIGITS}" + " " * 3000 + "x"),
]
BAD_TIMESTAMPS = [
    *("", " ", "1_765_627_200", "1_767", "nan", "NaN", "inf", "-inf", "+1765627200", "-1765627200", "1765627200.0"),
    *("1765627200.", "1.765627200e9", "1e9", "0x693d5380", "1,765,627,200", "1765627200 ", "1765627200,1765627200"),
    *("2025-12-13T12:00:00Z", "now", "1765627200Z", "1765627200\x0b", "²", "1765627200²", "0" * 13, "9" * 400),
]  # fmt: skip
OTHER_DIGITS = ["١٧٦٥٦٢٧٢٠٠", "１７６５６２７２００", "१७६५६२७२००"]
"""1765627200 in Arabic, full-width and Devanagari digits: int() would take them."""


@pytest.mark.parametrize("given_signature", BAD_SIGNATURES)
def test_bad_signature_is_refused(phone: Phone, given_signature: str) -> None:
    """An empty, malformed, duplicated, non-ASCII or oversized signature is a 401 without a row."""
    assert_refused(phone, {SIGNATURE: given_signature})


@pytest.mark.parametrize("stamp", BAD_TIMESTAMPS)
def test_bad_timestamp_is_refused(phone: Phone, stamp: str) -> None:
    """A timestamp that is not plain digits is refused, also where it is validly signed."""
    assert_refused(phone, signed(stamp=stamp))


@pytest.mark.parametrize("stamp", OTHER_DIGITS)
def test_other_scripts_digits_are_refused(stamp: str) -> None:
    """Digits are those of ASCII: Python reads others as numbers too."""
    assert int(stamp) == NOW
    assert not is_good(signed(stamp=stamp))


@pytest.mark.parametrize("name", [SIGNATURE, TIMESTAMP])
def test_missing_header_is_refused(phone: Phone, name: str) -> None:
    """Without one of the two headers nothing is signed."""
    headers = {key: value for key, value in signed().items() if key != name}
    response = phone.client.post("/pickup/webhook", data=BODY, headers=headers)
    assert response.status_code == 401


@pytest.mark.parametrize("name", [SIGNATURE, TIMESTAMP])
@pytest.mark.parametrize("second", ["good", "bad"])
def test_duplicated_header_is_refused(phone: Phone, name: str, second: str) -> None:
    """Where a header comes twice, no reader gets to choose between the two, not even where both are the same."""
    good = signed()
    headers = Headers(list(good.items()))
    headers.add(name, good[name] if second == "good" else "0")
    response = phone.client.post("/pickup/webhook", data=BODY, headers=headers)
    assert response.status_code == 401


def assert_refused(phone: Phone, headers: Mapping[str, str]) -> None:
    response = phone.post(BODY, **headers)
    assert (response.status_code, response.mimetype) == (401, "application/json")
    assert response.get_json() == {"detail": "The request is not signed, or not validly signed."}
    assert phone.rows("SELECT COUNT(*) FROM pickup_calls") == [(0,)]


@pytest.mark.parametrize("body", [b"", b"nonsense", b"\xff\xfe", b"[" * 100_000, b'{"message": {"type": "x"}}', BODY])
def test_signature_comes_before_the_body(phone: Phone, body: bytes) -> None:
    """What is not signed is never parsed: no stranger learns from the answer how it would have been read."""
    assert phone.client.post("/pickup/webhook", data=body).status_code == 401


# --- the time ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("away", "status"), [(0, 200), (300, 200), (-300, 200), (301, 401), (-301, 401), (10**6, 401), (-(10**6), 401)]
)
def test_signed_time_is_within_300_s(phone: Phone, away: int, status: int) -> None:
    """A time up to 300 seconds from now is accepted, in either direction, and none further off."""
    phone.now = NOW + away
    assert phone.post(BODY).status_code == status
    assert phone.rows("SELECT COUNT(*) FROM pickup_calls") == [(int(status == 200),)]


@given(st.floats(NOW - 1000, NOW + 1000))
def test_tolerance_is_the_same_both_ways(now: float) -> None:
    """Of our own clock the fractions of a second count as well."""
    assert is_good(signed(), now=now) == (abs(now - NOW) <= 300)


def test_tolerance_is_an_option(make_phone: MakePhone) -> None:
    """``PICKUP_SIGNATURE_TOLERANCE`` is the number of seconds."""
    phone = make_phone(PICKUP_SIGNATURE_TOLERANCE=5)
    phone.now = NOW + 5
    assert phone.post(BODY).status_code == 200
    phone.now = NOW + 6
    assert phone.post(BODY).status_code == 401


# --- the secrets ------------------------------------------------------------------------------------------------------


def test_secrets_rotate_without_one_rejected_delivery(make_phone: MakePhone) -> None:
    """With old, then "new,old", then new in use, each delivery of either secret in between is accepted."""
    steps = [("old", ["old"]), ("new,old", ["old", "new", "old", "new"]), ("new", ["new"])]
    for configured, deliveries in steps:
        phone = make_phone(PICKUP_WEBHOOK_SECRET=configured)
        for secret in deliveries:
            assert phone.post(BODY, **signed(secret=secret)).status_code == 200
    assert phone.post(BODY, **signed(secret="old")).status_code == 401
    assert phone.post(BODY, **signed(secret="new,old")).status_code == 401


@given(st.lists(secrets, min_size=1, max_size=4, unique=True), st.data(), secrets)
def test_any_of_the_secrets_signs(known: list[str], data: st.DataObject, other: str) -> None:
    """Each secret that is configured verifies what it signed, wherever it stands; no other does."""
    assert is_good(signed(secret=data.draw(st.sampled_from(known))), BODY, *known)
    assert is_good(signed(secret=other), BODY, *known) == (other in known)


@pytest.mark.parametrize("secret", ["", " ", ",", "new,", ",old", "new,,old", [], [""], ["new", " "]])
def test_empty_secret_is_a_refusal_to_start(make_phone: MakePhone, secret: object) -> None:
    """With an empty secret everybody could sign, so the app does not start."""
    with pytest.raises(ConfigurationError, match="PICKUP_WEBHOOK_SECRET"):
        make_phone(PICKUP_WEBHOOK_SECRET=secret)


def test_empty_key_signs_nothing(phone: Phone) -> None:
    """What was signed with an empty secret is not signed."""
    digest = hmac.new(b"", STAMP.encode() + b"." + BODY, hashlib.sha256).hexdigest()
    assert_refused(phone, {SIGNATURE: f"sha256={digest}"})


# --- what a refusal gives away ----------------------------------------------------------------------------------------

REASONS = [
    ({TIMESTAMP: ""}, "timestamp is missing"),
    ({TIMESTAMP: "nan"}, "timestamp is missing or is not 1 to 12 digits"),
    ({SIGNATURE: ""}, "signature is missing"),
    ({SIGNATURE: "sha256=xyz"}, "signature is missing or is not 64 hexadecimal digits"),
    (signed(secret="another"), "no secret of ours"),
    (signed(stamp=str(NOW - 301)), "more than 300 s away"),
    (signed(stamp=str(NOW + 301)), "more than 300 s away"),
]


@pytest.mark.parametrize(("headers", "reason"), REASONS)
def test_log_says_what_the_reply_does_not(
    phone: Phone, caplog: pytest.LogCaptureFixture, headers: Mapping[str, str], reason: str
) -> None:
    """Every refusal is the same to the sender, byte for byte; which part was bad stands in the log."""
    with caplog.at_level(logging.WARNING, "flask_pickup"):
        response = phone.post(BODY, **headers)
    unsigned = phone.client.post("/pickup/webhook", data=BODY)
    assert (response.status_code, response.data) == (401, unsigned.data)
    assert dict(response.headers) == dict(unsigned.headers)
    assert reason in caplog.messages[0]
    assert WEBHOOK_SECRET not in caplog.text
    assert DIGITS not in caplog.text


@pytest.fixture
def comparisons(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many bytes each comparison of two signatures compared, by the function that takes a constant time."""
    found: list[int] = []
    compare = hmac.compare_digest

    def counting(one: bytes, other: bytes) -> bool:
        found.append(len(one))
        return compare(one, other)

    monkeypatch.setattr("hmac.compare_digest", counting)
    return found


@pytest.mark.parametrize("secret", ["first", "second", "third", "nobody's"])
def test_comparing_takes_a_constant_time(comparisons: list[int], secret: str) -> None:
    """Each secret is tried in full, so that the time taken tells neither how much was right nor which one signed."""
    is_good(signed(secret=secret), BODY, "first", "second", "third")
    assert comparisons == [32, 32, 32]
