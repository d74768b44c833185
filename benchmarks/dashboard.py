"""Calls at a steady rate over a million earlier ones, with and without somebody who reloads the dashboard constantly.

    benchmarks/dashboard [--calls 1000000] [--rate 60] [--seconds 20] [--rounds 5] [--visitors 1]
                         [--pause 0.1]

The two take turns. A visitor loads one page after another; the pause is what a browser takes to show one. Prints a table and leaves the figures in benchmarks/dashboard.json.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from http.cookiejar import CookieJar
from typing import Any
from urllib.error import HTTPError
from urllib.request import HTTPCookieProcessor, OpenerDirector, build_opener

import common
from flask import Flask
from loading import YEAR, Year, copy_into_postgresql
from rich.console import Console

from flask_pickup import Pickup, migrating
from flask_pickup.ledger.store import Store
from flask_pickup.webhook import definition_entries

EXPERIMENT = "warm-opening"
TOKEN = "a-token-that-only-this-benchmark-knows"
PAGES = (
    "/",
    f"/experiments/{EXPERIMENT}",
    "/calls",
    "/plan?baseline=30&lift=5&callers_a_week=500",
    "/assets/vendor/plot.min.js",
)
console = Console()


def main() -> None:
    """Load, measure, print."""
    asked = _arguments()
    if asked.visit:
        print(json.dumps(_visit(asked.visit, asked)))
        return
    with common.folder() as folder, common.postgresql(folder / "postgresql") as server:
        settings = common.environment(folder, server.url, PICKUP_DASHBOARD_TOKEN=TOKEN)
        _fill(server, settings, asked.calls)
        with common.serving(settings, 2, folder / "log") as serving:
            # Until the results are there: nobody measures an empty page.
            _visit(serving.url.removesuffix("/webhook"), argparse.Namespace(seconds=60, visitors=1, pause=1))
            rounds = [_round(serving.url, asked) for _ in range(asked.rounds)]
    _print(rounds)
    common.keep("dashboard", {"asked": vars(asked), "rounds": rounds}, "", page=False)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--calls", type=int, default=1_000_000)
    parser.add_argument("--rate", type=float, default=60)
    parser.add_argument("--seconds", type=float, default=20)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--visitors", type=int, default=1)
    parser.add_argument("--pause", type=float, default=0.1)
    parser.add_argument("--visit", help=argparse.SUPPRESS)
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


def _round(url: str, asked: argparse.Namespace) -> dict[str, Any]:
    """Return what calls took alone, and beside the dashboard."""
    alone = common.steadily(url, common.calls(), rate=asked.rate, until=time.monotonic() + asked.seconds)
    address = url.removesuffix("/webhook")
    # In a process of its own, for the client's lock would be one more thing that calls wait for.
    options = [f"--{name}={getattr(asked, name)}" for name in ("seconds", "visitors", "pause")]
    command = [sys.executable, __file__, "--visit", address, *options]
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


def _visit(address: str, asked: argparse.Namespace) -> dict[str, int]:
    """Return how often each status came."""
    until = time.monotonic() + asked.seconds
    with ThreadPoolExecutor(asked.visitors) as several:
        counts = list(several.map(lambda _: Counter(_statuses(address, until, asked.pause)), range(asked.visitors)))
    return {str(status): number for status, number in sum(counts, Counter()).items()}


def _statuses(address: str, until: float, pause: float) -> Iterator[int]:
    browser = build_opener(HTTPCookieProcessor(CookieJar()))
    _load(browser, f"{address}/?token={TOKEN}")
    while True:
        for page in PAGES:
            if time.monotonic() > until:
                return
            yield _load(browser, address + page)
            time.sleep(pause)


def _load(browser: OpenerDirector, page: str) -> int:
    try:
        with browser.open(page, timeout=30) as response:
            response.read()
            return int(response.status)
    except HTTPError as error:
        return error.code


def _print(rounds: list[dict[str, Any]]) -> None:
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
