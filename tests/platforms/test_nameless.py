"""A platform whose requests have no call id, and whose reports come in parts: what the four others have of this."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import Any

import pytest
from sqlalchemy import text

from bells import BELL_TOKEN, bell
from conftest import CALLER, CONTENT, NOW, MakePhone
from flask_pickup import Pickup
from flask_pickup.outcomes import import_file
from flask_pickup.platforms import CallEnded
from flask_pickup.reports import Reading, outcomes_of
from flask_pickup.testing import FrozenClock, PickupClient
from toys import Nameless, enabled

HOURS = 'timezone = "Europe/Amsterdam"\n[week]\nmonday = "09:00-17:00"\n'
TEXTS = {path: content for path, content in CONTENT.items() if "override" not in path and "prompt" not in path}
CONTENTS: Mapping[str, Mapping[str, Any]] = {
    "arm": TEXTS,
    "base": {"greetings/first_message.j2": "Good day."},
    "closed": {**TEXTS, "greetings/closed.j2": "We are closed.", "greetings/hours.toml": HOURS},
}


@pytest.fixture(autouse=True)
def _registry() -> Iterator[None]:
    with enabled(bell(), Nameless):
        yield


def client_of(make_phone: MakePhone, url: str, content: Mapping[str, Any] = TEXTS, **config: Any) -> PickupClient:
    phone = make_phone(content, url=url, pickup=Pickup(clock=lambda: NOW), PICKUP_BELL_TOKEN=BELL_TOKEN, **config)
    client = PickupClient(phone.app, platform="nameless")
    client.freeze(NOW)
    return client


def rows(client: PickupClient, query: str) -> list[tuple[Any, ...]]:
    with client.pickup.engine.connect() as connection:
        return [tuple(row) for row in connection.execute(text(query))]


# --- ids --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("decision", CONTENTS)
def test_report_joins_its_call_by_our_metadata(make_phone: MakePhone, database_url: str, decision: str) -> None:
    """Every answer carries our metadata, so the report of a base or closed call is joined too."""
    client = client_of(make_phone, database_url, CONTENTS[decision])
    client.post_call("theirs")
    client.post_report()
    [(call_id, *found)] = rows(client, "SELECT call_id, decision, platform_call_id FROM pickup_calls")
    assert (call_id.startswith("nameless-"), found) == (True, [decision, "theirs"])
    assert rows(client, "SELECT value FROM pickup_outcomes WHERE name = 'duration_seconds'") == [(42.0,)]


def test_hosts_outcomes_join_by_the_platforms_id(make_phone: MakePhone, database_url: str) -> None:
    """A host may name a call by the platform's id or by ours, in Python and in a file."""
    pickup = Pickup(clock=lambda: NOW)
    phone = make_phone(TEXTS, url=database_url, pickup=pickup, PICKUP_BELL_TOKEN=BELL_TOKEN)
    client = PickupClient(phone.app, platform="nameless")
    client.post_call("theirs")
    client.post_report()
    [(call_id,)] = rows(client, "SELECT call_id FROM pickup_calls")
    with phone.app.app_context():
        pickup.record_outcome("sale", 1, call_id="theirs")
        pickup.record_outcome("visit", 2, call_id=call_id)
    lines = ["outcome,at,call_id,value", "complaint,2025-12-13T11:00,theirs,3", "refund,2025-12-13T11:00,another,4"]
    counts, _ = import_file(client.pickup.engine, client.pickup.options, lines, UTC, datetime.fromtimestamp(NOW, UTC))
    assert (counts["new"], counts["unjoined"]) == (1, 1)
    query = (
        "SELECT name, value FROM pickup_outcomes WHERE name IN ('sale', 'visit', 'complaint', 'refund') ORDER BY value"
    )
    assert rows(client, query) == [("sale", 1.0), ("visit", 2.0), ("complaint", 3.0)]


def test_platforms_id_with_the_number_is_replaced(make_phone: MakePhone, database_url: str) -> None:
    """The platform's id is kept free of the caller's number as ours is, and the host may still join by it."""
    pickup = Pickup(clock=lambda: NOW)
    phone = make_phone(TEXTS, url=database_url, pickup=pickup, PICKUP_BELL_TOKEN=BELL_TOKEN)
    client = PickupClient(phone.app, platform="nameless")
    client.post_call(f"x-{CALLER}", from_=CALLER)
    client.post_report()
    with phone.app.app_context():
        pickup.record_outcome("sale", 1, call_id=f"x-{CALLER}")
    [(theirs, sale)] = rows(
        client,
        "SELECT platform_call_id, value FROM pickup_calls JOIN pickup_outcomes USING (call_id) WHERE name = 'sale'",
    )
    assert theirs.startswith("call-")
    assert (CALLER[1:] in theirs, sale) == (False, 1.0)


def test_report_without_our_metadata_has_the_platforms_id(make_phone: MakePhone, database_url: str) -> None:
    """Parts of a report on a call that our answer missed are one row, by the platform's id."""
    client = client_of(make_phone, database_url)
    client.post_report("missed", part=1)
    client.post_report("missed", part=2)
    assert rows(client, "SELECT call_id, decision FROM pickup_calls") == [("missed", None)]


@pytest.mark.parametrize(("fields", "calls"), [({}, 2), ({"at": "2025-12-13T12:00:00Z"}, 1)])
def test_retry_is_the_same_call(
    make_phone: MakePhone, database_url: str, fields: Mapping[str, Any], calls: int
) -> None:
    """The same body is the same call; where it holds no time, the same body a second later is another call."""
    client = client_of(make_phone, database_url)
    for seconds in (0, 0, 1, 0):
        client.freeze(NOW + seconds)
        client.post_call("theirs", **fields)
    assert rows(client, "SELECT COUNT(*) FROM pickup_calls") == [(calls,)]


