"""How a call is turned away on a platform that cannot reject it with words: they are the greeting, and the prompt ends the call."""

from __future__ import annotations

from flask_pickup.platforms.events import Answer, Rejection, Words

PROMPT = (
    "The business cannot take this call now, and your greeting has told the caller so. "
    "Do not offer help, answer questions or take messages. "
    "Whatever the caller says, say goodbye in their language and end the call at once."
)
"""Needs a tool with which the agent ends calls."""


def as_spoken(answer: Answer | Rejection) -> Answer:
    """Return the answer that says the words of a rejection; any other answer as it is."""
    if isinstance(answer, Answer):
        return answer
    return Answer(Words(answer.words, PROMPT), "", answer.settings, answer.metadata)
