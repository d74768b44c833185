"""``[metrics]`` and ``[decision]``: their defaults, and what is complained about."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from conftest import FLIREO, write
from flask_pickup.catalog import Catalog, Experiment, load

PLAN = {
    "assistant": {
        "analysis_plan": {
            "structured_data_plan": {
                "schema": {
                    "properties": {
                        "booked": {"type": "boolean"},
                        "asked": {"type": ["boolean", "null"]},
                        "score": {"type": "number"},
                        "mood": {"type": "string", "enum": ["good", "bad", "book"]},
                        "note": {"type": "string"},
                    }
                }
            }
        }
    }
}


def read(
    folder: Path, toml: str, *, status: str = "draft", secret: str = "s", plan: Mapping[str, Any] = PLAN
) -> Catalog:
    files = {
        "greetings/override.json": plan,
        "experiments/e/experiment.toml": f'status = "{status}"\n{toml}\n[arms]\ncontrol = 1\nwarm = 1\n',
        "experiments/e/warm/first_message.j2": "Hi!",
    }
    root = write(folder, files)
    return load(
        root / "experiments",
        root / "greetings",
        pin_key=lambda text: f"{secret}{text}",
        region="NL",
        platforms=[FLIREO],
    )


def metric(folder: Path, toml: str) -> dict[str, Any]:
    [experiment] = read(folder, f'primary = "m"\n[metrics.m]\nsmallest = 0.1\n{toml}').experiments
    return dict(experiment.body["metrics"]["m"])


def complaints(folder: Path, toml: str, plan: Mapping[str, Any] = PLAN) -> list[str]:
    return [str(each) for each in read(folder, toml, plan=plan).complaints if each.file.endswith("experiment.toml")]


@pytest.mark.parametrize(
    ("outcomes", "kind", "per", "missing"),
    [
        ("analysis.booked analysis.asked analysis.mood.good early_hang_up", "flag", "caller", "zero"),
        ("sale analysis.found_by_a_saved_agent", None, "caller", "zero"),
        ("analysis.score duration_seconds user_messages", "number", "call", "leave out"),
    ],
)
def test_defaults_follow_from_the_outcome(
    tmp_path: Path, outcomes: str, kind: str | None, per: str, missing: str
) -> None:
    """Flags and the host's own count callers, and no row means no; numbers are averaged over calls that have one."""
    for outcome in outcomes.split():
        found = metric(tmp_path / outcome, f'outcome = "{outcome}"')
        assert (found["kind"], found["per"], found["missing"]) == (kind, per, missing)


def test_outcome_that_one_plan_calls_a_number_is_one(tmp_path: Path) -> None:
    """What may be a flag or any number is a number, in whatever order the types stand."""
    for types in (["number", "boolean"], ["boolean", "number"]):
        plan = {"structured_data_plan": {"schema": {"properties": {"asked": {"type": types}}}}}
        override = {"assistant": {"analysis_plan": plan}}
        found = read(tmp_path / types[0], 'primary = "m"\n[metrics.m]\noutcome = "analysis.asked"', plan=override)
        assert found.experiments[0].metrics[0].kind == "number"


def test_every_key_is_part_of_the_definition(tmp_path: Path) -> None:
    """What an author writes stands in the definition, times in days."""
    keys = 'label.nl = "Omzet"\ngoal = "decrease"\nper = "call"\nmissing = "leave out"\nwithin = "36h"\ncap = 0.99\nmargin = 2'
    assert metric(tmp_path, f'outcome = "sale"\n{keys}') == {
        "outcome": "sale", "label": {"nl": "Omzet"}, "goal": "decrease", "guardrail": False, "margin": 2, "smallest": 0.1, "per": "call",
        "missing": "leave out", "within": 1.5, "cap": 0.99, "kind": None,
    }  # fmt: skip


def test_decision_has_defaults(tmp_path: Path) -> None:
    """Without [decision]: 95 %, 2,000 callers, two to twelve weeks, arms against control."""
    [experiment] = read(tmp_path, "").experiments
    assert experiment.body["decision"] == {
        "confidence": 0.95, "expected_callers": 2000, "minimum_days": 14, "maximum_weeks": 12, "arm_to_arm": False,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("toml", "words"),
    [
        ('primary = "m"\n[metrics.m]\noutcome = "analysis.booked"', "has no smallest relevant difference"),
        ('[metrics.m]\noutcome = "analysis.booked"', "no metric is primary"),
        ('primary = "n"\n[metrics.m]\nsmallest = 0.1', "unknown metric 'n'"),
        ('primary = "m"\n[metrics.m]\nguardrail = true\nmargin = 0.1', "cannot be a guardrail"),
        ('primary = "m"\n[metrics.m]\nsmallest = 1\n[metrics.g]\nguardrail = true', "no margin"),
        (
            'primary = "m"\n[metrics.m]\noutcome = "analysis.booked"\nsmallest = 5',
            '"smallest" of a rate must be below 1, not 5',
        ),
        ('primary = "m"\n[metrics.m]\nsmallest = 0', '"smallest" must be a positive number, not 0'),
        ('primary = "m"\n[metrics.m]\nsmallest = 1\nwithin = "7"', '"within" must be a time such as "7d", not "7"'),
        ('primary = "m"\n[metrics.m]\nsmallest = 1\ncap = 99', "must be a percentile such as 0.99"),
        ('primary = "m"\n[metrics.m]\nsmallest = 1\nmissing = "no"', 'one of "zero", "leave out"'),
        ("[metrics.m]\nlabel = 3", ':3: "label" must be text in quotes, or a text for each language'),
        ('[metrics.m]\nlabel = ""', ':3: "label" must be text in quotes, or a text for each language'),
        ("[metrics.m]\nlabel.nl = 3", ':3: "nl" must be text in quotes, not 3'),
        ('[metrics.m]\nlabel.Dutch = "Omzet"', ":3: 'Dutch' is not a language code; write one such as en or nl"),
        ('[metrics.m]\nlabel = "Sales"\nlabel.nl = "Omzet"', 'or label.en = "…" and label.nl = "…", not both'),
        ('[metrics.m]\nlabel.nl = "Omzet"\nlabel = "Sales"', 'or label.en = "…" and label.nl = "…", not both'),
        ('primary = "m"\n[metrics.m]\nsmalest = 1', "unknown key 'smalest'"),
        ("[decision]\nconfidence = 95", "a share of at least 0.5"),
        ("[decision]\nexpected_callers = 20", "a whole number of at least 100"),
        ("[decision]\nminimum_days = 200", '"maximum_weeks" ends before "minimum_days": 12 weeks, 200 days'),
        ("[decision]\nmax_days = 3", "unknown key 'max_days'"),
    ],
)
def test_mistake_is_complained_about(tmp_path: Path, toml: str, words: str) -> None:
    """Each mistake is said with its line and what would be right."""
    assert words in "\n".join(complaints(tmp_path, toml))


