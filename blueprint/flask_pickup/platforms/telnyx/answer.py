"""The JSON of the answer to ``assistant.initialization``: written, and what an override in it says.

The greeting and the prompt are dynamic variables: the assistant's own greeting and instructions are nothing but these.
A missing one is left out, so that the assistant's default value of it is used.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from flask_pickup.platforms import closing
from flask_pickup.platforms.events import Answer, JsonObject, Rejection, Words
from flask_pickup.platforms.reading import json_object, mapping, text
from flask_pickup.platforms.sampling import encode

_GREETING = "pickup_greeting"
_PROMPT = "pickup_prompt"


def write(answer: Answer | Rejection) -> dict[str, Any]:
    """Return the JSON of an answer. A value of a wrong type in the settings stays; the schema finds it."""
    words, settings = answer.words, answer.settings
    if isinstance(words, str):
        words = Words(words, closing.PROMPT)
    said = {_GREETING: words.greeting, _PROMPT: words.prompt}
    body = _with(settings, "dynamic_variables", {key: value for key, value in said.items() if value is not None})
    if answer.metadata is not None:
        # The values of a conversation's metadata are texts.
        ours = _with(mapping(body.get("conversation")), "metadata", {"pickup": encode(answer.metadata).decode()})
        body = _with(body, "conversation", ours)
    return body


def words(settings: JsonObject) -> Words:
    """Return the two variables."""
    variables = mapping(settings.get("dynamic_variables"))
    return Words(text(variables.get(_GREETING), None), text(variables.get(_PROMPT), None))


def metadata(answer: JsonObject) -> JsonObject:
    """Return Pickup's metadata."""
    return of_conversation(mapping(answer.get("conversation")))


def of_conversation(conversation: JsonObject) -> JsonObject:
    """Return Pickup's metadata in that of a conversation."""
    return json_object(mapping(conversation.get("metadata")).get("pickup")) or {}


def notes(answer: Answer | Rejection) -> Iterator[str]:
    """Yield what has to be set in the assistant."""
    if isinstance(answer, Rejection):
        yield "Give the assistant the hangup tool: closing words are its greeting, and a prompt tells it to hang up."
        return
    words = answer.words
    for field, name, value in (("greeting", _GREETING, words.greeting), ("instructions", _PROMPT, words.prompt)):
        when = "on every call, as content has none" if value is None else "where no answer came in time"
        yield f"Set the assistant's {field} to {{{{{name}}}}}, and a default value of it, which is used {when}."
    for name in sorted(mapping(answer.settings.get("dynamic_variables")).keys() - {_GREETING, _PROMPT}):
        yield f"Use {{{{{name}}}}} in the assistant, and set a default value of it."


def _with(body: JsonObject, key: str, values: JsonObject) -> dict[str, Any]:
    """Return ``body`` with ``values`` in the object at ``key``."""
    found = body.get(key, {})
    if not values or not isinstance(found, Mapping):
        return dict(body)
    return {**body, key: {**found, **values}}
