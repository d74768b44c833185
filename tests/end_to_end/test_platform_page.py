"""The platform's own page on ``assistant-request``: each example and use case on it comes from template folders alone."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import pytest

from conftest import CALLER, CONTENT, EXPERIMENT, LINE, MakePhone, Phone
from flask_pickup import Caller, Pickup
from flask_pickup.assignment import draw_arm
from flask_pickup.caller import caller_key

REQUEST = b"""\
{
  "message": {
    "type": "assistant-request",
    "timestamp": "2025-12-13T12:00:00.000Z",
    "call": {
      "id": "5c4d030f-43e3-4e65-899e-8148521e660f",
      "type": "inbound_phone_call",
      "status": "ringing"
    },
    "phone_number": {
      "number": "+31850835037",
      "name": "Flireo Demo"
    },
    "customer": {
      "number": "+31612345678"
    }
  }
}
"""

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
    """What the page's own request is answered with."""
    response = phone.post(REQUEST)
    assert (response.status_code, response.mimetype) == (200, "application/json")
    return response.get_json()


# --- the examples -----------------------------------------------------------------------------------------------------


def test_request_payload_is_read(serve: Any) -> None:
    """The page's request is a call: who calls which line, when, and under which id."""
    phone = serve(
        {
            "greetings/first_message.j2": "{{ call.id }} {{ call.type }} {{ caller.number }} {{ line.number }} {{ line.name }}"
        }
    )
    said = "5c4d030f-43e3-4e65-899e-8148521e660f inbound_phone_call +31612345678 +31850835037 Flireo Demo"
    assert answer(phone) == {"assistant": {"first_message": said}}
    assert phone.rows("SELECT call_id, line, call_type, country, decision FROM pickup_calls") == [
        ("5c4d030f-43e3-4e65-899e-8148521e660f", LINE, "inbound_phone_call", "NL", "base")
    ]


@pytest.mark.parametrize(
    "files", [{}, {"greetings/override.json": {}}, {"greetings/first_message.j2": "{# nothing #}"}]
)
def test_use_default_configuration(serve: Any, files: Mapping[str, Any]) -> None:
    """No content, or none that says anything, is ``{}``: the agent as it is saved."""
    assert answer(serve(files)) == {}


def test_personalize_greeting(serve: Any) -> None:
    """An opening with the customer's name is one file."""
    phone = serve(
        {"greetings/first_message.j2": "Hallo {{ customer.first_name }}, leuk dat je belt! Hoe kan ik je helpen?\n"}
    )
    assert answer(phone) == {"assistant": {"first_message": "Hallo Jan, leuk dat je belt! Hoe kan ik je helpen?"}}


def test_override_llm_configuration(serve: Any) -> None:
    """The prompt is a file; provider and model stand in the override, in the platform's own JSON."""
    phone = serve(
        {
            "greetings/system_prompt.j2": (
                "Je spreekt met {{ customer.name }}, {% if customer.vip %}een VIP klant{% else %}een klant{% endif %}. "
                "Wees extra behulpzaam.\n"
            ),
            "greetings/override.json": {"assistant": {"llm_config": {"provider": "openai", "model": "gpt-4o"}}},
        }
    )
    content = "Je spreekt met Jan de Vries, een VIP klant. Wees extra behulpzaam."
    assert answer(phone) == {
        "assistant": {
            "llm_config": {
                "provider": "openai",
                "model": "gpt-4o",
                "messages": [{"role": "system", "content": content}],
            }
        }
    }


def test_set_call_duration_limit(serve: Any) -> None:
    """A limit stands in the override, and leaves as the number that it is."""
    assert answer(serve({"greetings/override.json": {"max_duration_seconds": 300}})) == {"max_duration_seconds": 300}


SORRY = "Sorry, we zijn op dit moment gesloten. Bel terug tijdens kantooruren."


def test_reject_the_call(serve: Any) -> None:
    """``error`` in the override turns a call away, whatever else there is to say."""
    files = {**CONTENT, "greetings/override.json": {"error": SORRY, "max_duration_seconds": 300}}
    assert answer(serve(files)) == {"error": SORRY}


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


def test_enable_call_analysis(serve: Any) -> None:
    """The plan leaves as it was written: what the platform fills in arrives unfilled."""
    assert answer(serve({"greetings/override.json": {"assistant": {"analysis_plan": PLAN}}})) == {
        "assistant": {"analysis_plan": PLAN}
    }


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