@pytest.mark.parametrize(
    ("label", "english", "dutch"),
    [
        ("", "m", "m"),
        ('label = "Sales"', "Sales", "Sales"),
        ('label.en = "Sales"\nlabel.nl = "Omzet"', "Sales", "Omzet"),
        ('label.fr = "Ventes"\nlabel.en = "Sales"', "Sales", "Sales"),
        ('label.fr = "Ventes"\nlabel.de = "Umsatz"', "Ventes", "Ventes"),
    ],
)
def test_label_is_in_the_language_of_the_page(tmp_path: Path, label: str, english: str, dutch: str) -> None:
    """A metric goes by its label in a language, else the English or first one, else by its name; so does one no longer there."""
    [experiment] = read(tmp_path, f"[metrics.m]\n{label}").experiments
    assert [experiment.metric_label("m", language) for language in ("en", "nl")] == [english, dutch]
    assert experiment.metric_label("gone", "nl") == "gone"


UNFOUND = "no analysis plan here finds it; "


@pytest.mark.parametrize(
    ("outcome", "with_plan", "without"),
    [
        ("analysis.booked", "", "add it to the analysis plan"),
        ("booked", "did you mean 'analysis.booked'?", ""),
        ("analysis.boked", f"{UNFOUND}did you mean 'analysis.booked'?", "add it to the analysis plan"),
        ("analysis.sale", f"{UNFOUND}known are analysis.asked, analysis.booked", "add it to the analysis plan"),
        ("analysis.note", f"{UNFOUND}known are", "add it to the analysis plan"),
        *((outcome, "did you mean 'analysis.mood.good'?", "") for outcome in ("mood.good", "mood", "good")),
        *((word, f"did you mean 'analysis.mood.{word}'?", "") for word in ("bad", "book")),
        *((outcome, f"{UNFOUND}did you mean 'analysis.mood.good'?", "add it to the analysis plan")
          for outcome in ("analysis.mood", "analysis.good", "analysis.mood.god")),
        *((outcome, f"did you mean '{meant}'?", f"did you mean '{meant}'?") for outcome, meant in (
            ("early_hangup", "early_hang_up"), ("transfered", "transferred"), ("analysis.completed", "completed"),
            *((name, "duration_seconds") for name in ("duration", "call_duration", "callDuration", "duration_minutes", "Duration-ms",
              "total_call_duration", "analysis.duration")),
            ("call_completed", "completed"), ("is_voicemail", "voicemail"), ("call_error", "error"))),
        *((outcome, "", "") for outcome in ("early_hang_up", "sale", "revenue", "complaint", "no_show", "visit", "nps", "messages")),
    ],
)  # fmt: skip
def test_outcome_that_no_report_brings(tmp_path: Path, outcome: str, with_plan: str, without: str) -> None:
    """An outcome that no plan finds, or that is nearly one of reports, has one warning; the host's own have none."""
    toml = f'primary = "m"\n[metrics.m]\nsmallest = 0.1\noutcome = "{outcome}"'
    for name, plan, says in (("with", PLAN, with_plan), ("without", {}, without)):
        found = complaints(tmp_path / name, toml, plan=plan)
        assert [says in each for each in found] == [True] * bool(says)
        assert all(each.startswith("experiments/e/experiment.toml:5") for each in found)


def test_stored_definition_loads_back(tmp_path: Path) -> None:
    """A row of ``pickup_definitions`` gives the experiment that it was stored from, whatever rules it had besides."""
    toml = 'primary = "m"\n[metrics.m]\nwithin = "36h"\nsmallest = 0.1\n[decision]\narm_to_arm = true\n'
    [experiment] = read(tmp_path, toml).experiments
    stored = Experiment.of(json.loads(json.dumps(experiment.body)))
    assert (stored, stored.fingerprint) == (experiment, experiment.fingerprint)
    before_labels = {name: value for name, value in experiment.body["metrics"]["m"].items() if name != "label"}
    assert Experiment.of({**experiment.body, "metrics": {"m": before_labels}}) == experiment
    retired = {**experiment.body, "decision": {**experiment.body["decision"], "maximum_days": 180}}
    assert Experiment.of(retired) == experiment


def test_another_caller_secret_is_another_definition(tmp_path: Path) -> None:
    """The definition shows that the secret changed, and nothing of the secret or a pseudonym."""
    one, other = (read(tmp_path / secret, "", secret=secret).experiments[0] for secret in ("s", "t"))
    assert one.fingerprint != other.fingerprint
    assert {key for key in one.body if one.body[key] != other.body[key]} == {"callers"}
    assert "s+12015550100" not in str(one.body)
