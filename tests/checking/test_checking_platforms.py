"""``check`` reads the content for every enabled platform."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import pytest
from marshmallow import Schema, fields
from marshmallow.validate import Range

from bells import BELL_TOKEN, bell
from complaints import BASE, DRAFT, complaints_about
from conftest import FLIREO, NOW
from contracts import platform_of
from flask_pickup.override import merge
from flask_pickup.platforms import REGISTRY, Answer, Rejection

Bell: Any = bell()
TEXTS = {path: text for path, text in BASE.items() if "override" not in path}
RUNNING = f'status = "running"\nprimary = "duration_seconds"\n{DRAFT}[metrics.duration_seconds]\nsmallest = 5\n'


class Chime(Bell):  # type: ignore[misc]
    """A platform with Bell's keys and a loudness, which needs something for each kind of answer."""

    name = "chime"
    answer_schema = Schema.from_dict({**Bell.answer_schema.fields, "loudness": fields.Integer(validate=Range(max=9))})()

    def notes(self, answer: Answer | Rejection) -> Iterable[str]:
        """Return one for each kind of answer."""
        return [f"Allow it for {type(answer).__name__}."]


class Gong(Chime):
    """The same, as loud as anybody wants."""

    name = "gong"
    answer_schema = Schema.from_dict({**Bell.answer_schema.fields, "loudness": fields.Integer()})()


BELL, CHIME, GONG = (each((BELL_TOKEN,), clock=lambda: NOW) for each in (Bell, Chime, Gong))


