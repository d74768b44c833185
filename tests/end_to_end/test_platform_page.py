"""The platform's own page on ``assistant-request``: each example and use case on it comes from template folders alone."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import pytest

from conftest import CALLER, CONTENT, EXPERIMENT, LINE, MakePhone, Phone
from flask_pickup import Caller, Pickup
from flask_pickup.assignment import draw_arm
from flask_pickup.caller import caller_key

REQUEST = b"""{"message": {
    "type": "assistant-request",
    "timestamp": "2025-12-13T12:00:00.000Z",
    "call": {"id": "5c4d030f-43e3-4e65-899e-8148521e660f", "type": "inbound_phone_call", "status": "ringing"},
    "phone_number": {"number": "+31850835037", "name": "Flireo Demo"},
    "customer": {"number": "+31612345678"}
}}"""

CUSTOMERS = {
    "+31612345678": {"first_name": "Jan", "name": "Jan de Vries", "vip": True},
    "+31612345679": {"first_name": "Piet", "name": "Piet Jansen", "vip": False},
}


@pytest.fixture
def serve(make_phone: MakePhone) -> Any:
    """Serve folders to the platform, with a CRM that knows two customers."""

    def serve(files: Mapping[str, Any], at: datetime = datetime(2025, 12, 13, 12, tzinfo=UTC), **config: Any) -> Phone:
        pickup = Pickup(clock=at.timestamp)

        @pickup.customer
        def from_crm(caller: Caller) -> Mapping[str, Any] | None:
            return CUSTOMERS.get(caller.number or "")

        phone = make_phone(files, pickup=pickup, **config)
        phone.now = at.timestamp()
        return phone

    return serve


def answer(phone: Phone) -> Any:
    """Return the answer to the page's own request."""
    response = phone.post(REQUEST)
    assert (response.status_code, response.mimetype) == (200, "application/json")
    return response.get_json()


def test_request_payload_is_read(serve: Any) -> None:
    """The page's request is a call: who calls which line, when, and under which id."""
    template = "{{ call.id }} {{ call.type }} {{ caller.number }} {{ line.number }} {{ line.name }}"
    phone = serve({"greetings/first_message.j2": template})
    said = "5c4d030f-43e3-4e65-899e-8148521e660f inbound_phone_call +31612345678 +31850835037 Flireo Demo"
    assert answer(phone) == {"assistant": {"first_message": said}}
    assert phone.rows("SELECT call_id, line, call_type, country, decision FROM pickup_calls") == [
        ("5c4d030f-43e3-4e65-899e-8148521e660f", LINE, "inbound_phone_call", "NL", "base")
    ]


SORRY = "Sorry, we zijn op dit moment gesloten. Bel terug tijdens kantooruren."
MODEL = {"provider": "openai", "model": "gpt-4o"}
VIP = "Je spreekt met {{ customer.name }}, {% if customer.vip %}een VIP klant{% else %}een klant{% endif %}.\n"
TTS = {"provider": "cartesia", "voice_id": "anna"}
PLAN = {
    "structured_data_plan": {
        "enabled": True,
        "schema": {
            "type": "object",
            "properties": {
                "intent": {"type": "string"},
                "sentiment": {"type": "string", "enum": ["positive", "neutral", "negative"]},
                "appointment_booked": {"type": "boolean"},
            },
        },
        "messages": [
            {"role": "system", "content": "Analyze the call transcript according to the schema: {{schema}}"},
            {"role": "user", "content": "Transcript: {{transcript}}"},
        ],
    }
}
# New providers, models and keys pass: the platform grows faster than any list of ours.
NEW = {
    "assistant": {
        "llm_config": {"provider": "tomorrow", "model": "m-9", "reasoning": {"effort": "low"}},
        "stt_config": {"provider": "ears", "model": "x", "language": "tlh"},
        "tts_config": {"provider": "throat", "voice_id": "v", "mood": 11},
        "autonomous_silence_handling": False,
        "brand_new": [1, 2.5, True, {"deep": "yes"}],
    },
    "brand_new": {"too": 1},
}

