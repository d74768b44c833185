"""docs/results.md: it explains each state and warning that there is, and the fields that it names are there."""

from __future__ import annotations

import json
import re
from csv import DictReader
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


@pytest.mark.parametrize(
    ("title", "states"), [("Verdicts", model.VerdictState), ("Comparisons", model.ComparisonState)]
)
def test_each_state_is_explained(title: str, states: Any) -> None:
    """The list of verdicts has each of their states, and no other; each state of a comparison is named."""
    named = re.findall(r"^- `([a-z ]+)`:" if title == "Verdicts" else r"`([a-z ]+)`", section(title), re.MULTILINE)
    assert set(named) - {"interval", "detectable", "margin", "state"} == set(get_args(states))


def test_each_warning_is_explained() -> None:
    """The lists have the code of each warning that results can have, and no other."""
    sources = "".join(
        Path(each.__file__ or "").read_text("utf-8") for each in (assembling, rules, soundness, statistics)
    )
    codes = set(re.findall(r'Finding\(\s*"([a-z-]+)"', sources))
    named = set(re.findall(r"`([a-z-]+)`", section("Warnings"))) - {
        "unreported",
        "unanalysed",
        "unjudged",
        "confidence",
    }
    assert named == codes


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


def test_mean_follows_from_the_export(make_phone: MakePhone) -> None:
    """A metric's total over that of its divisor is the arm's mean; both are empty where the caller is left out."""
    length = "[metrics.duration_seconds]\n"
    phone = make_phone({**CONTENT, "experiments/warm-opening/experiment.toml": BOOKED + length})
    for name in range(4):
        phone.ring(f"call-{name}", caller=f"+3161234567{name}")
        phone.report(f"call-{name}", caller=f"+3161234567{name}", duration_seconds=60 + name if name else None)
    phone.app.extensions["pickup"].clock = lambda: NOW + 3600
    run = phone.app.test_cli_runner().invoke
    rows = list(DictReader(run(pickup, ["export", "warm-opening"]).stdout.splitlines()))
    results = json.loads(run(pickup, ["results", "warm-opening", "--format", "json"]).stdout)
    for arm in results["metrics"][1]["arms"]:
        own = [row for row in rows if row["arm"] == arm["arm"] and row["duration_seconds"]]
        s, d = (sum(float(row[name]) for row in own) for name in ("duration_seconds", "duration_seconds_of"))
        assert (s / d if own else None) == arm["mean"]
    assert sorted(row["duration_seconds_of"] for row in rows) == ["", "1.0", "1.0", "1.0"]
