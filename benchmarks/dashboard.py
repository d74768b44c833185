"""The dashboard over a million calls: what each page takes, and what calls take beside somebody who reloads it constantly.

    benchmarks/dashboard [--calls 1000000] [--times 20] [--rate 60] [--seconds 20] [--rounds 5] [--visitors 1]
                         [--pause 0.1]

First each page is loaded so many times, one after another: while nothing else happens, and while results are being
computed. Then come calls at a steady rate, alone and beside a visitor in turn, who loads one page after another; the pause is
what a browser takes to show one. Prints tables and leaves the figures in benchmarks/dashboard.json.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import UTC, datetime
from http import HTTPStatus
from http.cookiejar import CookieJar
from itertools import cycle
from typing import Any
from urllib.error import HTTPError
from urllib.request import HTTPCookieProcessor, build_opener

import common
from flask import Flask
from loading import YEAR, Year, copy_into_postgresql
from rich.console import Console
from sqlalchemy import Connection, create_engine, text

from flask_pickup import Pickup, migrating
from flask_pickup.ledger.store import Store
from flask_pickup.webhook import definition_entries

EXPERIMENT = "warm-opening"
TOKEN = "a-token-that-only-this-benchmark-knows"
_WARM_UP = 5
"""Loads of each page until every worker has compiled it."""
console = Console()


def main() -> None:
    """Load, measure, print."""
    asked = _arguments()
    if asked.visit:
        print(json.dumps(_visit(asked)))
        return
    with common.folder() as folder, common.postgresql(folder / "postgresql") as server:
        settings = common.environment(folder, server.url, PICKUP_DASHBOARD_TOKEN=TOKEN)
        _fill(server, settings, asked.calls)
        with common.serving(settings, 2, folder / "log") as serving:
            address, pages = serving.url.removesuffix("/webhook"), _pages(server)
            pages_took = _page_times(server, _Browser(address), pages, asked.times)
            _print_pages(pages_took)
            rounds = [_round(serving.url, asked, pages) for _ in range(asked.rounds)]
    _print_calls(rounds)
    common.keep("dashboard", {"asked": vars(asked), "pages": pages_took, "rounds": rounds}, "", page=False)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--calls", type=int, default=1_000_000)
    parser.add_argument("--times", type=int, default=20)
    parser.add_argument("--rate", type=float, default=60)
    parser.add_argument("--seconds", type=float, default=20)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--visitors", type=int, default=1)
    parser.add_argument("--pause", type=float, default=0.1)
    parser.add_argument("--visit", nargs="+", help=argparse.SUPPRESS)
    return parser.parse_args()


def _fill(server: common.PostgreSQL, settings: Mapping[str, str], calls: int) -> None:
    until = datetime.now(UTC)
    app = Flask(__name__)
    app.config.update({name: value for name, value in settings.items() if name.startswith("PICKUP_")})
    app.config["PICKUP_SIGNATURE_TOLERANCE"] = 300
    app.register_blueprint(Pickup())
    state = app.extensions["pickup"]
    migrating.upgrade(state.engine)
    experiment = next(each for each in state.catalog.experiments if each.name == EXPERIMENT)
    Store(state.engine).write(definition_entries(state.catalog, until - YEAR))
    running = {experiment.name: (experiment.fingerprint, 1.0, tuple(experiment.weights))}
    state.close()
    year = Year(calls, until.replace(tzinfo=None), running)
    copy_into_postgresql(server.url, year, lambda done: console.print(f"Loaded {done:,} calls", end="\r"), grown=False)


# --- pages ------------------------------------------------------------------------------------------------------------


class _Browser:
    """A browser that has the dashboard's cookie."""

    def __init__(self, address: str) -> None:
        self._address = address
        self._opener = build_opener(HTTPCookieProcessor(CookieJar()))
        self.load(f"/?token={TOKEN}")

    def load(self, page: str) -> tuple[int, str]:
        """Return the status and the text of a page."""
        try:
            with self._opener.open(self._address + page, timeout=30) as response:
                return int(response.status), response.read().decode()
        except HTTPError as error:
            return error.code, ""


def _pages(server: common.PostgreSQL) -> dict[str, str]:
    """Return each page's address by its name."""
    with _connected(server) as connection:
        call = connection.execute(text("SELECT call_id FROM pickup_assignments LIMIT 1")).scalar()
        definition = connection.execute(text("SELECT fingerprint FROM pickup_definitions")).scalar()
    return {
        "overview": "/",
        "experiment": f"/experiments/{EXPERIMENT}",
        "calls": "/calls",
        "calls, filtered": f"/calls?experiment={EXPERIMENT}&arm=warm",
        "call": f"/calls/call?id={call}",
        "plan": "/plan?baseline=30&lift=5&callers_a_week=500",
        "preview": "/preview",
        "definition": f"/definitions/{definition}",
    }