EXAMPLES: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    # the example, its files, and the answer
    "use the default configuration": ({"greetings/first_message.j2": "{# nothing #}", "greetings/override.json": {}}, {}),
    "personalize the greeting": (
        {"greetings/first_message.j2": "Hallo {{ customer.first_name }}, leuk dat je belt! Hoe kan ik je helpen?\n"},
        {"assistant": {"first_message": "Hallo Jan, leuk dat je belt! Hoe kan ik je helpen?"}},
    ),
    "override the LLM configuration": (
        {"greetings/system_prompt.j2": VIP, "greetings/override.json": {"assistant": {"llm_config": MODEL}}},
        {"assistant": {"llm_config": {**MODEL, "messages": [{"role": "system", "content": "Je spreekt met Jan de Vries, een VIP klant."}]}}},
    ),
    "set a limit": ({"greetings/override.json": {"max_duration_seconds": 300}}, {"max_duration_seconds": 300}),
    "reject the call": (
        {**CONTENT, "greetings/override.json": {"error": SORRY, "max_duration_seconds": 300}},
        {"error": SORRY},
    ),
    "enable call analysis": (
        {"greetings/override.json": {"assistant": {"analysis_plan": PLAN}}},
        {"assistant": {"analysis_plan": PLAN}},
    ),
    "saved assistant with an override": (
        {
            "greetings/first_message.j2": "Hallo {{ customer.first_name }}.",
            "greetings/override.json": {"assistant_id": "saved", "assistant": {"tts_config": TTS}, "max_duration_seconds": 9},
        },
        {
            "assistant_id": "saved",
            "assistant_override": {"first_message": "Hallo Jan.", "tts_config": TTS},
            "max_duration_seconds": 9,
        },
    ),
    "new keys": ({"greetings/override.json": NEW}, NEW),
}  # fmt: skip


@pytest.mark.parametrize("example", EXAMPLES)
def test_example_is_files_alone(serve: Any, example: str) -> None:
    """Each example of the page is the answer to its request, from template folders alone."""
    files, expected = EXAMPLES[example]
    assert answer(serve(files)) == expected


@pytest.mark.parametrize("place", ["base", "arm"])
def test_platforms_own_braces_come_through_byte_for_byte(serve: Any, place: str) -> None:
    """``{{schema}}``, ``{{transcript}}`` and ``{{ended_reason}}`` keep every brace and blank, in the base and in an arm."""
    content = "{{schema}}{{ schema }} {{transcript}} {{ended_reason}} {%raw%} {# not a comment #} {{ unclosed"
    override = {
        "assistant": {
            "first_message": "{{ customer.first_name }}",
            "analysis_plan": {"structured_data_plan": {"messages": [{"role": "system", "content": content}]}},
        }
    }
    arm = {
        "experiments/warm-opening/experiment.toml": f'{EXPERIMENT}[pins]\n"{CALLER}" = "warm"\n',
        "experiments/warm-opening/warm/override.json": override,
    }
    phone = serve({"greetings/override.json": override} if place == "base" else arm)
    response = phone.post(REQUEST)
    assert json.dumps(content).encode() in response.data
    assert response.get_json()["assistant"]["first_message"] == "Jan"


# --- the use cases: of these, business hours are in test_closed.py, and languages in test_language.py -----------------


def each_caller(phone: Phone) -> list[dict[str, Any]]:
    """Return the answers to Jan, Piet, a stranger from Germany and a caller without a number."""
    numbers = (CALLER, "+31612345679", "+493023125123", None)
    return [phone.ring(f"call-{index}", caller=number).get_json()["assistant"] for index, number in enumerate(numbers)]


def test_crm_integration(serve: Any) -> None:
    """A caller whom the CRM knows is greeted by name and another one without; a template chooses the model."""
    model = {"provider": "openai", "model": "{{ 'gpt-4o' if customer.vip else 'gpt-4o-mini' }}"}
    greeting = "Hallo{% if customer.first_name %} {{ customer.first_name }}{% endif %}!"
    override = {"assistant": {"llm_config": model}}
    phone = serve({"greetings/first_message.j2": greeting, "greetings/override.json": override})
    answers = each_caller(phone)
    assert [said["first_message"] for said in answers] == ["Hallo Jan!", "Hallo Piet!", "Hallo!", "Hallo!"]
    assert [said["llm_config"]["model"] for said in answers] == ["gpt-4o", *["gpt-4o-mini"] * 3]


