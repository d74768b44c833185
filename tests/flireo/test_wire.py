"""Hostile bytes: whatever a stranger signs ends as a JSON object within bounds or as a refusal, never as a fault of ours."""

from __future__ import annotations

import gzip
import json
from contextlib import suppress
from typing import Any

import orjson
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from conftest import CALLER, CONTENT, LINE, NOW, MakePhone, Phone
from flask_pickup import BadWebhook
from flask_pickup.flireo import wire

BIGGEST, SMALLEST = 2**63 - 1, -(2**63)

scalars = (
    st.none()
    | st.booleans()
    | st.integers(SMALLEST, BIGGEST)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(codec="utf-8", exclude_characters="\0"))
)
values = st.recursive(
    scalars, lambda inner: st.lists(inner) | st.dictionaries(st.text("abé", max_size=4), inner), max_leaves=8
)
objects = st.dictionaries(st.text("abé", max_size=4), values)


def read(text: str) -> dict[str, Any]:
    return wire.loads(text.encode())


def refusal(raw: bytes) -> BadWebhook:
    with pytest.raises(BadWebhook) as caught:
        wire.loads(raw)
    assert caught.value.code == 400
    return caught.value


# --- what is read -----------------------------------------------------------------------------------------------------


@given(objects, st.booleans(), st.sampled_from([None, 2]))
def test_json_is_read_as_it_stands(value: dict[str, Any], ascii_only: bool, indent: int | None) -> None:  # noqa: FBT001
    """Any JSON object comes out as it was written, escaped or not."""
    assert read(json.dumps(value, ensure_ascii=ascii_only, indent=indent)) == value


@given(st.binary(max_size=200))
@example(b"")
@example(b"\xef\xbb\xbf{}")
@example(b'{"a":' * 100_000)
def test_no_bytes_raise_anything_else(raw: bytes) -> None:
    """Bytes are an object or a refusal that quotes none of them."""
    with suppress(BadWebhook):
        assert isinstance(wire.loads(raw), dict)


@pytest.mark.parametrize("raw", [b"\xff", b"{", b"[]", b'{"a": NaN}'])
def test_refusal_carries_no_body(raw: bytes) -> None:
    """The parser's own error carries the whole body; it is left behind."""
    error = refusal(raw)
    assert error.__cause__ is None
    assert error.__context__ is None


pieces = st.sampled_from(
    ['{"', '"}', '"', "\\", "\\u", "d800", "0000", "[", "]", "{", "}", ":", ",", "1e", "-", "NaN", "a", "é"]
)


@settings(max_examples=300)
@given(st.lists(pieces, max_size=20).map("".join))
def test_no_almost_json_raises_anything_else(text: str) -> None:
    """Nor does what looks like JSON for a while."""
    with suppress(BadWebhook):
        orjson.dumps(read(text))


# --- what is refused --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "text",
    [
        *("", " ", "null", "[]", "1", '"x"', "true", "[{}]"),
        *("{", "}", "{]", '{"a"}', '{"a":}', '{"a":1,}', "{'a': 1}", '{"a": 01}', '{"a": +1}', '{"a": .5}', "{} {}"),
        *('{"a": NaN}', '{"a": Infinity}', '{"a": -Infinity}', '{"a": nan}', '{"a": 1e999}', '{"a": -1e999}'),
        *('{"a": "\n"}', '{"a": "\0"}', '{"a": "\\x41"}', '{"a": "\\u00"}', '{"a": "\\ud80"}', "{} // comment"),
        *('{"a": 1' + 400 * "0" + "}", '{"a": "unclosed', "\ufeff{}", "a=1&b=2", "<xml/>", "--- yaml"),
    ],
)  # fmt: skip
def test_what_is_no_strict_json_object_is_refused(text: str) -> None:
    """JSON is RFC 8259's, to the letter: no NaN, no comments, no byte order mark, an object at the top."""
    refusal(text.encode())


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-16-be", "utf-32", "utf-8-sig"])
def test_other_encodings_are_refused(encoding: str) -> None:
    """JSON is UTF-8; Python's own reader would guess UTF-16 and UTF-32."""
    refusal('{"é": 1}'.encode(encoding))
    refusal("{}".encode(encoding))


