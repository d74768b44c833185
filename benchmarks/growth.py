"""A year's calls in PostgreSQL, and what is asked of them: results, pages, forgetting, purging, bytes.

    benchmarks/growth [--calls 1000000] [--grown] [--purge-seconds 120] [--page]

Prints tables and leaves the figures in benchmarks/growth.json; ``--page`` puts them into benchmarks/README.md too.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any
from uuid import uuid4

import common
from flask import Flask
from loading import YEAR, Year, copy_into_postgresql, insert_into_sqlite
from rich.console import Console
from rich.progress import Progress
from sqlalchemy import Engine, event, select, text

from flask_pickup import Pickup, migrating, privacy
from flask_pickup.dashboard import rows as pages
from flask_pickup.dashboard.call_filter import CallFilter
from flask_pickup.engines import make_engine
from flask_pickup.ledger import CallEntry
from flask_pickup.ledger.store import Store
from flask_pickup.models import Call
from flask_pickup.waits import LONGEST_SPOOL
from flask_pickup.webhook import definition_entries

EXPERIMENT = "warm-opening"
RUNNING = {EXPERIMENT: 1.0, "call-analysis": 0.5, "short-calls": 0.2}
"""What runs, of the sample content, and with how much of the traffic."""

_RATE = 100
_SOMEBODY = 2_000
_SQLITE_CALLS = 100_000
_PRICED = 1_000
_INDEX = "pickup_calls_decided_at"

# What somebody writes who wants to know it for each caller, on the rows that the results are from: two outcomes, the
# experiment's calls, no protection against anything.
PLAIN = """
SELECT calls.caller_key, MIN(assignments.arm), COUNT(DISTINCT calls.call_id),
       AVG(outcomes.value) FILTER (WHERE outcomes.name = 'analysis.appointment_booked'),
       AVG(outcomes.value) FILTER (WHERE outcomes.name = 'early_hang_up')
FROM pickup_assignments AS assignments
JOIN pickup_calls AS calls ON calls.call_id = assignments.call_id
LEFT JOIN pickup_outcomes AS outcomes
       ON outcomes.call_id = calls.call_id AND outcomes.name IN ('analysis.appointment_booked', 'early_hang_up')