def test_saved_assistant_with_override(serve: Any) -> None:
    """Where an ``assistant_id`` is named, what stands under ``assistant`` is that saved agent's override."""
    phone = serve(
        {
            "greetings/first_message.j2": "Hallo {{ customer.first_name }}.",
            "greetings/override.json": {
                "assistant_id": "saved-agent",
                "assistant": {"tts_config": {"provider": "cartesia", "voice_id": "anna"}},
                "max_duration_seconds": 300,
            },
        }
    )
    assert answer(phone) == {
        "assistant_id": "saved-agent",
        "assistant_override": {
            "first_message": "Hallo Jan.",
            "tts_config": {"provider": "cartesia", "voice_id": "anna"},
        },
        "max_duration_seconds": 300,
    }


# --- the use cases ----------------------------------------------------------------------------------------------------


def test_crm_integration(serve: Any) -> None:
    """A caller whom the CRM knows is greeted by name, another one without."""
    phone = serve(
        {"greetings/first_message.j2": "Hallo{% if customer.first_name %} {{ customer.first_name }}{% endif %}!"}
    )
    heard = [
        phone.ring(call, caller=number).get_json()["assistant"]["first_message"]
        for call, number in (("one", CALLER), ("two", "+31612345679"), ("three", "+31612345670"), ("four", "anonymous"))
    ]
    assert heard == ["Hallo Jan!", "Hallo Piet!", "Hallo!", "Hallo!"]


@pytest.mark.parametrize(
    ("at", "is_open"),
    [
        (datetime(2025, 12, 12, 16, 59, 59, tzinfo=UTC), False),
        (datetime(2025, 12, 12, 15, 59, 59, tzinfo=UTC), True),
        (datetime(2025, 12, 12, 8, 0, tzinfo=UTC), True),
        (datetime(2025, 12, 12, 7, 59, 59, tzinfo=UTC), False),
        (datetime(2025, 12, 13, 12, 0, tzinfo=UTC), False),
    ],
)
def test_business_hours(serve: Any, at: datetime, is_open: bool) -> None:  # noqa: FBT001
    """Outside the hours the call is turned away with the page's own words, and the row says closed."""
    phone = serve(
        {
            "greetings/first_message.j2": "Goedendag.",
            "greetings/closed.j2": SORRY + "\n",
            "greetings/hours.toml": 'timezone = "Europe/Amsterdam"\n[week]\nfriday = "09:00-17:00"\n',
        },
        at,
    )
    assert answer(phone) == ({"assistant": {"first_message": "Goedendag."}} if is_open else {"error": SORRY})
    assert phone.rows("SELECT decision FROM pickup_calls") == [("base" if is_open else "closed",)]


def test_vip_handling(serve: Any) -> None:
    """An important customer gets the premium model, by a template in the override."""
    model = "{{ 'gpt-4o' if customer.vip else 'gpt-4o-mini' }}"
    phone = serve({"greetings/override.json": {"assistant": {"llm_config": {"provider": "openai", "model": model}}}})
    models = [
        phone.ring(call, caller=number).get_json()["assistant"]["llm_config"]["model"]
        for call, number in (("one", CALLER), ("two", "+31612345679"), ("three", None))
    ]
    assert models == ["gpt-4o", "gpt-4o-mini", "gpt-4o-mini"]


def test_ab_testing(serve: Any) -> None:
    """Callers are routed to different configurations, each always to the same one, and a row says to which."""
    phone = serve(
        {
            "greetings/override.json": {"assistant_id": "agent-a"},
            "experiments/two-agents/experiment.toml": EXPERIMENT,
            "experiments/two-agents/warm/override.json": {"assistant_id": "agent-b"},
        }
    )
    agents = {"control": "agent-a", "warm": "agent-b"}
    heard = set()
    for last in range(10):
        number = f"+3161234567{last}"
        arm = draw_arm("two-agents", {"control": 1, "warm": 1}, caller_key("a-caller-secret", number))
        for delivery in ("once", "again"):
            call = f"{delivery}-{'abcdefghij'[last]}"
            assert phone.ring(call, caller=number).get_json()["assistant_id"] == agents[arm]
        heard.add(arm)
    assert heard == {"control", "warm"}
    assert phone.rows("SELECT arm, COUNT(DISTINCT caller_key) FROM pickup_assignments GROUP BY arm ORDER BY arm") == [
        (arm, sum(draw_arm("two-agents", {"control": 1, "warm": 1}, caller_key("a-caller-secret", f"+3161234567{last}")) == arm for last in range(10)))
        for arm in ("control", "warm")
    ]  # fmt: skip


def test_language_detection(serve: Any) -> None:
    """A caller from another country is answered in its language, where the greeting is written in it."""
    phone = serve(
        {
            "greetings/settings.toml": 'language = "nl"\n',
            "greetings/first_message.j2": "Goedendag.",
            "greetings/first_message.de.j2": "Guten Tag.",
            "greetings/override.json": {
                "assistant": {"stt_config": {"provider": "deepgram", "model": "nova-3", "language": "{{ language }}"}}
            },
        }
    )
    heard = [
        (said["first_message"], said["stt_config"]["language"])
        for said in (
            phone.ring(call, caller=number).get_json()["assistant"]
            for call, number in (("one", CALLER), ("two", "+493023125123"), ("three", "+336399800"), ("four", None))
        )
    ]
    assert heard == [("Goedendag.", "nl"), ("Guten Tag.", "de"), ("Goedendag.", "nl"), ("Goedendag.", "nl")]


