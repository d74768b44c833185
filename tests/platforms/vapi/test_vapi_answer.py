"""The JSON of an answer: which assistant it names, and where an author's keys, the words and our metadata go."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import pytest

from complaints import DRAFT, complaints_about
from conftest import NOW
from flask_pickup.platforms import Answer, Rejection, ToolCall, ToolCalls, Words
from flask_pickup.platforms.vapi import Vapi

VAPI = Vapi(("the-secret-of-vapi",), "saved", clock=lambda: NOW)
MODEL = {"provider": "openai", "model": "gpt-4o"}
OLD, NEW = ({"role": "system", "content": words} for words in ("Old.", "New."))
USER = {"role": "user", "content": "Hi."}
MODELLED: dict[str, Any] = {
    "assistant": {
        "model": MODEL,
        "analysisPlan": {
            "structuredDataPlan": {"messages": [{"role": "user", "content": "{{transcript}} {% if x %}"}]}
        },
    }
}
VOICE, WAITS = {"provider": "x"}, "assistant-waits-for-user"
HELLO = {"firstMessage": "Hello.", "firstMessageMode": "assistant-speaks-first"}


def written(override: dict[str, Any], words: Words, metadata: dict[str, Any] | None = None) -> dict[str, Any]:
    """Return the answer, and check that the override is not changed."""
    before = copy.deepcopy(override)
    answer = VAPI.answer(Answer(words, "en", override, metadata))
    assert override == before
    return answer


@pytest.mark.parametrize(
    ("override", "answer"),
    [
        ({}, {"assistantId": "saved", "assistantOverrides": {**HELLO, "model": {"messages": [NEW]}}}),
        (
            {"assistantId": "a", "assistant": {"model": {**MODEL, "messages": [OLD, USER]}, "voice": VOICE}},
            {"assistantId": "a", "assistantOverrides": {**HELLO, "model": {**MODEL, "messages": [NEW, USER]}, "voice": VOICE}},
        ),
        (
            {"assistant": {"firstMessage": "Old.", "firstMessageMode": WAITS, "model": MODEL}},
            {"assistant": {**HELLO, "firstMessageMode": WAITS, "model": {**MODEL, "messages": [NEW]}}},
        ),
        (
            {"assistantOverrides": {"model": {**MODEL, "messages": [USER]}}, "error": ""},
            {"assistantId": "saved", "assistantOverrides": {**HELLO, "model": {**MODEL, "messages": [NEW, USER]}}},
        ),
        (
            {"assistantOverrides": {"voice": VOICE}, "assistant": {"model": MODEL}},
            {"assistantId": "saved", "assistantOverrides": {**HELLO, "model": {**MODEL, "messages": [NEW]}, "voice": VOICE}},
        ),
        ({"assistant": {}}, {"assistantId": "saved", "assistantOverrides": {**HELLO, "model": {"messages": [NEW]}}}),
        # What is wrong stays wrong, so that the schema finds it.
        ({"assistant": "x"}, {"assistantId": "saved", "assistantOverrides": "x"}),
        ({"assistant": {"model": "x"}}, {"assistant": {**HELLO, "model": "x"}}),
    ],
)  # fmt: skip
def test_answer_is_written(override: dict[str, Any], answer: dict[str, Any]) -> None:
    """Greeting and prompt go into the whole assistant, or into what overrides the saved one."""
    assert written(override, Words("Hello.", "New.")) == answer


@pytest.mark.parametrize(
    ("override", "answer"),
    [
        ({}, {"assistantId": "saved"}),
        ({"assistantId": "a"}, {"assistantId": "a"}),
        ({"assistant": {"name": "n"}}, {"assistantId": "saved", "assistantOverrides": {"name": "n"}}),
        ({"assistant": {"model": MODEL}}, {"assistant": {"model": MODEL}}),
        ({"assistantId": "a", "assistant": {"name": "n"}}, {"assistantId": "a", "assistantOverrides": {"name": "n"}}),
    ],
)
def test_every_answer_names_an_assistant(override: dict[str, Any], answer: dict[str, Any]) -> None:
    """Without a greeting and a prompt the answer is what the author wrote, with an assistant: Vapi fails calls without one."""
    assert written(override, Words()) == answer
    assert VAPI.answer_schema.validate(answer) == {}


@pytest.mark.parametrize("key", ["squadId", "squad", "workflowId", "workflow", "destination"])
def test_what_is_no_assistant_stays_as_it_is(key: str) -> None:
    """A squad, a workflow or a destination gets no greeting, no prompt and no metadata beside it; a note says so."""
    override: dict[str, Any] = {key: "x" if key.endswith("Id") else {"x": 1}, "new": [1]}
    assert written(override, Words("Hello.", "New."), {"v": 1}) == override
    assert VAPI.answer_schema.validate(override) == {}
    [note] = VAPI.notes(Answer(Words("Hello."), "en", override))
    assert "no greeting" in note


@pytest.mark.parametrize(
    ("settings", "found"),
    [
        ({}, Words()),
        ({"assistant": {"firstMessage": "Hi.", "model": {"messages": [OLD, USER]}}}, Words("Hi.", "Old.")),
        ({"assistantOverrides": {"firstMessage": "Hi."}, "assistant": {"firstMessage": "Saved."}}, Words("Hi.")),
        ({"assistantOverrides": {"voice": {}}, "assistant": {"model": {"messages": [OLD]}}}, Words(None, "Old.")),
        ({"assistant": {"firstMessage": 5, "model": {"messages": [USER, OLD]}}}, Words()),
        ({"assistant": "x"}, Words()),
    ],
)
def test_words_of_an_override(settings: dict[str, Any], found: Words) -> None:
    """An override may contain a greeting, and a prompt as the leading message of role system."""
    assert VAPI.words(settings) == found


# --- what check says --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("model", [{}, {"provider": "openai"}, {"model": "gpt-4o"}])
def test_prompt_needs_the_whole_model(model: dict[str, Any]) -> None:
    """A prompt without provider and model is a problem that says what to write; a greeting alone is none."""
    override = {"assistantId": "a", "assistant": {"model": model}} if model else {}
    problems: Any = VAPI.answer_schema.validate(written(override, Words("Hello.", "New.")))
    found = problems["assistantOverrides"]["model"]
    assert found.keys() == {"provider", "model"} - model.keys()
    assert "write provider and model" in str(found)
    assert VAPI.answer_schema.validate(written({}, Words("Hello."))) == {}


@pytest.mark.parametrize(
    ("files", "file", "level", "says"),
    [
        ({}, "greetings/system_prompt.j2", "error", "write provider and model"),
        ({"greetings/override.vapi.json": MODELLED}, "", "", ""),
        ({"greetings/override.vapi.json": {**MODELLED, "assistantid": "a"}}, "greetings/override.vapi.json", "warning", "'assistantId'"),
        (
            {"greetings/override.vapi.json": MODELLED, "experiments/x/warm/override.vapi.json": {"assistant": {"server": {"url": "x"}}}},
            "experiments/x/warm/override.vapi.json",
            "error",
            "must not set 'server'",
        ),
    ],
)  # fmt: skip
def test_check_reads_the_override(tmp_path: Path, files: dict[str, Any], file: str, level: str, says: str) -> None:
    """``check`` says what Vapi would reject, and where; plans and Liquid below them are Vapi's own."""
    content = {"greetings/first_message.j2": "Good day.", "greetings/system_prompt.j2": "Be kind.", **files}
    if "experiments/x/warm/override.vapi.json" in files:
        content["experiments/x/experiment.toml"] = DRAFT
    found = [each for each in complaints_about(tmp_path, content, platforms=[VAPI]) if each["level"] != "note"]
    assert {(each["file"], each["level"]) for each in found} == ({(file, level)} if file else set())
    assert all(says in f"{each['problem']} {each['remedy']}" for each in found)


