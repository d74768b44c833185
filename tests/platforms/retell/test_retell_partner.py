"""The vendor's own SDK reads our answers and verifies our deliveries: pip install -r requirements-partners.txt."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, get_type_hints

import pytest

from flask_pickup.catalog import load
from flask_pickup.customer import Customer
from flask_pickup.platforms import Answer, CallEnded, Delivery, Rejection, SampleCall, Words
from flask_pickup.platforms.retell import Retell
from flask_pickup.previewing import SOMEBODY, imagine, made_up_call

pydantic: Any = pytest.importorskip("pydantic")
webhook_auth: Any = pytest.importorskip("retell.lib.webhook_auth")
types: Any = pytest.importorskip("retell.types")

ROOT = Path(__file__).parents[3]
KEY = "key_of-the-account-on-retell"
RETELL = Retell((KEY,))
METADATA = {"v": 1, "call": "retell-a", "assignments": {"warm": {"arm": "warm"}}}
AT = datetime(2025, 12, 13, 12, tzinfo=UTC)
WORDS = Words("Good day.", "You are kind.\n\nVery kind: “é”.")

READ = pydantic.create_model(
    "Read",
    __config__=pydantic.ConfigDict(extra="forbid", strict=True, arbitrary_types_allowed=True),
    call=(types.CallCreatePhoneCallParams, ...),
)
"""Reads the fields that a call of the SDK's own shares with an answer; the SDK has no type for the answer itself."""
NAMES = {"dynamic_variables": "retell_llm_dynamic_variables"}

OVERRIDE = {
    "override_agent_id": "agent_a",
    "override_agent_version": 3,
    "dynamic_variables": {"seats": 4, "open": True},
    "metadata": {"branch": "north"},
    "agent_override": {
        "agent": {
            "voice_id": "11labs-Adrian",
            "language": "nl-NL",
            "voice_speed": 1.1,
            "max_call_duration_ms": 300_000,
            "end_call_after_silence_ms": 20_000,
            "begin_message_delay_ms": 500,
            "boosted_keywords": ["Linde"],
            "ambient_sound": "coffee-shop",
            "post_call_analysis_data": [
                {"name": "booked", "type": "boolean", "description": "Whether an appointment was made"},
                {"name": "intent", "type": "enum", "choices": ["book", "cancel"], "description": "Why they call"},
            ],
        },
        "retell_llm": {"model_temperature": 0.4, "tool_call_strict_mode": True, "kb_config": {"top_k": 3}},
    },
}
FLOW = {"agent_override": {"conversation_flow": {"start_speaker": "agent", "begin_after_user_silence_ms": 2000}}}


def assert_is_read(written: Any) -> None:
    """Let the SDK's types read an answer as it is: no key is unknown, and no value is of another type."""
    numbers = {"from_number": "+12025550100", "to_number": "+12025550123"}
    sent = numbers | {NAMES.get(key, key): value for key, value in written["call_inbound"].items()}
    read = READ(call=sent).call
    agent = read["agent_override"].get("agent", {})
    # Pydantic reads these one by one.
    agent |= {key: list(value) for key, value in agent.items() if key == "post_call_analysis_data"}
    assert read == sent


@pytest.mark.parametrize(
    "answer",
    [
        Answer(WORDS, "en", {}, METADATA),
        Answer(WORDS, "en", {"call_inbound": OVERRIDE}, METADATA),
        Answer(WORDS, "en", {"call_inbound": FLOW}, METADATA),
        Rejection("We are closed.", METADATA),
    ],
)
def test_sdk_reads_our_answers(answer: Answer | Rejection) -> None:
    """Every kind of answer is read without loss."""
    assert_is_read(RETELL.answer(answer))


@pytest.mark.parametrize("vip", [True, False])
def test_sdk_reads_the_sample_content(vip: bool) -> None:  # noqa: FBT001 (the table's)
    """So is the answer of every arm in this repository, but for the one that rejects the call."""
    catalog = load(ROOT / "experiments", ROOT / "greetings", pin_key=lambda _: None, region="NL", platforms=[RETELL])
    assert not catalog.complaints
    call, customer = made_up_call(RETELL, SOMEBODY, AT), Customer({"vip": vip}, {"vip": vip})
    answers = {
        arm: imagine(catalog, RETELL, (experiment, arm), call, customer).answer
        for experiment in catalog.experiments
        for arm in experiment.weights
    }
    assert answers.pop("turned-away") == {"call_inbound": {"reject": True}}
    for answer in answers.values():
        assert_is_read(answer)


def test_sdk_has_the_fields_of_our_schema() -> None:
    """Every key of an override that our schema knows is the SDK's."""
    groups: Any = RETELL.answer_schema.fields["call_inbound"].schema.fields["agent_override"].schema.fields  # type: ignore[attr-defined]
    override = get_type_hints(types.call_create_phone_call_params.AgentOverride)
    assert {name: set(each.schema.fields) - set(get_type_hints(override[name])) for name, each in groups.items()} == {
        name: set() for name in override
    }


@pytest.mark.parametrize("name", ["call_ended", "call_analyzed", "rehearsal"])
def test_sdk_reads_our_reports(name: str) -> None:
    """The reports of our tests and rehearsals are calls of the SDK's, without a key that it does not know."""
    sample = SampleCall(
        "call_a", "+12025550123", "+12025550100", AT, answer=RETELL.answer(Answer(WORDS, "en", {}, METADATA))
    )
    body = (
        RETELL.payload(CallEnded, sample)
        if name == "rehearsal"
        else (Path(__file__).parent / "payloads" / f"{name}.json").read_bytes()
    )
    call = json.loads(body)["call"]
    read = types.PhoneCallResponse.model_validate(call)
    assert read.model_extra == {}
    assert read.model_dump(exclude_unset=True, mode="json") == call


def test_sdk_verifies_our_deliveries() -> None:
    """The SDK's verifier takes every sample that we sign, and no other body or key."""
    call = SampleCall("call_a", "+12025550123", "+12025550100", AT)
    for sample in RETELL.samples(call):
        signature = RETELL.sign(sample.body, sample.event).headers["X-Retell-Signature"]
        assert webhook_auth.verify(sample.body.decode(), KEY, signature)
        assert not webhook_auth.verify(sample.body.decode() + " ", KEY, signature)
        assert not webhook_auth.verify(sample.body.decode(), "key_of-another-account", signature)


def test_sdks_signature_verifies() -> None:
    """What the SDK signs is verified."""
    body = '{"event": "call_ended", "call": {"transcript": "“é”"}}'
    signature = webhook_auth.symmetric["sign"](body, KEY)
    RETELL.verify(Delivery({"X-Retell-Signature": signature}, body.encode()))
