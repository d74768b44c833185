"""What the platform would understand of an answer, and what may be missing from its messages."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import marshmallow
import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from flask_pickup.flireo import (
    AssistantRequest,
    AssistantRequestPayloadSchema,
    AssistantRequestResponseSchema,
    EndOfCallReport,
    EndOfCallReportPayloadSchema,
)

validate = AssistantRequestResponseSchema().validate

WHOLE: dict[str, Any] = {
    "assistant": {
        "first_message": "Hello.",
        "llm_config": {
            "provider": "openai",
            "model": "gpt-4o",
            "temperature": 0.7,
            "messages": [{"role": "system", "content": "You are kind."}, {"role": "user", "content": "Hi."}],
            "tools": [{"type": "function", "function": {"name": "book"}}],
        },
        "stt_config": {"provider": "deepgram", "model": "nova-3", "language": "multi"},
        "tts_config": {
            "provider": "elevenlabs", "voice_id": "abc", "stability": 0.5, "similarity_boost": 1, "style": 0, "speed": 1.2,
        },
        "analysis_plan": {
            "structured_data_plan": {
                "enabled": True,
                "schema": {"type": "object", "properties": {"intent": {"type": "string"}}},
                "messages": [{"role": "system", "content": "{{schema}} {{transcript}} {{ended_reason}}"}],
            },
            "min_messages_threshold": 2,
        },
        "metadata": {"mine": [1, None]},
        "voicemail_message": "Call back.",
        "silence_timeout_seconds": 12.5,
        "max_duration_seconds": 600,
        "webhook_url": "https://host.example/hook",
        "webhook_secret": "s",
        "webhook_events": ["tool-calls"],
        "autonomous_silence_handling": True,
    },
    "max_duration_seconds": 300,
}  # fmt: skip

NO_TEXT: list[Any] = [None, 1, True, [], {}, 1.5]
NO_NUMBER: list[Any] = [None, "1", True, [], {}]
NO_OBJECT: list[Any] = [None, "x", 1, True, []]
NO_LIST: list[Any] = [None, "x", 1, True, {}]
TURNS = [
    [None],
    ["x"],
    [{}],
    [{"role": "system"}],
    [{"content": "x"}],
    [{"role": "tool", "content": "x"}],
    [{"role": "user", "content": 1}],
]

WRONG: dict[str, list[Any]] = {
    "assistant": NO_OBJECT,
    "assistant.first_message": NO_TEXT,
    "assistant.llm_config": [*NO_OBJECT, {}, {"provider": "x"}, {"model": "x"}],
    "assistant.llm_config.provider": [*NO_TEXT, ""],
    "assistant.llm_config.model": [*NO_TEXT, ""],
    "assistant.llm_config.temperature": [*NO_NUMBER, -0.1, 2.1, float("nan"), float("inf")],
    "assistant.llm_config.messages": [*NO_LIST, *TURNS],
    "assistant.llm_config.tools": NO_LIST,
    "assistant.stt_config": [*NO_OBJECT, {}, {"provider": "x", "model": "y"}],
    "assistant.stt_config.language": [*NO_TEXT, ""],
    "assistant.tts_config": [*NO_OBJECT, {}, {"provider": "x"}],
    "assistant.tts_config.voice_id": [*NO_TEXT, ""],
    "assistant.tts_config.stability": [*NO_NUMBER, -0.1, 1.1],
    "assistant.tts_config.similarity_boost": [*NO_NUMBER, -0.1, 1.1],
    "assistant.tts_config.style": [*NO_NUMBER, -0.1, 1.1],
    "assistant.tts_config.speed": [*NO_NUMBER, 0.4, 2.1],
    "assistant.analysis_plan": NO_OBJECT,
    "assistant.analysis_plan.structured_data_plan": NO_OBJECT,
    "assistant.analysis_plan.structured_data_plan.enabled": [None, 0, 1, "yes", "true", []],
    "assistant.analysis_plan.structured_data_plan.schema": NO_OBJECT,
    "assistant.analysis_plan.structured_data_plan.messages": [*NO_LIST, *TURNS],
    "assistant.analysis_plan.min_messages_threshold": [*NO_NUMBER, -1, 1.5],
    "assistant.metadata": NO_OBJECT,
    "assistant.voicemail_message": NO_TEXT,
    "assistant.silence_timeout_seconds": [*NO_NUMBER, 0, -1],
    "assistant.max_duration_seconds": [*NO_NUMBER, 0, -1, 1.5],
    "assistant.webhook_url": NO_TEXT,
    "assistant.webhook_secret": NO_TEXT,
    "assistant.webhook_events": [*NO_LIST, [1]],
    "max_duration_seconds": [*NO_NUMBER, 0, -1, 300.5, 2**64],
    "assistant_id": [*NO_TEXT, ""],
    "assistant_override": [*NO_OBJECT, {}],
    "error": [*NO_TEXT, "", "Beside an assistant."],
    "new": [2**64, "\ud800", ["\udfff"], {"deep": [-(2**63) - 1]}],
}


def changed(path: str, value: Any) -> dict[str, Any]:
    """The whole answer with another value at a path."""
    answer = copy.deepcopy(WHOLE)
    *above, last = path.split(".")
    block = answer
    for key in above:
        block = block[key]
    block[last] = value
    return answer


# --- answers ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "answer",
    [
        WHOLE,
        {},
        {"assistant": {}},
        {"assistant": {"first_message": ""}},
        {"assistant_id": "a"},
        {"assistant_id": "a", "assistant_override": WHOLE["assistant"], "max_duration_seconds": 1},
        {"max_duration_seconds": 300},
        {"error": "Closed."},
        {
            "new": {"deep": [None, 1]},
            "assistant": {"new": 1, "tts_config": {"provider": "x", "voice_id": "y", "new": {}}},
        },
        {"assistant": {"llm_config": {"provider": "a provider of tomorrow", "model": "its-model-9"}}},
    ],
)
def test_what_the_platform_understands_passes(answer: dict[str, Any]) -> None:
    """All documented keys pass, and so do unknown keys, providers and models: published lists go stale."""
    assert validate(answer) == {}


@pytest.mark.parametrize(("path", "value"), [(path, value) for path, values in WRONG.items() for value in values])
def test_what_it_would_not_understand_is_named(path: str, value: Any) -> None:
    """A value of a wrong type or out of range is a problem, found under its own key; none is coerced."""
    problems: Any = validate(changed(path, value))
    assert problems
    for key in path.split(".")[:2]:
        assert key in problems
        problems = problems[key]


def test_each_documented_key_is_tried() -> None:
    """The table above leaves out no key that the schema knows."""

    def paths(value: Any, path: str = "") -> set[str]:
        if not isinstance(value, dict):
            return {path}
        return {path, *(deep for key, child in value.items() for deep in paths(child, f"{path}.{key}".lstrip(".")))}

    own = {"assistant.metadata.mine", "assistant.autonomous_silence_handling"}
    inside = {path for path in paths(WHOLE) if ".schema." in path}
    others = {"assistant.stt_config.provider", "assistant.stt_config.model", "assistant.tts_config.provider"}
    assert paths(WHOLE) - own - inside - others - {""} <= WRONG.keys()


@pytest.mark.parametrize(
    "answer",
    [
        {"error": "Closed.", "assistant": {}},
        {"error": "Closed.", "new": 1},
        {"assistant": {}, "assistant_id": "a"},
        {"assistant_override": {}},
    ],
)
def test_what_does_not_go_together_is_a_problem(answer: dict[str, Any]) -> None:
    """A rejection stands alone, an assistant is either saved or sent, an override overrides something."""
    assert validate(answer)


json_like = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.sampled_from([*WHOLE["assistant"], "role"]), inner, max_size=2),
    max_leaves=5,
)  # fmt: skip


@given(st.sampled_from(sorted(WRONG)), json_like)
def test_validating_neither_raises_nor_changes(path: str, value: Any) -> None:
    """Whatever an author writes is passed or named, and what passes can leave as JSON."""
    answer = changed(path, value)
    before = repr(answer)
    problems = validate(answer)
    assert repr(answer) == before
    assert problems or orjson.dumps(answer)


# --- messages ---------------------------------------------------------------------------------------------------------


def request(**message: Any) -> AssistantRequest:
    found: AssistantRequest = AssistantRequestPayloadSchema().load(
        {"message": {"type": "assistant-request", "call": {"id": "a-call"}, **message}}
    )
    return found


def report(**message: Any) -> EndOfCallReport:
    found: EndOfCallReport = EndOfCallReportPayloadSchema().load(
        {"message": {"type": "end-of-call-report", "call": {"id": "a-call"}, **message}}
    )
    return found


def test_names_are_the_platforms() -> None:
    """The schemas have the names of the platform's own pages, and are marshmallow's."""
    assert issubclass(AssistantRequestPayloadSchema, marshmallow.Schema)
    assert issubclass(AssistantRequestResponseSchema, marshmallow.Schema)


@given(json_like, json_like, json_like, json_like, json_like)
def test_no_other_field_costs_a_call(one: Any, two: Any, three: Any, four: Any, five: Any) -> None:
    """With a type and a call's id a request loads, whatever all else is; what is wrong is unknown."""
    message = request(timestamp=one, phone_number=two, customer=three, new=four)
    assert message.call_id == "a-call"
    for number in (message.customer_number, message.line_number):
        assert number is None or isinstance(number, str)
    assert request(call={"id": "a", "type": five, "status": five}).call_type == (
        five if isinstance(five, str) else None
    )


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("2025-12-13T12:00:00.000Z", datetime(2025, 12, 13, 12, tzinfo=UTC)),
        ("2025-12-13T13:00:00+01:00", datetime(2025, 12, 13, 12, tzinfo=UTC)),
        ("2025-12-13T12:00:00", datetime(2025, 12, 13, 12, tzinfo=UTC)),
        ("9999-12-31T23:59:59-23:59", None),
        ("0001-01-01T00:00:00+23:59", None),
        ("yesterday", None),
        ("", None),
        (1765627200, None),
        (None, None),
        ([], None),
    ],
)
def test_time_is_aware_and_in_utc(text: Any, moment: datetime | None) -> None:
    """A time is read in whatever zone it names, and unknown if it is none."""
    assert request(timestamp=text).timestamp == moment