WHERE assignments.experiment = 'warm-opening' AND assignments.source = 'hash'
GROUP BY calls.caller_key
"""
LATEST_DAYS = """
SELECT DATE(decided_at), decision, COUNT(*) FROM pickup_calls
WHERE decided_at >= NOW() - INTERVAL '{days} days' GROUP BY 1, 2
"""

console = Console()


def main() -> None:
    """Load, measure, print."""
    asked = _arguments()
    with common.folder() as folder, common.postgresql(folder / "postgresql") as server:
        needed = 4_000 * asked.calls
        if shutil.disk_usage(folder).free < needed:
            sys.exit(f"This needs {needed / 1e9:.0f} GB of disk in {folder.parent}; set TMPDIR to where there is room.")
        content = _content(folder)
        settings = common.environment(folder, server.url, PICKUP_EXPERIMENTS=str(content))
        year, found = _filled(server, settings, asked)
        with _mounted(settings) as state:
            engine = state.engine
            found |= {"bytes": _bytes(engine, year.calls), "results": _results(engine, state, settings)}
            found |= {"pages": _pages(engine, year), "forget": _forget(engine, state, year)}
            found["index"] = _price_of_the_index(engine, server)
        found["purge"] = _purge(server, settings, folder, asked.purge_seconds)
        found["sqlite"] = _sqlite(folder, year)
    section = _section(found)
    _print(found)
    common.keep("growth", found, section, page=asked.page)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--calls", type=int, default=1_000_000)
    parser.add_argument("--grown", action="store_true", help="let the indexes grow call by call: several times slower")
    parser.add_argument("--purge-seconds", type=int, default=120, help="how long the purging is watched at most")
    parser.add_argument("--page", action="store_true", help="put the figures into benchmarks/README.md")
    return parser.parse_args()


def _content(folder: Path) -> Path:
    """Copy the sample experiments; three of them run."""
    content = common.experiments(folder)
    for name, share in RUNNING.items():
        file = content / name / "experiment.toml"
        written = file.read_text("utf-8").replace('status = "draft"', 'status = "running"')
        file.write_text(f"traffic = {share}\n{written}", "utf-8")
    return content


@contextmanager
def _mounted(settings: Mapping[str, str]) -> Iterator[Any]:
    app = Flask(__name__)
    app.config.update({name: value for name, value in settings.items() if name.startswith("PICKUP_")})
    app.config["PICKUP_SIGNATURE_TOLERANCE"] = 300
    app.register_blueprint(Pickup())
    state = app.extensions["pickup"]
    yield state
    state.close()


def _filled(
    server: common.PostgreSQL, settings: Mapping[str, str], asked: argparse.Namespace
) -> tuple[Year, dict[str, Any]]:
    # Nothing of the loading has to survive a crash, so no log is written of it.
    server.restart(wal_level="minimal", max_wal_senders="0")
    until = datetime.now(UTC)
    with _mounted({**settings, "PICKUP_DATABASE_URL": server.url}) as state:
        migrating.upgrade(state.engine)
        experiments = {each.name: each for each in state.catalog.experiments if each.is_running}
        assert experiments.keys() == RUNNING.keys(), state.catalog.complaints
        Store(state.engine).write(definition_entries(state.catalog, until - YEAR))
        running = {name: (each.fingerprint, each.traffic, tuple(each.weights)) for name, each in experiments.items()}
    year = Year(asked.calls, until.replace(tzinfo=None), running)
    started = time.perf_counter()
    with Progress(console=console, transient=True) as progress:
        task = progress.add_task("Loading …", total=year.calls)
        loaded = copy_into_postgresql(
            server.url, year, lambda done: progress.update(task, completed=done), grown=asked.grown
        )
    found = {
        "calls": year.calls,
        "rows": loaded,
        "loaded_in": time.perf_counter() - started,
        "grown": asked.grown,
        "postgresql": server.version,
    }
    server.restart(wal_level="", max_wal_senders="")
    console.print(f"Loaded {year.calls:,} calls, {loaded:,} rows, in {found['loaded_in']:.0f} s.")
    return year, found


# --- what is measured -------------------------------------------------------------------------------------------------


def _bytes(engine: Engine, calls: int) -> dict[str, float]:
    """Return bytes per call: of each table and each index."""
    query = text("""
        SELECT relname, pg_relation_size(oid) FROM pg_class
        WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'i') AND relname LIKE 'pickup\\_%'
    """)
    with engine.connect() as connection:
        found = {name: size / calls for name, size in connection.execute(query)}
    return {name: size for name, size in sorted(found.items()) if size >= 1}


def _results(engine: Engine, state: Any, settings: Mapping[str, str]) -> dict[str, Any]:
    """Take turns: the results, and the plain grouping of the same rows, which is counted and not fetched."""
    statement = text(f"SELECT COUNT(*) FROM ({PLAIN}) AS callers")
    ours, plain = [], []
    for _ in range(3):
        plain.append(_seconds(lambda: _run(engine, statement)))
        ours.append(_seconds(lambda: state.results(EXPERIMENT)))
    ratios = [a / b for a, b in zip(ours, plain, strict=True)]
    command, whole, peak = _command(settings, "results", EXPERIMENT, "--format", "json")
    answer = json.loads(command)
    return {
        "seconds": common.median(ours), "plain_seconds": common.median(plain), "ratio": common.median(ratios),
        "ratios": ratios, "command_seconds": whole, "peak_mb": peak,
        "callers": sum(arm["callers"] for arm in answer["arms"]),
    }  # fmt: skip


def _run(engine: Engine, statement: Any) -> Any:
    with engine.connect() as connection:
        return connection.execute(statement).all()


def _seconds(action: Callable[[], Any]) -> float:
    started = time.perf_counter()
    action()
    return time.perf_counter() - started


def _command(settings: Mapping[str, str], *words: str) -> tuple[str, float, float]:
    """Run a command; return what it printed, how many seconds it took, and its most megabytes of memory."""
    started = time.perf_counter()
    process = subprocess.Popen(common.flask(*words), env=dict(settings), cwd=common.HERE, stdout=subprocess.PIPE)
    assert process.stdout
    printed = process.stdout.read().decode()
    _, status, used = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    return printed, time.perf_counter() - started, used.ru_maxrss / 1e3


def _pages(engine: Engine, year: Year) -> dict[str, Any]:
    """Return milliseconds of database time, with the index and without."""
    earlier = select(Call.call_id).where(Call.decided_at < year.until.replace(tzinfo=UTC) - YEAR / 2)
    with engine.connect() as connection:
        middle = connection.scalars(earlier.order_by(Call.decided_at.desc()).limit(1)).one()
    actions = {
        "the calls page": lambda: pages.latest_calls(engine, "", CallFilter(), UTC),
        "the calls page, half a year back": lambda: pages.latest_calls(engine, middle, CallFilter(), UTC),
        "calls of the last day": lambda: _run(engine, text(LATEST_DAYS.format(days=1))),
        "calls of the last 7 days": lambda: _run(engine, text(LATEST_DAYS.format(days=7))),
    }
    found: dict[str, dict[str, float]] = {name: {} for name in actions}
    for kind in ("with", "without"):
        if kind == "without":
            _execute(engine, f"DROP INDEX {_INDEX}")
        for name, action in actions.items():
            found[name][kind] = _database_time(engine, action)
    _execute(engine, f"CREATE INDEX {_INDEX} ON pickup_calls (decided_at)")
    return found


def _database_time(engine: Engine, action: Callable[[], Any]) -> float:
    """Return milliseconds between a query's leaving and its answer, for all queries of an action; the third time."""
    times: list[float] = []

    def before(*_: Any) -> None:
        times.append(-time.perf_counter())

    def after(*_: Any) -> None:
        times[-1] += time.perf_counter()

    event.listen(engine, "before_cursor_execute", before)
    event.listen(engine, "after_cursor_execute", after)
    try:
        for _ in range(3):
            times.clear()
            try:
                action()
            except Exception as error:  # noqa: BLE001 (a page gives up after three seconds)
                console.print(f"Given up: {type(error).__name__}")
                return 1e3 * pages.STATEMENT_TIMEOUT
    finally:
        event.remove(engine, "before_cursor_execute", before)
        event.remove(engine, "after_cursor_execute", after)
    return 1e3 * sum(times)


