"""The vendor's own SDK: its types read our answers without loss, and its verifier accepts our simulated deliveries."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from time import time
from typing import Any

import pytest

from conftest import CALLER, LINE
from elevens import OPTIONS, SECRET, platform
from flask_pickup.platforms import Answer, CallEnded, Rejection, SampleCall, Words

# Without the SDK, its name is that of this folder.
pytest.importorskip("elevenlabs.types")
vendor = pytest.importorskip("elevenlabs")

SETTINGS = {
    "conversation_config_override": {
        "agent": {"language": "nl", "prompt": {"llm": "gpt-4o"}, "max_conversation_duration_message": "Goodbye."},
        "tts": {"voice_id": "v", "stability": 0.5, "similarity_boost": 0.75, "speed": 1.1},
        "asr": {"keywords": ["De Linde"]},
        "turn": {"soft_timeout_config": {"message": "One moment."}},
        "conversation": {"max_duration_seconds": 300, "text_only": False},
    },
    "dynamic_variables": {"plan": "gold", "visits": 3, "vip": True},
    "custom_llm_extra_body": {"temperature": 0.4},
    "user_id": "u",
    "branch_id": "agtbrch_1",
    "environment": "production",
}
ANSWERS: list[Answer | Rejection] = [
    Answer(Words("Hi.", "Be kind."), "nl", SETTINGS, {"v": 1, "call": "a"}),
    Answer(Words("Hi."), "nl"),
    Answer(Words(), "nl"),
    Rejection("We are closed.", {"v": 1}),
]
CALL = SampleCall("a-call", CALLER, LINE, datetime.now(UTC))


def unknown_keys(model: Any) -> Iterator[str]:
    """Yield the keys that the SDK's types do not know: they keep what else there is."""
    yield from model.model_extra or ()
    for value in dict(model).values():
        if hasattr(type(value), "model_fields"):
            yield from unknown_keys(value)


@pytest.mark.parametrize("answer", ANSWERS)
def test_types_read_our_answers(answer: Answer | Rejection) -> None:
    """Every key is known, every value is of its type, and nothing is lost."""
    written = platform().answer(answer)
    assert written.pop("type") == "conversation_initiation_client_data"
    read = vendor.ConversationInitiationClientDataRequestInput.model_validate(written)
    assert list(unknown_keys(read)) == []
    assert read.model_dump(exclude_none=True) == written


def test_types_read_our_reports() -> None:
    """A simulated report is made of what the SDK's types know."""
    answer = platform().answer(ANSWERS[0])
    data = json.loads(platform().payload(CallEnded, replace(CALL, answer=answer)))["data"]
    for part, name in {
        "metadata": "ConversationHistoryMetadataCommonModel",
        "analysis": "ConversationHistoryAnalysisCommonModel",
        "conversation_initiation_client_data": "ConversationInitiationClientDataRequestOutput",
    }.items():
        assert list(unknown_keys(getattr(vendor, name).model_validate(data[part]))) == [], part
    for turn in data["transcript"]:
        assert list(unknown_keys(vendor.ConversationHistoryTranscriptCommonModelOutput.model_validate(turn))) == []


def test_verifier_accepts_our_deliveries() -> None:
    """The SDK verifies what we sign, and refuses what was signed with another secret."""
    webhooks = vendor.ElevenLabs(api_key="unused").webhooks
    ours = platform(time())
    for sample in ours.samples(CALL):
        if sample.event is CallEnded and not sample.is_refused:
            delivery = ours.sign(sample.body, sample.event)
            given = delivery.body.decode(), delivery.headers["ElevenLabs-Signature"]
            assert webhooks.construct_event(*given, SECRET) == json.loads(sample.body)
            with pytest.raises(vendor.BadRequestError):
                webhooks.construct_event(*given, OPTIONS["PICKUP_ELEVENLABS_TOKEN"])
