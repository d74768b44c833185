"""The JSON of an answer: where the greeting, the prompt and our metadata go, and what an author wrote beside them."""

from __future__ import annotations

import copy
import json
from typing import Any

import pytest

from flask_pickup.platforms import Answer, Rejection, Words
from flask_pickup.platforms.retell import Retell

RETELL = Retell(("key_of-the-account",))
WORDS = Words("Good day.", "You are kind.")
SPOKEN = {"pickup_greeting": "Good day.", "pickup_prompt": "You are kind."}
OPENING = {"retell_llm": {"start_speaker": "agent", "begin_message": "Good day."}}


def answered(override: dict[str, Any], words: Words = WORDS, metadata: Any = None) -> Any:
    written = RETELL.answer(Answer(words, "en", {"call_inbound": override}, metadata))
    assert RETELL.answer_schema.validate(written) == {}
    return written["call_inbound"]


@pytest.mark.parametrize(
    ("override", "answer"),
    [
        ({}, {"dynamic_variables": SPOKEN, "agent_override": OPENING}),
        (
            {"override_agent_id": "agent_a", "agent_override": {"agent": {"voice_id": "v"}}},
            {"override_agent_id": "agent_a", "dynamic_variables": SPOKEN, "agent_override": {"agent": {"voice_id": "v"}, **OPENING}},
        ),
        (
            {"agent_override": {"retell_llm": {"start_speaker": "user", "begin_message": "Old."}}},
            {"dynamic_variables": SPOKEN, "agent_override": {"retell_llm": {"start_speaker": "user", "begin_message": "Good day."}}},
        ),
        # A conversation flow has no first message.
        (
            {"agent_override": {"conversation_flow": {}}},
            {"dynamic_variables": SPOKEN, "agent_override": {"conversation_flow": {}}},
        ),
        (
            {"dynamic_variables": {"seats": 4, "price": 7.5, "open": True, "name": "Jan", "pickup_prompt": "Old."}},
            {
                "dynamic_variables": {"seats": "4", "price": "7.5", "open": "true", "name": "Jan", **SPOKEN},
                "agent_override": OPENING,
            },
        ),
    ],
)  # fmt: skip
def test_answer_is_written(override: dict[str, Any], answer: dict[str, Any]) -> None:
    """Override, greeting and prompt become the platform's answer, and the override is not changed."""
    before = copy.deepcopy(override)
    assert answered(override) == answer
    assert override == before


@pytest.mark.parametrize("override", [{}, {"override_agent_id": "agent_a"}, {"metadata": {"a": 1}}])
def test_override_alone_is_the_answer(override: dict[str, Any]) -> None:
    """Without a greeting and a prompt the answer is what the author wrote."""
    assert answered(override, Words()) == override


def test_empty_greeting_lets_the_caller_speak_first() -> None:
    """The platform takes an empty first message for that, so nobody is made to speak first."""
    assert answered({}, Words(""))["agent_override"] == {"retell_llm": {"begin_message": ""}}


def test_metadata_is_one_text_beside_the_authors() -> None:
    """The vendor does not say which values metadata may hold, so ours is a text that reads back as it was."""
    metadata = {"v": 1, "call": "retell-a", "assignments": {"warm": {"arm": "warm"}}}
    written = answered({"metadata": {"branch": "north"}}, metadata=metadata)
    assert written["metadata"] == {"branch": "north", "pickup": json.dumps(metadata)}
    assert RETELL.metadata({"call_inbound": written}) == metadata
    assert RETELL.metadata({"call_inbound": {"metadata": {"pickup": metadata}}}) == metadata


@pytest.mark.parametrize("value", [None, "x", {}, {"pickup": None}, {"pickup": "{"}, {"pickup": [1]}])
def test_strange_metadata_is_none_of_ours(value: Any) -> None:
    """Metadata that is not ours, or that was cut short, is empty."""
    assert RETELL.metadata({"call_inbound": {"metadata": value}}) == {}


def test_silent_rejection_is_only_an_authors() -> None:
    """An override with ``reject`` rejects the call without words, and nothing else leaves."""
    assert RETELL.rejection({"call_inbound": {"reject": True}}) == ""
    assert RETELL.answer(Rejection("", {"v": 1})) == {"call_inbound": {"reject": True}}
    for other in (False, "true", 1, None):
        assert RETELL.rejection({"call_inbound": {"reject": other}}) is None


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"dynamic_variables": SPOKEN}, WORDS),
        ({"agent_override": {"retell_llm": {"begin_message": "Hi."}}, "dynamic_variables": SPOKEN}, Words("Hi.", "You are kind.")),
        ({"dynamic_variables": {"pickup_prompt": 5}, "agent_override": "x"}, Words()),
        ("x", Words()),
    ],
)  # fmt: skip
def test_words_of_an_override(settings: Any, words: Words) -> None:
    """An author may write the greeting as the first message or as our variable, and the prompt as a variable."""
    assert RETELL.words({"call_inbound": settings}) == words


def test_analysis_fields_are_the_overrides_and_the_presets() -> None:
    """An override's fields have the type and the choices that it names; the vendor's own have names of their own."""
    data = [
        {"name": "booked", "type": "boolean", "description": "Whether an appointment was made"},
        {"name": "intent", "type": "enum", "choices": ["book", "cancel"], "description": "Why"},
        {"name": "score", "type": "number", "description": "How well"},
        {"name": "call_successful", "type": "system-presets"},
        {"name": 5, "type": "number"},
        "x",
    ]
    fields = RETELL.analysis_fields({"call_inbound": {"agent_override": {"agent": {"post_call_analysis_data": data}}}})
    assert fields == {
        "booked": {"type": "boolean"},
        "intent": {"type": "string", "enum": ["book", "cancel"]},
        "score": {"type": "number"},
        "retell.call_successful": {"type": "boolean"},
        "retell.in_voicemail": {"type": "boolean"},
        "retell.user_sentiment": {"type": "string", "enum": ["Negative", "Neutral", "Positive"]},
    }


@pytest.mark.parametrize(
    ("answer", "named"),
    [
        (Answer(WORDS, "en"), ["{{pickup_prompt}}", "{{pickup_greeting}}"]),
        (Answer(Words("Hi."), "en"), ["{{pickup_greeting}}"]),
        (Answer(Words(), "en"), []),
        (Rejection("We are closed."), ["{{pickup_prompt}}", "{{pickup_greeting}}", "end_call"]),
        (Rejection(""), []),
    ],
)
def test_notes_say_what_the_agent_needs(answer: Answer | Rejection, named: list[str]) -> None:
    """Each note names the variable or the function that the agent has to have for this answer."""
    notes = list(RETELL.notes(answer))
    assert len(notes) == len(named)
    assert all(name in note for name, note in zip(named, notes, strict=True))
