"""The vendor's own SDK reads our answers and our made-up deliveries, and names every reason why a call can end."""

from __future__ import annotations

import json
import re
import warnings
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from types import ModuleType
from typing import Any, get_args

import pytest

from conftest import CALLER, LINE, NOW, facts
from flask_pickup.catalog import load
from flask_pickup.customer import UNKNOWN
from flask_pickup.decision import Deciding
from flask_pickup.platforms import (
    Answer,
    CallEnded,
    IncomingCall,
    Rejection,
    SampleCall,
    StatusChanged,
    ToolCall,
    ToolCalls,
    Words,
)
from flask_pickup.platforms.vapi import Vapi

ROOT = Path(__file__).parents[3]
VAPI = Vapi(("the-secret-of-vapi",), "saved", clock=lambda: NOW)
SAMPLE = SampleCall(
    "a-call", CALLER, LINE, datetime.fromtimestamp(NOW, UTC), tool=ToolCall(id="t", name="f", arguments={})
)
METADATA = {"v": 1, "call": "a-call"}
MODEL = {"provider": "openai", "model": "gpt-4o"}


@pytest.fixture(scope="module")
def sdk() -> ModuleType:
    """The types of the vendor's SDK, which take many seconds to import."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return pytest.importorskip("vapi.types")  # type: ignore[no-any-return]


def unknown_keys(value: Any, path: str = "") -> Iterator[str]:
    """Yield what the SDK's models do not know, in whichever model of theirs."""
    if isinstance(value, list):
        for item in value:
            yield from unknown_keys(item, path)
    elif hasattr(value, "model_extra"):
        yield from (f"{path}.{key}" for key in value.model_extra or {})
        for name in type(value).model_fields:
            yield from unknown_keys(getattr(value, name), f"{path}.{name}")


def read(model: Any, sent: Mapping[str, Any]) -> Any:
    """Return a body as the SDK reads it: nothing is lost, and nothing is unknown to it."""
    found = model.model_validate(sent)
    assert list(unknown_keys(found)) == []
    assert json.loads(found.json(by_alias=True, exclude_unset=True)) == sent
    return found


OVERRIDES: list[dict[str, Any]] = [
    {},
    {"assistantId": "a", "assistant": {"model": {**MODEL, "messages": [{"role": "user", "content": "Hi."}]}}},
    {"assistant": {"model": MODEL, "transcriber": {"provider": "deepgram", "model": "nova-3", "language": "nl"}}},
    {"squadId": "s"},
    {"destination": {"type": "number", "number": "+12025550123"}},
]


@pytest.mark.parametrize("override", OVERRIDES)
def test_sdk_reads_every_answer(sdk: ModuleType, override: dict[str, Any]) -> None:
    """Answers of every kind are the SDK's own response to an assistant request."""
    words = Words("Hello.", "Be kind.") if "model" in override.get("assistant", {}) else Words("Hello.")
    for answer in (Answer(words, "en", override, METADATA), Answer(Words(), "en", override), Rejection("No.")):
        read(sdk.ServerMessageResponseAssistantRequest, VAPI.answer(answer))
    read(sdk.ServerMessageResponseAssistantRequest, VAPI.default())


def test_sdk_reads_the_sample_content(sdk: ModuleType) -> None:
    """The base and every arm of the repository's own folders with an override are answers that the SDK knows."""
    catalog = load(
        ROOT / "experiments", ROOT / "greetings", pin_key=lambda number: number, region="NL", platforms=[VAPI]
    )
    deciding = Deciding(catalog, VAPI, facts(), UNKNOWN)
    stacks = [(), *((str(path.parent.relative_to(ROOT)),) for path in ROOT.glob("experiments/*/*/override.vapi.json"))]
    for stack in stacks:
        answer = VAPI.answer(deciding.answer((*deciding.base, *stack)))
        read(sdk.ServerMessageResponseAssistantRequest, answer)
        assert VAPI.answer_schema.validate(answer) == {}
    assert len(stacks) > 3


def test_sdk_reads_the_answer_to_tools(sdk: ModuleType) -> None:
    """Results and errors are the SDK's own."""
    event = ToolCalls(call_id="c", tool_calls=(ToolCall(id="t", name="f", arguments={}),))
    for outcome in (VAPI.tool_results(event, {"a": 1}), VAPI.tool_results(event, {}, "The tool failed.")):
        read(sdk.ServerMessageResponseToolCalls, outcome)


@pytest.mark.parametrize(
    ("event", "model"),
    [
        (IncomingCall, "ServerMessageAssistantRequest"),
        (StatusChanged, "ServerMessageStatusUpdate"),
        (ToolCalls, "ServerMessageToolCalls"),
        (CallEnded, "ServerMessageEndOfCallReport"),
    ],
)
def test_sdk_reads_made_up_deliveries(sdk: ModuleType, event: Any, model: str) -> None:
    """What a rehearsal sends is what the SDK expects of the platform."""
    message = json.loads(VAPI.payload(event, SAMPLE))["message"]
    getattr(sdk, model).model_validate(message)


SHARES = [
    ("agent", "assistant-request-returned-error"),
    (
        "error",
        r".*(error|failed|invalid|no-assistant|not-found|not-valid|shutdown|join-timed-out|closed-websocket).*|customer-busy|.*operator-busy",
    ),
    ("agent", r"assistant-(ended-call|said-end-call-phrase).*|.*hook-executed-say"),
    ("caller", r"customer-ended-call.*|.*caller-hungup.*"),
    ("transferred", r".*(forward|hook-executed-transfer).*"),
    ("completed", r".*-completed.*"),
    ("voicemail", "voicemail"),
    ("silence", "silence-timed-out"),
    ("limit", "exceeded-max-duration"),
    # Calls that nobody rang us with, and reasons that name nobody.
    (
        None,
        r"customer-(busy|did-not.*)|.*(-deleted|canceled|outbound.*|no-call-received|misdialed|disconnected|rejected)",
    ),
]
"""Endings, and patterns of the reasons that have them; the first that fits holds."""


def test_every_end_reason_is_classified(sdk: ModuleType) -> None:
    """Every reason in the SDK has the ending that its parts tell."""
    literals = next(each for each in get_args(sdk.ServerMessageEndOfCallReportEndedReason) if get_args(each))
    reasons = get_args(literals)
    assert len(reasons) > 500
    for reason in reasons:
        expected = next((ending for ending, pattern in SHARES if re.fullmatch(pattern, reason)), "no pattern")
        body = VAPI.payload(CallEnded, SAMPLE, {"endedReason": reason})
        report = VAPI.parse(VAPI.sign(body, CallEnded))
        assert isinstance(report, CallEnded)
        assert report.ending == expected, reason
