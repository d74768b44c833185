"""The JSON of the answer to ``assistant-request``: written, and what an override in it says."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from flask_pickup.platforms.assistants import metadata_in, prompt_of, with_words, without_empty_error
from flask_pickup.platforms.events import Answer, JsonObject, Rejection, Words
from flask_pickup.platforms.json_schema import properties_of
from flask_pickup.platforms.reading import mapping, object_at, text


def write(answer: Answer | Rejection) -> dict[str, Any]:
    """Return the JSON of an answer. A value of a wrong type in the settings stays; the schema finds it."""
    if isinstance(answer, Rejection):
        return {"error": answer.words}
    body = without_empty_error(answer.settings)
    is_spoken = answer.words != Words() or answer.metadata is not None
    assistant = body.pop("assistant", {} if is_spoken else None)
    if isinstance(assistant, Mapping):
        assistant = with_words(assistant, answer, greeting="first_message", model="llm_config")
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
    # An override replaces the agent's own metadata, so it comes first.
    return metadata_in(mapping(answer.get(key)) for key in ("assistant_override", "assistant"))


def analysis_fields(settings: JsonObject) -> Mapping[str, JsonObject]:
    """Return the properties of the JSON Schema in the assistant's analysis plan; none if it is turned off."""
    plan = object_at(settings, "assistant", "analysis_plan", "structured_data_plan")
    return {} if plan.get("enabled") is False else properties_of(mapping(plan.get("schema")))
