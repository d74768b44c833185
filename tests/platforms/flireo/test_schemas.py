"""The schema of the answer: documented, unknown and invalid keys."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from conftest import FLIREO

validate = FLIREO.answer_schema.validate

WHOLE: dict[str, Any] = {
    "assistant": {
        "first_message": "Hello.",
        "llm_config": {
            "provider": "openai",
            "model": "gpt-4o",
            "temperature": 0.7,
            "messages": [{"role": "system", "content": "You are kind."}, {"role": "user", "content": "Hi."}],
            "tools": [{"type": "function", "function": {"name": "book"}}],
        },
        "stt_config": {"provider": "deepgram", "model": "nova-3", "language": "multi"},
        "tts_config": {
            "provider": "elevenlabs", "voice_id": "abc", "stability": 0.5, "similarity_boost": 1, "style": 0, "speed": 1.2,
        },
        "analysis_plan": {
            "structured_data_plan": {
                "enabled": True,
                "schema": {"type": "object", "properties": {"intent": {"type": "string"}}},
                "messages": [{"role": "system", "content": "{{schema}} {{transcript}} {{ended_reason}}"}],
            },
            "min_messages_threshold": 2,
        },
        "metadata": {"mine": [1, None]},
        "voicemail_message": "Call back.",
        "silence_timeout_seconds": 12.5,
        "max_duration_seconds": 600,
        "webhook_url": "https://host.example/hook",
        "webhook_secret": "s",
        "webhook_events": ["tool-calls"],
        "autonomous_silence_handling": True,
    },
    "max_duration_seconds": 300,
}  # fmt: skip

NO_TEXT: list[Any] = [None, 1, True, [], {}, 1.5]
NO_NUMBER: list[Any] = [None, "1", True, [], {}]
NO_OBJECT: list[Any] = [None, "x", 1, True, []]
NO_LIST: list[Any] = [None, "x", 1, True, {}]
TURNS: list[Any] = [
    *([None], ["x"], [{}], [{"role": "system"}], [{"content": "x"}]),
    *([{"role": "tool", "content": "x"}], [{"role": "user", "content": 1}]),
]

WRONG: dict[str, list[Any]] = {
    "assistant": NO_OBJECT,
    "assistant.first_message": NO_TEXT,
    "assistant.llm_config": [*NO_OBJECT, {}, {"provider": "x"}, {"model": "x"}],
    "assistant.llm_config.provider": [*NO_TEXT, ""],
    "assistant.llm_config.model": [*NO_TEXT, ""],
    "assistant.llm_config.temperature": [*NO_NUMBER, -0.1, 2.1, float("inf")],
    "assistant.llm_config.messages": [*NO_LIST, *TURNS],
    "assistant.llm_config.tools": NO_LIST,
    "assistant.stt_config": [*NO_OBJECT, {}, {"provider": "x", "model": "y"}],
    "assistant.stt_config.language": [*NO_TEXT, ""],
    "assistant.tts_config": [*NO_OBJECT, {}, {"provider": "x"}],
    "assistant.tts_config.voice_id": [*NO_TEXT, ""],
    "assistant.tts_config.stability": [*NO_NUMBER, -0.1, 1.1],
    "assistant.tts_config.similarity_boost": [*NO_NUMBER, -0.1, 1.1],
    "assistant.tts_config.style": [*NO_NUMBER, -0.1, 1.1],
    "assistant.tts_config.speed": [*NO_NUMBER, 0.4, 2.1],
    "assistant.analysis_plan": NO_OBJECT,
    "assistant.analysis_plan.structured_data_plan": NO_OBJECT,
    "assistant.analysis_plan.structured_data_plan.enabled": [None, 0, 1, "yes", "true", []],
    "assistant.analysis_plan.structured_data_plan.schema": NO_OBJECT,
    "assistant.analysis_plan.structured_data_plan.messages": [*NO_LIST, *TURNS],
    "assistant.analysis_plan.min_messages_threshold": [*NO_NUMBER, -1, 1.5],
    "assistant.metadata": NO_OBJECT,
    "assistant.voicemail_message": NO_TEXT,
    "assistant.silence_timeout_seconds": [*NO_NUMBER, 0, -1],
    "assistant.max_duration_seconds": [*NO_NUMBER, 0, -1, 1.5],
    "assistant.webhook_url": NO_TEXT,
    "assistant.webhook_secret": NO_TEXT,
    "assistant.webhook_events": [*NO_LIST, [1]],
    "max_duration_seconds": [*NO_NUMBER, 0, -1, 300.5],
    "assistant_id": [*NO_TEXT, ""],
    "assistant_override": [*NO_OBJECT, {}],
    "error": [*NO_TEXT, ""],
}


def changed(path: str, value: Any) -> dict[str, Any]:
    """The whole answer with another value at a path."""
    answer = copy.deepcopy(WHOLE)
    *above, last = path.split(".")
    block = answer
    for key in above:
        block = block[key]
    block[last] = value
    return answer


@pytest.mark.parametrize(
    "answer",
    [
        WHOLE,
        {},
        {"assistant": {}},
        {"assistant": {"first_message": ""}},
        {"assistant_id": "a"},
        {"assistant_id": "a", "assistant_override": WHOLE["assistant"], "max_duration_seconds": 1},
        {"max_duration_seconds": 300},
        {"error": "Closed."},
        {
            "new": {"deep": [None, 1]},
            "assistant": {"new": 1, "tts_config": {"provider": "x", "voice_id": "y", "new": {}}},
        },
        {"assistant": {"llm_config": {"provider": "a provider of tomorrow", "model": "its-model-9"}}},
    ],
)
def test_documented_and_unknown_keys_pass(answer: dict[str, Any]) -> None:
    """All documented keys pass, and so do unknown keys, providers and models: published lists go stale."""
    assert validate(answer) == {}


@pytest.mark.parametrize("path", WRONG)
def test_invalid_values_are_problems(path: str) -> None:
    """A value of a wrong type or out of range is a problem under its own key; no value is coerced."""
    for value in WRONG[path]:
        problems: Any = validate(changed(path, value))
        for key in path.split(".")[:2]:
            assert key in problems, value
            problems = problems[key]
