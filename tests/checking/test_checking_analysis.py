"""``check`` finds a metric whose outcome the analysis of only some calls of an experiment can find."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from complaints import complaints_about
from conftest import FLIREO
from flask_pickup.platforms.retell import Retell
from flask_pickup.platforms.vapi import Vapi

VAPI, RETELL = Vapi(("a-vapi-secret-98765",), "saved"), Retell(("key_retell_98765",))
BOOKED = 'status = "{status}"\nprimary = "booked"\n[metrics.booked]\noutcome = "analysis.{key}"\nsmallest = 0.05\n'
ARMS = "[arms]\ncontrol = 1\nwarm = 1\nbrisk = 1\n"
LINES = '[lines."+31850123456"]\nname = "Desk"\ngreetings = "desk"\n'
SHARED = "write it in the analysis plan of greetings/override.json, which all calls share"
KEPT = "keep the analysis plan of greetings/override.json in all arms and lines"


def plan(*keys: str, **more: Any) -> dict[str, Any]:
    """Return a Flireo override whose analysis finds booleans."""
    schema = {"properties": {key: {"type": "boolean"} for key in keys}}
    return {"assistant": {"analysis_plan": {"structured_data_plan": {"schema": schema, **more}}}}


def patched(properties: Any) -> dict[str, Any]:
    return {"assistant": {"analysis_plan": {"structured_data_plan": {"schema": {"properties": properties}}}}}


def intent(*words: str) -> dict[str, Any]:
    return patched({"intent": {"type": "string", "enum": list(words)}})


def said(
    root: Path,
    overrides: Mapping[str, Any],
    *,
    key: str = "booked",
    status: str = "running",
    more: Mapping[str, Any] = {},
) -> list[tuple[int, str, str]]:
    """Return line, problem and remedy of each warning about an experiment with three arms that write different words.

    :param overrides: folder to its override; ``warm`` is an arm's.
    """
    files = {
        "greetings/first_message.j2": "Good day.",
        "greetings/settings.toml": LINES,
        "greetings/desk/note.j2": "The desk.",
        "experiments/e/experiment.toml": BOOKED.format(status=status, key=key) + ARMS,
        **{f"experiments/e/{arm}/first_message.j2": f"I am {arm}." for arm in ("warm", "brisk")},
        **{(f"{folder}/override.json" if "/" in folder or folder == "greetings" else f"experiments/e/{folder}/override.json"): patch
           for folder, patch in overrides.items()},
        **more,
    }  # fmt: skip
    found = complaints_about(root, files)
    assert {each["level"] for each in found} <= {"warning"}
    return [
        (each["line"], each["problem"], each["remedy"]) for each in found if each["file"].startswith("experiments/e/")
    ]


BOTH = plan("booked", "other")
OTHER = {
    "experiments/other/experiment.toml": "[arms]\ncontrol = 1\nkind = 1\n",
    "experiments/other/kind/override.json": plan("booked"),
}


@pytest.mark.parametrize("status", ["draft", "running", "paused"])
@pytest.mark.parametrize(
    ("overrides", "problem", "remedy"),
    [
        # an arm brings the plan
        ({"warm": plan("booked")}, "arms 'brisk' and 'control' have no analysis plan that finds", SHARED),
        ({"greetings": plan("other"), "warm": plan("booked")}, "arms 'brisk' and 'control' have no", SHARED),
        ({"warm": plan("booked"), "brisk": plan("booked")}, "arm 'control' has no analysis plan that finds", SHARED),
        ({"warm": plan("booked"), "brisk": plan("booked", enabled=False)}, "arms 'brisk' and 'control' have no", SHARED),
        # an arm removes it
        *(({"greetings": BOTH, "warm": patch}, "arm 'warm' has no analysis plan that finds", KEPT) for patch in (
            {"assistant": {"analysis_plan": None}}, {"assistant": None}, patched(None), patched({"booked": None}),
            patched({"booked": {"type": "string"}}), {"assistant": {"analysis_plan": {"structured_data_plan": {"enabled": False}}}})),
        # a line brings or removes it
        ({"greetings/desk": plan("booked")}, "no arm has an analysis plan that finds 'analysis.booked' on calls answered from greetings/:", SHARED),
        ({"greetings": BOTH, "greetings/desk": patched({"booked": None})}, "no arm has an analysis plan that finds 'analysis.booked' on calls answered from greetings/desk/:", KEPT),
        ({"greetings/desk": plan("booked"), "warm": plan("booked")}, "arms 'brisk' and 'control' have no analysis plan that finds 'analysis.booked' on calls answered from greetings/:", SHARED),
    ],
)  # fmt: skip
def test_plan_that_some_calls_lack(tmp_path: Path, status: str, overrides: Any, problem: str, remedy: str) -> None:
    """One warning says which arms, and which lines, have no plan that finds a metric's outcome, and where to write it."""
    [(line, words, what)] = said(tmp_path, overrides, status=status)
    assert words.startswith(problem)
    assert words.endswith(": these calls count as 0")
    assert (line, what) == (4, remedy)