def notes(**override: Any) -> str:
    return " ".join(VAPI.notes(Answer(Words("Hello."), "en", override)))


def test_notes_say_where_reports_go() -> None:
    """A saved assistant may have a server of its own; a whole one has that of the number; a ``server`` gets all events."""
    assert "saved assistant's own server URL" in notes()
    assert "saved assistant's own server URL" in notes(assistantId="a", assistant={"voice": {}})
    assert notes(assistant={"model": MODEL}).startswith("Vapi uses the 'assistant' of the override alone.")
    assert "tool calls" in notes(assistantId="a", assistant={"server": {"url": "https://calls.example"}})
    assert list(VAPI.notes(Rejection("No."))) == []


def test_analysis_fields() -> None:
    """What the plans of an override let the analysis find: structured data, structured outputs, the success evaluation."""
    booked, score = {"type": "boolean"}, {"type": "number"}
    plans = {
        "analysisPlan": {
            "structuredDataPlan": {"schema": {"properties": {"booked": booked, "odd": 5}}},
            "successEvaluationPlan": {"rubric": "NumericScale"},
        },
        "artifactPlan": {
            "structuredOutputs": [
                {"name": "Caller mood", "schema": {"type": "string"}},
                {"name": "More", "schema": {"properties": {"score": score}}},
            ]
        },
    }
    found = {"booked": booked, "score": score, "caller_mood": {"type": "string"}, "success_evaluation": score}
    for key in ("assistant", "assistantOverrides"):
        assert VAPI.analysis_fields({key: plans}) == found
    for success, expected in (({}, {"success_evaluation": booked}), ({"enabled": False}, {})):
        plan = {"minMessagesThreshold": 2, "successEvaluationPlan": success}
        assert VAPI.analysis_fields({"assistant": {"analysisPlan": plan}}) == expected
    assert VAPI.analysis_fields({"assistant": {}}) == {}
    off = {"structuredDataPlan": {"enabled": False, "schema": {"properties": {"booked": booked}}}}
    assert "booked" not in VAPI.analysis_fields({"assistant": {"analysisPlan": off}})


