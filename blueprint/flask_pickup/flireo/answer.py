"""The shape of the answer to ``assistant-request``, and what the report brings back of it."""

from __future__ import annotations

from collections.abc import Mapping
from hashlib import sha256
from itertools import product
from typing import Any

import orjson

Answer = dict[str, Any]

SAVED_AGENT: Mapping[str, Any] = {}
"""The answer after which the platform goes on with the agent as it is saved."""


def compose(override: Mapping[str, Any], *, opening: str = "", prompt: str = "") -> Answer:
    """Return the platform's answer for a rendered override, opening and prompt.

    ``override`` is not changed. If it rejects the call, by an ``error`` that did not come out empty, nothing else leaves;
    if it names a saved agent, what an author wrote under ``assistant`` becomes the override of that agent. What is of a
    wrong type in it stays, to be found by the schema.
    """
    if override.get("error", "") != "":
        return {"error": override["error"]}
    answer = {key: value for key, value in override.items() if key != "error"}
    assistant = answer.pop("assistant", {} if opening or prompt else None)
    if isinstance(assistant, Mapping):
        assistant = _with_words(assistant, opening, prompt)
    if assistant is not None:
        answer[_key(answer)] = assistant
    return answer


def reject(words: str) -> Answer:
    """Return the answer that turns a call away; the platform speaks ``words``."""
    return {"error": words}


def is_rejection(answer: Mapping[str, Any]) -> bool:
    """Return whether ``answer`` turns the call away."""
    return "error" in answer


def with_metadata(answer: Mapping[str, Any], pickup: Mapping[str, Any]) -> Answer:
    """Return ``answer`` with ``metadata.pickup``, beside the author's own metadata; ``sent`` is filled in here."""
    assistant = _assistant(answer)
    together = {**metadata(answer), "pickup": {**pickup, "sent": sent(assistant)}}
    return {**answer, _key(answer): {**assistant, "metadata": together}}


def sent(assistant: Mapping[str, Any]) -> str:
    """Return the SHA-256 of an assistant's opening and prompt, in hexadecimal.

    Both as JSON in a list without blank space, ``null`` for what is not there, so that no two pairs look alike.
    """
    return _hash(*_words(assistant))


def was_applied(digest: object, assistant: Mapping[str, Any]) -> bool:
    """Return whether ``assistant``, as a report shows it, says the words of the answer whose :func:`sent` is ``digest``.

    An opening or a prompt that the answer left out is the saved agent's, whatever it is.
    """
    opening, prompt = _words(assistant)
    return digest in {_hash(*words) for words in product({opening, None}, {prompt, None})}


def _words(assistant: Mapping[str, Any]) -> tuple[str | None, str | None]:
    model = assistant.get("llm_config")
    messages = model.get("messages") if isinstance(model, Mapping) else None
    prompt = messages[0].get("content") if isinstance(messages, list) and _leads_with_system(messages) else None
    opening = assistant.get("first_message")
    return opening if isinstance(opening, str) else None, prompt if isinstance(prompt, str) else None


def _hash(opening: str | None, prompt: str | None) -> str:
    return sha256(orjson.dumps([opening, prompt])).hexdigest()


def spoken(answer: Mapping[str, Any]) -> str | None:
    """Return the words that the caller hears first, if the answer decides them."""
    if is_rejection(answer):
        return str(answer["error"])
    opening = _assistant(answer).get("first_message")
    return None if opening is None else str(opening)


def prompt(answer: Mapping[str, Any]) -> str | None:
    """Return the system prompt, if the answer decides it."""
    model = _assistant(answer).get("llm_config")
    messages = model.get("messages") if isinstance(model, Mapping) else None
    leads = isinstance(messages, list) and _leads_with_system(messages)
    return str(messages[0].get("content")) if leads and messages else None


def metadata(answer: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return what the answer has under ``metadata``; empty if it has none."""
    found = _assistant(answer).get("metadata")
    return found if isinstance(found, Mapping) else {}


def resolved(answer: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return what the platform sends back of the answer with the call's report; empty if it sends nothing back."""
    return _assistant(answer)


def _assistant(answer: Mapping[str, Any]) -> Mapping[str, Any]:
    found = answer.get(_key(answer))
    return found if isinstance(found, Mapping) else {}


def _key(answer: Mapping[str, Any]) -> str:
    return "assistant_override" if "assistant_id" in answer else "assistant"


def _with_words(assistant: Mapping[str, Any], opening: str, prompt: str) -> dict[str, Any]:
    words: dict[str, Any] = {"first_message": opening} if opening else {}
    if prompt:
        words["llm_config"] = _with_prompt(assistant.get("llm_config", {}), prompt)
    return {**assistant, **words}


def _with_prompt(model: Any, prompt: str) -> Any:
    messages = model.get("messages", []) if isinstance(model, Mapping) else None
    if not isinstance(messages, list):
        return model
    rest = messages[1:] if _leads_with_system(messages) else messages
    return {**model, "messages": [{"role": "system", "content": prompt}, *rest]}


def _leads_with_system(messages: list[Any]) -> bool:
    return bool(messages) and isinstance(messages[0], Mapping) and messages[0].get("role") == "system"
