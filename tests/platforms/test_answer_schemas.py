"""What each platform's schema of an answer accepts and finds; no value is coerced into another type."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from contracts import platform_of

FLIREO: dict[str, Any] = {
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
            "provider": "elevenlabs",
            "voice_id": "abc",
            "stability": 0.5,
            "similarity_boost": 1,
            "style": 0,
            "speed": 1.2,
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
}
VAPI: dict[str, Any] = {
    "firstMessageMode": "assistant-speaks-first",
    "model": {
        "provider": "openai",
        "model": "gpt-4o",
        "temperature": 0.7,
        "maxTokens": 250,
        "messages": [{"role": "system", "content": "Old."}],
        "tools": [{"type": "endCall"}],
    },
    "transcriber": {"provider": "deepgram", "model": "nova-3", "language": "multi"},
    "voice": {"provider": "11labs", "voiceId": "abc", "stability": 0.5, "similarityBoost": 1, "style": 0, "speed": 1.1},
    "analysisPlan": {
        "minMessagesThreshold": 2,
        "structuredDataPlan": {
            "enabled": True,
            "schema": {"type": "object"},
            "messages": [{"role": "user", "content": "{{transcript}}"}],
        },
        "successEvaluationPlan": {"enabled": True, "rubric": "PassFail"},
    },
    "artifactPlan": {"structuredOutputs": [{"name": "Booked", "schema": {"type": "boolean"}}]},
    "variableValues": {"name": "Ann"},
    "maxDurationSeconds": 300,
    "server": {"url": "https://calls.example/pickup/vapi"},
    "serverMessages": ["end-of-call-report"],
    "a key of tomorrow": {"deep": [None]},
}
ELEVENLABS: dict[str, Any] = {
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
RETELL: dict[str, Any] = {
    "override_agent_id": "agent_a",
    "override_agent_version": 3,
    "dynamic_variables": {"seats": 4, "open": True},
    "metadata": {"branch": "north"},
    "agent_override": {
        "agent": {"voice_id": "v", "language": "nl-NL", "voice_speed": 1.1, "max_call_duration_ms": 300_000, "new": 1},
        "retell_llm": {"start_speaker": "agent", "model_temperature": 0.4, "new": 1},
    },
    "new": 1,
}
TELNYX: dict[str, Any] = {
    "dynamic_variables": {"clinic": "De Linde", "open": True, "score": 1.5},
    "memory": {"conversation_query": "limit=5"},
    "conversation": {"metadata": {"tier": "gold"}},
    "something_new": {"deep": [1]},
}
VALID: dict[str, list[dict[str, Any]]] = {
    "flireo": [
        FLIREO,
        *({}, {"assistant": {}}, {"assistant": {"first_message": ""}}, {"assistant_id": "a"}, {"error": "Closed."}),
        {"assistant_id": "a", "assistant_override": FLIREO["assistant"], "max_duration_seconds": 1},
        {"assistant": {"new": 1, "tts_config": {"provider": "x", "voice_id": "y", "new": {}}}, "new": {"deep": [None]}},
        {"assistant": {"llm_config": {"provider": "a provider of tomorrow", "model": "its-model-9"}}},
    ],
    "vapi": [{"assistant": VAPI}, {"assistantId": "a", "assistantOverrides": VAPI}],
    "elevenlabs": [ELEVENLABS, {}, {"type": "conversation_initiation_client_data"}],
    "retell": [{"call_inbound": RETELL}, {"call_inbound": {}}],
    "telnyx": [TELNYX, {}],
}
"""For each platform a whole answer, and others."""

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
"""For each platform a path into the whole answer, and values that cannot stand there."""


def changed(answer: dict[str, Any], path: str, value: Any) -> dict[str, Any]:
    """Return an answer with another value at a path."""
    found = copy.deepcopy(answer)
    *above, last = path.split(".")
    block = found
    for key in above:
        block = block.setdefault(key, {})
    block[last] = value
    return found


@pytest.mark.parametrize("name", VALID)
def test_documented_and_unknown_keys_pass(name: str) -> None:
    """All documented keys pass, and so do unknown keys, providers and models: published lists go stale."""
    for answer in VALID[name]:
        assert platform_of(name).answer_schema.validate(answer) == {}


@pytest.mark.parametrize(("name", "path"), [(name, path) for name, paths in WRONG.items() for path in paths])
def test_invalid_values_are_problems(name: str, path: str) -> None:
    """A value of a wrong type or out of range is a problem at its own place, and nowhere else."""
    for value in WRONG[name][path]:
        problems: Any = platform_of(name).answer_schema.validate(changed(VALID[name][0], path, value))
        for key in path.split("."):
            assert key in problems, value
            problems = problems[key]
        assert problems
