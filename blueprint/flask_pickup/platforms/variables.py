"""What Pickup gives to a platform as plain values by name: the words as dynamic variables, and our metadata as a text."""

from __future__ import annotations

import json
from typing import Any

from flask_pickup.platforms.events import JsonObject, Words
from flask_pickup.platforms.reading import json_object, mapping, text

GREETING, PROMPT = "pickup_greeting", "pickup_prompt"
"""The variables with the two texts of an answer, where the platform has no other place for a prompt."""

_PICKUP = "pickup"


def as_variables(words: Words) -> dict[str, str]:
    """Return the variables with a greeting and a prompt; a missing one is left out."""
    texts = ((GREETING, words.greeting), (PROMPT, words.prompt))
    return {name: said for name, said in texts if said is not None}


def words_in(variables: Any) -> Words:
    """Return the greeting and the prompt in variables."""
    return Words(*(text(mapping(variables).get(name), None) for name in (GREETING, PROMPT)))


def packed(metadata: JsonObject | None) -> dict[str, str]:
    """Return Pickup's metadata as one text, because platforms do not say that a value may be an object; empty if there is none."""
    return {} if metadata is None else {_PICKUP: json.dumps(metadata, ensure_ascii=False)}


def unpacked(values: Any) -> JsonObject:
    """Return Pickup's metadata in what a platform brings back."""
    return json_object(mapping(values).get(_PICKUP)) or {}
