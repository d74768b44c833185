"""The JSON of the answer to ``assistant-request``."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from flask_pickup.platforms.events import Answer, JsonObject, Rejection, Words


def write(answer: Answer | Rejection) -> dict[str, Any]:
    """Return the platform's JSON. A value of a wrong type in the settings stays; the schema finds it."""
    if isinstance(answer, Rejection):
        return {"error": answer.words}
    body = {key: value for key, value in answer.settings.items() if (key, value) != ("error", "")}
    is_spoken = answer.words != Words() or answer.metadata is not None
    assistant = body.pop("assistant", {} if is_spoken else None)
    if isinstance(assistant, Mapping):
        assistant = _with_metadata(_with_words(assistant, answer.words), answer.metadata)
    if assistant is not None:
        # Authors write what a saved agent is overridden with under the same key as a whole assistant.
        body["assistant_override" if "assistant_id" in body else "assistant"] = assistant
    return body


def words(settings: JsonObject) -> Words:
    """Return the greeting and prompt that an override contains."""
    return words_of(settings.get("assistant"))


def words_of(assistant: object) -> Words:
    """Return the greeting and prompt of an assistant."""
    if not isinstance(assistant, Mapping):
        return Words()
    greeting, model = assistant.get("first_message"), assistant.get("llm_config")
    messages = model.get("messages") if isinstance(model, Mapping) else None
    prompt = messages[0].get("content") if isinstance(messages, list) and _leads_with_system(messages) else None
    return Words(greeting if isinstance(greeting, str) else None, prompt if isinstance(prompt, str) else None)


def rejection(settings: JsonObject) -> str | None:
    """Return the words of an ``error`` that did not come out empty."""
    error = settings.get("error")
    return error if isinstance(error, str) and error else None


def analysis_fields(assistant: object) -> dict[str, JsonObject]:
    """Return the properties of the JSON Schema in an assistant's analysis plan."""
    found: Any = assistant
    for key in ("analysis_plan", "structured_data_plan", "schema", "properties"):
        found = found.get(key) if isinstance(found, Mapping) else None
    if not isinstance(found, Mapping):
        return {}
    return {key: schema for key, schema in found.items() if isinstance(schema, Mapping)}


def _with_words(assistant: JsonObject, said: Words) -> dict[str, Any]:
    changed: dict[str, Any] = {} if said.greeting is None else {"first_message": said.greeting}
    if said.prompt is not None:
        changed["llm_config"] = _with_prompt(assistant.get("llm_config", {}), said.prompt)
    return {**assistant, **changed}


def _with_prompt(model: Any, prompt: str) -> Any:
    messages = model.get("messages", []) if isinstance(model, Mapping) else None
    if not isinstance(messages, list):
        return model
    rest = messages[1:] if _leads_with_system(messages) else messages
    return {**model, "messages": [{"role": "system", "content": prompt}, *rest]}


def _leads_with_system(messages: list[Any]) -> bool:
    return bool(messages) and isinstance(messages[0], Mapping) and messages[0].get("role") == "system"


def _with_metadata(assistant: dict[str, Any], pickup: JsonObject | None) -> dict[str, Any]:
    if pickup is None:
        return assistant
    authors = assistant.get("metadata")
    return {**assistant, "metadata": {**(authors if isinstance(authors, Mapping) else {}), "pickup": pickup}}
