"""Odd and hostile requests through a real server: answered, refused in JSON, or refused by gunicorn."""

from __future__ import annotations

import json
import re
import socket
import time
from collections.abc import Iterator
from contextlib import suppress

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from faulty import Server, migrate, request_message, signed

pytestmark = pytest.mark.slow

BODY, HEADERS = signed(request_message("a-call"))
SIGNED = "".join(f"{name}: {value}\r\n" for name, value in HEADERS.items()).encode()
SIGNATURE = f"X-Webhook-Signature: {HEADERS['X-Webhook-Signature']}\r\n".encode()
LINE = b"POST /pickup/webhook HTTP/1.1\r\nHost: x\r\n"
CLOSE = b"Connection: close\r\n"
LENGTH = b"Content-Length: %d\r\n" % len(BODY)
CHUNKED = b"Transfer-Encoding: chunked\r\n"
CALL = LINE + CLOSE + SIGNED + LENGTH + b"\r\n" + BODY


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """Gunicorn as the repository configures it."""
    folder = tmp_path_factory.mktemp("hostile")
    url = f"sqlite:///{folder / 'pickup.db'}"
    migrate(url)
    with Server(folder, url) as server:
        yield server


def exchange(server: Server, *pieces: bytes, end: bool = False) -> bytes:
    """Send bytes, and return all that comes back until the server closes; with ``end`` nothing more will be sent."""
    with socket.create_connection(("127.0.0.1", server.port), timeout=10) as connection:
        with suppress(OSError):
            for piece in pieces:
                connection.sendall(piece)
            if end:
                connection.shutdown(socket.SHUT_WR)
        back = b""
        with suppress(ConnectionError):
            while piece := connection.recv(65536):
                back += piece
        return back


def statuses(back: bytes) -> list[int]:
    return [int(status) for status in re.findall(rb"HTTP/1\.[01] (\d{3}) ", back) if status != b"100"]


def assert_json(back: bytes, status: int) -> dict[str, object]:
    """Assert one answer of ours, and return it."""
    assert statuses(back) == [status], back
    head, _, body = back.rpartition(b"\r\n\r\n")
    assert b"\r\nContent-Type: application/json\r\n" in head
    answer = json.loads(body)
    assert isinstance(answer, dict)
    if status >= 400:
        assert answer.keys() <= {"detail", "field"}
    return answer


def chunks(body: bytes, size: int) -> bytes:
    pieces = [body[start : start + size] for start in range(0, len(body), size)]
    return b"".join(b"%x\r\n%s\r\n" % (len(piece), piece) for piece in pieces) + b"0\r\n\r\n"


# --- calls ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "raw",
    [
        *(LINE + CLOSE + SIGNED + CHUNKED + b"\r\n" + chunks(BODY, size) for size in (1, 100, 10_000)),
        CALL.replace(b"HTTP/1.1", b"HTTP/1.0"),
        CALL.replace(b"/webhook", b"/webhook?a=b"),
        CALL.replace(b"Host: x\r\n", b""),
        CALL.replace(b"Content-Type: application/json", b"Content-Type: text/plain"),
        CALL.replace(CLOSE, CLOSE + b"Expect: 100-continue\r\n"),
        CALL.replace(CLOSE, CLOSE + b"X-Odd: \xe9\xff\r\n"),
    ],
    ids=["chunks of 1", "of 100", "one chunk", "HTTP/1.0", "query", "no host", "content type", "expect", "odd header"],
)
def test_signed_call_is_answered(server: Server, raw: bytes) -> None:
    """A signed body is answered, in chunks too and in any request that HTTP allows."""
    assert "assistant" in assert_json(exchange(server, raw), 200)


def test_late_body_is_answered(server: Server) -> None:
    """A call whose body is late by more than a second, as after a lost packet, is answered."""
    with socket.create_connection(("127.0.0.1", server.port), timeout=10) as connection:
        connection.sendall(CALL[:-20])
        time.sleep(1.2)
        connection.sendall(CALL[-20:])
        assert connection.recv(65536).startswith(b"HTTP/1.1 200 ")


def test_connection_carries_many_calls(server: Server) -> None:
    """The platform keeps its connections: after an answer, or a refusal, the next request is read from its beginning."""
    open_ = CALL.replace(CLOSE, b"")
    refused = open_.replace(b"POST", b"PUT")
    unsigned = LINE + b"Content-Length: 9\r\n\r\n" + b"POST / HT"
    assert statuses(exchange(server, open_ + refused + open_ + unsigned + CALL)) == [200, 405, 200, 401, 200]


# --- refusals of ours -------------------------------------------------------------------------------------------------