def test_ab_testing(serve: Any) -> None:
    """Callers are routed to different agents, each always to the same one, and a row says to which."""
    phone = serve(
        {
            "greetings/override.json": {"assistant_id": "agent-a"},
            "experiments/two-agents/experiment.toml": EXPERIMENT,
            "experiments/two-agents/warm/override.json": {"assistant_id": "agent-b"},
        }
    )
    arms = {}
    for number in (f"+3161234567{last}" for last in range(10)):
        arms[number] = draw_arm("two-agents", {"control": 1, "warm": 1}, caller_key("a-caller-secret-41879", number))
        for delivery in ("once", "again"):
            found = phone.ring(f"{delivery}-{'abcdefghij'[int(number[-1])]}", caller=number).get_json()["assistant_id"]
            assert found == {"control": "agent-a", "warm": "agent-b"}[arms[number]]
    counted = "SELECT arm, COUNT(DISTINCT caller_key) FROM pickup_assignments GROUP BY arm"
    assert dict(phone.rows(counted)) == Counter(arms.values())
    assert set(arms.values()) == {"control", "warm"}


# --- validated on its way out -----------------------------------------------------------------------------------------

WRONG_OVERRIDES: list[dict[str, Any]] = [
    *({"max_duration_seconds": value} for value in ("300", 0, 10**30)),
    {"assistant": {"llm_config": {"temperature": 3}}},
    {"assistant": {"llm_config": {"messages": [{"role": "assistant"}]}}},
    {"assistant": {"tts_config": {"provider": "cartesia"}}},
    {"assistant": {"metadata": "x"}},
    {"assistant": {"llm_config": "gpt-4o"}},
    {"assistant": "agent-b"},
    {"assistant_override": {}},
    {"error": 42},
    {"assistant_id": ""},
]
BASE = {"assistant": {"note": "base", "llm_config": MODEL}}


@pytest.mark.parametrize("override", WRONG_OVERRIDES, ids=str)
def test_invalid_answer_is_not_sent(serve: Any, override: dict[str, Any]) -> None:
    """For an invalid arm the caller hears the base, for an invalid base the saved agent (``{}``); the row says why."""
    base, arm = "greetings/override.json", "experiments/warm-opening/warm/override.json"
    pinned = {"experiments/warm-opening/experiment.toml": f'{EXPERIMENT}[pins]\n"{CALLER}" = "warm"\n'}
    for files, heard, where in (
        ({**pinned, base: BASE, arm: override}, BASE, "experiments/warm-opening/warm"),
        ({**pinned, base: override, arm: override}, {}, "experiments/warm-opening/warm"),
        ({base: override}, {}, "greetings"),
    ):
        phone = serve(files)
        # The second delivery of the call says the same.
        assert answer(phone) == answer(phone) == heard
        assert_is_fallback(phone, where)
        assert {bool(row[0]) for row in phone.rows("SELECT delivered FROM pickup_assignments")} <= {False}


def assert_is_fallback(phone: Phone, where: str) -> None:
    [(kind, reasons)] = phone.rows("SELECT decision, reasons FROM pickup_calls")
    reasons = json.loads(reasons) if isinstance(reasons, str) else reasons
    assert kind == "fallback"
    assert any(fault.startswith(where) for fault in reasons["_faults"]), reasons
    assert phone.client.get("/pickup/health").get_json()["calls"].keys() == {"fallback"}


def test_template_makes_an_arm_fail_for_one_caller_only(serve: Any) -> None:
    """A string that renders to an invalid value costs that caller the arm, and no other one."""
    files = {
        **CONTENT,
        "experiments/warm-opening/experiment.toml": EXPERIMENT.replace("control = 1", "control = 1e-9"),
        "experiments/warm-opening/warm/override.json": {
            "assistant": {"llm_config": {"model": "{{ customer.first_name }}"}}
        },
    }
    phone = serve(files)
    assert phone.ring("one").get_json()["assistant"]["llm_config"]["model"] == "Jan"
    assert phone.ring("two", caller="+31612345670").get_json()["assistant"]["llm_config"]["model"] == "gpt-4o"
    assert phone.rows("SELECT call_id, decision FROM pickup_calls ORDER BY call_id") == [
        ("one", "arm"),
        ("two", "fallback"),
    ]
