"""Makes benchmarks/README.md and its picture from what ``benchmarks/compare`` left.

    .venv/bin/python benchmarks/draw.py [compare.json]

Only what stands between the two marks in the page is replaced.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import matplotlib as mpl

mpl.use("svg")

from matplotlib import pyplot as plt

HERE = Path(__file__).parent
DOCS = HERE.parent / "docs"
BEGIN, END = "<!-- made by benchmarks/draw.py -->\n", "<!-- until here -->\n"
COLOURS = {"bare Flask": "#9aa5a1", "written by hand": "#b3671a", "Pickup": "#0b6e6e"}
TITLES = {"sqlite": "SQLite, synchronous = FULL", "postgresql": "PostgreSQL, synchronous_commit = on"}


def main() -> None:
    """Write the picture and the page's middle."""
    report = json.loads(Path(sys.argv[1] if len(sys.argv) > 1 else HERE / "compare.json").read_text("utf-8"))
    _draw(report["found"])
    page = HERE / "README.md"
    before, _, rest = page.read_text("utf-8").partition(BEGIN)
    after = rest.partition(END)[2]
    page.write_text(before + BEGIN + _middle(report) + END + after, "utf-8")


def _draw(found: dict[str, list[dict[str, Any]]]) -> None:
    plt.rcParams.update({"svg.fonttype": "none", "font.family": "sans-serif", "svg.hashsalt": "pickup"})
    figure, rows = plt.subplots(len(found), 2, figsize=(9, 1.2 + 1.6 * len(found)), squeeze=False)
    for row, (database, servers) in zip(rows, found.items(), strict=True):
        for place, key, title in ((row[0], "per_second", "requests a second"), (row[1], "p99", "p99, milliseconds")):
            names = [server["name"] for server in servers][::-1]
            medians = [server[key]["median"] for server in servers][::-1]
            bars = place.barh(names, medians, color=[COLOURS[name] for name in names])
            place.bar_label(bars, fmt="{:,.0f}", padding=4)
            place.set_title(f"{TITLES[database]}: {title}", fontsize=10, loc="left")
            place.spines[["top", "right"]].set_visible(False)
            place.margins(x=0.18)
    figure.tight_layout()
    figure.savefig(DOCS / "performance.svg", metadata={"Date": None})


def _middle(report: dict[str, Any]) -> str:
    lines = [
        f"Measured on {report['date']}: {report['machine']}; {report['rounds']} rounds of {report['seconds']} s each.\n",
        "![Requests a second and p99 of the three receivers, on both databases](../docs/performance.svg)\n",
    ]
    for database, servers in report["found"].items():
        lines += [f"**{TITLES[database]}**\n", *_table(servers), "", _ratios(servers), ""]
    return "\n".join(lines) + "\n"


def _table(servers: list[dict[str, Any]]) -> list[str]:
    head = "| | requests a second | p50 | p99 | CPU a request | memory a worker | start to first answer | errors |"
    rows = [
        f"| {s['name']} | {s['per_second']['median']:,.0f} ({s['per_second']['least']:,.0f} to {s['per_second']['most']:,.0f}) "
        f"| {s['p50']['median']:.1f} ms | {s['p99']['median']:.1f} ms | {s['cpu']['median']:.2f} ms "
        f"| {s['memory']:.0f} MB | {s['start']:.2f} s | {s['wrong']} |"
        for s in servers
    ]
    return [head, "|---|--:|--:|--:|--:|--:|--:|--:|", *rows]


def _ratios(servers: list[dict[str, Any]]) -> str:
    bare, hand, ours = servers
    to_bare, to_hand = (
        sorted(a / b for a, b in zip(ours["ratios"], other["ratios"], strict=True)) for other in (bare, hand)
    )
    return (
        f"Pickup to bare Flask, round by round: {_middle_of(to_bare)}. To the one written by hand: {_middle_of(to_hand)}; "
        f"its p99 is {ours['p99']['median'] / hand['p99']['median']:.2f} of the other's."
    )


def _middle_of(ratios: list[float]) -> str:
    return f"{ratios[len(ratios) // 2]:.2f} ({ratios[0]:.2f} to {ratios[-1]:.2f})"


if __name__ == "__main__":
    main()
