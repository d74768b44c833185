"""A steady rate for minutes: whether memory, file handles, threads, the spool or a database's log grow.

    benchmarks/long_run [--minutes 10] [--rate 100] [--database sqlite|postgresql] [--page]

Every second request is a call, every other the report of a call of some seconds ago. Prints a table and leaves the
figures in benchmarks/long_run.json; ``--page`` puts them into benchmarks/README.md too.
"""

from __future__ import annotations

import argparse
import time
from collections import deque
from collections.abc import Iterator, Mapping
from itertools import count
from pathlib import Path
from threading import Event, Thread
from typing import Any

import common
import psutil
from rich.console import Console

from flask_pickup import migrating
from flask_pickup.engines import make_engine

EVERY = 5.0
"""Seconds between two looks."""

_WARM_UP = 30.0
_DELAY = 500
"""Calls that come between a call and its report."""

UNITS = {
    "memory": ("MB a worker", 1e6), "handles": ("file handles a worker", 1), "threads": ("threads a worker", 1),
    "spool": ("MB in the spool's files", 1e6), "log": ("MB of the database's log", 1e6),
}  # fmt: skip

console = Console()


def main() -> None:
    """Run and print."""
    asked = _arguments()
    with common.folder() as folder:
        if asked.database == "sqlite":
            found = _run(folder, f"sqlite:///{folder / 'pickup.db'}", folder / "pickup.db-wal", asked)
        else:
            with common.postgresql(folder / "postgresql") as server:
                found = _run(folder, server.url, server.folder / "pg_wal", asked)
    _print(found)
    common.keep("long_run", found, _section(found), page=asked.page)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=10)
    parser.add_argument("--rate", type=float, default=100, help="requests a second")
    parser.add_argument("--database", choices=["sqlite", "postgresql"], default="sqlite")
    parser.add_argument("--page", action="store_true", help="put the figures into benchmarks/README.md")
    return parser.parse_args()


def _run(folder: Path, url: str, log: Path, asked: argparse.Namespace) -> dict[str, Any]:
    engine = make_engine(url)
    migrating.upgrade(engine)
    engine.dispose()
    settings = common.environment(folder, url)
    with common.serving(settings, 2, folder / "gunicorn.log") as gunicorn:
        messages = _messages()
        console.print(
            f"{_WARM_UP:.0f} s of warming up, then {asked.minutes:g} min at {asked.rate:g} requests a second …"
        )
        # Caches of callers fill first, at a higher rate.
        common.steadily(gunicorn.url, messages, rate=2 * asked.rate, until=time.monotonic() + _WARM_UP)
        stop, samples = Event(), list[dict[str, float]]()
        watching = Thread(target=_watch, args=(stop, samples, gunicorn, folder / "spool", log))
        watching.start()
        answers = common.steadily(gunicorn.url, messages, rate=asked.rate, until=time.monotonic() + 60 * asked.minutes)
        stop.set()
        watching.join()
    return {
        "minutes": asked.minutes, "rate": asked.rate, "database": asked.database, "answers": len(answers.seconds),
        "wrong": answers.wrong, "p50": answers.percentile(0.5), "p99": answers.percentile(0.99),
        "slowest": answers.percentile(1), "growth": {name: _growth(samples, name) for name in UNITS}, "samples": samples,
    }  # fmt: skip


def _messages() -> Iterator[bytes]:
    waiting: deque[tuple[str, int]] = deque()
    for index in count():
        who = (index * 7_919) % common.CALLERS
        call_id = common.new_id()
        waiting.append((call_id, who))
        yield common.request(call_id, who)
        if len(waiting) > _DELAY:
            yield common.report(*waiting.popleft())


def _watch(stop: Event, samples: list[dict[str, float]], server: common.Server, spool: Path, log: Path) -> None:
    started = time.monotonic()
    while not stop.wait(EVERY):
        samples.append({"seconds": time.monotonic() - started, **_look(server.workers(), spool, log)})


def _look(workers: list[psutil.Process], spool: Path, log: Path) -> dict[str, float]:
    return {
        "memory": sum(each.memory_full_info().uss for each in workers) / len(workers),
        "handles": sum(each.num_fds() for each in workers) / len(workers),
        "threads": sum(each.num_threads() for each in workers) / len(workers),
        "spool": _size(spool),
        "log": _size(log),
    }


def _size(path: Path) -> float:
    files = [path] if path.is_file() else [each for each in path.rglob("*") if each.is_file()]
    return float(sum(each.stat().st_size for each in files if each.exists()))


def _growth(samples: list[dict[str, float]], name: str) -> dict[str, float]:
    """Return the means of the first and the last quarter, and the least-squares slope an hour."""
    times, values = [each["seconds"] for each in samples], [each[name] for each in samples]
    quarter = max(len(values) // 4, 1)
    middle, mean = sum(times) / len(times), sum(values) / len(values)
    spread = sum((at - middle) ** 2 for at in times) or 1.0
    slope = sum((at - middle) * (value - mean) for at, value in zip(times, values, strict=True)) / spread
    return {
        "first": sum(values[:quarter]) / quarter,
        "last": sum(values[-quarter:]) / quarter,
        "slope": 3_600 * slope,
        "most": max(values),
    }


def _lines(found: Mapping[str, Any]) -> list[tuple[str, ...]]:
    rows = [(title, unit, found["growth"][name]) for name, (title, unit) in UNITS.items()]
    return [(title, *(f"{each[part] / unit:,.2f}" for part in ("first", "last", "slope", "most"))) for title, unit, each in rows]  # fmt: skip


_HEAD = ("", "first quarter", "last quarter", "slope an hour", "most")


def _print(found: Mapping[str, Any]) -> None:
    common.show(_HEAD, _lines(found), _told(found))


def _told(found: Mapping[str, Any]) -> str:
    return (
        f"{found['answers']:,} answers in {found['minutes']:g} minutes at {found['rate']:g} a second, {found['wrong']} errors; "
        f"p50 {found['p50']:.1f} ms, p99 {found['p99']:.1f} ms, slowest {found['slowest']:.0f} ms"
    )


def _section(found: Mapping[str, Any]) -> str:
    return f"""## A long run

MEASURED `benchmarks/long_run`, two workers on {"SQLite" if found["database"] == "sqlite" else "PostgreSQL"}, every second request a call and every other a report:
{_told(found)}.

{common.table(_HEAD, _lines(found))}
"""


if __name__ == "__main__":
    main()