@pytest.mark.parametrize(
    "raw", [b"\xff", b"\xc0\xaf", b"\xed\xa0\x80", b"\xf4\x90\x80\x80", b"\xe9", b"\xc3", b"\xf8\x88\x80\x80\x80"]
)
def test_utf8_is_strict(raw: bytes) -> None:
    """Overlong forms, halves of surrogate pairs and cut characters are no UTF-8."""
    assert "UTF-8" in refusal(b'{"a": "' + raw + b'"}').detail


@pytest.mark.parametrize("key", sorted(wire.MATTERING))
def test_mattering_key_stands_once(key: str) -> None:
    """Two readers of one message must not come to two meanings."""
    assert refusal(f'{{"x": [{{"{key}": 1, "y": 2, "{key}": 3}}]}}'.encode()).field == key


def test_other_keys_may_repeat() -> None:
    """Of a key that nothing follows from the last one stands; the call is not lost for it."""
    assert read('{"whatever": 1, "whatever": 2}') == {"whatever": 2}


def test_escaped_key_is_the_same_key() -> None:
    """A key that is spelled with escapes is no second key."""
    assert refusal(rb'{"call": {"id": "a", "\u0069d": "b"}}').field == "id"


# --- bounds -----------------------------------------------------------------------------------------------------------


@given(st.lists(st.sampled_from(["[]", "{}"]), min_size=1, max_size=80), st.booleans())
def test_nesting_ends_at_64(brackets: list[str], filled: bool) -> None:  # noqa: FBT001
    """64 levels are read, the outermost object counted; 65 are not."""
    inside = ""
    for pair in reversed(brackets[1:]):
        inside = f"[{inside or '1'}]" if pair == "[]" else f'{{"k": {inside or "1"}}}'
    text = f'{{"k": {inside or "1"}, "text": "{"[{" * 100 * filled}"}}'
    if len(brackets) <= wire.DEEPEST:
        assert read(text)
    else:
        assert "64 levels" in refusal(text.encode()).detail


@pytest.mark.parametrize(
    "raw", [b"[" * 1_000_000, b'{"a":' * 200_000, b"]" * 1_000_000, b"[]" * 500_000, b'"[' * 500_000]
)
def test_deep_bodies_cost_no_stack(raw: bytes) -> None:
    """A megabyte of brackets is a refusal, neither a crash nor a minute."""
    refusal(raw)


def test_brackets_in_text_do_not_count() -> None:
    """What somebody said is no nesting, whatever they said."""
    said = '[{"' * 1000 + "\\"
    assert read(json.dumps({"said": said})) == {"said": said}


def test_keys_end_at_10_000() -> None:
    """10,000 keys are read, wherever they stand; one more is not. Colons in a transcript are no keys."""
    read(json.dumps({str(key): ":::" for key in range(wire.MOST_KEYS)}))
    read(json.dumps({"said": ":" * 50_000}))
    assert "10000 keys" in refusal(json.dumps({str(key): 1 for key in range(wire.MOST_KEYS + 1)}).encode()).detail
    assert "10000 keys" in refusal(json.dumps({"x": [{"y": 1}] * (wire.MOST_KEYS)}).encode()).detail


@given(st.integers())
@example(BIGGEST)
@example(BIGGEST + 1)
@example(SMALLEST)
@example(SMALLEST - 1)
@example(10**300)
def test_integers_beyond_64_bits_become_floats(number: int) -> None:
    """No database has a column for them, and no duration or score needs one."""
    found = read(f'{{"a": {number}}}')["a"]
    assert found == (number if SMALLEST <= number <= BIGGEST else float(number))
    assert isinstance(found, int) == (SMALLEST <= number <= BIGGEST)