OURS = LINE + CLOSE + SIGNED
CHUNKS = OURS + CHUNKED + b"\r\n"
REFUSED = {
    # request, whether the client closes, status
    "chunk size": (CHUNKS + b"zz\r\nabc\r\n0\r\n\r\n", False, 400),
    "chunk below 0": (CHUNKS + b"-5\r\nabc\r\n0\r\n\r\n", False, 400),
    "chunk length": (CHUNKS + b"3\r\nabcdef\r\n0\r\n\r\n", False, 400),
    "no last chunk": (CHUNKS + b"3\r\nabc\r\n", True, 400),
    "endless chunk": (CHUNKS + b"ffffffffffffffff\r\nabc\r\n", True, 400),
    "body cut": (OURS + b"Content-Length: 5000\r\n\r\n" + BODY, True, 400),
    "endless body": (OURS + b"Content-Length: 99999999999999999999\r\n\r\n" + BODY, True, 413),
    "2 MB": (OURS + b"Content-Length: 2000000\r\n\r\n" + b"x" * 2_000_000, False, 413),
    "2 MB in chunks": (CHUNKS + chunks(b"x" * 2_000_000, 60_000), False, 413),
    "no length": (OURS + b"\r\n" + BODY, False, 401),
    "underscores": (CALL.replace(b"X-Webhook-Signature", b"X_Webhook_Signature"), False, 401),
    "signed twice": (CALL.replace(CLOSE, CLOSE + SIGNATURE), False, 401),
    "gzip": (CALL.replace(CLOSE, CLOSE + b"Content-Encoding: gzip\r\n"), False, 415),
    **{method: (CALL.replace(b"POST", method.encode()), False, 405) for method in ("GET", "BREW", "TRACE")},
    "health": (CALL.replace(b"webhook", b"health"), False, 405),
}


@pytest.mark.parametrize("request_", REFUSED)
def test_refusal_is_json(server: Server, request_: str) -> None:
    """A request that gunicorn lets through and Pickup refuses is a 4xx in JSON, never a 5xx."""
    raw, end, status = REFUSED[request_]
    assert_json(exchange(server, raw, end=end), status)


def test_nothing_is_smuggled_behind_a_broken_body(server: Server) -> None:
    """After a body whose end is unknown the connection is closed: what follows is not read as a request."""
    for framing in (CHUNKED + b"\r\n3\r\nabcdef\r\n0\r\n\r\n", b"Content-Length: 20000000\r\n\r\n" + b"x" * 1000):
        back = exchange(server, LINE + SIGNED + framing + CALL, end=True)
        assert len(statuses(back)) == 1
        assert b"assistant" not in back


@settings(max_examples=20, deadline=None)
@given(
    st.binary(min_size=1, max_size=300), st.sampled_from([b"", LINE, LINE + SIGNED, LINE + SIGNED + CHUNKED + b"\r\n"])
)
def test_any_bytes_leave_the_server_standing(server: Server, raw: bytes, before: bytes) -> None:
    """Any bytes are answered with 2xx or 4xx or nothing, and the next call is answered."""
    assert all(200 <= status < 500 or status == 501 for status in statuses(exchange(server, before + raw, end=True)))
    assert statuses(exchange(server, CALL)) == [200]


# --- refusals of the server's -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("status", "raw"),
    [
        (400, b"GET /pickup/webhook\r\n\r\n"),
        (400, CALL.replace(b"HTTP/1.1", b"HTTP/2.0")),
        (400, b"\x00\xff\r\n\r\n"),
        (400, CALL.replace(LENGTH, LENGTH + b"Content-Length: 5\r\n")),
        (400, CALL.replace(LENGTH, b"Content-Length: -1\r\n")),
        (400, CALL.replace(LENGTH, LENGTH + CHUNKED)),
        (501, CALL.replace(LENGTH, b"Transfer-Encoding: x\r\n")),
        (400, CALL.replace(CLOSE, CLOSE + b"X Y: 1\r\n")),
        (400, CALL.replace(b"\r\n", b"\n")),
        (431, CALL.replace(CLOSE, CLOSE + b"X-Long: " + b"a" * 9000 + b"\r\n")),
        (414, CALL.replace(b"/webhook", b"/webhook?" + b"a" * 5000)),
    ],
)
def test_what_is_not_http_is_refused_by_the_server(server: Server, status: int, raw: bytes) -> None:
    """Gunicorn refuses a request that it cannot parse with a short page in HTML, and closes the connection."""
    back = exchange(server, raw)
    assert statuses(back) == [status]
    assert b"Content-Type: text/html\r\n" in back
