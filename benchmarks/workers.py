"""More workers and more hosts on one PostgreSQL: rows are answers, shares are right, and who uses the CPU.

    benchmarks/workers [--calls 4000] [--page]

Each set-up gets the same number of calls by 20,000 callers, some of them delivered twice, spread over all its servers.
Prints a table and leaves the figures in benchmarks/workers.json; ``--page`` puts them into benchmarks/README.md too.
"""

from __future__ import annotations

import argparse
import json
import math
import sys
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import common
from rich.console import Console
from sqlalchemy import Engine, text

from flask_pickup import migrating
from flask_pickup.engines import make_engine

SETUPS = {"1 worker": (1,), "2 workers": (2,), "4 workers": (4,), "2 hosts of 2 workers": (2, 2)}
_AGAIN = 20
"""One call of so many is delivered twice."""

console = Console()


def main() -> None:
    """Run each set-up and print what it came to."""
    asked = _arguments()
    found = {}
    with common.folder() as folder, common.postgresql(folder / "postgresql") as server:
        engine = make_engine(server.url)
        migrating.upgrade(engine)
        for name, hosts in SETUPS.items():
            found[name] = _measure(folder, server, engine, hosts, asked.calls)
            console.print(f"{name}: done")
        engine.dispose()
    figures = {"calls": asked.calls, "setups": found}
    _print(found)
    common.keep("workers", figures, _section(figures), page=asked.page)
    if not all(each["right"] for each in found.values()):
        sys.exit("Rows, answers or shares are not what they must be.")


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--calls", type=int, default=4_000, help="calls to each set-up")
    parser.add_argument("--page", action="store_true", help="put the figures into benchmarks/README.md")
    return parser.parse_args()


def _measure(
    folder: Path, server: common.PostgreSQL, engine: Engine, hosts: Sequence[int], calls: int
) -> dict[str, Any]:
    with engine.begin() as connection:
        connection.execute(text("TRUNCATE pickup_calls, pickup_assignments"))
    with ExitStack() as stack:
        started = [
            stack.enter_context(common.serving(_settings(folder, server, index), workers, folder / "gunicorn.log"))
            for index, workers in enumerate(hosts)
        ]
        _ring(started, 500)
        with engine.begin() as connection:
            connection.execute(text("TRUNCATE pickup_calls, pickup_assignments"))
        cpu = _cpu(started, server)
        begun = time.perf_counter()
        answers = _ring(started, calls)
        seconds = time.perf_counter() - begun
        used = [now - then for now, then in zip(_cpu(started, server), cpu, strict=True)]
    return {"per_second": len(answers) / seconds, **_cpu_shares(used, len(answers)), **_check(engine, answers, calls)}


def _settings(folder: Path, server: common.PostgreSQL, host: int) -> dict[str, str]:
    return common.environment(folder, server.url, PICKUP_SPOOL=str(folder / f"spool-{host}"))


def _cpu(hosts: Sequence[common.Server], server: common.PostgreSQL) -> list[float]:
    return [sum(host.cpu() for host in hosts), server.cpu()]


def _cpu_shares(used: Sequence[float], answers: int) -> dict[str, float]:
    workers, database = used
    return {
        "worker_ms": 1e3 * workers / answers,
        "database_ms": 1e3 * database / answers,
        "database_share": database / (workers + database),
    }


def _ring(hosts: Sequence[common.Server], calls: int) -> list[tuple[str, str | None]]:
    """Send calls on kept-alive connections to all hosts in turn; return each answer's call and arm."""
    plan = [(common.new_id(), (index * 7_919) % common.CALLERS) for index in range(calls)]
    plan += plan[::_AGAIN]
    parts = [plan[start :: common.CONNECTIONS] for start in range(common.CONNECTIONS)]

    def send(part: Sequence[tuple[str, int]]) -> list[tuple[str, str | None]]:
        # Each connection goes through all hosts: the second delivery of a call may meet another one than the first.
        connections = [common.Connection(host.url) for host in hosts]
        found = []
        for index, (call_id, who) in enumerate(part):
            answer = json.loads(connections[index % len(hosts)].send(common.request(call_id, who)))
            found.append((call_id, _arm(answer)))
        for connection in connections:
            connection.close()
        return found

    with ThreadPoolExecutor(common.CONNECTIONS) as callers:
        return [answer for part in callers.map(send, parts) for answer in part]


def _arm(answer: Mapping[str, Any]) -> str | None:
    pickup = answer.get("assistant", {}).get("metadata", {}).get("pickup", {})
    arms = [each["arm"] for each in pickup.get("assignments", {}).values()]
    return arms[0] if arms else None


def _check(engine: Engine, answers: Sequence[tuple[str, str | None]], calls: int) -> dict[str, Any]:
    with engine.connect() as connection:
        ids = set(connection.execute(text("SELECT call_id FROM pickup_calls")).scalars())
        assigned = dict(connection.execute(text("SELECT call_id, arm FROM pickup_assignments")).all())  # type: ignore[arg-type]
        two = text("SELECT caller_key FROM pickup_assignments GROUP BY caller_key HAVING COUNT(DISTINCT arm) > 1")
        two_armed = len(connection.execute(two).all())
        by_arm = text("SELECT arm, COUNT(DISTINCT caller_key) FROM pickup_assignments GROUP BY arm")
        shares = dict(connection.execute(by_arm).all())  # type: ignore[arg-type]
    other_arm = sum(assigned.get(call_id) != arm for call_id, arm in answers)
    p = _equal_shares(list(shares.values()))
    return {
        "answers": len({call_id for call_id, _ in answers}), "rows": len(ids), "other_arm": other_arm,
        "two_armed": two_armed, "shares": shares, "p": p,
        "right": ids == {call_id for call_id, _ in answers} and len(ids) == calls and not other_arm + two_armed and p > 1e-3,
    }  # fmt: skip


def _equal_shares(callers: Sequence[int]) -> float:
    """Return the chi-square test's p-value that two arms have equal shares; one degree of freedom."""
    if len(callers) != 2:
        return 0.0
    expected = sum(callers) / 2
    statistic = sum((each - expected) ** 2 / expected for each in callers)
    return math.erfc(math.sqrt(statistic / 2))


_HEAD = ("", "calls a second", "CPU a call in workers", "in PostgreSQL", "PostgreSQL's share", "answers", "rows", "p of equal shares")  # fmt: skip


def _lines(found: Mapping[str, Mapping[str, Any]]) -> list[tuple[str, ...]]:
    return [
        (name, f"{each['per_second']:,.0f}", f"{each['worker_ms']:.2f} ms", f"{each['database_ms']:.2f} ms",
         f"{each['database_share']:.0%}", f"{each['answers']:,}", f"{each['rows']:,}", f"{each['p']:.2f}")
        for name, each in found.items()
    ]  # fmt: skip


def _print(found: Mapping[str, Mapping[str, Any]]) -> None:
    common.show(_HEAD, _lines(found))


def _section(figures: Mapping[str, Any]) -> str:
    found = figures["setups"]
    wrong = sum(each["other_arm"] + each["two_armed"] for each in found.values())
    return f"""## Workers and hosts

MEASURED `benchmarks/workers`: {figures["calls"]:,} calls of 20,000 callers to each set-up, every twentieth delivered twice, on one
PostgreSQL. All stand on the same two cores, the client in Python too, so that calls a second say little here; what a call costs in
the workers and in the database is what a plan for more hosts is made from. Calls whose row names another arm than their answer,
and callers with two arms: {wrong}.

{common.table(_HEAD, _lines(found))}
"""


if __name__ == "__main__":
    main()