@pytest.mark.parametrize(
    ("text", "found"),
    [
        (r"\ud83d\ude00", "\N{GRINNING FACE}"),
        (r"\uD83D\uDE00!", "\N{GRINNING FACE}!"),
        (r"a\ud83d", "a\ufffd"),
        (r"\ude00b", "\ufffdb"),
        (r"\ud83d\ud83d\ude00", "\ufffd\N{GRINNING FACE}"),
        (r"\ud83d\\ude00", "\ufffd\\ude00"),
        (r"a\u0000b", "a\ufffdb"),
        (r"\\u0000", "\\u0000"),
        (r"\\\u0000", "\\\ufffd"),
        (r"\\ud800", "\\ud800"),
    ],
)
def test_what_no_database_takes_is_replaced(text: str, found: str) -> None:
    """NUL characters and halves of surrogate pairs become U+FFFD; a pair and an escaped backslash stay."""
    assert read(f'{{"a": "{text}", "{text}": 1}}') == {"a": found, found: 1}


# --- over HTTP --------------------------------------------------------------------------------------------------------


@pytest.fixture
def line(make_phone: MakePhone) -> Phone:
    """An app on SQLite, for what meets no table."""
    return make_phone()


once = settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])

types = st.sampled_from(
    ["assistant-request", "status-update", "tool-calls", "end-of-call-report", "assistantRequest", "new"]
)
anything = st.recursive(
    scalars
    | st.sampled_from(
        [CALLER, LINE, "anonymous", "ended", "2025-12-13T12:05:30.000Z", "9999-12-31T23:59:59-23:59", 1e308, -1]
    )
    | st.text(st.sampled_from("\0\ud800\udfff\u202ea1"), max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text("aV_é\0\ud800", max_size=4), inner, max_size=3),
    max_leaves=8,
)
blocks = anything | st.fixed_dictionaries(
    {},
    optional={
        **dict.fromkeys(("id", "type", "status", "number", "name", "metadata", "content", "role"), anything),
        "function": st.fixed_dictionaries({}, optional={"name": anything, "arguments": anything}),
        "pickup": st.fixed_dictionaries(
            {"v": st.just(1)}, optional=dict.fromkeys(("call", "caller_key", "assignments", "sent"), anything)
        ),
    },
)
messages = st.fixed_dictionaries(
    {"type": types | anything},
    optional={
        **dict.fromkeys(("call", "phone_number", "phoneNumber", "customer", "assistant", "assistant_override"), blocks),
        **dict.fromkeys(("messages", "tool_call_list", "toolCallList"), st.lists(blocks, max_size=3) | anything),
        **dict.fromkeys(("timestamp", "duration_seconds", "durationSeconds", "end_reason", "summary"), anything),
        **dict.fromkeys(("analysis", "started_at", "ended_at", "error", "extra"), anything),
    },
)
calls = st.fixed_dictionaries(
    {"id": st.text("xyz", min_size=1, max_size=3)}, optional={"type": anything, "status": anything}
)


def assert_well_answered(phone: Phone, body: bytes) -> None:
    """Assert an object as JSON, 2xx or 4xx, and words that are never spoken to a caller."""
    response = phone.post(body)
    assert 200 <= response.status_code < 300 or 400 <= response.status_code < 500, body
    assert response.mimetype == "application/json"
    answer = json.loads(response.data)
    assert isinstance(answer, dict)
    if response.status_code >= 400:
        assert "detail" in answer
        assert answer.keys() <= {"detail", "field"}
    assert phone.app.extensions["pickup"].webhook.faults == 0, body


@once
@given(st.binary(max_size=300))
def test_any_bytes_are_well_answered(line: Phone, raw: bytes) -> None:
    """Whatever bytes arrive signed, the answer is a JSON object, 2xx or 4xx."""
    assert_well_answered(line, raw)