@given(st.datetimes(min_value=datetime(1000, 1, 1), max_value=datetime(9000, 1, 1)), st.integers(-14 * 60, 14 * 60))  # noqa: DTZ001
def test_any_time_comes_back(naive: datetime, minutes: int) -> None:
    """A time in any zone is the same moment in UTC."""
    moment = naive.replace(tzinfo=timezone(timedelta(minutes=minutes)))
    found = request(timestamp=moment.isoformat()).timestamp
    assert found == moment
    assert found.tzinfo is UTC


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        (84, 84.0),
        (12.5, 12.5),
        (0, 0.0),
        (-1, None),
        (True, None),
        ("84", None),
        (None, None),
        (10**400, None),
        ([], None),
    ],
)
def test_duration_is_a_number_that_is_not_negative(value: Any, seconds: float | None) -> None:
    """A duration is never taken from a text, and never below 0."""
    assert report(duration_seconds=value).duration_seconds == seconds


def test_long_number_is_no_number() -> None:
    """Cut short it would be somebody else's."""
    assert request(customer={"number": "+31612345678" + "0" * 300}).customer_number is None


@pytest.mark.parametrize("name", ["assistant", "assistant_override"])
def test_metadata_comes_back(name: str) -> None:
    """What our answer put into ``metadata`` is read from wherever the platform brings it back."""
    brought: Mapping[str, Any] = {"metadata": {"pickup": {"v": 1}, "theirs": 2}}
    assert report(**{name: brought}).metadata == brought["metadata"]


def test_nothing_private_is_printed() -> None:
    """A message that ends in a log line shows no number, no words and no id that may hold a number."""
    message = report(
        call={"id": "call-31612345678"},
        customer={"number": "+31612345678"},
        summary="Somebody said 31612345678",
        messages=[{"role": "user", "content": "31612345678"}],
        analysis={"number": "31612345678"},
    )
    assert "612345678" not in repr(message)
