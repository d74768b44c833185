"""How often a verdict is false, how soon a difference is found, and what else the decisions cost: docs/statistics.md.

    benchmarks/decisions [--runs 10000] [--days 180] [--settings TEXT …] [--jobs 2] [--check 0] [--through-tables 0]

Simulated experiments, in sums, go through the functions that real results go through, on each day; tests/simulated.py says
which days need no asking, and why. A row's name is its table's and its setting's: ``--settings "false: 30 %"`` picks those
that contain the text. False verdicts and sound lines have ``--runs`` runs, the others a tenth of them.

Prints tables and leaves the figures in benchmarks/decisions.json. ``--check`` asks for everything on every day of so many
runs a setting, and ``--through-tables`` writes so many of them as rows into SQLite too, from where `flask pickup results` must
say the same.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from functools import partial
from math import sqrt
from pathlib import Path
from typing import Any
from zlib import crc32

import common
import numpy as np
from rich.progress import Progress
from through_tables import says_the_same

from flask_pickup.results.looks import PastLooks
from flask_pickup.results.statistics import results_of
from simulated import KINDS, Setting, excludes_zero, find, follow, look_at, screen, week_of
from simulated_alarms import Line

PACES = (50, 200, 1000)
_BETTER = {"better", "better below smallest"}
_CELLS, _MOST_AT_ONCE = 2_000_000, 250
"""The callers, and the runs, that are simulated at once."""

Batch = tuple[Callable[[Any, int], Iterable[Any]], float, int]
"""What is simulated: from a generator and a number of runs to what each run comes to; the share of the runs, and one's cells."""


# --- what a run comes to ----------------------------------------------------------------------------------------------


def false(setting: Setting, random: Any, runs: int) -> Iterator[tuple[bool, bool]]:
    """Yield whether a run compared anything, and whether it found a difference on any day."""
    arms = setting.simulate(random, runs)
    can = screen(setting, arms)
    for run, found in enumerate(find(setting, arms, can.any)):
        yield bool(can.compared[run].any()), found.day is not None


def weeks(setting: Setting, random: Any, runs: int) -> Iterator[int | None]:
    """Yield the week whose look finds that an arm is better; None where none does."""
    arms = setting.simulate(random, runs)
    for found in find(setting, arms, screen(setting, arms).looks):
        yield week_of(found.day) if found.day is not None and found.state in _BETTER else None