def test_analysis_fields_with_references() -> None:
    """A schema's references to its own definitions are resolved, wherever Vapi reads a schema."""
    mood = {"type": "string", "enum": ["good", "bad"]}
    schema = {"properties": {"mood": {"$ref": "#/$defs/Mood"}}, "$defs": {"Mood": mood}}
    tone = {"$ref": "#/$defs/Mood", "$defs": {"Mood": mood}}
    outputs = [{"name": "More", "schema": schema}, {"name": "Tone", "schema": tone}]
    found = VAPI.analysis_fields({"assistant": {"artifactPlan": {"structuredOutputs": outputs}}})
    assert (found["mood"], found["tone"]["enum"]) == (mood, mood["enum"])
    plan = {"structuredDataPlan": {"schema": schema}, "successEvaluationPlan": {"enabled": False}}
    assert VAPI.analysis_fields({"assistant": {"analysisPlan": plan}}) == {"mood": mood}


# --- tools ------------------------------------------------------------------------------------------------------------


def test_tool_results() -> None:
    """Each tool call gets the handler's result as a JSON text on one line, or the error; ``results`` leaves as it is."""
    event = ToolCalls(call_id="c", tool_calls=tuple(ToolCall(id=name, name="look_up", arguments={}) for name in "ab"))
    for outcome, expected in (
        (VAPI.tool_results(event, {"order": "one\ntwo é"}), {"result": '{"order": "one\\ntwo é"}'}),
        (VAPI.tool_results(event, {}, "The tool failed."), {"error": "The tool failed."}),
    ):
        assert outcome == {"results": [{"toolCallId": name, "name": "look_up", **expected} for name in "ab"]}
    own = {"results": [{"toolCallId": "a", "result": "x"}]}
    assert VAPI.tool_results(event, own) == own
