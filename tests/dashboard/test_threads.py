"""The pages beside the calls: what they may hold, how long they may take, and what becomes of their child process."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path
from urllib.request import HTTPCookieProcessor, build_opener

import psutil
import pytest
from flask import Response
from sqlalchemy import text
from sqlalchemy.exc import SQLAlchemyError

from conftest import MakePhone, Phone
from dashboards import TOKEN
from faulty import Server, eventually, migrate
from flask_pickup.dashboard import board, places, rows
from flask_pickup.dashboard.places import Places
from flask_pickup.models import make_engine

SLOW = {
    "sqlite": "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT COUNT(*) FROM n",
    "postgresql": "SELECT pg_sleep(60)",
}


@pytest.fixture
def author(make_phone: MakePhone) -> Phone:
    """An app whose dashboard is open to the author's browser."""
    phone = make_phone(PICKUP_DASHBOARD_TOKEN=TOKEN)
    phone.client.get(f"/pickup/?token={TOKEN}")
    return phone


def test_pages_leave_threads_to_calls(author: Phone) -> None:
    """While two pages are on their way to their readers a third is told to come again, and calls are answered."""
    slow = [author.client.get("/pickup/download/calls.csv") for _ in range(places.PAGES)]
    refused = author.client.get("/pickup/calls")
    assert (refused.status_code, 'http-equiv="refresh"' in refused.text) == (503, True)
    assert author.ring("call-1").status_code == 200
    assert slow[0].text
    assert author.client.get("/pickup/calls").status_code == 200


def test_page_that_fails_gives_its_thread_back(author: Phone, monkeypatch: pytest.MonkeyPatch) -> None:
    """However often a page fails in a way that nobody thought of, the others are shown."""
    author.app.config["PROPAGATE_EXCEPTIONS"] = False

    def failing(*_: object) -> None:
        raise ZeroDivisionError

    with monkeypatch.context() as broken:
        broken.setattr(rows, "latest_calls", failing)
        for _ in range(places.PAGES + 1):
            assert author.client.get("/pickup/calls").status_code == 500
    assert author.client.get("/pickup/calls").status_code == 200


def test_large_file_holds_one_thread_more(author: Phone) -> None:
    """A browser that takes its time over the plots' file holds one thread; small files need none."""
    slow = author.client.get("/pickup/assets/plots.js")
    assert author.client.get("/pickup/assets/plots.js").status_code == 503
    assert author.client.get("/pickup/assets/pickup.css").status_code == 200
    assert slow.data
    assert author.client.get("/pickup/assets/plots.js").status_code == 200


@pytest.mark.parametrize("ends", ["read", "closed", "dropped"])
def test_place_is_given_back_once(ends: str) -> None:
    """A place is free again when the response was read, closed, or forgotten by everybody; and only once."""
    one = Places(1)
    assert one.take()
    response = one.hold(Response([b"a", b"b"]))
    assert not one.take()
    if ends == "read":
        assert list(response.response) == [b"a", b"b"]
    if ends == "closed":
        response.close()
    del response
    assert one.take()
    assert not one.take()


@pytest.mark.slow
def test_query_ends_in_time(database_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A page's query that takes too long is ended by the database, and the connection is as good as before."""
    monkeypatch.setattr(rows, "PATIENCE", 0.2)
    engine = make_engine(database_url)
    with pytest.raises(SQLAlchemyError), rows.bounded(engine) as connection:
        connection.execute(text(SLOW[engine.dialect.name]))
    with rows.bounded(engine) as connection:
        assert connection.execute(text("SELECT 1")).scalar() == 1
    engine.dispose()


def test_answers_are_kept_as_long_as_they_were_hard_to_get() -> None:
    """An answer is given again for ten seconds; one that took a minute for five minutes."""
    assert board.Kept(at=100.0, took=0.5).until == 110
    assert board.Kept(at=100.0, took=60.0).until == 400


@pytest.mark.slow
def test_child_that_was_killed_is_replaced(author: Phone) -> None:
    """A child process that the system killed is started anew; the page does not notice."""
    asked = author.app.extensions["pickup"].board
    question = {"do": "plan", "baseline": 0.3, "lift": 0.05, "callers_a_week": 100}
    eventually(lambda: asked.ask(question))
    [child] = [one for one in psutil.Process().children() if "flask_pickup.results" in one.cmdline()]
    child.kill()
    eventually(lambda: not child.is_running())
    assert "needed" in eventually(lambda: asked.ask({**question, "lift": 0.06}))


@pytest.mark.slow
class TestUnderGunicorn:
    """The child of a real worker."""

    @pytest.fixture
    def server(self, tmp_path: Path) -> Iterator[Server]:
        """A server whose overview somebody has opened."""
        url = f"sqlite:///{tmp_path / 'pickup.db'}"
        migrate(url)
        with Server(tmp_path, url, dashboard_token=TOKEN) as server:
            eventually(lambda: self.opened(server) and self.children(server))
            yield server

    def opened(self, server: Server) -> bool:
        """Open the overview, and say whether the results are there."""
        browser = build_opener(HTTPCookieProcessor())
        with browser.open(f"http://127.0.0.1:{server.port}/pickup/?token={TOKEN}", timeout=15) as response:
            return b"refresh" not in response.read()

    def children(self, server: Server) -> list[psutil.Process]:
        """The processes that compute results."""
        return [child for worker in server.workers for child in worker.children()]

    def test_secrets_are_seen_by_nobody(self, server: Server) -> None:
        """Neither the child's arguments nor its environment name the database or a secret."""
        [child, *_] = self.children(server)
        seen = " ".join([*child.cmdline(), *(f"{key}={value}" for key, value in child.environ().items())])
        for secret in (TOKEN, server.database_url, "PICKUP_"):
            assert secret not in seen

    @pytest.mark.parametrize("kind", [signal.SIGTERM, signal.SIGKILL])
    def test_child_ends_with_its_worker(self, server: Server, kind: signal.Signals) -> None:
        """A worker that ends, however it ends, leaves no process behind, not even a dead one."""
        children = self.children(server)
        assert children
        for worker in server.workers:
            os.kill(worker.pid, kind)
        eventually(lambda: not any(child.is_running() for child in children))
        eventually(server.health)
        assert not [one for one in psutil.Process(os.getpid()).children(recursive=True) if one.status() == "zombie"]