def weeks_without_horizon(setting: Setting, random: Any, runs: int) -> Iterator[int | None]:
    """Yield the week in which the always-valid interval that has the whole error excludes 0."""
    arms = setting.simulate(random, runs)
    for run in range(runs):
        yield next((week for week in range(1, setting.days // 7 + 1) if _is_found(setting, arms, run, week)), None)


def _is_found(setting: Setting, arms: Mapping[str, Any], run: int, week: int) -> bool:
    found = results_of(setting.design, setting.period(arms, run, 7 * week - 1))
    return any(excludes_zero(each.interval) for each in found.metrics[0].comparisons)


def costs(setting: Setting, random: Any, runs: int) -> Iterator[tuple[float, bool, bool]]:
    """Yield an effect drawn from the prior of the choice, whether warm is kept at the horizon, and by a finding."""
    effects = random.normal(0, setting.smallest, runs)
    drawn = replace(setting, lift=effects[:, None])
    arms = drawn.simulate(random, runs)
    for run, effect in enumerate(effects.tolist()):
        looks = []
        for day in range(6, setting.days, 7):
            history = PastLooks(looks, None, week_of(day))
            found = results_of(drawn.design, drawn.period(arms, run, day), histories={1: history})
            looks.append(look_at(found, drawn.design, history, everything=day + 7 > setting.days))
            if looks[-1].is_decided:
                break
        said = looks[-1].verdict
        yield effect, "warm" in said.arms and said.state in {*_BETTER, "choice"}, said.state in _BETTER


# --- the tables -------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Row:
    """A row of a table.

    :param cells: from the list of what the runs of each batch come to.
    :param setting: of the rows that can be verified.
    """

    table: str
    name: str
    batches: Sequence[Batch]
    cells: Callable[..., Sequence[str]]
    setting: Setting | None = None

    def __str__(self) -> str:
        return f"{self.table}: {self.name}"


HEADS = {
    "false": ("no difference, 180 days", "compared", "false", "found if there is"),
    "power": ("30 % against", "80 % by week", "of runs by week 8", "10", "12"),
    "alarms": ("180 days", "alarmed", "median day", "of"),
    "choices": ("per 100 callers", "best possible", "won by verdict or choice", "by verdicts alone"),
}


def rows(days: int) -> Iterator[Row]:
    """Yield all rows."""
    for kind in KINDS:
        for weights in ("1:1", "9:1", "1:1:1") if kind == "30 %" else ("1:1", "9:1"):
            for pace in PACES:
                yield _false(Setting(kind, weights, pace, days))
    for horizon in (8, 12):
        yield _power(
            "45 %, 50 a week", Setting("30 %", lift=0.15, options={"maximum_weeks": horizon}), f"{horizon} weeks"
        )
    rare = Setting("30 %", lift=0.05, days=7 * 160)
    yield _power("35 %, 50 a week", rare, "12 weeks")
    yield _power("35 %, 50 a week", rare, "none, always valid", weeks_without_horizon)
    for weights in ("1:1", "9:1"):
        for callers in (10, 40):
            yield _alarms(f"sound, {weights}, {callers} callers a day", Line(weights, callers, days))
        for loses in ("callers", "reports", "analyses"):
            line = Line(weights, 30, days, regulars=False, loses=loses)
            yield _alarms(f"warm loses 20 % of its {loses}, {weights}, 30 calls a day", line, 0.1)
    for pace in (50, 200):
        setting = Setting("30 %", "1:1", pace, 84, smallest=0.05)
        yield Row("choices", f"{pace} a week, 12 weeks", [(partial(costs, setting), 0.1, 12 * pace)], _costs_of)


def _false(setting: Setting) -> Row:
    lift = setting.of.lift * sqrt(50 / setting.pace)
    cells = int(setting.pace * setting.days / 7)

    def shown(without: Sequence[tuple[bool, bool]], found: Sequence[int | None]) -> Sequence[str]:
        compared, false = (_share(each) for each in zip(*without, strict=True))
        return compared, false, f"{_share([each is not None for each in found])} of +{100 * lift:.1f} pp"

    batches = [(partial(false, setting), 1.0, cells), (partial(weeks, replace(setting, lift=lift)), 0.1, cells)]
    return Row("false", f"{setting.kind}, {setting.weights}, {setting.pace:g} a week", batches, shown, setting)


def _power(name: str, setting: Setting, horizon: str, of: Callable[..., Iterator[int | None]] = weeks) -> Row:
    def shown(found: Sequence[int | None]) -> Sequence[str]:
        ordered = sorted(each or 10**6 for each in found)
        reached = ordered[-(-8 * len(ordered) // 10) - 1]
        by = [_share([week is not None and week <= last for week in found]) for last in (8, 10, 12)]
        return str(reached) if reached < 10**6 else "never", *by

    return Row("power", f"{name}, horizon {horizon}", [(partial(of, setting), 0.1, setting.days * 8)], shown)


def _alarms(name: str, line: Line, share: float = 1.0) -> Row:
    def shown(found: Sequence[tuple[int, str] | None]) -> Sequence[str]:
        median = statistics.median(each[0] + 1 if each else line.days + 1 for each in found)
        kinds = sorted({each[1] for each in found if each})
        return (
            _share([each is not None for each in found]),
            f"{median:.0f}" if median <= line.days else "",
            ", ".join(kinds),
        )

    return Row("alarms", name, [(line.alarms, share, line.days * line.callers)], shown)


def _costs_of(found: Sequence[tuple[float, bool, bool]]) -> Sequence[str]:
    effects, kept, by_finding = (np.array(each) for each in zip(*found, strict=True))
    return tuple(
        f"{100 * gained.mean():.2f}" for gained in (np.maximum(effects, 0), effects * kept, effects * by_finding)
    )


def _share(found: Sequence[bool]) -> str:
    return f"{100 * sum(found) / len(found):.2f} %"


# --- running ----------------------------------------------------------------------------------------------------------


def main() -> None:
    """Run what is picked, and print it."""
    asked = _arguments()
    picked = [row for row in rows(asked.days) if any(text in str(row) for text in asked.settings)]
    if asked.check or asked.through_tables:
        _verify(asked, [row for row in picked if row.setting])
        return
    found: dict[str, list[Sequence[str]]] = {}
    with ProcessPoolExecutor(asked.jobs) as pool, Progress(transient=True) as progress:
        task = progress.add_task("", total=len(picked))
        for row in picked:
            progress.update(task, description=str(row))
            cells = row.cells(*_run(pool, row, asked))
            found.setdefault(row.table, []).append((row.name, *cells))
            progress.console.print(" | ".join([str(row), *cells]), soft_wrap=True)
            progress.advance(task)
            common.keep("decisions", {"runs": asked.runs, "days": asked.days, "tables": found}, "", page=False)
    for table, lines in found.items():
        common.show(HEADS[table], lines)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--runs", type=int, default=10_000, help="of false verdicts and sound lines; others have a tenth"
    )
    parser.add_argument("--days", type=int, default=180)
    parser.add_argument(
        "--settings", nargs="+", default=[""], metavar="TEXT", help="only rows whose names contain a text"
    )
    parser.add_argument("--jobs", type=int, default=2, help="processes")
    parser.add_argument(
        "--check", type=int, default=0, metavar="RUNS", help="ask for everything, of so many runs a setting"
    )
    parser.add_argument("--through-tables", type=int, default=0, metavar="RUNS", help="write so many runs as rows too")
    return parser.parse_args()


def _run(pool: ProcessPoolExecutor, row: Row, asked: argparse.Namespace) -> list[list[Any]]:
    """Return what the runs of each batch of a row come to."""
    batches = []
    for number, (_, share, cells) in enumerate(row.batches):
        runs, at_once = max(int(asked.runs * share), 1), min(max(_CELLS // cells, 1), _MOST_AT_ONCE)
        sizes = [min(at_once, runs - begun) for begun in range(0, runs, at_once)]
        batches.append([pool.submit(_batch, asked.days, str(row), number, *each) for each in enumerate(sizes)])
    return [[each for future in futures for each in future.result()] for futures in batches]


def _batch(days: int, name: str, number: int, chunk: int, runs: int) -> list[Any]:
    row = next(each for each in rows(days) if str(each) == name)
    random = np.random.default_rng([crc32(name.encode()), number, chunk])
    return list(row.batches[number][0](random, runs))


def _verify(asked: argparse.Namespace, picked: Sequence[Row]) -> None:
    """Print of how many runs everything, or the tables, say the same."""
    lines = []
    for row in picked:
        setting = row.setting
        random = np.random.default_rng(crc32(str(row).encode()))
        if asked.check:
            same = sum(_same_days(setting, random, asked.check))
            lines.append((str(row), f"{same} of {asked.check}", ""))
        if asked.through_tables:
            with tempfile.TemporaryDirectory() as folder:
                same = sum(
                    says_the_same(setting, random, Path(folder, f"{run}")) for run in range(asked.through_tables)
                )
            lines.append((str(row), "", f"{same} of {asked.through_tables}"))
        common.Console().print(" | ".join(lines[-1]), soft_wrap=True)
    common.show(("say the same", "on every day", "from tables"), lines)


def _same_days(setting: Setting, random: Any, runs: int) -> Iterator[bool]:
    arms = setting.simulate(random, runs)
    can = screen(setting, arms)
    for run, some in enumerate(find(setting, arms, can.any)):
        every = follow(setting, arms, run, range(setting.days), everything=True)
        same = (some.day, some.state, some.arms) == (every.day, every.state, every.arms)
        yield same and (every.day is not None or every.compared == can.compared[run].any())


if __name__ == "__main__":
    main()
