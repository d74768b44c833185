"""Bodies over the limit through a real server, on a connection that stays open."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import closing
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

import pytest

from bells import BELL_TOKEN
from conftest import CALLER, LINE
from faulty import Server, migrate

pytestmark = pytest.mark.slow

LIMIT = 10_000
REGISTER = f"""
sys.path.insert(0, {str(Path(__file__).parents[1])!r})
from flask_pickup import platforms
from toys import Verbose
platforms.REGISTRY["verbose"] = Verbose.from_config
"""
SMUGGLED = b"POST /pickup/verbose HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\n{}"
"""A body in which a server that took it for the next request would find one."""


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """Gunicorn as the repository configures it."""
    folder = tmp_path_factory.mktemp("large")
    url = f"sqlite:///{folder / 'pickup.db'}"
    migrate(url)
    made = Server(folder, url, more=REGISTER, bell_token=BELL_TOKEN, max_body=LIMIT)
    # It is Flireo's, as every override is of one platform.
    (folder / "greetings/override.json").unlink()
    with made as server:
        yield server


def post(connection: HTTPConnection, platform: str, body: Any, headers: dict[str, str]) -> tuple[int, Any]:
    connection.request("POST", f"/pickup/{platform}", body, headers)
    response = connection.getresponse()
    return response.status, json.loads(response.read())


@pytest.mark.parametrize("framing", ["length", "chunked"])
@pytest.mark.parametrize("size", [LIMIT + 1, LIMIT + 2, 200_000, 4_000_000])
def test_large_body_is_acknowledged_unread(server: Server, framing: str, size: int) -> None:
    """A body over the limit gets 200 and is counted, and what is left of it is not taken for the next request."""
    large = (SMUGGLED * (size // len(SMUGGLED) + 1))[:size]
    ring = {"event": "ring", "id": f"{framing}-{size}", "from": CALLER, "to": LINE}
    with closing(HTTPConnection("127.0.0.1", server.port, timeout=15)) as connection:
        answers = []
        for _ in range(2):
            body = iter([large[:4000], large[4000:]]) if framing == "chunked" else large
            answers.append(post(connection, "verbose", body, {}))
            answers.append(post(connection, "verbose", json.dumps(ring), {"X-Bell-Token": BELL_TOKEN}))
        connection.request("GET", "/pickup/health")
        health = json.loads(connection.getresponse().read())
    assert [status for status, _ in answers] == [200] * 4
    assert [answer for _, answer in answers[::2]] == [{}, {}]
    assert all(answer["say"] for _, answer in answers[1::2])
    assert health["platforms"]["verbose"]["refused"].keys() == {"413"}


def test_endless_body_holds_no_thread(server: Server) -> None:
    """A body beyond what a proxy passes on is answered before it has arrived."""
    with closing(HTTPConnection("127.0.0.1", server.port, timeout=15)) as connection:
        connection.putrequest("POST", "/pickup/verbose")
        connection.putheader("Content-Length", "1000000000")
        connection.endheaders(b"x" * 1000)
        assert connection.getresponse().status == 200