# --- parts ------------------------------------------------------------------------------------------------------------

SPOKE = [{"role": "assistant", "content": "Good day."}, {"role": "user", "content": "When are you open?"}]
PARTS: list[dict[str, Any]] = [
    {
        "part": 1,
        "at": "2025-12-13T12:05:00Z",
        "why": "hung up",
        "seconds": 84,
        "by": "caller",
        "lines": SPOKE,
        "found": {},
    },
    {"part": 2, "at": "2025-12-13T12:06:00Z", "seconds": None, "by": None, "found": {"booked": True}, "gist": "Asked."},
]


@pytest.mark.parametrize("order", [(0, 1), (1, 0)])
def test_parts_complete_one_another(make_phone: MakePhone, database_url: str, order: tuple[int, ...]) -> None:
    """A later part keeps what another brought, and an older one fills gaps."""
    client = client_of(make_phone, database_url, PICKUP_TRANSCRIPTS=True)
    client.post_call("theirs")
    for index in (*order, *order):
        client.post_report(**PARTS[index])
    found = dict(rows(client, "SELECT name, value FROM pickup_outcomes"))
    ends = {"completed": 1, "transferred": 0, "voicemail": 0, "silence": 0, "error": 0}
    spoke = {"duration_seconds": 84, "user_messages": 1, "early_hang_up": 0}
    assert found == {**spoke, **ends, "analysis.booked": 1}
    assert rows(
        client,
        "SELECT end_reason, platform_call_id, delivered FROM pickup_calls JOIN pickup_assignments USING (call_id)",
    ) == [("hung up", "theirs", 1)]
    [(summary, messages)] = rows(client, "SELECT summary, messages FROM pickup_transcripts")
    assert (summary, "When are you open?" in str(messages)) == ("Asked.", True)


@pytest.mark.parametrize(
    ("ending", "messages", "expected"),
    [
        ("caller", 0, 1),
        ("caller", 2, 0),
        ("agent", 0, 0),
        ("caller", None, None),
        (None, 0, None),
        (None, 2, None),
        ("agent", None, None),
    ],
)
def test_part_needs_both_facts_of_an_early_hang_up(ending: Any, messages: int | None, expected: float | None) -> None:
    """A part tells of an early hang-up only if it says who ended the call and what the caller said."""
    event = CallEnded(call_id="x", is_whole=False, ending=ending, user_messages=messages, duration_seconds=2)
    assert outcomes_of(event, Reading(early=10))[0].get("early_hang_up") == expected


# --- one namespace of ids ---------------------------------------------------------------------------------------------

EVENTS: Mapping[str, Any] = {
    "report": lambda client: client.post_report("shared", found={"booked": True}),
    "status": lambda client: client.post_status("ended", "shared"),
}


@pytest.mark.parametrize("event", EVENTS)
@pytest.mark.parametrize("first", ["call", "event"])
def test_report_of_another_platform_is_dropped(
    make_phone: MakePhone, database_url: str, event: str, first: str
) -> None:
    """A report or a status of another platform than its call's leaves nothing, whichever came first, and is counted."""
    phone = make_phone(TEXTS, url=database_url, pickup=Pickup(clock=lambda: NOW), PICKUP_BELL_TOKEN=BELL_TOKEN)
    flireo, other = PickupClient(phone.app), PickupClient(phone.app, platform="bell")
    if first == "call":
        flireo.post_call("shared")
        EVENTS[event](other)
    else:
        EVENTS[event](other)
        flireo.post_call("shared")
    assert rows(flireo, "SELECT platform, decision, status, ended_at, reported_at FROM pickup_calls") == [
        ("flireo", "arm", None, None, None)
    ]
    assert rows(flireo, "SELECT COUNT(*) FROM pickup_outcomes") == [(0,)]
    assert flireo.get("/pickup/health").get_json()["foreign_reports"] == 1
    flireo.post_report("shared")
    assert rows(
        flireo,
        "SELECT value, status FROM pickup_outcomes JOIN pickup_calls USING (call_id) WHERE name = 'duration_seconds'",
    ) == [(42.0, "ended")]


# --- health -----------------------------------------------------------------------------------------------------------


def test_health_tells_of_each_platform(make_phone: MakePhone) -> None:
    """/health says when each platform was last heard, and what of it was refused; the refusals of all are added up."""
    clock = FrozenClock(NOW)
    phone = make_phone(TEXTS, pickup=Pickup(clock=clock), PICKUP_BELL_TOKEN=BELL_TOKEN)
    flireo, other = PickupClient(phone.app), PickupClient(phone.app, platform="bell")
    other.post_call()
    clock.tick(60)
    other.post_report()
    other.post_signed(b'{"event": "ring"}')
    other.post(other.webhook_url, data=b"{}")
    flireo.get(flireo.webhook_url)
    health = flireo.get("/pickup/health").get_json()
    nothing: dict[str, Any] = {"last_request": None, "last_report": None, "last_refusal": None, "refused": {}}
    assert health["platforms"] == {
        "flireo": {**nothing, "last_refusal": "2025-12-13T12:01:00+00:00", "refused": {"405": 1}},
        "nameless": nothing,
        "bell": {
            "last_request": "2025-12-13T12:00:00+00:00",
            "last_report": "2025-12-13T12:01:00+00:00",
            "last_refusal": "2025-12-13T12:01:00+00:00",
            "refused": {"unreadable call": 1, "401": 1},
        },
    }
    assert health["refused"] == {"405": 1, "unreadable call": 1, "401": 1}
