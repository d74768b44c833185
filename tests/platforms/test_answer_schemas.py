"""What each platform's schema of an answer accepts and finds; no value is coerced into another type."""

from __future__ import annotations

import copy
import json
from typing import Any

import pytest

from checkouts import ROOT
from contracts import platform_of

SAMPLES: dict[str, dict[str, Any]] = {
    path.name.split(".")[1]: json.loads(path.read_text("utf-8")) for path in ROOT.glob("greetings/override.*.json")
}
"""Each platform's own JSON, as authors write it."""
OTHERS: dict[str, list[dict[str, Any]]] = {
    "flireo": [
        *({"assistant": {}}, {"assistant": {"first_message": ""}}, {"assistant_id": "a"}, {"error": "Closed."}),
        {"assistant_id": "a", "assistant_override": SAMPLES["flireo"]["assistant"], "max_duration_seconds": 1},
        {"assistant": {"llm_config": {"provider": "a provider of tomorrow", "model": "its-model-9"}}},
    ],
    "vapi": [{"assistantId": "a", "assistantOverrides": SAMPLES["vapi"]["assistant"]}, {"squadId": "s"}],
    "elevenlabs": [
        {"type": "conversation_initiation_client_data", "custom_llm_extra_body": {"temperature": 0.4}},
        {"conversation_config_override": {"conversation": {"max_duration_seconds": 300, "text_only": False}}},
    ],
    "retell": [
        {"call_inbound": {"reject": True}},
        {"call_inbound": {"override_agent_id": "a", "override_agent_version": 3, "dynamic_variables": {"seats": 4}}},
        {"call_inbound": {"agent_override": {"conversation_flow": {"start_speaker": "agent"}}}},
    ],
    "telnyx": [{"memory": {"conversation_query": "limit=5"}}],
}
"""More that a platform takes."""

NO_TEXT: list[Any] = [None, 1, True, [], {}, 1.5]
NO_NUMBER: list[Any] = [None, "1", True, [], {}]
NO_OBJECT: list[Any] = [None, "x", 1, True, []]
NO_LIST: list[Any] = [None, "x", 1, True, {}]
TURNS: list[Any] = [
    *([None], ["x"], [{}], [{"role": "system"}], [{"content": "x"}]),
    *([{"role": "tool", "content": "x"}], [{"role": "user", "content": 1}]),
]

WRONG: dict[str, dict[str, list[Any]]] = {
    "flireo": {
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
    },
    "vapi": {
        "assistant.firstMessageMode": ["first", 1],
        "assistant.model": ["x", None],
        "assistant.model.temperature": ["0.7", 3],
        "assistant.model.messages": [[{}]],
        "assistant.transcriber": [{}, {"provider": 5}, []],
        "assistant.voice": [{"voiceId": "abc"}, {"provider": "x", "stability": 2}],
        "assistant.analysisPlan": [[], {"structuredDataPlan": {"enabled": "yes"}}, {"minMessagesThreshold": "2"}],
        "assistant.artifactPlan": [{"structuredOutputs": [{"schema": {}}]}, {"structuredOutputIds": [1]}],
        "assistant.variableValues": ["x", []],
        "assistant.maxDurationSeconds": ["300", 5, True],
        "assistant.server": ["https://calls.example"],
    },
    "elevenlabs": {
        "type": ["other"],
        "conversation_config_override": [[]],
        "conversation_config_override.agent.prompt": ["Be."],
        "conversation_config_override.tts.stability": [2],
        "conversation_config_override.tts.speed": ["1"],
        "conversation_config_override.conversation.max_duration_seconds": [True],
        "dynamic_variables": [["a"]],
        "dynamic_variables.name": [{"first": "Jan"}],
        "dynamic_variables.system__caller_id": ["x"],
        "branch_id": [""],
    },
    "retell": {
        "call_inbound.dynamic_variables": [["x"]],
        "call_inbound.dynamic_variables.seats": [{"free": 4}],
        "call_inbound.metadata": ["x"],
        "call_inbound.reject": ["true"],
        "call_inbound.agent_override.agent.max_call_duration_ms": [5000],
        "call_inbound.agent_override.agent.voice_speed": ["1.2"],
        "call_inbound.agent_override.retell_llm.start_speaker": ["both"],
        "call_inbound.agent_override.conversation_flow.model_temperature": [2],
    },
    "telnyx": {
        "dynamic_variables": [[]],
        "dynamic_variables.telnyx_current_time": ["now"],
        "dynamic_variables.list": [[], None, {}],
        "memory.conversation_query": [5],
        "conversation": [[]],
        "conversation.metadata": [[]],
        "conversation.metadata.deep": [{}],
    },
}
"""For each platform a path into an answer, and values that cannot stand there."""


def changed(answer: dict[str, Any], path: str, value: Any) -> dict[str, Any]:
    """Return an answer with another value at a path."""
    found = copy.deepcopy(answer)
    *above, last = path.split(".")
    block = found
    for key in above:
        block = block.setdefault(key, {})
    block[last] = value
    return found


def renewed(value: Any) -> Any:
    """Return an answer in which every object has a key that is newer than the schema, but where names are values."""
    if not isinstance(value, dict):
        return value
    plain = {"dynamic_variables", "metadata"}
    return {"new": 1, **{key: child if key in plain else renewed(child) for key, child in value.items()}}


@pytest.mark.parametrize("name", SAMPLES)
def test_documented_and_unknown_keys_pass(name: str) -> None:
    """Documented keys pass, and so do unknown keys, providers and models: published lists go stale."""
    for answer in (SAMPLES[name], renewed(SAMPLES[name]), {}, *OTHERS[name]):
        assert platform_of(name).answer_schema.validate(answer) == {}


@pytest.mark.parametrize(("name", "path"), [(name, path) for name, paths in WRONG.items() for path in paths])
def test_invalid_values_are_problems(name: str, path: str) -> None:
    """A value of a wrong type or out of range is a problem at its own place."""
    for value in WRONG[name][path]:
        problems: Any = platform_of(name).answer_schema.validate(changed(SAMPLES[name], path, value))
        for key in path.split("."):
            assert key in problems, value
            problems = problems[key]
        assert problems
