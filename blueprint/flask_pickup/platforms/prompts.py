"""The system prompt among the messages of a model, on platforms that write it there."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from flask_pickup.platforms.reading import mapping, mappings, text


def prompt_of(model: Any) -> str | None:
    """Return the prompt of a model: its first message, if that has the role ``system``."""
    messages = mappings(mapping(model).get("messages")) or ()
    return text(messages[0].get("content"), None) if _leads_with_system(messages) else None


def with_prompt(model: Any, prompt: str) -> Any:
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
