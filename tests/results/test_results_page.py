"""docs/results.md: it explains each state and warning that there is, and the fields that it names are there."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args

import pytest

from conftest import BOOKED, CONTENT, NOW, MakePhone
from flask_pickup.cli import pickup
from flask_pickup.results import assembling, model, rules, soundness, statistics

PAGE = (Path(__file__).parents[2] / "docs/results.md").read_text("utf-8")
GUARDRAIL = '[metrics.early_hang_up]\ngoal = "decrease"\nguardrail = true\n'


def section(title: str) -> str:
    return PAGE.split(f"## {title}\n")[1].split("\n## ")[0]


def first_cells(text: str) -> Iterator[str]:
    """Yield the names in the first column of a table."""
    for line in text.splitlines():
        if line.startswith("| `") and "state` |" not in line:
            yield from re.findall(r"`([^`]+)`", line.split(" | ")[0])


@pytest.mark.parametrize(
    ("title", "states"), [("Verdicts", model.VerdictState), ("Comparisons", model.ComparisonState)]
)
def test_each_state_is_explained(title: str, states: Any) -> None:
    """The tables have each state, and no other."""
    assert sorted(first_cells(section(title))) == sorted(get_args(states))


def test_each_warning_is_explained() -> None:
    """The lists have the code of each warning that results can have, and no other."""
    sources = "".join(
        Path(each.__file__ or "").read_text("utf-8") for each in (assembling, rules, soundness, statistics)
    )
    codes = set(re.findall(r'Finding\(\s*"([a-z-]+)"', sources))
    assert set(re.findall(r"^- `([a-z-]+)`:", section("Warnings"), re.MULTILINE)) == codes


def test_each_field_is_there(make_phone: MakePhone) -> None:
    """What the page names of the JSON is in it."""
    phone = make_phone({**CONTENT, "experiments/warm-opening/experiment.toml": BOOKED + GUARDRAIL})
    phone.ring()
    found = phone.app.test_cli_runner().invoke(pickup, ["results", "warm-opening", "--format", "json"])
    results = json.loads(found.stdout)
    [comparison] = results["metrics"][0]["comparisons"]
    assert {"state", "findings", "claims", "change"} <= results["verdict"].keys()
    assert set(re.findall(r"`(\w*interval|detectable|state)`", section("Comparisons"))) <= comparison.keys()
    assert (
        set(re.findall(r"`(delivered|without_report|unassigned|pinned|unidentified)`", PAGE))
        <= results["arms"][0].keys()
    )
    assert results["unidentified"] is None


def test_each_column_of_the_export_is_there(make_phone: MakePhone) -> None:
    """The columns of the export are those that the page names, and each metric's two."""
    phone = make_phone({**CONTENT, "experiments/warm-opening/experiment.toml": BOOKED})
    phone.ring()
    phone.app.extensions["pickup"].clock = lambda: NOW + 60
    header = phone.app.test_cli_runner().invoke(pickup, ["export", "warm-opening"]).stdout.splitlines()[0].split(",")
    named = re.findall(r"`([a-z]+)`", section("Export"))
    assert header == [*named, "booked", "booked_of"]
