"""The JSON of the answer to the request before a call: written, and what an override in it says."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from flask_pickup.override import KeyPath, leaves, merge
from flask_pickup.platforms.closing import as_spoken
from flask_pickup.platforms.events import Answer, JsonObject, Rejection, Words
from flask_pickup.platforms.reading import object_at, text
from flask_pickup.platforms.variables import packed, unpacked

TYPE = "conversation_initiation_client_data"
OVERRIDE, VARIABLES = "conversation_config_override", "dynamic_variables"

SUCCESSFUL = "elevenlabs.call_successful"
"""The key of what the platform finds of every call; no identifier of an author's has such a name."""

_TITLES: Mapping[Sequence[Any], str] = {
    ("agent", "first_message"): "First message",
    ("agent", "prompt", "prompt"): "System prompt",
    ("agent", "prompt", "llm"): "LLM",
    ("agent", "language"): "Agent language",
    ("tts", "voice_id"): "Voice",
}
"""How the agent's Security tab calls the fields that are overridden most."""


def write(answer: Answer | Rejection) -> dict[str, Any]:
    """Return the JSON of an answer. What is neither in the settings nor in the words is the saved agent's."""
    answer = as_spoken(answer)
    changes: dict[str, Any] = {"type": TYPE}
    agent: dict[str, Any] = {}
    if answer.words.greeting is not None:
        agent["first_message"] = answer.words.greeting
    if answer.words.prompt is not None:
        agent["prompt"] = {"prompt": answer.words.prompt}
    if agent:
        changes[OVERRIDE] = {"agent": agent}
    if variables := packed(answer.metadata):
        changes[VARIABLES] = variables
    written: dict[str, Any] = merge(answer.settings, changes)
    return written


def notes(answer: Answer | Rejection) -> Iterator[str]:
    """Yield which fields have to be enabled in the agent's Security tab for an answer."""
    written = write(answer)
    for path in leaves(written.get(OVERRIDE, {})):
        if path:
            yield _note(path)
    if "custom_llm_extra_body" in written:
        yield f"{_ENABLE} 'Custom LLM extra body'."
    if isinstance(answer, Rejection):
        yield "Add the system tool 'End call' to the agent: a call that is turned away ends by it."


_ENABLE = "In the Security tab of the agent, enable the override of"


def _note(path: KeyPath) -> str:
    dotted = ".".join(map(str, (OVERRIDE, *path)))
    title = f"'{_TITLES[path]}' ({dotted})" if path in _TITLES else f"'{dotted}'"
    return f"{_ENABLE} {title}: otherwise the call fails."


def words(settings: JsonObject) -> Words:
    """Return the greeting and prompt that an override contains, or the one that a report shows."""
    agent = object_at(settings, OVERRIDE, "agent")
    return Words(text(agent.get("first_message"), None), text(object_at(agent, "prompt").get("prompt"), None))


def metadata(answer: JsonObject) -> JsonObject:
    """Return Pickup's metadata in an answer, or in what a report shows of it."""
    return unpacked(answer.get(VARIABLES))


def analysis_fields(settings: JsonObject) -> Mapping[str, JsonObject]:  # noqa: ARG001 (the protocol's)
    """Return what the platform finds of every call. What else it finds is set in the agent, and no override changes it."""
    return {SUCCESSFUL: {"type": "boolean"}}
