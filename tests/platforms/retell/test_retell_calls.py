"""Calls over HTTP on real databases: a call that the vendor gives no id, and its report in two parts."""

from __future__ import annotations

import json
from typing import Any

import pytest
from sqlalchemy import text

from conftest import BOOKED, NOW, MakePhone
from flask_pickup import Pickup
from flask_pickup.platforms import CallEnded, SampleCall, ToolCalls
from flask_pickup.testing import CALLER, PickupClient

CONTENT = {
    "greetings/first_message.j2": "Good day{% if customer.name %} {{ customer.name }}{% endif %}.",
    "greetings/system_prompt.j2": "You are kind{% if customer.name %} to {{ customer.name }}{% endif %}.",
    "greetings/override.retell.json": {
        "call_inbound": {"override_agent_id": "agent_a", "dynamic_variables": {"seats": 4}}
    },
    "experiments/warm-opening/experiment.toml": BOOKED,
    "experiments/warm-opening/warm/first_message.j2": "How lovely that you call!",
}
KEY = "key_of-the-account-on-retell"


class Line:
    """The vendor on the phone."""

    def __init__(
        self, make_phone: MakePhone, url: str | None, content: Any = CONTENT, pickup: Pickup | None = None
    ) -> None:
        pickup = pickup or Pickup(clock=lambda: NOW)
        self.phone = make_phone(content, url=url, pickup=pickup, PICKUP_RETELL_API_KEY=KEY, PICKUP_TRANSCRIPTS=True)
        self.client = PickupClient(self.phone.app, platform="retell")
        self.answer: dict[str, Any] = {}

    def ring(self, **fields: Any) -> Any:
        """Send a call and return what it is answered with."""
        response = self.client.post_call("a", **fields)
        assert response.status_code == 200
        self.answer = response.get_json()
        return self.answer["call_inbound"]

    def report(self, name: str, **fields: Any) -> None:
        """Send a part of the call's report: without the analysis, or without anything else."""
        call = SampleCall("call_theirs", CALLER, None, self.client.pickup.now, answer=self.answer)
        body = json.loads(self.client.platform.payload(CallEnded, call, fields))
        left_out = {
            "call_ended": ("call_analysis",),
            "call_analyzed": ("transcript", "transcript_object", "duration_ms"),
        }
        body["call"] = {key: value for key, value in body["call"].items() if key not in left_out[name]}
        assert self.client.post_signed(json.dumps({**body, "event": name}).encode(), CallEnded).status_code == 200

    def rows(self, query: str) -> list[tuple[Any, ...]]:
        """Return what SQL says."""
        with self.client.pickup.engine.connect() as connection:
            return [tuple(row) for row in connection.execute(text(query))]

    def outcomes(self) -> dict[str, float]:
        """Return the outcomes."""
        return dict(self.rows("SELECT name, value FROM pickup_outcomes"))


@pytest.mark.parametrize("order", [("call_ended", "call_analyzed"), ("call_analyzed", "call_ended")])
def test_parts_of_a_report_complete_one_another(
    make_phone: MakePhone, database_url: str, order: tuple[str, str]
) -> None:
    """Both parts join the call by our metadata, in either order, and the vendor's own id is kept."""
    line = Line(make_phone, database_url)
    line.ring()
    for name in order:
        line.report(name, call_analysis={"custom_analysis_data": {"booked": True}, "user_sentiment": "Negative"})
    [(call_id, *call)] = line.rows("SELECT call_id, platform_call_id, platform, decision, end_reason FROM pickup_calls")
    assert call_id.startswith("retell-")
    assert call == ["call_theirs", "retell", "arm", "user_hangup"]
    assert line.rows("SELECT delivered FROM pickup_assignments") == [(1,)]
    expected = {
        "duration_seconds": 42.0,
        "user_messages": 1.0,
        "early_hang_up": 0.0,
        "completed": 1.0,
        "analysis.booked": 1.0,
        "analysis.retell.user_sentiment.Negative": 1.0,
        "analysis.retell.user_sentiment.Positive": 0.0,
    }
    assert expected.items() <= line.outcomes().items()


def test_call_that_is_asked_for_again_is_the_same(make_phone: MakePhone, database_url: str) -> None:
    """The vendor asks up to three times: the same body is the same call, at another time it is another."""
    line = Line(make_phone, database_url)
    first = line.ring()
    assert line.ring() == first
    assert len(line.rows("SELECT * FROM pickup_calls")) == 1
    line.client.freeze(NOW + 60)
    line.ring()
    assert len(line.rows("SELECT * FROM pickup_calls")) == 2


def test_other_words_than_ours_were_not_delivered(make_phone: MakePhone) -> None:
    """The variables of the report show what the agent had."""
    line = Line(make_phone, None)
    line.ring()
    line.report("call_ended", retell_llm_dynamic_variables={"pickup_greeting": "Hi.", "pickup_prompt": "Another."})
    assert line.rows("SELECT delivered FROM pickup_assignments") == [(0,)]


def test_author_may_reject_silently(make_phone: MakePhone) -> None:
    """An arm with ``reject`` answers nothing else, and the assignment is recorded."""
    arm = {"experiments/warm-opening/warm/override.retell.json": {"call_inbound": {"reject": True}}}
    pins = f'{BOOKED}[pins]\n"{CALLER}" = "warm"\n'
    line = Line(make_phone, None, {**CONTENT, **arm, "experiments/warm-opening/experiment.toml": pins})
    assert line.ring() == {"reject": True}
    assert line.rows("SELECT arm FROM pickup_assignments") == [("warm",)]


def test_custom_function_finds_the_call(make_phone: MakePhone) -> None:
    """A host that answers custom functions at our address sees the call's id as it stands in the tables."""
    pickup = Pickup(clock=lambda: NOW)
    pickup.on("tool-calls")(lambda event: {"call": event.call_id, "said": event.tool_calls[0].arguments})
    line = Line(make_phone, None, pickup=pickup)
    line.ring()
    call = SampleCall("call_theirs", CALLER, None, line.client.pickup.now, answer=line.answer)
    found = line.client.post_signed(line.client.platform.payload(ToolCalls, call), ToolCalls).get_json()
    assert [(found["call"],)] == line.rows("SELECT call_id FROM pickup_calls")