def _execute(engine: Engine, statement: str) -> None:
    with engine.begin() as connection:
        connection.execute(text(statement))


def _forget(engine: Engine, state: Any, year: Year) -> dict[str, Any]:
    """Forget somebody ordinary, and the one who called most. Waiting for calls in flight is told apart."""
    waiting = state.options.commit_wait + LONGEST_SPOOL
    found = {}
    for name, who in (("somebody", min(_SOMEBODY, year.callers - 1)), ("the one who called most", 0)):
        number = common.number(who)
        started = time.perf_counter()
        keys = privacy.keys_of(number, state.options)
        forgot = privacy.forget(engine, state.options, keys, datetime.now(UTC))
        seconds = time.perf_counter() - started
        found[name] = {"calls": forgot.rows["pickup_calls"], "seconds": seconds - waiting, "waiting": waiting}
    return found


def _price_of_the_index(engine: Engine, server: common.PostgreSQL) -> dict[str, float]:
    """Return microseconds of PostgreSQL's CPU for a call's rows, written four calls at a time, in turns with and without."""
    store = Store(engine)
    found: dict[str, list[float]] = {"with": [], "without": []}

    def write() -> float:
        before = server.cpu()
        for _ in range(_PRICED // 4):
            store.write([_entry() for _ in range(4)])
        return 1e6 * (server.cpu() - before) / _PRICED

    write()
    for _ in range(5):
        found["with"].append(write())
        _execute(engine, f"DROP INDEX {_INDEX}")
        found["without"].append(write())
        _execute(engine, f"CREATE INDEX {_INDEX} ON pickup_calls (decided_at)")
    return {name: common.median(each) for name, each in found.items()}


def _entry() -> CallEntry:
    call_id, key, at = str(uuid4()), uuid4().hex, datetime.now(UTC)
    call = {
        "call_id": call_id, "caller_key": key, "line": common.LINE, "call_type": "inbound_phone_call", "country": "GB",
        "language": "en", "decided_at": at, "decision": "arm", "reasons": {EXPERIMENT: "enrolled"}, "status": None,
        "end_reason": None, "ended_at": None, "reported_at": None,
    }  # fmt: skip
    assigned = {
        "call_id": call_id, "experiment": EXPERIMENT, "arm": "warm", "source": "hash", "caller_key": key,
        "definition": "0" * 32, "assigned_at": at, "delivered": None,
    }  # fmt: skip
    return CallEntry(call, [assigned], at)


def _purge(server: common.PostgreSQL, settings: Mapping[str, str], folder: Path, most_seconds: int) -> dict[str, Any]:
    """Remove the first month with the command while calls go on; nobody's calls are spared, as if all were concluded."""
    (folder / "nothing").mkdir()
    command = common.flask("purge", "--days", str(YEAR.days - 30), "--format", "json")
    concluded = {**settings, "PICKUP_EXPERIMENTS": str(folder / "nothing")}
    with common.serving(settings, 2, folder / "gunicorn.log") as gunicorn:
        ring = partial(common.steadily, gunicorn.url, common.calls(), rate=_RATE)
        ring(until=time.monotonic() + 5)
        quiet = ring(until=time.monotonic() + 20)
        started = time.monotonic()
        process = subprocess.Popen(command, env=concluded, cwd=common.HERE, stdout=subprocess.PIPE)
        busy = common.Answers()
        while process.poll() is None and time.monotonic() - started < most_seconds:
            ring(until=time.monotonic() + 2, answers=busy)
        seconds, done = time.monotonic() - started, process.poll() is not None
        process.terminate()
        process.wait(30)
        ring(until=time.monotonic() + 2)
        after = ring(until=time.monotonic() + 20)
    with make_engine(server.url).connect() as connection:
        left = connection.execute(
            text("SELECT COUNT(*) FROM pickup_calls WHERE decided_at < NOW() - INTERVAL '335 days'")
        )
        remaining = left.scalar_one()
    return {
        "seconds": seconds, "finished": done, "remaining": remaining, "rate": _RATE,
        **{
            name: {"p50": each.percentile(0.5), "p99": each.percentile(0.99), "calls": len(each.seconds), "wrong": each.wrong}
            for name, each in (("quiet", quiet), ("purging", busy), ("after", after))
        },
    }  # fmt: skip


def _sqlite(folder: Path, year: Year) -> dict[str, float]:
    """Return bytes per call in SQLite, rows written as they come, and what the index on the time has of that."""
    engine = make_engine(f"sqlite:///{folder / 'pickup.db'}")
    migrating.upgrade(engine)
    calls = min(year.calls, _SQLITE_CALLS)
    insert_into_sqlite(engine, Year(calls, year.until, year.running))
    _vacuumed(engine, "PRAGMA wal_checkpoint(TRUNCATE)")
    whole = (folder / "pickup.db").stat().st_size
    _vacuumed(engine, "VACUUM")
    packed = (folder / "pickup.db").stat().st_size
    _execute(engine, f"DROP INDEX {_INDEX}")
    _vacuumed(engine, "VACUUM")
    without = (folder / "pickup.db").stat().st_size
    engine.dispose()
    return {"calls": calls, "bytes": whole / calls, "packed": packed / calls, "index": (packed - without) / calls}


def _vacuumed(engine: Engine, statement: str) -> None:
    with engine.connect() as connection:
        alone = connection.execution_options(isolation_level="AUTOCOMMIT")
        alone.exec_driver_sql(statement)
        alone.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)")


