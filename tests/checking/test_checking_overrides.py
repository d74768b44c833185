"""``check`` finds values that the platform rejects, misspelt keys, and keys that an experiment must not set."""

from __future__ import annotations

from pathlib import Path

from complaints import BASE, Fault, all_complaints, complaints_about, not_found, override

FAULTS = {
    # values
    "text-for-number": override({"max_duration_seconds": "300"}, "has to be a whole number", 2),
    "float-for-integer": override({"max_duration_seconds": 2.5}, "flireo rejects max_duration_seconds", 2),
    "number-for-text": override({"assistant": {"first_message": 1}}, "has to be a text, in quotes", 3),
    "text-for-boolean": override({"assistant": {"analysis_plan": {"structured_data_plan": {"enabled": "yes"}}}},
                                 "has to be true or false", 5),
    "text-for-object": override({"assistant": {"tts_config": "eleven"}}, "assistant.tts_config", 3),
    "temperature": override({"assistant": {"llm_config": {"temperature": 7}}}, "less than or equal to 2", 4),
    "role": override({"assistant": {"llm_config": {"messages": [{"role": "boss", "content": "Hi"}]}}},
                     "assistant.llm_config.messages.0.role", 6),
    "missing-voice": override({"assistant": {"tts_config": {"provider": "elevenlabs"}}}, "assistant.tts_config.voice_id", 3),
    "override-of-nobody": override({"assistant_override": {"first_message": "Hi."}}, "there is no assistant_id", 2),
    "empty-model": override({"assistant": {"llm_config": {"model": "{{ customer.model }}"}}}, "assistant.llm_config.model", 4),
    "no-json": override('{\n  "assistant": {,}\n}', "invalid JSON", 2),
    "no-object": override("[]", "write {…}", 1),
    "half-a-pair": override('{\n  "note": "\\ud800"\n}', "invalid JSON", 2),
    "deep": override("[" * 100_000, "depth limit exceeded", 1),
    "fails": override({"assistant": {"metadata": {"a": "{{ 1 / 0 }}"}}}, "ZeroDivisionError", 4),
    # keys
    "misspelt": override({"assistant": {"frist_message": "Hi."}}, "did you mean 'first_message'?", 3, "warning"),
    "misspelt-below": override({"assistant": {"llm_config": {"temprature": 1}}}, "did you mean 'temperature'?", 4, "warning"),
    "misplaced": override({"first_message": "Hi."}, "did you mean 'assistant.first_message'?", 2, "warning"),
    "platforms-own": override({"assistant_id": "a", "assistant_override": {"first_message": "Hi."}},
                              "write 'assistant'", 3, "warning"),
    "webhook-url": override({"assistant": {"webhook_url": "https://example.com"}}, "must not set 'webhook_url'", 3),
    "webhook-removed": override({"assistant": {"webhook_events": None}}, "must not set 'webhook_events'", 3),
    "tool-secret": override({"assistant": {"llm_config": {"tools": [{"server": {"headers": {"Authorization": "Bearer x"}}}]}}},
                            "keep it in greetings/", 8),
    "tool-key": override({"assistant": {"llm_config": {"tools": [{"api_key": "x"}]}}}, "'api_key' looks like a secret", 6),
}  # fmt: skip


def test_each_fault_is_found(tmp_path: Path) -> None:
    """Each fault has a complaint at its file and line, with the remedy."""
    assert not_found(all_complaints(tmp_path, FAULTS), FAULTS) == []


def test_prompt_needs_provider_and_model(tmp_path: Path) -> None:
    """A prompt without provider and model would take both from the agent: the platform replaces the whole block."""
    found = complaints_about(tmp_path, {"greetings/system_prompt.j2": "You are kind."})
    assert [(each["file"], each["level"]) for each in found] == [("greetings/system_prompt.j2", "error")] * 2
    assert all("write provider and model" in each["remedy"] for each in found)


def test_arm_that_takes_the_model_away(tmp_path: Path) -> None:
    """What an arm removes by null is missed there."""
    fault = override({"assistant": {"llm_config": {"model": None}}}, "llm_config.model")
    found = all_complaints(tmp_path, {"one": fault})
    assert [each["file"] for each in found] == ["experiments/one/warm/override.json"]


def test_base_may_set_what_an_experiment_must_not(tmp_path: Path) -> None:
    """Where reports go, and tools with their secrets, are set for all calls in greetings/; unknown keys may be new."""
    assistant = {
        **BASE["greetings/override.json"]["assistant"],
        "webhook_url": "https://example.com",
        "something_new": {"provider_of_it": "x"},
        "analysis_plan": {
            "structured_data_plan": {"messages": [{"role": "user", "content": "{{schema}} {{transcript}}"}]}
        },
    }
    assistant["llm_config"] = {**assistant["llm_config"], "tools": [{"api_key": "x"}]}
    assert complaints_about(tmp_path, {**BASE, "greetings/override.json": {"assistant": assistant}}) == []


def test_properties_of_a_tool_are_no_secrets(tmp_path: Path) -> None:
    """A tool that takes a token has one among its parameters."""
    tool = {"function": {"name": "f", "parameters": {"properties": {"token": {"type": "string"}}}}}
    good = Fault({"warm/override.json": {"assistant": {"llm_config": {"tools": [tool]}}}}, "", 0, "")
    assert all_complaints(tmp_path, {"tool": good}) == []
