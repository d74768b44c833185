"""Answers with an assistant in them: platforms differ in the names of its keys, and in where they want it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from flask_pickup.platforms.events import Answer, JsonObject
from flask_pickup.platforms.reading import mapping, mappings, object_at, text


def rejection_in(settings: JsonObject) -> str | None:
    """Return the words of an ``error`` that did not come out empty."""
    return text(settings.get("error"), None) or None


def without_empty_error(settings: JsonObject) -> dict[str, Any]:
    """Return settings without an ``error`` that came out empty, which rejects no call."""
    return {key: value for key, value in settings.items() if (key, value) != ("error", "")}


def with_words(assistant: JsonObject, answer: Answer, *, greeting: str, model: str) -> dict[str, Any]:
    """Return an assistant with the greeting, the prompt and our metadata of an answer.

    :param greeting: the key of the first message.
    :param model: that of the model, in whose messages the prompt stands.
    """
    found = dict(assistant)
    if answer.words.greeting is not None:
        found[greeting] = answer.words.greeting
    if answer.words.prompt is not None:
        found[model] = _with_prompt(assistant.get(model, {}), answer.words.prompt)
    if answer.metadata is not None:
        found["metadata"] = {**mapping(assistant.get("metadata")), "pickup": answer.metadata}
    return found


def metadata_in(assistants: Iterable[JsonObject]) -> JsonObject:
    """Return Pickup's metadata in the first assistant that has it."""
    found = (object_at(assistant, "metadata", "pickup") for assistant in assistants)
    return next(filter(None, found), {})


def prompt_of(model: Any) -> str | None:
    """Return the prompt of a model: its first message, if that has the role ``system``."""
    messages = mappings(mapping(model).get("messages")) or ()
    return text(messages[0].get("content"), None) if _leads_with_system(messages) else None


def _with_prompt(model: Any, prompt: str) -> Any:
    """Return a model with another prompt, which replaces its own or goes before its messages.

    A model or messages of a wrong type stay as they are; the schema finds them.
    """
    messages = model.get("messages", []) if isinstance(model, Mapping) else None
    if not isinstance(messages, list):
        return model
    rest = messages[1:] if _leads_with_system(messages) else messages
    return {**model, "messages": [{"role": "system", "content": prompt}, *rest]}


def _leads_with_system(messages: Sequence[Any]) -> bool:
    return bool(messages) and mapping(messages[0]).get("role") == "system"
