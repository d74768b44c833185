"""The JSON of the answer to ``assistant-request``: written, and what an override in it says."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from flask_pickup.override import merge
from flask_pickup.platforms.assistants import metadata_in, prompt_of, with_words, without_empty_error
from flask_pickup.platforms.events import Answer, JsonObject, Rejection, Words
from flask_pickup.platforms.json_schema import properties_of, resolved
from flask_pickup.platforms.reading import mapping, mappings, object_at, text, words_of

SUCCESS = "success_evaluation"
"""The finding's name for the platform's ``successEvaluation``."""

_OVERRIDES = "assistantOverrides"
_OTHERS = frozenset({"squadId", "squad", "workflowId", "workflow", "destination"})
"""Keys of an answer by which something else than an assistant takes the call."""
_RUBRICS = {"PassFail": "boolean", "NumericScale": "number", "PercentageScale": "number"}
"""Rubrics of the success evaluation that give a number or a boolean, and its type in JSON Schema."""


def write(answer: Answer | Rejection, assistant_id: str) -> dict[str, Any]:
    """Return the JSON of an answer. A value of a wrong type in the settings stays; the schema finds it.

    :param assistant_id: the saved assistant where the settings name none and have no whole one.
    """
    if isinstance(answer, Rejection):
        return {"error": answer.words}
    body = without_empty_error(answer.settings)
    if not _OTHERS.isdisjoint(body):
        return body
    is_saved = _is_saved(body)
    assistant = merge(body.pop(_OVERRIDES, {}), body.pop("assistant", {}))
    if is_saved:
        body.setdefault("assistantId", assistant_id)
    if isinstance(assistant, Mapping):
        if answer.words.greeting is not None:
            # A saved assistant may wait for the caller, or let its model greet.
            assistant = {"firstMessageMode": "assistant-speaks-first", **assistant}
        assistant = with_words(assistant, answer, greeting="firstMessage", model="model")
    if assistant != {}:
        # Authors may write what a saved assistant is overridden with under the same key as a whole assistant.
        body[_OVERRIDES if is_saved else "assistant"] = assistant
    return body


def notes(answer: Answer | Rejection) -> Iterator[str]:
    """Yield what has to be set at the vendor for an answer to be heard and reported."""
    settings = answer.settings if isinstance(answer, Answer) else {"error": answer.words}
    if not _OTHERS.isdisjoint(settings):
        yield "Vapi gets no greeting and no prompt with an answer that names a squad, a workflow or a destination."
        return
    if "error" in settings:
        return
    is_saved = _is_saved(settings)
    if not is_saved:
        yield "Vapi uses the 'assistant' of the override alone. To change a saved one, write 'assistantOverrides' instead."
    if any("server" in assistant for assistant in _assistants(settings)):
        yield "Vapi sends all events of the call to the 'server' of the override, the tool calls of the assistant too."
    elif is_saved:
        yield (
            "Vapi sends the report to the saved assistant's own server URL if it has one, and not to Pickup. Remove that URL, "
            "or write 'server' under 'assistantOverrides' in the override of greetings/."
        )


def _is_saved(settings: JsonObject) -> bool:
    """Return whether a saved assistant takes the call. A whole one in the settings has a model, and nothing names a saved one."""
    return not {"assistantId", _OVERRIDES}.isdisjoint(settings) or "model" not in mapping(settings.get("assistant"))


def words(settings: JsonObject) -> Words:
    """Return the greeting and the prompt of an assistant; those that override a saved one come first."""
    found = list(_assistants(settings))
    greetings = [text(assistant.get("firstMessage"), None) for assistant in found]
    prompts = [prompt_of(assistant.get("model")) for assistant in found]
    return Words(*(next((each for each in texts if each is not None), None) for texts in (greetings, prompts)))


def metadata(answer: JsonObject) -> JsonObject:
    """Return Pickup's metadata."""
    return metadata_in(_assistants(answer))


def analysis_fields(settings: JsonObject) -> Mapping[str, JsonObject]:
    """Return what the plans of an assistant let its analysis find: key to JSON Schema."""
    found: dict[str, JsonObject] = {}
    for assistant in _assistants(settings):
        for output in mappings(object_at(assistant, "artifactPlan").get("structuredOutputs")) or ():
            schema = mapping(output.get("schema"))
            found |= properties_of(schema) or {output_name(output): resolved(schema, schema)}
        plan = object_at(assistant, "analysisPlan")
        data, success = (object_at(plan, key) for key in ("structuredDataPlan", "successEvaluationPlan"))
        found |= {} if data.get("enabled") is False else properties_of(mapping(data.get("schema")))
        # A plan evaluates the success unless it says otherwise.
        if plan and success.get("enabled") is not False:
            found[SUCCESS] = {"type": _RUBRICS.get(success.get("rubric", "PassFail"), "string")}
    return found


def output_name(output: JsonObject) -> str:
    """Return the finding's name for a structured output that is no object: the output's own, in small letters."""
    return "_".join(words_of(text(output.get("name")) or ""))


def _assistants(settings: JsonObject) -> Iterator[JsonObject]:
    yield mapping(settings.get(_OVERRIDES))
    yield mapping(settings.get("assistant"))
