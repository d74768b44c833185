"""The JSON of the answer to ``call_inbound``: written, and what an override in it says."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

from flask_pickup.override import merge
from flask_pickup.platforms.closing import as_spoken
from flask_pickup.platforms.events import Answer, JsonObject, Rejection, Words
from flask_pickup.platforms.reading import mapping, mappings, object_at, text
from flask_pickup.platforms.variables import GREETING, PROMPT, as_variables, packed, unpacked, words_in

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
    if isinstance(answer, Rejection) and not answer.words:
        return {"call_inbound": {"reject": True}}
    answer = as_spoken(answer)
    settings, greeting = answer.settings, answer.words.greeting
    override = object_at(settings, "call_inbound", "agent_override")
    changes: dict[str, Any] = {"dynamic_variables": as_variables(answer.words), "metadata": packed(answer.metadata)}
    # A conversation flow has no first message.
    if greeting is not None and ("retell_llm" in override or "conversation_flow" not in override):
        changes["agent_override"] = {"retell_llm": _opening(greeting, mapping(override.get("retell_llm")))}
    changes = {key: value for key, value in changes.items() if value}
    body: dict[str, Any] = merge({"call_inbound": {}, **settings}, {"call_inbound": changes} if changes else {})
    if variables := object_at(body, "call_inbound", "dynamic_variables"):
        texts = {key: _as_text(value) for key, value in variables.items()}
        body["call_inbound"] = {**body["call_inbound"], "dynamic_variables": texts}
    return body


def _opening(greeting: str, llm: JsonObject) -> dict[str, Any]:
    # An agent that is saved to let the caller speak first would not say the greeting. An empty one asks for that.
    speaks = {"start_speaker": "agent"} if greeting and "start_speaker" not in llm else {}
    return {**speaks, "begin_message": greeting}


def _as_text(value: Any) -> Any:
    """Return a number or a boolean as a text: the platform refuses an answer with another variable."""
    return json.dumps(value) if isinstance(value, bool | int | float) else value


def notes(answer: Answer | Rejection) -> Iterator[str]:
    """Yield where the agent has to use our dynamic variables, and what ends a call that is turned away."""
    written = words(write(answer))
    if written.prompt is not None:
        yield f"The agent's prompt has to be {{{{{PROMPT}}}}}, or to contain it, with a default for calls without answer."
    if written.greeting:
        yield f"An agent with a conversation flow has to say {{{{{GREETING}}}}} in its first node."
    if isinstance(answer, Rejection) and answer.words:
        yield "The agent needs the function end_call, with which it ends the call after the closing words."


def words(settings: JsonObject) -> Words:
    """Return the greeting and prompt."""
    variables = words_in(object_at(settings, "call_inbound", "dynamic_variables"))
    greeting = text(object_at(settings, "call_inbound", "agent_override", "retell_llm").get("begin_message"), None)
    return Words(variables.greeting if greeting is None else greeting, variables.prompt)


def metadata(answer: JsonObject) -> JsonObject:
    """Return Pickup's metadata in an answer."""
    return unpacked(object_at(answer, "call_inbound", "metadata"))


def rejection(settings: JsonObject) -> str | None:
    """Return no words if an override rejects the call: the platform then says nothing."""
    return "" if object_at(settings, "call_inbound").get("reject") is True else None


def analysis_fields(settings: JsonObject) -> Mapping[str, JsonObject]:
    """Return the fields that an override adds to the analysis, and those that it always has."""
    return {**dict(_fields(settings)), **_PRESETS}


def _fields(settings: JsonObject) -> Iterator[tuple[str, JsonObject]]:
    agent = object_at(settings, "call_inbound", "agent_override", "agent")
    for field in mappings(agent.get("post_call_analysis_data")) or ():
        name, kind, choices = (field.get(key) for key in ("name", "type", "choices"))
        if isinstance(name, str) and kind in {"boolean", "number", "string"}:
            yield name, {"type": kind}
        elif isinstance(name, str) and kind == "enum" and isinstance(choices, list):
            yield name, {"type": "string", "enum": choices}
