"""JSON Merge Patch to the letter of RFC 7396, and the strings of an override that are templates."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bells import BELL_TOKEN, bell
from complaints import complaints_about
from conftest import CONTENT, MakePhone
from flask_pickup import platforms
from flask_pickup.override import fill, is_template, leaves, merge, templates
from flask_pickup.testing import PickupClient

# --- the merge --------------------------------------------------------------------------------------------------------

scalars = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=3)
values = st.recursive(
    scalars, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from("abcd"), inner, max_size=4)
)
objects = st.dictionaries(st.sampled_from("abcd"), values, max_size=4)


def by_the_rfc(target: Any, patch: Any) -> Any:
    """The pseudo-code of the RFC's second section."""
    if not isinstance(patch, dict):
        return patch
    if not isinstance(target, dict):
        target = {}
    for name, value in patch.items():
        if value is None:
            target.pop(name, None)
        else:
            target[name] = by_the_rfc(target.get(name), value)
    return target


@given(values, values)
def test_merge_is_that_of_the_rfc(target: Any, patch: Any) -> None:
    """Every merge gives what the RFC's own algorithm gives, and changes neither argument: others use them too."""
    before = copy.deepcopy((target, patch))
    assert merge(target, patch) == by_the_rfc(copy.deepcopy(target), patch)
    assert (target, patch) == before


@given(objects)
def test_leaves_are_what_a_patch_writes(patch: dict[str, Any]) -> None:
    """The leaves of a patch are the paths that it writes: each ends at a value, or at an empty object."""
    for path in leaves(patch):
        value: Any = patch
        for key in path:
            value = value[key]
        assert not isinstance(value, dict) or not value


# --- the strings ------------------------------------------------------------------------------------------------------


def filled(override: Any, untemplated: frozenset[str] = frozenset()) -> Any:
    return fill(override, [(path, f"<{source}>") for path, source in templates(override, untemplated)])


PLAN = frozenset({"analysis_plan"})

nested = st.recursive(
    st.sampled_from(["plain", "{{ x }}", 1, True]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from("abc"), inner, max_size=3),
)


@given(st.dictionaries(st.sampled_from("abc"), nested, max_size=3))
def test_each_template_is_filled_and_nothing_else(override: dict[str, Any]) -> None:
    """Every string that is a template is rendered, wherever it stands, and the override itself is not changed."""
    before = copy.deepcopy(override)
    assert json.dumps(filled(override)) == json.dumps(before).replace("{{ x }}", "<{{ x }}>")
    assert override == before


@given(st.dictionaries(st.sampled_from("abc"), nested, max_size=3))
def test_untemplated_keys_are_never_filled(plan: dict[str, Any]) -> None:
    """Braces below an untemplated key belong to the platform, at every depth."""
    override = {"assistant": {"analysis_plan": plan, "first_message": "{{ x }}"}}
    assert filled(override, PLAN) == {"assistant": {"analysis_plan": plan, "first_message": "<{{ x }}>"}}


@pytest.mark.parametrize(
    ("text", "is_one"), [("{{ x }}", True), ("{% if x %}{% endif %}", True), ("{# x #}", True), ("{ x }", False)]
)
def test_templates_are_told_from_text(text: str, is_one: bool) -> None:  # noqa: FBT001
    """Only text with something for Jinja to do is compiled."""
    assert is_template(text) is is_one


# --- over HTTP --------------------------------------------------------------------------------------------------------

OVERRIDE = {
    "assistant": {
        "llm_config": {"provider": "openai", "model": "{{ 'gpt-4o' if caller.country == 'NL' else 'gpt-4o-mini' }}"},
        "stt_config": {"provider": "deepgram", "model": "nova-3", "language": "{{ language }}"},
        "tts_config": {"provider": "cartesia", "voice_id": "a", "speed": 1.1},
        "tools_note": ["{{ caller.number }}", 1, True, {"deep": "{{ call.id }}"}],
    },
    "max_duration_seconds": 300,
}


