"""Telnyx's own SDK: it verifies our deliveries, and reads our events and answers with its own types."""

from __future__ import annotations

import json
import re
from base64 import b64encode
from datetime import UTC, datetime
from pathlib import Path
from time import time
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from conftest import CALLER, LINE
from flask_pickup.options import ConfigReader
from flask_pickup.platforms import Answer, CallEnded, Delivery, SampleCall, Words, enabled_platforms

telnyx = pytest.importorskip("telnyx")
pytest.importorskip("nacl")

PAGE = Path(__file__).parents[3] / "docs/platforms/telnyx.md"
OWN = Ed25519PrivateKey.from_private_bytes(b"o" * 32)
PUBLIC = b64encode(OWN.public_key().public_bytes_raw()).decode()
CONFIG = {
    "PICKUP_TELNYX_PUBLIC_KEY": b64encode(bytes(32)).decode(),
    "PICKUP_TELNYX_REHEARSAL_KEY": b64encode(OWN.private_bytes_raw()).decode(),
}
# The SDK looks at the clock itself.
PLATFORM = enabled_platforms(ConfigReader(CONFIG), time)["telnyx"]
CALL = SampleCall("v3:example", CALLER, LINE, datetime.now(UTC))
CLIENT = telnyx.Telnyx(api_key="no key", public_key=PUBLIC)


def unwrapped(delivery: Delivery) -> Any:
    return CLIENT.webhooks.unwrap(delivery.body.decode(), headers=dict(delivery.headers))


def test_sdk_verifies_every_delivery() -> None:
    """Its verifier accepts each sample as it is sent, and no other body."""
    verification = pytest.importorskip("telnyx.lib.webhook_verification")
    for sample in PLATFORM.samples(CALL):
        delivery = PLATFORM.sign(sample.body, sample.event)
        verification.verify_webhook_signature(delivery.body, dict(delivery.headers), PUBLIC)
        with pytest.raises(verification.WebhookVerificationError):
            verification.verify_webhook_signature(delivery.body + b" ", dict(delivery.headers), PUBLIC)


@pytest.mark.parametrize(
    ("fields", "name", "read"),
    [
        ({}, "CallConversationEndedWebhookEvent", {"duration_sec": 42}),
        ({"hangup_source": "caller"}, "CallHangupWebhookEvent", {"hangup_cause": "normal_clearing"}),
        ({"results": []}, "CallConversationInsightsGeneratedWebhookEvent", {"results": []}),
    ],
)
def test_sdk_reads_the_parts_of_a_report(fields: dict[str, Any], name: str, read: dict[str, Any]) -> None:
    """Each part is an event of its own type, and has no key that the type lacks."""
    event = unwrapped(PLATFORM.sign(PLATFORM.payload(CallEnded, CALL, fields), CallEnded))
    assert type(event).__name__ == name
    assert (event.data.payload.call_control_id, event.data.occurred_at.tzinfo is not None) == (CALL.id, True)
    assert {key: getattr(event.data.payload, key) for key in read} == read
    for model in (event, event.data, event.data.payload):
        assert model.model_extra == {}


def test_our_metadata_fits_a_conversation() -> None:
    """A conversation's metadata maps names to texts; our answer's stays as it is."""
    conversation = pytest.importorskip("telnyx.types.ai.conversation").Conversation
    answer = PLATFORM.answer(Answer(Words("Good day."), "en", {}, {"v": 1, "deep": {"call": None}}))
    now = datetime.now(UTC)
    metadata = answer["conversation"]["metadata"]
    found = conversation.model_validate({"id": "1", "created_at": now, "last_message_at": now, "metadata": metadata})
    assert found.metadata == metadata


def test_page_sets_up_an_assistant_that_the_sdk_knows() -> None:
    """Each key of the assistant in the documentation is one of the API's."""
    params = pytest.importorskip("telnyx.types.ai.assistant_create_params").AssistantCreateParams
    tool = pytest.importorskip("telnyx.types.ai.hangup_tool_param").HangupToolParam
    [block] = re.findall(r"```json\n(.*?)```", PAGE.read_text("utf-8"), re.DOTALL)
    assistant = json.loads(block)
    assert assistant.keys() <= params.__annotations__.keys()
    assert assistant["tools"][0].keys() == tool.__annotations__.keys()
    used = re.findall(r"\{\{(\w+)\}\}", assistant["greeting"] + assistant["instructions"])
    assert set(used) == assistant["dynamic_variables"].keys()
    answer = PLATFORM.answer(Answer(Words("Good day.", "You are kind."), "en"))
    assert set(used) == answer["dynamic_variables"].keys()
