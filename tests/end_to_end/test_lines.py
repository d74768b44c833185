"""One installation, several businesses: what the number called decides, also where the agent is a saved one."""

from __future__ import annotations

from typing import Any

import pytest

from conftest import CALLER, LINE, MakePhone, Phone

DENTIST, GARAGE, SAVED = LINE, "+31850123456", "+31850987654"
LINES = f"""
language = "nl"
[lines."{DENTIST}"]
name = "De Linde"
greetings = "lines/dentist"
[lines."085 012 3456"]
name = "Garage Wiel"
greetings = "lines/garage"
[lines."{SAVED}"]
greetings = "lines/saved"
"""
MODEL = {"provider": "openai", "model": "gpt-4o", "temperature": 0.4}
ARMS = 'status = "running"\nprimary = "score"\n[arms]\ncontrol = 0.000001\nwarm = 1\n[metrics.score]\n'
TOWN: dict[str, Any] = {
    "greetings/settings.toml": LINES,
    "greetings/first_message.j2": "{{ line.name or 'Wij' }}, goedendag.",
    "greetings/system_prompt.j2": "{% block who %}Je neemt op.{% endblock %}",
    "greetings/override.json": {"assistant": {"llm_config": MODEL}, "max_duration_seconds": 600},
    "greetings/lines/dentist/system_prompt.j2": (
        "{% extends 'greetings/system_prompt.j2' %}{% block who %}Je bent van {{ line.name }}.{% endblock %}"
    ),
    "greetings/lines/garage/first_message.j2": "Met Garage Wiel.",
    "greetings/lines/garage/override.json": {
        "assistant": {"llm_config": {"model": "gpt-4o-mini"}}, "max_duration_seconds": None,
    },
    "greetings/lines/saved/override.json": {"assistant_id": "agent-1", "assistant": {"llm_config": None}},
    "greetings/lines/saved/system_prompt.j2": "",
}  # fmt: skip


def answer(phone: Phone, line: Any, call_id: str = "call-1") -> dict[str, Any]:
    found: dict[str, Any] = phone.ring(call_id, line=line).get_json()
    for key in ("assistant", "assistant_override"):
        found.get(key, {}).pop("metadata", None)
    return found


def prompted(prompt: str, **model: Any) -> dict[str, Any]:
    return {**MODEL, **model, "messages": [{"role": "system", "content": prompt}]}


EXPECTED: dict[Any, dict[str, Any]] = {
    DENTIST: {
        "assistant": {"first_message": "De Linde, goedendag.", "llm_config": prompted("Je bent van De Linde.")},
        "max_duration_seconds": 600,
    },
    GARAGE: {"assistant": {"first_message": "Met Garage Wiel.", "llm_config": prompted("Je neemt op.", model="gpt-4o-mini")}},
    SAVED: {
        "assistant_id": "agent-1",
        "assistant_override": {"first_message": "Wij, goedendag."},
        "max_duration_seconds": 600,
    },
    "+31850000000": {
        "assistant": {"first_message": "Flireo Demo, goedendag.", "llm_config": prompted("Je neemt op.")},
        "max_duration_seconds": 600,
    },
}  # fmt: skip


@pytest.mark.parametrize("line", EXPECTED)
def test_each_line_has_its_own_base(make_phone: MakePhone, line: Any) -> None:
    """A line's folder lies over the common base: its files win, its override is merged, null takes something out."""
    assert answer(make_phone(TOWN), line) == EXPECTED[line]


@pytest.mark.parametrize("line", ["+31 85 012 34 56", "0850123456", "tel:+31850123456", "0031850123456"])
def test_a_line_has_many_spellings(make_phone: MakePhone, line: str) -> None:
    """However platform and author write the number called, it is the same line."""
    phone = make_phone(TOWN)
    assert answer(phone, line) == EXPECTED[GARAGE]
    assert phone.rows("SELECT line FROM pickup_calls") == [(GARAGE,)]


@pytest.mark.parametrize("line", [None, "", 42, "front-desk", []])
def test_unknown_lines_hear_the_base(make_phone: MakePhone, line: Any) -> None:
    """A call whose called number is missing or no number is answered with the common base."""
    assert answer(make_phone(TOWN), line)["assistant"]["llm_config"] == prompted("Je neemt op.")


