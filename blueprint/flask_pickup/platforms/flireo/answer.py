"""The JSON of the answer to ``assistant-request``: written, and what an override in it says."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from flask_pickup.platforms.events import Answer, JsonObject, Rejection, Words
from flask_pickup.platforms.json_schema import properties_of
from flask_pickup.platforms.prompts import prompt_of, with_prompt
from flask_pickup.platforms.reading import mapping, text


def write(answer: Answer | Rejection) -> dict[str, Any]:
    """Return the JSON of an answer. A value of a wrong type in the settings stays; the schema finds it."""
    if isinstance(answer, Rejection):
        return {"error": answer.words}
    body = {key: value for key, value in answer.settings.items() if (key, value) != ("error", "")}
    is_spoken = answer.words != Words() or answer.metadata is not None
    assistant = body.pop("assistant", {} if is_spoken else None)
    if isinstance(assistant, Mapping):
        assistant = {**assistant, **_changes(assistant, answer)}
    if assistant is not None:
        # Authors write what a saved agent is overridden with under the same key as a whole assistant.
        body["assistant_override" if "assistant_id" in body else "assistant"] = assistant
    return body


def words(settings: JsonObject) -> Words:
    """Return the assistant's greeting and prompt."""
    assistant = mapping(settings.get("assistant") or settings.get("assistant_override"))
    return Words(text(assistant.get("first_message"), None), prompt_of(assistant.get("llm_config")))


def metadata(answer: JsonObject) -> JsonObject:
    """Return Pickup's metadata."""
    assistants = (mapping(answer.get(key)) for key in ("assistant_override", "assistant"))
    # An override replaces the agent's own metadata, so it comes first.
    found = next(filter(None, (mapping(assistant.get("metadata")) for assistant in assistants)), {})
    return mapping(found.get("pickup"))


def rejection(settings: JsonObject) -> str | None:
    """Return the words of an ``error`` that did not come out empty."""
    return text(settings.get("error"), None) or None


def analysis_fields(settings: JsonObject) -> Mapping[str, JsonObject]:
    """Return the properties of the JSON Schema in the assistant's analysis plan; none if it is turned off."""
    for key in ("assistant", "analysis_plan", "structured_data_plan"):
        settings = mapping(settings.get(key))
    return {} if settings.get("enabled") is False else properties_of(mapping(settings.get("schema")))


def _changes(assistant: JsonObject, answer: Answer) -> dict[str, Any]:
    changes: dict[str, Any] = {}
    if answer.words.greeting is not None:
        changes["first_message"] = answer.words.greeting
    if answer.words.prompt is not None:
        changes["llm_config"] = with_prompt(assistant.get("llm_config", {}), answer.words.prompt)
    if answer.metadata is not None:
        changes["metadata"] = {**mapping(assistant.get("metadata")), "pickup": answer.metadata}
    return changes
