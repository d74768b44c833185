"""docs/few-calls.md: each of its figures is what ``flask pickup plan`` says, and its commands run."""

from __future__ import annotations

import json
import re
import shlex
from pathlib import Path
from typing import Any

import pytest

from conftest import BOOKED, CONTENT, MakePhone
from flask_pickup.cli import pickup

PAGE = (Path(__file__).parents[2] / "docs/few-calls.md").read_text("utf-8")
ROWS = [line.strip("| ").split(" | ") for line in PAGE.splitlines() if re.match(r"\| \d", line)]
COMMANDS = re.findall(r"^flask pickup (.+)$", PAGE, re.MULTILINE)
GUARDRAIL = '[metrics.early_hang_up]\ngoal = "decrease"\nguardrail = true\nmargin = {margin}\n'


def said(make_phone: MakePhone, arguments: str, weights: str = "1:1", margin: float = 0.03) -> Any:
    """Return what a command prints as JSON."""
    names = ["control", "warm", "brisk"]
    arms = dict(zip(names, weights.split(":"), strict=False))
    lines = "\n".join(f"{name} = {weight}" for name, weight in arms.items())
    toml = BOOKED.replace("control = 1\nwarm = 1", lines) + GUARDRAIL.format(margin=margin)
    texts = {f"experiments/warm-opening/{arm}/first_message.j2": f"Hello, {arm}." for arm in arms if arm != "control"}
    phone = make_phone({**CONTENT, **texts, "experiments/warm-opening/experiment.toml": toml})
    found = phone.app.test_cli_runner().invoke(pickup, [*shlex.split(arguments), "--format", "json"])
    assert found.exit_code == 0, found.output
    return json.loads(found.stdout)


def number(cell: str) -> float | None:
    return None if cell == "–" else float(cell.split(maxsplit=1)[0].replace(",", ""))


@pytest.mark.parametrize("row", ROWS, ids=" ".join)
def test_figures_are_the_plans(make_phone: MakePhone, row: list[str]) -> None:
    """Each row of the table is what plan says of such an experiment."""
    today, difference, weights, pace, *figures = row
    shares = [(number(cell) or 0) / 100 for cell in (today, difference)]
    options = f"--baseline {shares[0]} --lift {shares[1]} --callers-a-week {pace}"
    found = said(make_phone, f"plan warm-opening {options}", weights)
    sure, easy = found["needed"]
    chance = round(100 * found["weeks"][-1]["chance"])
    expected = [sure["callers"], sure["maximum_weeks"], easy["maximum_weeks"], chance]
    assert [number(cell) for cell in figures] == expected


def test_guardrails_take_what_the_page_says(make_phone: MakePhone) -> None:
    """The callers that make a guardrail safe follow from its margin, at the rate that is assumed without calls."""
    text = " ".join(PAGE.split())
    [told] = re.findall(r"margin of (\d) pp takes ([\d,]+) callers, and one of (\d) pp ([\d,]+)\.", text)
    for margin, callers in (told[:2], told[2:]):
        found = said(make_phone, "plan warm-opening --baseline 0.3", margin=int(margin) / 100)
        [guardrail] = found["guardrails"]
        assert guardrail["baseline"]["mean"] == pytest.approx(0.1)
        assert guardrail["needed"]["callers"] == number(callers)


@pytest.mark.parametrize("command", COMMANDS)
def test_commands_run(make_phone: MakePhone, command: str) -> None:
    """The page's commands run as they are."""
    assert said(make_phone, command)