@contextmanager
def _connected(server: common.PostgreSQL) -> Iterator[Connection]:
    engine = create_engine(server.url, isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        yield connection
    engine.dispose()


def _page_times(
    server: common.PostgreSQL, browser: _Browser, pages: Mapping[str, str], times: int
) -> dict[str, dict[str, list[float]]]:
    """Return the milliseconds that pages took, by their name: ``quiet`` and ``computing``, which is beside computed results."""

    def is_computing() -> bool:
        return "data-updating" in browser.load(pages["experiment"])[1]

    while is_computing():
        time.sleep(0.5)
    took: dict[str, dict[str, list[float]]] = {"quiet": defaultdict(list), "computing": defaultdict(list)}
    for _ in range(_WARM_UP):
        _load_each(browser, pages, defaultdict(list))
    for _ in range(times):
        _load_each(browser, pages, took["quiet"])
    with _connected(server) as connection:
        for _ in range(times):
            if not is_computing():
                connection.execute(text("UPDATE pickup_snapshots SET computed_at = computed_at - INTERVAL '1 day'"))
                assert is_computing()
            _load_each(browser, pages, took["computing"])
    while is_computing():  # the calls come after
        time.sleep(0.5)
    return took


def _load_each(browser: _Browser, pages: Mapping[str, str], took: defaultdict[str, list[float]]) -> None:
    for name, page in pages.items():
        began = time.monotonic()
        status, _ = browser.load(page)
        took[name].append(1000 * (time.monotonic() - began))
        assert status == HTTPStatus.OK, (page, status)


def _print_pages(took: Mapping[str, Mapping[str, list[float]]]) -> None:
    rows = []
    for page in took["quiet"]:
        figures = [(common.median(took[when][page]), max(took[when][page])) for when in ("quiet", "computing")]
        rows.append((page, *(f"{figure:.0f}" for pair in figures for figure in pair)))
    head = ["page, ms", "quiet", "slowest", "beside results being computed", "slowest"]
    console.print(common.table(head, rows))


# --- calls ------------------------------------------------------------------------------------------------------------


def _round(url: str, asked: argparse.Namespace, pages: Mapping[str, str]) -> dict[str, Any]:
    """Return what calls took alone, and beside the dashboard."""
    alone = common.steadily(url, common.calls(), rate=asked.rate, until=time.monotonic() + asked.seconds)
    # In a process of its own, for the client's lock would be one more thing that calls wait for.
    options = [f"--{name}={getattr(asked, name)}" for name in ("seconds", "visitors", "pause")]
    command = [sys.executable, __file__, *options, "--visit", url.removesuffix("/webhook"), *pages.values()]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as visiting:
        beside = common.steadily(url, common.calls(), rate=asked.rate, until=time.monotonic() + asked.seconds)
        assert visiting.stdout
        visits = json.loads(visiting.stdout.read())
    return {"alone": _figures(alone), "beside": _figures(beside), "visits": visits}


def _figures(answers: common.Answers) -> dict[str, float]:
    return {
        "p50": answers.percentile(0.5),
        "p99": answers.percentile(0.99),
        "slowest": answers.percentile(1),
        "wrong": answers.wrong,
        "answered": len(answers.seconds),
    }


def _visit(asked: argparse.Namespace) -> dict[str, int]:
    """Return how often each status came."""
    until = time.monotonic() + asked.seconds
    with ThreadPoolExecutor(asked.visitors) as several:
        counts = list(several.map(lambda _: Counter(_statuses(asked, until)), range(asked.visitors)))
    return {str(status): number for status, number in sum(counts, Counter()).items()}


def _statuses(asked: argparse.Namespace, until: float) -> Iterator[int]:
    address, *pages = asked.visit
    browser = _Browser(address)
    for page in cycle(pages):
        if time.monotonic() > until:
            return
        yield browser.load(page)[0]
        time.sleep(asked.pause)


def _print_calls(rounds: list[dict[str, Any]]) -> None:
    def middle(choose: Callable[[dict[str, Any]], float]) -> str:
        return f"{common.median([choose(each) for each in rounds]):.1f}"

    rows = [
        (name, *(middle(lambda each, n=name, f=figure: each[n][f]) for figure in ("p50", "p99", "slowest", "wrong")))
        for name in ("alone", "beside")
    ]
    console.print(common.table(["calls", "p50 ms", "p99 ms", "slowest ms", "not answered"], rows))
    ratios = [each["beside"]["p99"] / each["alone"]["p99"] for each in rounds]
    console.print(f"p99, beside / alone: {common.median(ratios):.2f} ({min(ratios):.2f} to {max(ratios):.2f})")
    visits: Counter[str] = sum((Counter(each["visits"]) for each in rounds), Counter())
    console.print(f"Pages loaded meanwhile, by status: {dict(visits)}")


if __name__ == "__main__":
    main()
