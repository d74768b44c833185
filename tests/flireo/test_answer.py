"""The form of the answer: what a rejection, a saved agent, a prompt and the metadata make of what an author wrote."""

from __future__ import annotations

import copy
from hashlib import sha256
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flask_pickup.flireo.answer import compose, reject, sent, spoken, was_applied, with_metadata

MODEL = {"provider": "openai", "model": "gpt-4o"}
USER = {"role": "user", "content": "Hi."}
OLD = {"role": "system", "content": "Old."}
NEW = {"role": "system", "content": "New."}


@pytest.mark.parametrize(
    ("override", "opening", "prompt", "answer"),
    [
        ({}, "", "", {}),
        ({}, "Hello.", "", {"assistant": {"first_message": "Hello."}}),
        ({}, "", "New.", {"assistant": {"llm_config": {"messages": [NEW]}}}),
        ({"max_duration_seconds": 300}, "", "", {"max_duration_seconds": 300}),
        ({"assistant": {}}, "", "", {"assistant": {}}),
        (
            {"assistant": {"first_message": "Old.", "x": 1}},
            "Hello.",
            "",
            {"assistant": {"first_message": "Hello.", "x": 1}},
        ),
        (
            {"assistant": {"llm_config": {**MODEL, "temperature": 1}}},
            "",
            "New.",
            {"assistant": {"llm_config": {**MODEL, "temperature": 1, "messages": [NEW]}}},
        ),
        (
            {"assistant": {"llm_config": {"messages": [OLD, USER]}}},
            "",
            "New.",
            {"assistant": {"llm_config": {"messages": [NEW, USER]}}},
        ),
        (
            {"assistant": {"llm_config": {"messages": [USER, OLD]}}},
            "",
            "New.",
            {"assistant": {"llm_config": {"messages": [NEW, USER, OLD]}}},
        ),
        ({"assistant_id": "a"}, "", "", {"assistant_id": "a"}),
        ({"assistant_id": "a"}, "Hello.", "", {"assistant_id": "a", "assistant_override": {"first_message": "Hello."}}),
        (
            {"assistant_id": "a", "assistant": {"llm_config": MODEL}, "max_duration_seconds": 9},
            "",
            "New.",
            {
                "assistant_id": "a",
                "assistant_override": {"llm_config": {**MODEL, "messages": [NEW]}},
                "max_duration_seconds": 9,
            },
        ),
        ({"error": "No.", "assistant": {"x": 1}, "max_duration_seconds": 9}, "Hello.", "New.", {"error": "No."}),
        ({"error": "No.", "assistant_id": "a"}, "", "", {"error": "No."}),
        (
            {"error": "", "max_duration_seconds": 9},
            "Hello.",
            "",
            {"max_duration_seconds": 9, "assistant": {"first_message": "Hello."}},
        ),
        # What is wrong stays wrong, so that the schema finds it and no opening covers it.
        ({"assistant": "x"}, "Hello.", "New.", {"assistant": "x"}),
        ({"assistant": {"llm_config": "x"}}, "", "New.", {"assistant": {"llm_config": "x"}}),
        ({"assistant": {"llm_config": {"messages": {}}}}, "", "New.", {"assistant": {"llm_config": {"messages": {}}}}),
    ],
)
def test_answer_is_composed(override: dict[str, Any], opening: str, prompt: str, answer: dict[str, Any]) -> None:
    """Override, opening and prompt become the platform's answer, and the override is not changed."""
    before = copy.deepcopy(override)
    assert compose(override, opening=opening, prompt=prompt) == answer
    assert override == before


@given(st.dictionaries(st.sampled_from(["error", "assistant", "assistant_id", "new"]), st.text(min_size=1), min_size=1))
def test_rejection_leaves_alone(override: dict[str, Any]) -> None:
    """If the merged result has ``error``, only ``error`` leaves."""
    assert ("error" in override) == (compose(override, opening="x", prompt="y").keys() == {"error"})


@pytest.mark.parametrize(
    "override", [{}, {"assistant_id": "a"}, {"assistant": {"metadata": {"mine": 1}}}, {"assistant_id": "a", "assistant": {"metadata": {"mine": 1}}}]
)  # fmt: skip
def test_metadata_stands_beside_the_authors(override: dict[str, Any]) -> None:
    """The assignment travels under ``metadata.pickup`` of what the platform sends back, beside the author's own."""
    answer = compose(override, opening="Hello.")
    found = with_metadata(answer, {"v": 1, "call": "a-call"})
    key = "assistant_override" if "assistant_id" in override else "assistant"
    pickup = found[key]["metadata"].pop("pickup")
    assert pickup == {"v": 1, "call": "a-call", "sent": sent(answer[key])}
    assert found[key].pop("metadata") == override.get("assistant", {}).get("metadata", {})
    assert found[key] == {name: value for name, value in answer[key].items() if name != "metadata"}
    assert with_metadata({"max_duration_seconds": 9}, {"v": 1})["assistant"].keys() == {"metadata"}


def test_sent_is_pinned() -> None:
    """Reports of calls from before a release are still told apart after it."""
    assistant = {"first_message": "L'été.", "llm_config": {"messages": [NEW]}}
    assert sent(assistant) == sha256('["L\'été.","New."]'.encode()).hexdigest()
    assert sent({}) == sha256(b"[null,null]").hexdigest()


words = st.none() | st.text(max_size=4)


def saying(opening: str | None, prompt: str | None) -> dict[str, Any]:
    said: dict[str, Any] = {} if opening is None else {"first_message": opening}
    return said if prompt is None else {**said, "llm_config": {"messages": [{"role": "system", "content": prompt}]}}


@given(words, words, words, words)
def test_what_was_sent_is_known_again(
    opening: str | None, prompt: str | None, other: str | None, another: str | None
) -> None:
    """No two pairs of opening and prompt look alike, and a part that we left to the saved agent may be anything."""
    digest = sent(saying(opening, prompt))
    assert (sent(saying(other, another)) == digest) == ((opening, prompt) == (other, another))
    applied = opening in {None, other} and prompt in {None, another}
    assert was_applied(digest, saying(other, another)) == applied


def test_rejection_is_what_is_spoken() -> None:
    """What a caller hears first is the opening, or the words that turn them away."""
    assert spoken(reject("Closed.")) == "Closed."
    assert spoken({"assistant": {"first_message": "Hello."}}) == "Hello."
    assert spoken({"assistant_id": "a", "assistant_override": {"first_message": "Hello."}}) == "Hello."
    assert spoken({}) is None