@pytest.fixture(autouse=True)
def registry(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make the toys known, so that their overrides are."""
    for each in (Bell, Chime, Gong):
        monkeypatch.setitem(REGISTRY, each.name, each.from_config)


def said(root: Path, files: Mapping[str, Any], *platforms: Any, level: str = "error") -> list[tuple[str, str]]:
    """Return file and words of each complaint of a level."""
    found = complaints_about(root, files, platforms=platforms)
    return [(each["file"], f"{each['problem']}; {each['remedy']}") for each in found if each["level"] == level]


def test_file_of_another_platform_is_named_with_its_right_name(tmp_path: Path) -> None:
    """Where a second platform gets the first one's JSON, the complaint says how to rename the file; then none is left."""
    plan = {"assistant": {"analysis_plan": {"structured_data_plan": {"schema": {}, "messages": [
        {"role": "user", "content": "{{transcript}}"}]}}}}  # fmt: skip
    files = {**TEXTS, "greetings/override.json": merge(BASE["greetings/override.json"], plan)}
    [(file, words)] = said(tmp_path / "one", files, BELL, FLIREO, GONG)
    assert file == "greetings/override.json"
    assert words == "this is flireo's JSON, and calls on bell, gong get it; rename it to 'override.flireo.json'"
    renamed = {**TEXTS, "greetings/override.flireo.json": files["greetings/override.json"]}
    assert complaints_about(tmp_path / "two", renamed, platforms=[BELL, FLIREO]) == []


@pytest.mark.parametrize(
    ("file", "override", "words"),
    [
        ("override.vapi.json", {"assistant": {"llm_config": {"provider": "x", "model": "y"}}}, "this is flireo's JSON"),
        ("override.json", {"call_inbound": {"dynamic_variables": {}}}, "this is retell's JSON"),
        ("override.json", {"conversation_config_override": {"agent": {}}}, "this is elevenlabs's JSON"),
    ],
)
def test_json_of_a_platform_that_is_not_enabled(tmp_path: Path, file: str, override: Any, words: str) -> None:
    """An override in another platform's JSON is told, whether that platform is enabled or not."""
    [(_, told)] = said(tmp_path, {**TEXTS, f"greetings/{file}": override}, platform_of("vapi"))
    assert told.startswith(f"{words}, and calls on vapi get it; rename it to 'override.")


def test_unknown_key_of_an_answer(tmp_path: Path) -> None:
    """A key at the top that is nobody's is told with those that are known: a platform ignores it."""
    files = {**TEXTS, "greetings/override.json": {"mood": "kind"}}
    [(_, words)] = said(tmp_path, files, FLIREO, level="warning")
    assert words.startswith("unknown key 'mood'; known are assistant, assistant_id,")


def test_analysis_at_the_vendor_is_noted(tmp_path: Path) -> None:
    """Where no override can say what the analysis finds, a note says what the metrics need, and nothing is doubted."""
    metrics = '[metrics.booked]\noutcome = "analysis.booked"\n[metrics.hung]\noutcome = "early_hang_up"\n'
    files = {
        **TEXTS,
        "experiments/opening/experiment.toml": RUNNING + metrics,
        "experiments/opening/warm/first_message.j2": "Hi.",
    }
    notes = [words for _, words in said(tmp_path, files, platform_of("telnyx"), level="note")]
    assert "telnyx: Let the analysis at the vendor find 'booked': metrics need it.; " in notes
    warnings = [words for _, words in said(tmp_path, files, platform_of("telnyx"), level="warning")]
    assert "telnyx never reports 'early_hang_up': its calls count as 0; choose another outcome" in warnings
    assert not any("unknown outcome" in words for words in warnings)


def test_rejected_value_of_a_common_file(tmp_path: Path) -> None:
    """A value that one platform rejects and another takes is complained about with both ways out."""
    files = {**TEXTS, "greetings/override.json": {"voice": "a", "loudness": 11}}
    [(file, words)] = said(tmp_path, files, CHIME, GONG)
    assert file == "greetings/override.json"
    assert words.startswith("chime rejects loudness; must be less than or equal to 9; if the file is not for chime")
    assert words.endswith("rename it to 'override.gong.json'")


def test_own_file_is_checked_for_its_platform_alone(tmp_path: Path) -> None:
    """Each platform's file is validated by its platform; that of one that is not enabled is not read."""
    files = {
        "greetings/first_message.j2": "Hello.",
        "greetings/override.flireo.json": {"max_duration_seconds": "long"},
        "greetings/override.bell.json": {"voice": 1},
        "greetings/override.vapi.json": "{",
    }
    found = said(tmp_path, files, FLIREO, BELL)
    assert [(file, words.partition(";")[0]) for file, words in found] == [
        ("greetings/override.bell.json", "bell rejects voice"),
        ("greetings/override.flireo.json", "flireo rejects max_duration_seconds"),
    ]


def test_complaint_of_every_platform_is_said_once(tmp_path: Path) -> None:
    """A greeting that is too long is too long everywhere."""
    files = {"greetings/first_message.j2": "This is a rather long sentence. " * 20}
    assert len(said(tmp_path, files, BELL, CHIME, GONG, level="warning")) == 1


def arms(**files: Any) -> dict[str, Any]:
    """Return the experiments "one" and "two", whose arms have these files, each with one overrides' platform."""
    return {
        "experiments/one/experiment.toml": RUNNING,
        "experiments/two/experiment.toml": RUNNING.replace("running", files.pop("status", "running")),
        **{f"experiments/{name}/warm/override.{platform}.json": patch for name, (platform, patch) in files.items()},
    }


@pytest.mark.parametrize(
    ("one", "two", "platform"),
    [
        (("bell", {"voice": "a"}), ("bell", {"voice": "b"}), "bell"),
        (("bell", {"voice": "a"}), ("chime", {"voice": "b"}), None),
        (("bell", {"voice": "a"}), ("bell", {"say": "b"}), None),
    ],
)
def test_fields_are_compared_per_platform(tmp_path: Path, one: Any, two: Any, platform: str | None) -> None:
    """Two running experiments conflict where they write the same field on the same platform."""
    found = said(tmp_path, {**TEXTS, **arms(one=one, two=two)}, BELL, CHIME)
    assert ["can write the same field on bell, voice" in words for _, words in found] == [True] * bool(platform)


def test_arm_that_is_the_base_on_one_platform(tmp_path: Path) -> None:
    """The warning names the platforms on which an arm changes nothing, unless those are all."""
    files = {**TEXTS, **arms(one=("bell", {"voice": "a"}), two=("gong", {}), status="draft")}
    found = said(tmp_path, files, BELL, CHIME, GONG, level="warning")
    assert [words.partition(":")[0] for _, words in found] == [
        "arm 'warm' changes nothing on chime, gong",
        "arm 'warm' changes nothing",
    ]


def test_notes_are_said_once_for_each_platform(tmp_path: Path) -> None:
    """What a platform needs for answers and closing words is a note with the platform's name, and no problem."""
    files = {
        **TEXTS,
        "greetings/hours.toml": 'timezone = "UTC"\n[week]\nmonday = "09:00-17:00"\n',
        "greetings/closed.j2": "We are closed.",
    }
    found = complaints_about(tmp_path, files, platforms=[BELL, CHIME, GONG])
    assert {(each["file"], each["level"], each["remedy"]) for each in found} == {("greetings", "note", "")}
    assert [each["problem"] for each in found] == [
        f"{name}: Allow it for {kind}." for name in ("chime", "gong") for kind in ("Answer", "Rejection")
    ]