# --- validated on its way out -----------------------------------------------------------------------------------------

WRONG_OVERRIDES: list[dict[str, Any]] = [
    {"max_duration_seconds": "300"},
    {"max_duration_seconds": 0},
    {"max_duration_seconds": 10**30},
    {"assistant": {"llm_config": {"temperature": 3}}},
    {"assistant": {"llm_config": {"messages": [{"role": "assistant"}]}}},
    {"assistant": {"tts_config": {"provider": "cartesia"}}},
    {"assistant": {"stt_config": "nova"}},
    {"assistant": {"first_message": ["Hello"]}},
    {"assistant": {"note": "\ud800"}},
    {"assistant": "agent-b"},
    {"assistant": {"metadata": "x"}},
    {"assistant": {"llm_config": "gpt-4o"}},
    {"assistant_override": {}},
    {"error": 42},
    {"error": 7},
    {"assistant_id": ""},
]


def with_arm(override: Mapping[str, Any]) -> dict[str, Any]:
    pinned = f'{EXPERIMENT}[pins]\n"{CALLER}" = "warm"\n'
    return {
        "greetings/override.json": {
            "assistant": {"note": "base", "llm_config": {"provider": "openai", "model": "gpt-4o"}}
        },
        "experiments/warm-opening/experiment.toml": pinned,
        "experiments/warm-opening/warm/override.json": override,
    }


@pytest.mark.parametrize("override", WRONG_OVERRIDES, ids=str)
def test_arm_that_is_not_understood_steps_down_to_the_base(serve: Any, override: dict[str, Any]) -> None:
    """What the platform would not understand never leaves: the caller hears the base, and the row says fallback and why."""
    phone = serve(with_arm(override))
    assert answer(phone) == {"assistant": {"note": "base", "llm_config": {"provider": "openai", "model": "gpt-4o"}}}
    assert_is_fallback(phone, "experiments/warm-opening/warm")
    assert answer(phone) == {"assistant": {"note": "base", "llm_config": {"provider": "openai", "model": "gpt-4o"}}}
    assert [bool(row[0]) for row in phone.rows("SELECT delivered FROM pickup_assignments")] == [False]


@pytest.mark.parametrize("override", WRONG_OVERRIDES, ids=str)
def test_base_that_is_not_understood_steps_down_to_the_saved_agent(serve: Any, override: dict[str, Any]) -> None:
    """Where the base itself would not be understood, the answer is ``{}``: the saved agent, fallback again."""
    phone = serve({"greetings/override.json": override})
    assert answer(phone) == {}
    assert_is_fallback(phone, "greetings")


@pytest.mark.parametrize("override", WRONG_OVERRIDES, ids=str)
def test_arm_and_base_may_both_fail(serve: Any, override: dict[str, Any]) -> None:
    """From arm to base to ``{}``: there is always something left to say."""
    phone = serve({**with_arm(override), "greetings/override.json": override})
    assert answer(phone) == {}
    assert_is_fallback(phone, "experiments/warm-opening/warm")


def assert_is_fallback(phone: Phone, where: str) -> None:
    [(kind, reasons)] = phone.rows("SELECT decision, reasons FROM pickup_calls")
    reasons = json.loads(reasons) if isinstance(reasons, str) else reasons
    assert kind == "fallback"
    assert any(fault.startswith(where) for fault in reasons["_faults"]), reasons
    assert phone.client.get("/pickup/health").get_json()["calls"] == {"fallback": 1}


def test_template_makes_an_arm_fail_for_one_caller_only(serve: Any) -> None:
    """A string that renders to what the platform would not take costs that caller the arm, and no other one."""
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


def test_unknown_providers_models_and_keys_pass(serve: Any) -> None:
    """The platform grows faster than any list of ours: what is new leaves as it was written."""
    override = {
        "assistant": {
            "llm_config": {"provider": "tomorrow", "model": "m-9", "reasoning": {"effort": "low"}},
            "stt_config": {"provider": "ears", "model": "x", "language": "tlh"},
            "tts_config": {"provider": "throat", "voice_id": "v", "mood": 11},
            "autonomous_silence_handling": False,
            "brand_new": [1, 2.5, True, {"deep": "yes"}],
        },
        "brand_new": {"too": 1},
    }
    assert answer(serve({"greetings/override.json": override})) == override
