"""The JSON of the answer to the request before a call: written, and what an override in it says."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from flask_pickup.override import KeyPath, leaves, merge
from flask_pickup.platforms import closing
from flask_pickup.platforms.events import Answer, JsonObject, Rejection, Words
from flask_pickup.platforms.reading import json_object, mapping, text

TYPE = "conversation_initiation_client_data"
OVERRIDE, VARIABLES = "conversation_config_override", "dynamic_variables"

SUCCESSFUL = "elevenlabs.call_successful"
"""The key of what the platform finds of every call; no identifier of an author's has such a name."""

_PICKUP = "pickup"
"""The dynamic variable with our metadata, as a JSON text: the value of a variable is no object."""
_GREETING = ("agent", "first_message")
_PROMPT = ("agent", "prompt", "prompt")
_TITLES: Mapping[Sequence[Any], str] = {
    _GREETING: "First message",
    _PROMPT: "System prompt",
    ("agent", "prompt", "llm"): "LLM",
    ("agent", "language"): "Agent language",
    ("tts", "voice_id"): "Voice",
}
"""How the agent's Security tab calls the fields that are overridden most."""


def write(answer: Answer | Rejection) -> dict[str, Any]:
    """Return the JSON of an answer. What is neither in the settings nor in the words is the saved agent's."""
    if isinstance(answer, Rejection):
        answer = Answer(Words(answer.words, closing.PROMPT), "", answer.settings, answer.metadata)
    said = answer.words
    agent = {"first_message": said.greeting, "prompt": None if said.prompt is None else {"prompt": said.prompt}}
    changes: dict[str, Any] = {"type": TYPE}
    if spoken := {key: value for key, value in agent.items() if value is not None}:
        changes[OVERRIDE] = {"agent": spoken}
    if answer.metadata is not None:
        changes[VARIABLES] = {_PICKUP: json.dumps(answer.metadata, ensure_ascii=False)}
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
    override = mapping(settings.get(OVERRIDE))
    return Words(_text_at(override, _GREETING), _text_at(override, _PROMPT))


def metadata(answer: JsonObject) -> JsonObject:
    """Return Pickup's metadata in an answer, or in what a report shows of it."""
    return json_object(mapping(answer.get(VARIABLES)).get(_PICKUP)) or {}


def rejection(_: JsonObject) -> str | None:
    """Return None: the platform cannot reject a call."""
    return None


def analysis_fields(_: JsonObject) -> Mapping[str, JsonObject]:
    """Return what the platform finds of every call. What else it finds is set in the agent, and no override changes it."""
    return {SUCCESSFUL: {"type": "boolean"}}


def _text_at(value: JsonObject, path: Sequence[str]) -> str | None:
    *above, last = path
    for key in above:
        value = mapping(value.get(key))
    return text(value.get(last), None)