def test_plan_of_another_experiment(tmp_path: Path) -> None:
    """A plan that only another experiment's arm has is none of this one's."""
    [(_, words, remedy)] = said(tmp_path, {}, more=OTHER)
    assert words == "no arm has an analysis plan that finds 'analysis.booked': these calls count as 0"
    assert remedy == SHARED


def test_words_that_an_arms_enum_lacks(tmp_path: Path) -> None:
    """The values of an enum are outcomes of their own, and numbers that are missing count nowhere."""
    overrides = {"greetings": intent("book", "ask"), "warm": intent("ask")}
    [(_, words, _)] = said(tmp_path, overrides, key="intent.book")
    assert words.startswith("arm 'warm' has no analysis plan that finds 'analysis.intent.book'")
    number = {"warm": patched({"score": {"type": "number"}})}
    [(_, words, _)] = said(tmp_path / "number", number, key="score")
    assert words.endswith(": these calls are left out")


@pytest.mark.parametrize(
    ("overrides", "status", "more"),
    [
        ({"greetings": BOTH}, "running", {}),
        ({"greetings": BOTH, "warm": plan("booked", enabled=True), "greetings/desk": plan("more")}, "running", {}),
        ({"control": plan("booked"), "warm": plan("booked"), "brisk": plan("booked")}, "running", {}),
        ({"warm": plan("booked")}, "concluded", {}),
        # the winner of an experiment that is over is everybody's
        ({}, "running", {**OTHER, "experiments/other/experiment.toml": 'status = "concluded"\nwinner = "kind"\n[arms]\ncontrol = 1\nkind = 1\n'}),
        # the audience has no other call
        ({"greetings/desk": plan("booked")}, "running",
         {"experiments/e/experiment.toml": "audience = \"line.name == 'Desk'\"\n" + BOOKED.format(status="draft", key="booked") + ARMS}),
    ],
)  # fmt: skip
def test_plan_that_every_call_has(tmp_path: Path, overrides: Any, status: str, more: Any) -> None:
    """Nothing is said where every call that can be in the experiment has a plan that finds the outcome."""
    assert [words for _, words, _ in said(tmp_path, overrides, status=status, more=more) if "analysis" in words] == []


def test_outcome_that_no_plan_finds_has_one_warning(tmp_path: Path) -> None:
    """What no plan here finds is said once."""
    [(_, words, _)] = said(tmp_path, {"greetings": plan("other"), "warm": plan("more")})
    assert words == "unknown outcome 'analysis.booked': no analysis plan here finds it"


def vapi(*keys: str) -> dict[str, Any]:
    schema = {"properties": {key: {"type": "boolean"} for key in keys}}
    return {"assistant": {"analysisPlan": {"structuredDataPlan": {"schema": schema}}}}


def retell(*keys: str) -> dict[str, Any]:
    fields = [{"type": "boolean", "name": key, "description": "?"} for key in keys]
    return {"call_inbound": {"agent_override": {"agent": {"post_call_analysis_data": fields}}}}


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        # set at the vendor
        ({"greetings/override.flireo.json": plan("booked")}, []),
        ({"greetings/override.flireo.json": plan("booked"), "greetings/override.vapi.json": {"assistant": {"voice": {"provider": "x"}}},
          "greetings/override.retell.json": {"call_inbound": {"dynamic_variables": {"a": "b"}}}}, []),
        # another plan
        ({"greetings/override.flireo.json": plan("booked"), "greetings/override.vapi.json": vapi("other")},
         ["no arm has an analysis plan that finds 'analysis.booked' on vapi: these calls count as 0"]),
        ({"greetings/override.flireo.json": plan("booked"), "experiments/e/warm/override.retell.json": retell("booked")},
         ["arms 'brisk' and 'control' have no analysis plan that finds 'analysis.booked' on retell: these calls count as 0"]),
        ({"experiments/e/warm/override.flireo.json": plan("booked"), "greetings/override.vapi.json": vapi("booked"),
          "greetings/override.retell.json": retell("booked")},
         ["arms 'brisk' and 'control' have no analysis plan that finds 'analysis.booked' on flireo: these calls count as 0"]),
    ],
)  # fmt: skip
def test_each_platform_has_its_plans(tmp_path: Path, files: Any, expected: list[str]) -> None:
    """A platform on which no override has a plan has it at the vendor; on every other each arm needs it."""
    content = {
        "greetings/first_message.j2": "Good day.",
        "experiments/e/experiment.toml": BOOKED.format(status="running", key="booked") + ARMS,
        **{f"experiments/e/{arm}/first_message.j2": f"I am {arm}." for arm in ("warm", "brisk")},
        **files,
    }
    found = complaints_about(tmp_path, content, platforms=[FLIREO, VAPI, RETELL])
    assert [each["problem"] for each in found if each["level"] == "warning"] == expected