@once
@given(st.fixed_dictionaries({"message": messages | anything}) | anything)
def test_any_json_is_well_answered(line: Phone, body: Any) -> None:
    """Whatever JSON arrives signed, the answer is a JSON object, 2xx or 4xx."""
    assert_well_answered(line, json.dumps(body).encode())


@settings(once, max_examples=100)
@given(messages, types, calls)
def test_call_is_answered_whatever_else_its_message_holds(
    phone: Phone, message: dict[str, Any], kind: str, call: dict[str, Any]
) -> None:
    """With a type and a call's id each message is answered 2xx and kept, on both databases, whatever all else is."""
    body = json.dumps({"message": {**message, "type": kind, "call": call}}).encode()
    spellings = (
        {"phone_number", "phoneNumber"},
        {"tool_call_list", "toolCallList"},
        {"duration_seconds", "durationSeconds"},
    )
    twice = any(both <= message.keys() for both in spellings)
    response = phone.post(body)
    assert response.status_code == 200 or (twice and response.status_code == 400), (body, response.data)
    assert_well_answered(phone, body)
    assert phone.app.extensions["pickup"].webhook.ledger.health()["faults"] == {}


@pytest.mark.parametrize("unwelcome", ["\0", "\ud800"])
def test_what_no_database_takes_reaches_none(phone: Phone, unwelcome: str) -> None:
    """A NUL or half a surrogate pair in what is kept costs no row, on either database."""
    call = {"id": f"a{unwelcome}b", "type": f"web{unwelcome}", "status": "ended"}
    told: dict[str, Any] = {"analysis": {f"k{unwelcome}": True}, "end_reason": f"x{unwelcome}", "summary": unwelcome}
    assert phone.ring(line=f"desk{unwelcome}", call=call).status_code == 200
    assert phone.report(call=call, **told).status_code == 200
    assert phone.rows("SELECT call_id, line, call_type FROM pickup_calls") == [("a\ufffdb", "desk\ufffd", "web\ufffd")]
    assert ("duration_seconds",) in phone.rows("SELECT name FROM pickup_outcomes")


@settings(once, max_examples=60)
@given(
    st.dictionaries(
        st.sampled_from(["fromCaller", "toAssistant", "callId", "callLengthSeconds", "summaryText"]), anything
    ),
    types | anything,
)
def test_any_flat_message_is_well_answered(line: Phone, flat: dict[str, Any], kind: Any) -> None:
    """The first generation's messages as well."""
    assert_well_answered(line, json.dumps({"eventType": kind, **flat}).encode())


def test_size_ends_at_1_mib(line: Phone) -> None:
    """A body of 1 MiB is read; one byte more is a 413."""
    start = b'{"message": {"type": "new", "filler": "'
    body = start + b"x" * (2**20 - len(start) - 3) + b'"}}'
    assert len(body) == 2**20
    assert line.post(body).status_code == 200
    response = line.post(body + b" ")
    assert (response.status_code, response.get_json().keys()) == (413, {"detail"})


def test_size_is_an_option(make_phone: MakePhone) -> None:
    """``PICKUP_MAX_BODY`` is the number of bytes."""
    phone = make_phone(PICKUP_MAX_BODY=1000)
    assert phone.ring().status_code == 200
    assert phone.ring(filler="x" * 1000).status_code == 413


def test_hosts_own_limit_is_not_ours(make_phone: MakePhone) -> None:
    """A host that takes only small forms still answers its calls, and in JSON."""
    phone = make_phone(MAX_CONTENT_LENGTH=10)
    assert phone.ring().status_code == 200


@pytest.mark.parametrize("coding", ["gzip", "deflate", "br", "zstd", "GZIP", "gzip, identity", "x"])
def test_compressed_body_is_a_415(line: Phone, coding: str) -> None:
    """A compressed body is refused by name, after its signature: a megabyte of zeros fits into a kilobyte."""
    response = line.post(gzip.compress(b"{}"), **{"Content-Encoding": coding})
    assert (response.status_code, response.get_json()["field"]) == (415, "Content-Encoding")
    unsigned = line.client.post("/pickup/webhook", data=b"", headers={"Content-Encoding": coding})
    assert unsigned.status_code == 401


