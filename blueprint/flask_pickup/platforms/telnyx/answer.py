"""The JSON of the answer to ``assistant.initialization``: written, and what an override in it says.

The greeting and the prompt are dynamic variables: the assistant's own greeting and instructions are nothing but these.
A missing one is left out, so that the assistant's default value of it is used.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from flask_pickup.override import merge
from flask_pickup.platforms.closing import as_spoken
from flask_pickup.platforms.events import Answer, JsonObject, Rejection, Words
from flask_pickup.platforms.reading import object_at
from flask_pickup.platforms.variables import GREETING, PROMPT, as_variables, packed, unpacked, words_in


def write(answer: Answer | Rejection) -> dict[str, Any]:
    """Return the JSON of an answer. Where it has our keys, what is of a wrong type in the settings gives way to them."""
    answer = as_spoken(answer)
    changes: dict[str, Any] = {}
    if variables := as_variables(answer.words):
        changes["dynamic_variables"] = variables
    if ours := packed(answer.metadata):
        changes["conversation"] = {"metadata": ours}
    body: dict[str, Any] = merge(answer.settings, changes)
    return body


def words(settings: JsonObject) -> Words:
    """Return the two variables."""
    return words_in(settings.get("dynamic_variables"))


def metadata(answer: JsonObject) -> JsonObject:
    """Return Pickup's metadata."""
    return unpacked(object_at(answer, "conversation", "metadata"))


def notes(answer: Answer | Rejection) -> Iterator[str]:
    """Yield what has to be set in the assistant."""
    if isinstance(answer, Rejection):
        yield "Give the assistant the hangup tool: closing words are its greeting, and a prompt tells it to hang up."
        return
    said = answer.words
    for field, name, value in (("greeting", GREETING, said.greeting), ("instructions", PROMPT, said.prompt)):
        when = "on every call, as content has none" if value is None else "where no answer came in time"
        yield f"Set the assistant's {field} to {{{{{name}}}}}, and a default value of it, which is used {when}."
    for name in sorted(object_at(answer.settings, "dynamic_variables").keys() - {GREETING, PROMPT}):
        yield f"Use {{{{{name}}}}} in the assistant, and set a default value of it."
