"""Calls and reports over HTTP: what a caller hears, and the rows that the parts of a report make in any order."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Mapping
from datetime import timedelta
from itertools import permutations
from typing import Any

from conftest import CALLER, CONTENT, LINE, NOW, MakePhone
from flask_pickup import Pickup
from flask_pickup.platforms import CallEnded, SampleCall
from flask_pickup.testing import PickupClient

ACCOUNT = {
    "PICKUP_TELNYX_PUBLIC_KEY": b64encode(bytes(32)).decode(),
    "PICKUP_TELNYX_REHEARSAL_KEY": b64encode(b"o" * 32).decode(),
}
WORDS = {path: text for path, text in CONTENT.items() if "override" not in path}

CONVERSATION: dict[str, Any] = {"duration_sec": 53, "messages": [{"role": "user", "content": "Hello."}]}
INSIGHTS = {"results": [{"insight_id": "insight-1", "result": '{"booked": true}'}]}
HANGUP = {"hangup_cause": "normal_clearing", "hangup_source": "caller"}


def client(make_phone: MakePhone, files: Mapping[str, Any] = WORDS, **config: Any) -> PickupClient:
    pickup = Pickup(clock=lambda: NOW, telnyx_insights={"insight-1": "analysis"})
    phone = make_phone(files, pickup=pickup, **{"PICKUP_WEBHOOK_SECRET": None, **ACCOUNT, **config})
    return PickupClient(phone.app, platform="telnyx")


def rows(client: PickupClient, query: str) -> list[tuple[Any, ...]]:
    with client.pickup.engine.connect() as connection:
        return [tuple(row) for row in connection.exec_driver_sql(query)]


def test_parts_complete_one_another_in_any_order(make_phone: MakePhone, database_url: str) -> None:
    """Whichever part comes first, each tells its outcomes, and what needs two parts is unknown.

    What was heard is unknown too: nothing of the answer comes back.
    """
    ours = client(make_phone, url=database_url, PICKUP_TRANSCRIPTS=True)
    told = list(enumerate((CONVERSATION, HANGUP, INSIGHTS)))
    orders = list(permutations(told))
    for number, order in enumerate(orders):
        call_id = f"call-{'abcdef'[number]}"
        ours.post_call(call_id)
        for seconds, fields in order:
            call = SampleCall(call_id, CALLER, LINE, ours.pickup.now + timedelta(seconds=60 + seconds))
            assert ours.post_signed(ours.platform.payload(CallEnded, call, fields), CallEnded).status_code == 200
    outcomes = rows(ours, "SELECT call_id, name, value FROM pickup_outcomes ORDER BY call_id, name")
    expected = {"analysis.booked": 1, "completed": 1, "duration_seconds": 53, "user_messages": 1}
    expected |= dict.fromkeys(("error", "silence", "transferred", "voicemail"), 0)
    for number in range(len(orders)):
        assert {name: value for call, name, value in outcomes if call == f"call-{'abcdef'[number]}"} == expected
    facts = "SELECT DISTINCT end_reason, platform, decision, delivered FROM pickup_calls JOIN pickup_assignments USING (call_id)"
    assert rows(ours, facts) == [("normal_clearing by caller", "telnyx", "arm", None)]
    assert len(rows(ours, "SELECT DISTINCT reported_at FROM pickup_calls")) == 1
    assert len(rows(ours, "SELECT call_id FROM pickup_transcripts WHERE messages IS NOT NULL")) == len(orders)


def test_override_of_an_arm_is_its_variables(make_phone: MakePhone) -> None:
    """An override for this platform adds variables; a value that the platform would ignore costs the arm, not the call."""
    good = {"dynamic_variables": {"mood": "{{ 'kind' if caller.country == 'NL' else 'polite' }}"}}
    bad = {"dynamic_variables": {"telnyx_mood": "kind"}}
    for override, kind in ((good, "arm"), (bad, "fallback")):
        files = {path: text for path, text in WORDS.items() if "/warm/" not in path}
        ours = client(make_phone, {**files, "experiments/warm-opening/warm/override.telnyx.json": override})
        answers = [
            ours.post_call(f"call-{letter}", from_=f"+3161234567{number}") for number, letter in enumerate("abcdefgh")
        ]
        heard = {answer.get_json()["dynamic_variables"].get("mood") for answer in answers}
        assert heard == ({"kind", None} if kind == "arm" else {None})
        assert {row[0] for row in rows(ours, "SELECT decision FROM pickup_calls")} == {"arm", kind}


def test_conversation_by_text_gets_the_default(make_phone: MakePhone) -> None:
    """It is no call: no row, and the assistant's own values."""
    ours = client(make_phone)
    response = ours.post_call("call-1", telnyx_conversation_channel="sms_chat")
    assert (response.status_code, response.get_json()) == (200, {})
    assert rows(ours, "SELECT call_id FROM pickup_calls") == []


def test_voice_from_the_web_is_an_unidentified_caller(make_phone: MakePhone) -> None:
    """It has no number: it hears the base, and a made id names its row."""
    ours = client(make_phone)
    web = {"telnyx_conversation_channel": "web_call", "call_control_id": None}
    answer = ours.post_call("call-1", from_="a-visitor", to="assistant.sip.example", **web).get_json()
    assert answer["dynamic_variables"]["pickup_greeting"] == "Good day."
    [(call_id, caller_key, decision)] = rows(ours, "SELECT call_id, caller_key, decision FROM pickup_calls")
    assert (call_id.partition("-")[0], caller_key, decision) == ("telnyx", None, "base")
