"""The JSON of an answer: what a rejection, a saved agent, a prompt and the metadata make of what an author wrote."""

from __future__ import annotations

import copy
from hashlib import sha256
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from conftest import FLIREO
from flask_pickup.assignment import Assigned
from flask_pickup.metadata import Metadata, digest
from flask_pickup.platforms import Answer, Rejection, Words

MODEL = {"provider": "openai", "model": "gpt-4o"}
USER = {"role": "user", "content": "Hi."}
OLD = {"role": "system", "content": "Old."}
NEW = {"role": "system", "content": "New."}


@pytest.mark.parametrize(
    ("override", "answer"),
    [
        ({}, {"assistant": {"first_message": "Hello.", "llm_config": {"messages": [NEW]}}}),
        (
            {"assistant": {"first_message": "Old.", "x": 1, "llm_config": {**MODEL, "messages": [OLD, USER]}}},
            {"assistant": {"first_message": "Hello.", "x": 1, "llm_config": {**MODEL, "messages": [NEW, USER]}}},
        ),
        (
            {"assistant_id": "a", "assistant": {"llm_config": {"messages": [USER, OLD]}}, "error": ""},
            {"assistant_id": "a", "assistant_override": {"first_message": "Hello.", "llm_config": {"messages": [NEW, USER, OLD]}}},
        ),
        # What is wrong stays wrong, so that the schema finds it and no greeting covers it.
        ({"assistant": "x"}, {"assistant": "x"}),
        ({"assistant": {"llm_config": "x"}}, {"assistant": {"first_message": "Hello.", "llm_config": "x"}}),
        (
            {"assistant": {"llm_config": {"messages": {}}}},
            {"assistant": {"first_message": "Hello.", "llm_config": {"messages": {}}}},
        ),
    ],
)  # fmt: skip
def test_answer_is_written(override: dict[str, Any], answer: dict[str, Any]) -> None:
    """Override, greeting and prompt become the platform's answer, and the override is not changed."""
    before = copy.deepcopy(override)
    assert FLIREO.answer(Answer(Words("Hello.", "New."), "en", override)) == answer
    assert override == before


@pytest.mark.parametrize("override", [{}, {"assistant": {}}, {"assistant_id": "a"}, {"max_duration_seconds": 300}])
def test_override_alone_is_the_answer(override: dict[str, Any]) -> None:
    """Without a greeting and a prompt the answer is what the author wrote."""
    assert FLIREO.answer(Answer(Words(), "en", override)) == override


def test_rejection_leaves_alone() -> None:
    """An ``error`` that is not empty rejects the call, and nothing else leaves."""
    assert FLIREO.rejection({"error": "No.", "assistant": {"x": 1}}) == "No."
    assert FLIREO.rejection({"error": ""}) is FLIREO.rejection({}) is FLIREO.rejection({"error": 5}) is None
    assert FLIREO.answer(Rejection("No.")) == {"error": "No."}


@pytest.mark.parametrize(
    "override", [{}, {"assistant_id": "a"}, {"assistant": {"metadata": {"mine": 1}}}, {"assistant_id": "a", "assistant": {"metadata": {"mine": 1}}}]
)  # fmt: skip
def test_metadata_is_beside_the_authors(override: dict[str, Any]) -> None:
    """Pickup's metadata is ``metadata.pickup`` of what the platform brings back, beside the author's own."""
    answer = FLIREO.answer(Answer(Words("Hello."), "en", override, {"v": 1, "call": "a-call"}))
    found = answer["assistant_override" if "assistant_id" in override else "assistant"]
    assert found["first_message"] == "Hello."
    assert found["metadata"].pop("pickup") == {"v": 1, "call": "a-call"}
    assert found["metadata"] == override.get("assistant", {}).get("metadata", {})


@pytest.mark.parametrize(
    ("settings", "found"),
    [
        ({}, Words()),
        ({"assistant": {"first_message": "Hi.", "llm_config": {"messages": [OLD, USER]}}}, Words("Hi.", "Old.")),
        ({"assistant": {"first_message": 5, "llm_config": {"messages": [USER, OLD]}}}, Words()),
        ({"assistant": {"llm_config": {"messages": [{"role": "system", "content": None}]}}}, Words()),
        ({"assistant": "x"}, Words()),
    ],
)
def test_words_of_an_override(settings: dict[str, Any], found: Words) -> None:
    """An override may itself contain a greeting, and a prompt as the leading message of role system."""
    assert FLIREO.words(settings) == found


# --- our metadata -----------------------------------------------------------------------------------------------------


def test_digest_is_pinned() -> None:
    """Reports on calls from before a release are still compared with their answers after it."""
    assert digest(Words("L'été.", "New.")) == sha256('["L\'été.","New."]'.encode()).hexdigest()
    assert digest(Words()) == sha256(b"[null,null]").hexdigest()


texts = st.none() | st.text(max_size=4)
pairs = st.builds(Words, texts, texts)


@given(pairs, pairs)
def test_words_that_were_sent_are_recognised(sent: Words, applied: Words) -> None:
    """Two pairs of greeting and prompt have two digests; a text left to the saved agent matches any."""
    found = Metadata("a-call", None, "en", (), digest(sent))
    assert (digest(applied) == digest(sent)) == (applied == sent)
    expected = sent.greeting in {None, applied.greeting} and sent.prompt in {None, applied.prompt}
    assert found.was_applied(applied) == expected


names = st.text(min_size=1, max_size=5)


@given(
    names,
    texts,
    st.lists(st.builds(Assigned, names, names, names, names), max_size=3, unique_by=lambda a: a.experiment),
)
def test_metadata_comes_back(call_id: str, key: str | None, assignments: list[Assigned]) -> None:
    """Metadata that was written is read again; other JSON is not."""
    written = Metadata(call_id, key, "nl", tuple(assignments), "abc")
    assert Metadata.read(written.as_json()) == written
    assert Metadata.read({**written.as_json(), "v": 2}) is None
    assert Metadata.read({**written.as_json(), "call": 7}) is None