def test_strings_render_and_numbers_stay(make_phone: MakePhone) -> None:
    """Each string is a template that renders to a string; numbers and booleans leave as they were written."""
    phone = make_phone({"greetings/override.json": OVERRIDE})
    assert phone.ring("call-1").get_json() == {
        "assistant": {
            "llm_config": {"provider": "openai", "model": "gpt-4o"},
            "stt_config": {"provider": "deepgram", "model": "nova-3", "language": "en"},
            "tts_config": {"provider": "cartesia", "voice_id": "a", "speed": 1.1},
            "tools_note": ["+31612345678", 1, True, {"deep": "call-1"}],
        },
        "max_duration_seconds": 300,
    }
    assert phone.ring("call-2", caller="+12015550123").get_json()["assistant"]["llm_config"]["model"] == "gpt-4o-mini"


SAVED, OWN = {"assistant_id": "a1"}, {"assistant": {"first_message": "Hi"}}


@pytest.mark.parametrize(
    ("base", "arm"), [(SAVED | OWN, {}), (SAVED, OWN), (OWN, SAVED), ({}, SAVED | OWN), (OWN, SAVED | OWN)]
)
def test_saved_agent_is_overridden(make_phone: MakePhone, base: dict[str, Any], arm: dict[str, Any]) -> None:
    """What stands under ``assistant`` is laid over a saved agent, in one file or in several layers."""
    files = {
        "greetings/override.json": base,
        "experiments/warm-opening/experiment.toml": CONTENT["experiments/warm-opening/experiment.toml"] + PINNED,
        "experiments/warm-opening/warm/override.json": arm or {"max_duration_seconds": 9},
    }
    phone = make_phone(files)
    answer = phone.ring().get_json()
    assert answer.keys() - {"max_duration_seconds"} == {"assistant_id", "assistant_override"}
    assert answer["assistant_override"]["first_message"] == "Hi"
    content = complaints_about(Path(phone.app.config["PICKUP_GREETINGS"]).parent, {})
    assert [each for each in content if each["level"] == "error"] == []


PINNED = '\n[pins]\n"+31612345678" = "warm"\n'


def test_arm_changes_one_key_and_the_block_leaves_whole(make_phone: MakePhone) -> None:
    """The platform replaces whole blocks, so an arm's one key arrives with all the others of its block."""
    phone = make_phone(
        {
            **CONTENT,
            "greetings/override.json": OVERRIDE,
            "experiments/warm-opening/experiment.toml": CONTENT["experiments/warm-opening/experiment.toml"] + PINNED,
            "experiments/warm-opening/warm/override.json": {
                "assistant": {"tts_config": {"speed": 0.9}, "stt_config": None},
                "max_duration_seconds": None,
            },
        }
    )
    answer = phone.ring().get_json()
    assert answer["assistant"]["tts_config"] == {"provider": "cartesia", "voice_id": "a", "speed": 0.9}
    assert "stt_config" not in answer["assistant"]
    assert answer.keys() == {"assistant"}
    # Another caller's answer is made from the same objects.
    assert phone.ring("call-2", caller=None).get_json()["assistant"]["tts_config"]["speed"] == 1.1


def test_platforms_own_file_comes_in_place_of_the_common_one(
    make_phone: MakePhone, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In each layer a call gets its platform's own override or else the common one, never both."""
    monkeypatch.setitem(platforms.REGISTRY, "bell", bell().from_config)
    files = {
        "greetings/override.json": {"voice": "common", "note": {"a": "common"}},
        "greetings/override.bell.json": {"voice": "bell's"},
        "experiments/warm-opening/experiment.toml": CONTENT["experiments/warm-opening/experiment.toml"] + PINNED,
        "experiments/warm-opening/warm/override.json": {"brief": "an arm's on {{ platform }}"},
        "experiments/warm-opening/warm/override.flireo.json": {"note": {"b": "flireo's"}},
        "experiments/warm-opening/warm/override.vapi.json": "not enabled, so not read",
    }
    phone = make_phone(files, PICKUP_BELL_TOKEN=BELL_TOKEN)
    on_flireo = phone.ring().get_json()
    on_bell = PickupClient(phone.app, platform="bell").post_call().get_json()
    assert (on_flireo["voice"], on_flireo["note"]) == ("common", {"a": "common", "b": "flireo's"})
    assert "brief" not in on_flireo
    assert (on_bell["voice"], on_bell["brief"]) == ("bell's", "an arm's on bell")
    assert "a" not in on_bell["note"]
    [(body,)] = phone.rows("SELECT body FROM pickup_definitions")
    assert json.loads(body)["files"]["warm"].keys() == {
        "override.json", "override.flireo.json", "override.vapi.json"
    }  # fmt: skip
