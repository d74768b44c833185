"""Reading what was said on a call, in the shapes of platforms and of the models behind them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any

from flask_pickup.platforms.events import JsonObject, Unread
from flask_pickup.platforms.reading import words_of

_CALLER = "user"
_CALLERS = {_CALLER, "caller", "client", "customer", "human"}
_INSTRUCTIONS = {"developer", "system"}
_OTHERS = {"agent", "ai", "assistant", "bot", "function", "model", "tool", "transfer", *_INSTRUCTIONS}
_TEXTS = ("content", "message", "text", "transcript", "value")
_DEPTH = 6
_NAMES = ("messages", "messagesOpenAIFormatted", "transcript_object", "transcript", "transcript_with_tool_calls")
"""What platforms and their earlier versions call a transcript."""


def read_transcript(unread: Counter[Unread], *holders: JsonObject) -> dict[str, Any]:
    """Return the ``transcript`` of a report, and its number of ``user_messages``; None of what is unknown.

    A message has ``role``, which is ``user`` for the caller, and ``content``; one without words is left out, as is the prompt.

    :param unread: counts the messages that cannot be read.
    :param holders: the objects that may have it, under any of its names. A list wins over a text; an empty one is none.
    """
    sent = [value for holder in holders for name in _NAMES if (value := holder.get(name))]
    if not sent:
        return {"transcript": None, "user_messages": None}
    value = next((each for each in sent if isinstance(each, list)), sent[0])
    read = [(_role(each), _words(each)) for each in value] if isinstance(value, list) else [(None, "")]
    said = ((role, words) for role, words in read if role and words and _INSTRUCTIONS.isdisjoint(words_of(role)))
    messages = tuple({"role": role, "content": words} for role, words in said)
    # Without its words another's message does not matter: it may be the use of a tool.
    if lost := sum(role is None or (role == _CALLER and not words) for role, words in read):
        unread["messages"] += lost
    count = None if lost else sum(each["role"] == _CALLER for each in messages)
    return {"transcript": messages, "user_messages": count}


def _role(message: Any) -> str | None:
    """Return who said something, as far as that matters; ``None`` if it is unknown."""
    role = message.get("role") if isinstance(message, Mapping) else None
    words = set(words_of(role)) if isinstance(role, str) else set()
    # In this order, because a human agent is an agent.
    return role if words & _OTHERS else _CALLER if words & _CALLERS else None


def _words(value: Any, depth: int = _DEPTH) -> str:
    """Return the words of a message, a part of it, or a list of parts; empty if it has none that can be read."""
    if isinstance(value, str):
        return value.strip()
    if not isinstance(value, list | Mapping) or not depth:
        return ""
    parts = value if isinstance(value, list) else [value.get(key) for key in _TEXTS]
    read = list(filter(None, (_words(each, depth - 1) for each in parts)))
    # Usually one key of an object has the words, and another is empty.
    return " ".join(read if isinstance(value, list) else read[:1])