def test_experiments_lie_over_every_line(make_phone: MakePhone) -> None:
    """An arm changes what it writes and nothing else, on each business's own base and on a saved agent."""
    files = {
        **TOWN,
        "experiments/kind/experiment.toml": ARMS,
        "experiments/kind/warm/first_message.j2": "Wat fijn dat u belt! {% include 'greetings/first_message.j2' %}",
        "experiments/kind/warm/override.json": {"assistant": {"voicemail_message": "{{ line.name or 'Wij' }}"}},
    }
    phone = make_phone(files)
    for number, (line, expected) in enumerate(EXPECTED.items()):
        found, key = answer(phone, line, f"call-{number}"), "assistant_override" if line == SAVED else "assistant"
        words = f"Wat fijn dat u belt! {expected[key]['first_message']}"
        name = {DENTIST: "De Linde", GARAGE: "Garage Wiel", SAVED: "Wij"}.get(line, "Flireo Demo")
        assert found == {**expected, key: {**expected[key], "first_message": words, "voicemail_message": name}}


def test_experiment_of_one_line(make_phone: MakePhone) -> None:
    """An audience may ask which number is called: on other lines the experiment has no callers."""
    audience = f"audience = \"line.number == '{GARAGE}'\"\n"
    files = {
        **TOWN, "experiments/kind/experiment.toml": audience + ARMS, "experiments/kind/warm/first_message.j2": "Hoi!",
    }  # fmt: skip
    phone = make_phone(files)
    assert answer(phone, GARAGE, "1")["assistant"]["first_message"] == "Hoi!"
    assert answer(phone, DENTIST, "2")["assistant"]["first_message"] == "De Linde, goedendag."
    assert phone.rows("SELECT reasons ->> 'kind' FROM pickup_calls ORDER BY call_id") == [("enrolled",), ("audience",)]


def test_saved_agent_of_an_arm(make_phone: MakePhone) -> None:
    """An arm may hand the call to a saved agent; its assignment travels in the override and returns with the report."""
    files = {
        **TOWN, "experiments/saved/experiment.toml": ARMS,
        "experiments/saved/warm/override.json": {"assistant_id": "{{ 'agent-nl' if language == 'nl' else 'agent' }}"},
    }  # fmt: skip
    phone = make_phone(files)
    found = phone.ring(line=DENTIST).get_json()
    override = found["assistant_override"]
    assert (found["assistant_id"], override["first_message"]) == ("agent-nl", "De Linde, goedendag.")
    assert override["metadata"]["pickup"]["assignments"]["saved"]["arm"] == "warm"
    assert "assistant" not in found
    phone.report(assistant={**override, "tts_config": {}}, analysis={"score": 8})
    assert phone.rows("SELECT arm, delivered FROM pickup_assignments") == [("warm", 1)]


def test_broken_line_leaves_the_others_alone(make_phone: MakePhone) -> None:
    """An error in one line's folder costs that line its greeting, and no other line."""
    phone = make_phone({**TOWN, "greetings/lines/garage/first_message.j2": "{% if %}"})
    assert phone.ring("1", line=GARAGE).get_json() == {}
    assert answer(phone, DENTIST, "2") == EXPECTED[DENTIST]
    assert phone.rows("SELECT decision FROM pickup_calls ORDER BY call_id") == [("fallback",), ("base",)]
    assert phone.client.get("/pickup/health").get_json()["content"]["broken"] == ["greetings/lines/garage"]


def test_no_greetings_mean_the_saved_agent(make_phone: MakePhone) -> None:
    """Without any content, every call goes on with the agent as it is saved."""
    phone = make_phone({"experiments/README.md": ""})
    assert phone.ring().get_json() == {}
    assert phone.rows("SELECT decision FROM pickup_calls") == [("base",)]
    assert phone.ring("2", caller=CALLER).get_json() == {}


@pytest.mark.parametrize(
    ("settings", "complaint"),
    [
        ('[lines."front desk"]\n', ":1: 'front desk' is not a phone number; write it as [lines.\"+31850835037\"]"),
        ('[lines."0850123456"]\n[lines."+31850123456"]\n',
         ":2: duplicate line '+31850123456', written in another way; keep one of the two"),
        ('[lines."+31850123456"]\ngreetings = "lines/no"\n',
         ":1: folder 'greetings/lines/no' is missing; create it, or remove \"greetings\""),
        ('[lines."+31850123456"]\ngreeting = "x"\n', ":2: unknown key 'greeting'; did you mean 'greetings'?"),
    ],
)  # fmt: skip
def test_invalid_lines_are_complaints(make_phone: MakePhone, settings: str, complaint: str) -> None:
    """A complaint about a line has its place and the remedy."""
    phone = make_phone({"greetings/first_message.j2": "Hi.", "greetings/settings.toml": settings})
    complaints = [str(found) for found in phone.app.extensions["pickup"].catalog.complaints]
    assert f"greetings/settings.toml{complaint}" in complaints