# --- what it came to --------------------------------------------------------------------------------------------------


def _lines(found: Mapping[str, Any]) -> list[Sequence[str]]:
    results, purge, forget = found["results"], found["purge"], found["forget"]
    ordinary, most = forget.values()
    return [
        ("results, to the plain grouping", f"{results['ratio']:.2f} ({min(results['ratios']):.2f} to {max(results['ratios']):.2f})", "3", f"{results['seconds']:.1f} s to {results['plain_seconds']:.1f} s, {results['callers']:,} callers"),
        ("`flask pickup results`, most memory", f"{results['peak_mb']:.0f} MB", "300 MB", f"{results['command_seconds']:.1f} s with its start"),
        *((name, f"{each['with']:.1f} ms", "100 ms", f"{each['without']:,.0f} ms without the index on `decided_at`") for name, each in found["pages"].items()),
        (f"`forget`, {ordinary['calls']} calls", f"{ordinary['seconds']:.2f} s", "1 s", f"and {ordinary['waiting']:.1f} s in which calls in flight are waited for"),
        (f"`forget`, {most['calls']:,} calls", f"{most['seconds']:.2f} s", "", "the caller who called most"),
        ("p99 of calls while `purge` runs, to the quiet one", f"{purge['purging']['p99'] / purge['quiet']['p99']:.2f}", "2", f"{purge['purging']['p99']:.1f} ms to {purge['quiet']['p99']:.1f} ms, {purge['rate']} calls a second"),
        ("`purge` of a month", f"{purge['seconds']:.0f} s", "", "" if purge["finished"] else f"not finished: {purge['remaining']:,} calls are left"),
        ("PostgreSQL's CPU for a call's rows", f"{found['index']['with']:.0f} µs", "", f"{found['index']['without']:.0f} µs without the index on `decided_at`"),
    ]  # fmt: skip


