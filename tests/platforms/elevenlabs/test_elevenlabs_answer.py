"""The JSON of an answer: only what the content needs, always with its type; and what is wrong with an override."""

from __future__ import annotations

import copy
import json
from typing import Any

import pytest

from elevens import platform
from flask_pickup.platforms import Answer, Rejection, Words

TYPE = {"type": "conversation_initiation_client_data"}
VOICE = {"conversation_config_override": {"tts": {"voice_id": "v"}}}


@pytest.mark.parametrize(
    ("override", "words", "written"),
    [
        ({}, Words(), TYPE),
        (VOICE, Words(), {**TYPE, **VOICE}),
        ({}, Words("Hi."), {**TYPE, "conversation_config_override": {"agent": {"first_message": "Hi."}}}),
        ({}, Words("", None), {**TYPE, "conversation_config_override": {"agent": {"first_message": ""}}}),
        ({}, Words(prompt="Be."), {**TYPE, "conversation_config_override": {"agent": {"prompt": {"prompt": "Be."}}}}),
        (
            {"type": "x", "conversation_config_override": {"agent": {"prompt": {"prompt": "Old.", "llm": "gpt-4o"}}}},
            Words("Hi.", "New."),
            {
                **TYPE,
                "conversation_config_override": {
                    "agent": {"first_message": "Hi.", "prompt": {"prompt": "New.", "llm": "gpt-4o"}}
                },
            },
        ),
    ],
)
def test_answer_is_written(override: dict[str, Any], words: Words, written: dict[str, Any]) -> None:
    """Nothing is overridden that the content does not say, because each field has to be enabled in the agent."""
    before = copy.deepcopy(override)
    assert platform().answer(Answer(words, "nl", override)) == written
    assert override == before
    assert platform().default() == {**TYPE, "dynamic_variables": {"pickup": ""}}


def test_metadata_is_a_text_beside_the_authors_variables() -> None:
    """A variable's value is no object; the agent's own variables stay."""
    written = platform().answer(Answer(Words(), "en", {"dynamic_variables": {"plan": "gold", "pickup": ""}}, {"v": 1}))
    assert written["dynamic_variables"] == {"plan": "gold", "pickup": json.dumps({"v": 1})}


# --- the schema -------------------------------------------------------------------------------------------------------

WHOLE: dict[str, Any] = {
    "conversation_config_override": {
        "agent": {
            "first_message": "Hi.",
            "language": "nl",
            "prompt": {"prompt": "Be.", "llm": "gpt-4o", "tool_ids": ["t"]},
        },
        "tts": {"voice_id": "v", "stability": 0.5, "similarity_boost": 0.75, "speed": 1.1, "new": 1},
        "asr": {"keywords": ["De Linde"]},
        "turn": {"soft_timeout_config": {"message": "One moment."}},
        "conversation": {"max_duration_seconds": 300, "text_only": False},
    },
    "dynamic_variables": {"name": "Jan", "visits": 3, "score": 0.5, "vip": True},
    "custom_llm_extra_body": {"temperature": 0.4},
    "user_id": "u",
    "branch_id": "agtbrch_1",
    "environment": "production",
    "brand_new": {"too": 1},
}


# --- what has to be set at the vendor ---------------------------------------------------------------------------------


def test_notes_name_what_to_enable() -> None:
    """Each field that an answer overrides has to be enabled in the agent; nothing else has."""
    notes = list(platform().notes(Answer(Words("Hi.", "Be."), "en", {**VOICE, "dynamic_variables": {"plan": "gold"}})))
    for title in ("First message", "System prompt", "Voice"):
        [note] = [note for note in notes if f"'{title}'" in note]
        assert "Security tab" in note
    assert len(notes) == 3
    assert not list(platform().notes(Answer(Words(), "en")))
    assert any("'Custom LLM extra body'" in note for note in platform().notes(Answer(Words(), "en", WHOLE)))
    assert any("'End call'" in note for note in platform().notes(Rejection("We are closed.")))