@pytest.mark.parametrize("coding", ["", "identity", "Identity"])
def test_plain_body_may_say_so(line: Phone, coding: str) -> None:
    """Not compressed is not compressed."""
    assert line.post(b'{"message": {"type": "new"}}', **{"Content-Encoding": coding}).status_code == 200


@pytest.mark.parametrize(
    "kind", ["", "text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x", "application/json; charset=utf-16", "x"]
)  # fmt: skip
def test_signed_bytes_count_and_not_their_label(line: Phone, kind: str) -> None:
    """A signed JSON body is read whatever its content type says, and the answer is JSON."""
    response = line.post(b'{"message": {"type": "new"}}', **{"Content-Type": kind})
    assert (response.status_code, response.mimetype) == (200, "application/json")


@pytest.mark.parametrize("path", ["/pickup/webhook", "/pickup/health"])
@pytest.mark.parametrize(
    "method", ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "CONNECT", "BREW"]
)
def test_every_method_is_answered_in_json(line: Phone, path: str, method: str) -> None:
    """Each answer of ours is a JSON object with ``detail``, and says which methods there are."""
    answered = {"/pickup/webhook": {"POST"}, "/pickup/health": {"GET", "HEAD"}}[path]
    response = line.client.open(path, method=method)
    assert response.mimetype == "application/json"
    if method not in answered:
        assert response.status_code == 405
        assert set(response.headers["Allow"].split(", ")) == answered
        assert method == "HEAD" or response.get_json().keys() == {"detail"}


def test_refusal_quotes_nothing(line: Phone, caplog: pytest.LogCaptureFixture) -> None:
    """Neither the answer to a bad body nor the log repeats any of it."""
    for body in (
        f'{{"message": "{CALLER}"',
        f'{{"message": {{"call": "{CALLER}"}}}}',
        f"{CALLER}",
        f'{{"{CALLER}": NaN}}',
    ):
        response = line.post(body.encode())
        assert (response.status_code, "612345678" in response.text) == (400, False)
    assert "612345678" not in caplog.text


@pytest.mark.parametrize(
    "message",
    [
        {"type": "something-new"},
        {"type": "something-new", "call": {"id": "x"}, "what": ["ever"]},
        {"type": "conversation-update", "call": None},
        {"type": "speech-update", "call": "x"},
    ],
)
def test_unknown_types_are_accepted(phone: Phone, message: dict[str, Any]) -> None:
    """An event of a type that Pickup does not know is a 2xx, and does nothing."""
    response = phone.send(message)
    assert (response.status_code, response.get_json()) == (200, {})
    assert phone.rows("SELECT COUNT(*) FROM pickup_calls") == [(0,)]


def test_unknown_keys_are_accepted(line: Phone) -> None:
    """A message that has grown keys since is answered as before."""
    plain = line.ring("call-1").get_json()
    grown = line.ring(
        "call-1", call={"id": "call-1", "type": "inbound_phone_call", "status": "ringing", "new": 1}, new={"deep": [1]}
    )
    assert grown.get_json() == plain


def test_handlers_nonsense_is_answered_in_json(make_phone: MakePhone) -> None:
    """A host's handler that returns what is no JSON object costs its own answer, and is never a 5xx."""
    from flask_pickup import Pickup  # noqa: PLC0415

    returned: list[Any] = ["text", [1, 2], 3, {"x": object()}, {"x": "\ud800"}]
    pickup = Pickup(clock=lambda: NOW)
    pickup.on("tool-calls")(lambda message: returned[-1])
    phone = make_phone(CONTENT, pickup=pickup)
    while returned:
        response = phone.send({"type": "tool-calls", "call": {"id": "x"}})
        assert (response.status_code, response.get_json()) == (200, {"error": "The tool failed."})
        returned.pop()
