"""The answer in the platform's JSON: variables that are texts, our metadata, and what an author may write."""

from __future__ import annotations

from base64 import b64encode
from typing import Any

from flask_pickup.options import ConfigReader
from flask_pickup.platforms import Answer, Rejection, Words, enabled_platforms

TELNYX = enabled_platforms(ConfigReader({"PICKUP_TELNYX_PUBLIC_KEY": b64encode(bytes(32)).decode()}))["telnyx"]
WORDS = Words("Good day.", "You are kind.")


def test_words_are_two_variables_beside_the_authors() -> None:
    """The greeting and the prompt join the author's variables; memory and metadata stay."""
    settings: dict[str, Any] = {
        "dynamic_variables": {"clinic": "De Linde", "pickup_greeting": "Base."},
        "memory": {"conversation_query": "limit=5"},
        "conversation": {"metadata": {"tier": "gold"}},
    }
    assert TELNYX.answer(Answer(WORDS, "en", settings, {"v": 1})) == {
        "dynamic_variables": {"clinic": "De Linde", "pickup_greeting": "Good day.", "pickup_prompt": "You are kind."},
        "memory": {"conversation_query": "limit=5"},
        "conversation": {"metadata": {"tier": "gold", "pickup": '{"v": 1}'}},
    }
    assert settings["dynamic_variables"]["pickup_greeting"] == "Base."


def test_missing_words_are_left_to_the_assistant() -> None:
    """A text that content has not is no variable: the assistant's default value of it is used, not an empty text."""
    assert TELNYX.answer(Answer(Words("Good day."), "en")) == {"dynamic_variables": {"pickup_greeting": "Good day."}}
    assert TELNYX.answer(Answer(Words(), "en")) == TELNYX.default() == {}


def test_notes_say_what_to_set_in_the_assistant() -> None:
    """Each variable has to be used there, with a default value; closing words need a tool."""
    greeting, instructions, other = TELNYX.notes(
        Answer(Words("Good day."), "en", {"dynamic_variables": {"clinic": "x"}})
    )
    assert greeting.startswith("Set the assistant's greeting to {{pickup_greeting}}, and a default value of it")
    assert greeting.endswith("used where no answer came in time.")
    assert instructions.startswith("Set the assistant's instructions to {{pickup_prompt}}, and a default value of it")
    assert instructions.endswith("used on every call, as content has none.")
    assert other == "Use {{clinic}} in the assistant, and set a default value of it."
    [note] = TELNYX.notes(Rejection("We are closed."))
    assert "the hangup tool" in note
