"""The JSON of the answer to ``call_inbound``: written, and what an override in it says."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

from flask_pickup.override import merge
from flask_pickup.platforms import closing
from flask_pickup.platforms.events import Answer, JsonObject, Rejection, Words
from flask_pickup.platforms.reading import json_object, mapping, mappings, text

GREETING, PROMPT = "pickup_greeting", "pickup_prompt"
"""The dynamic variables with the two texts of an answer. The platform has no other place for a prompt."""

_PICKUP = "pickup"
"""The key of our metadata."""

PRESETS = "retell."
"""How the keys begin of what the platform finds of every call, so that no field of an author's has such a name."""
SENTIMENTS = ("Negative", "Neutral", "Positive")
_PRESETS: Mapping[str, JsonObject] = {
    f"{PRESETS}call_successful": {"type": "boolean"},
    f"{PRESETS}in_voicemail": {"type": "boolean"},
    f"{PRESETS}user_sentiment": {"type": "string", "enum": list(SENTIMENTS)},
}


def write(answer: Answer | Rejection) -> dict[str, Any]:
    """Return the JSON of an answer. Where it has our keys, what is of a wrong type in the settings gives way to them."""
    if isinstance(answer, Answer):
        return _write(answer.words, answer.settings, answer.metadata)
    if not answer.words:
        return {"call_inbound": {"reject": True}}
    return _write(Words(answer.words, closing.PROMPT), answer.settings, answer.metadata)


def _write(said: Words, settings: JsonObject, metadata: JsonObject | None) -> dict[str, Any]:
    changes: dict[str, Any] = {}
    texts = ((GREETING, said.greeting), (PROMPT, said.prompt))
    if variables := {key: words for key, words in texts if words is not None}:
        changes["dynamic_variables"] = variables
    if said.greeting is not None and not _is_flow(settings):
        changes["agent_override"] = {"retell_llm": _opening(said.greeting, settings)}
    if metadata is not None:
        # A text, because the platform does not say that a value may be an object.
        changes["metadata"] = {_PICKUP: json.dumps(metadata, ensure_ascii=False)}
    body: dict[str, Any] = merge({"call_inbound": {}, **settings}, {"call_inbound": changes} if changes else {})
    call = body["call_inbound"]
    if isinstance(call, Mapping) and isinstance(call.get("dynamic_variables"), Mapping):
        variables = {key: _as_text(value) for key, value in call["dynamic_variables"].items()}
        body["call_inbound"] = {**call, "dynamic_variables": variables}
    return body


def _opening(greeting: str, settings: JsonObject) -> dict[str, Any]:
    # An agent that is saved to let the caller speak first would not say the greeting. An empty one asks for that.
    speaks = {"start_speaker": "agent"} if greeting and "start_speaker" not in _override(settings, "retell_llm") else {}
    return {**speaks, "begin_message": greeting}


def _as_text(value: Any) -> Any:
    """Return a number or a boolean as a text: the platform refuses an answer with another variable."""
    return json.dumps(value) if isinstance(value, bool | int | float) else value


def _is_flow(settings: JsonObject) -> bool:
    """Return whether an override is of an agent with a conversation flow, which has no ``begin_message``."""
    override = mapping(_call(settings).get("agent_override"))
    return "conversation_flow" in override and "retell_llm" not in override


def words(settings: JsonObject) -> Words:
    """Return the greeting and prompt."""
    variables = spoken(_call(settings).get("dynamic_variables"))
    greeting = text(_override(settings, "retell_llm").get("begin_message"), None)
    return Words(variables.greeting if greeting is None else greeting, variables.prompt)


def spoken(variables: Any) -> Words:
    """Return the greeting and prompt in dynamic variables."""
    return Words(*(text(mapping(variables).get(key), None) for key in (GREETING, PROMPT)))


def metadata(answer: JsonObject) -> JsonObject:
    """Return Pickup's metadata in an answer."""
    return metadata_of(_call(answer))


def metadata_of(call: JsonObject) -> JsonObject:
    """Return Pickup's metadata in a call, as it was sent or as a report has it."""
    return json_object(mapping(call.get("metadata")).get(_PICKUP)) or {}


def rejection(settings: JsonObject) -> str | None:
    """Return no words if an override rejects the call: the platform then says nothing."""
    return "" if _call(settings).get("reject") is True else None


def analysis_fields(settings: JsonObject) -> Mapping[str, JsonObject]:
    """Return the fields that an override adds to the analysis, and those that it always has."""
    return {**dict(_fields(settings)), **_PRESETS}


def _fields(settings: JsonObject) -> Iterator[tuple[str, JsonObject]]:
    for field in mappings(_override(settings, "agent").get("post_call_analysis_data")) or ():
        name, kind, choices = (field.get(key) for key in ("name", "type", "choices"))
        if isinstance(name, str) and kind in {"boolean", "number", "string"}:
            yield name, {"type": kind}
        elif isinstance(name, str) and kind == "enum" and isinstance(choices, list):
            yield name, {"type": "string", "enum": choices}


def _call(settings: JsonObject) -> Mapping[str, Any]:
    return mapping(settings.get("call_inbound"))


def _override(settings: JsonObject, group: str) -> Mapping[str, Any]:
    return mapping(mapping(_call(settings).get("agent_override")).get(group))