def _print(found: Mapping[str, Any]) -> None:
    for title, head, lines in (
        (f"{found['calls']:,} calls, {found['rows']:,} rows", ("", "measured", "at most", ""), _lines(found)),
        ("bytes per call in PostgreSQL", ("", "bytes"), [(n, f"{size:.0f}") for n, size in found["bytes"].items()]),
    ):
        common.show(head, lines, title)
    console.print(f"SQLite: {found['sqlite']['bytes']:.0f} bytes per call, packed {found['sqlite']['packed']:.0f}.")


def _section(found: Mapping[str, Any]) -> str:
    indexes = sum(size for name, size in found["bytes"].items() if name.endswith(("_pkey", "_caller", "_decided_at")))
    whole = sum(found["bytes"].values())
    packed = "as they grow" if found["grown"] else "freshly made: grown ones take about a third more"
    sqlite = found["sqlite"]
    return f"""## A year's calls

MEASURED `benchmarks/growth --calls {found["calls"]}`: {found["calls"]:,} calls of a year in PostgreSQL {found["postgresql"]} with its default settings, {found["rows"]:,} rows.

{common.table(["", "measured", "to reach", ""], _lines(found))}

The plain grouping is the statement that somebody would write by hand for the experiment's two metrics: assignments, calls and
outcomes joined and grouped by `caller_key`. Nine tenths of the results' time are the one statement that brings a caller's calls
together: it sorts all calls by caller, and sums them for today and for the last whole week.

A call with its report takes {whole:,.0f} bytes in PostgreSQL, {indexes:,.0f} of them in indexes ({packed}), and
{sqlite["bytes"]:,.0f} in SQLite as calls come in, {sqlite["packed"]:,.0f} after `VACUUM`, {sqlite["index"]:.0f} of those for the index on `decided_at`.

{common.table(["PostgreSQL", "bytes per call"], [(f"`{name}`", f"{size:.0f}") for name, size in found["bytes"].items()])}
"""


if __name__ == "__main__":
    main()
