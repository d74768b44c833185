"""Call ids: kept as the platform gives them, unless they hold the caller's number, and safe to show."""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Mapping
from html import unescape
from typing import Any

import pytest

from conftest import CONTENT, NOW, MakePhone, Phone
from flask_pickup import Pickup

NORWEGIAN = "+4721234567"

KEPT = [
    *("load-0-15-645075", "5c4d030f-43e3-4e65-899e-8148521e660f", "0123456789abcdef0123456789abcdef", "7"),
    *("CA645075123906450751239064507512", "call_123456789abcdef", "1765627200.4711", "20251213-120000"),
]
HOLDING = [
    *("4721234567-7", "call-21234567-7", "x21234567y", "+47 21 23 45 67", "21-23-45-67@192.0.2.1", "00472123456799"),
    *("sip:+4721234567@carrier.example", "pickup-rehearsal-21234567", "\N{FULLWIDTH DIGIT TWO}1234567"),
    *("47%2021%2D23%2D45%2D67", "sip%3A%2B4721234567%40carrier.example", "%32%31234567"),
]
"""Ids that hold the Norwegian's number, whose national part has eight digits."""

HOURS = 'timezone = "Europe/Amsterdam"\n[week]\nmonday = "09:00-17:00"\n'
CONTENTS: Mapping[str, Mapping[str, Any]] = {
    "arm": CONTENT,
    "base": {"greetings/first_message.j2": "Good day."},
    "closed": {**CONTENT, "greetings/closed.j2": "We are closed.", "greetings/hours.toml": HOURS},
    "fallback": {"greetings/first_message.j2": "{% if %}"},
}


def ids(phone: Phone) -> list[str]:
    return [call_id for (call_id,) in phone.rows("SELECT call_id FROM pickup_calls ORDER BY call_id")]


@pytest.mark.parametrize("caller", [NORWEGIAN, "anonymous", None])
def test_id_is_kept(phone: Phone, caller: str | None) -> None:
    """An id without the caller's number is kept, whatever digits it has, and its report joins it."""
    for call_id in KEPT:
        phone.ring(call_id, caller=caller)
        phone.report(call_id, caller=caller)
        phone.report(call_id, caller=None)
    assert ids(phone) == sorted(KEPT)
    assert phone.rows("SELECT COUNT(*) FROM pickup_outcomes WHERE name = 'duration_seconds'") == [(len(KEPT),)]


def test_id_of_a_report_alone_is_kept(phone: Phone) -> None:
    """A status and a report without number, metadata and request keep their id, as those of a call in a browser."""
    kept = [*KEPT, "01234567-89ab-4cde-8f01-23456789abcd", "web-7654321-a"]
    for call_id in kept:
        phone.send({"type": "status-update", "call": {"id": call_id, "status": "ended"}})
        phone.report(call_id, caller=None)
    assert ids(phone) == sorted(kept)


EVENTS: list[Callable[[Phone, str, Any], object]] = [
    lambda phone, call_id, told: phone.report(call_id, caller=None, assistant=told),
    lambda phone, call_id, _: phone.report(call_id, caller=None),
    lambda phone, call_id, _: phone.report(call_id, caller="tel:004721234567"),
    lambda phone, call_id, _: phone.report(call_id, caller="204"),
    lambda phone, call_id, _: phone.send({"type": "status-update", "call": {"id": call_id, "status": "ended"}}),
]
"""A report with our metadata, without, with another spelling of the number and with an extension; a status."""


@pytest.mark.parametrize("decision", CONTENTS)
def test_id_with_the_number_is_one_row_without_it(make_phone: MakePhone, database_url: str, decision: str) -> None:
    """An id that holds the caller's number is replaced alike in all events of the call, also of a call without an arm."""
    phone = make_phone(CONTENTS[decision], url=database_url)
    for letter, send in zip("abcde", EVENTS, strict=True):
        for call_id in (f"{holding}~{letter}" for holding in HOLDING):
            send(phone, call_id, phone.ring(call_id, caller=NORWEGIAN).get_json().get("assistant"))
    found = ids(phone)
    assert len(found) == len(HOLDING) * len(EVENTS)
    assert phone.rows("SELECT DISTINCT decision FROM pickup_calls") == [(decision,)]
    assert all(re.fullmatch("(call|pickup-rehearsal)-[0-9a-f]{32}", call_id) for call_id in found)


@pytest.mark.parametrize("first", ["request", "report"])
def test_id_with_a_withheld_number_is_replaced(phone: Phone, first: str) -> None:
    """An id with a number between its separators is replaced for a caller who withholds theirs."""
    events = [phone.ring, phone.report] if first == "request" else [phone.report, phone.ring]
    holding = ["call-4721234567-7", "4721234567", "+4721234567@carrier.example"]
    for call_id in holding:
        for send in events:
            send(call_id, caller=None)
    assert "21234567" not in str(ids(phone))
    assert len(ids(phone)) == len(holding)


AS_DIALLED = {
    "+5491123456789": ("0111523456789", "11-15-2345-6789", "call-91123456789", "011%2015%2023456789"),
    "+5492234123456": ("0223154123456", "223 15-412-3456"),
    "+390669821234": ("0669821234",),
    "+5511961234567": ("0-11-96123-4567",),
}


def test_id_with_the_number_as_it_is_dialled_is_replaced(phone: Phone) -> None:
    """An id may hold the number as it is dialled in its country, which is not always its last digits."""
    holding = [(caller, call_id) for caller, call_ids in AS_DIALLED.items() for call_id in call_ids]
    for caller, call_id in holding:
        phone.ring(call_id, caller=caller)
        phone.report(call_id, caller=caller)
    assert [stored for stored in ids(phone) if not re.fullmatch("call-[0-9a-f]{32}", stored)] == []
    assert len(ids(phone)) == len(holding)


@pytest.mark.parametrize(
    ("call_id", "requested", "reported"),
    [
        ("40611046-abc", None, "+4740611046"),
        ("call-40-61-10-46", "anonymous", "tel:004740611046"),
        ("40611046-abc", "+4721234567", "+4740611046"),
        ("40611046-abc", "+4740611046", "+4721234567"),
        ("47%2040611046", "+4740611046", "+4721234567"),
    ],
)
def test_report_with_another_number_joins_its_call(
    make_phone: MakePhone, database_url: str, call_id: str, requested: str | None, reported: str
) -> None:
    """A status and a report join the request's row, also if the request withheld the number or brought another."""
    phone = make_phone(url=database_url)
    phone.ring(call_id, caller=requested)
    status = {"type": "status-update", "call": {"id": call_id, "status": "ended"}, "customer": {"number": reported}}
    phone.send(status)
    phone.report(call_id, caller=reported)
    assert phone.rows("SELECT decision IS NULL FROM pickup_calls") == [(False,)]
    assert phone.rows("SELECT COUNT(*) FROM pickup_outcomes WHERE name = 'duration_seconds'") == [(1,)]


def test_report_that_overtakes_its_call_shows_no_number(phone: Phone) -> None:
    """A report without the number that comes before its call makes the row that the call fills in."""
    for holding in ("4721234567-7", "sip:+4721234567@carrier.example", "sip%3A%2B4721234567%40a.example"):
        phone.report(holding, caller=None)
        phone.ring(holding, caller=NORWEGIAN)
    found = phone.rows("SELECT call_id, decision FROM pickup_calls")
    assert [("21234567" in call_id, decision) for call_id, decision in found] == [(False, "arm")] * 3


def test_hosts_outcome_joins_by_the_platforms_id(make_phone: MakePhone, database_url: str) -> None:
    """A host names a call as the platform does, whether its id is kept or replaced."""
    pickup = Pickup(clock=lambda: NOW)
    phone = make_phone(url=database_url, pickup=pickup)
    for value, call_id in enumerate((KEPT[0], KEPT[3], HOLDING[0], HOLDING[1])):
        phone.ring(call_id, caller=NORWEGIAN)
        with phone.app.app_context():
            pickup.record_outcome("sale", value, call_id=call_id)
    assert phone.rows("SELECT value FROM pickup_outcomes ORDER BY value") == [(0.0,), (1.0,), (2.0,), (3.0,)]


def test_ids_may_be_json_numbers(phone: Phone) -> None:
    """An id and a number that the platform sends as JSON integers are read as their digits."""
    message = {"call": {"id": 4711, "status": "ended"}, "customer": {"number": 4721234567}}
    phone.send({"type": "assistant-request", **message})
    phone.send({"type": "end-of-call-report", "duration_seconds": 3, **message})
    assert phone.rows("SELECT call_id, country FROM pickup_calls") == [("4711", "NO")]


HOSTILE = [
    *(
        "a\nb",
        "a\r\nCRITICAL forged",
        "\x1b[2Jcleared",
        "..",
        ".",
        "../../plan",
        "a/../b",
        "a//b",
        "/",
        "//evil.example",
    ),
    *(
        "a?b#c",
        "%2e%2e",
        "a&b=c",
        "a b",
        " ",
        "a\N{RIGHT-TO-LEFT OVERRIDE}b",
        "\N{LINE SEPARATOR}",
        "'",
        '"<b>',
        "\x7f",
    ),
    *("a\0b", "ü", "\N{GRINNING FACE}" * 64, "x" * 256),
]


def test_hostile_id_is_quoted_and_has_a_page(make_phone: MakePhone, caplog: pytest.LogCaptureFixture) -> None:
    """No control character of an id reaches the log, and the list of calls links to each one's page."""
    caplog.set_level(logging.DEBUG)
    phone = make_phone(PICKUP_DASHBOARD_TOKEN="a" * 22)
    phone.client.get("/pickup/?token=" + "a" * 22)
    for call_id in HOSTILE:
        phone.ring(call_id)
        phone.report(call_id, end_reason=call_id, status=call_id)
    assert all(record.getMessage().isprintable() for record in caplog.records)
    links = re.findall(r'href="(/pickup/calls/call[^"]*)"', phone.client.get("/pickup/calls").text)
    assert len(links) == len(HOSTILE) == len(ids(phone))
    shown = [
        unescape(re.findall("Call id</dt><dd><code>(.*?)</code>", phone.client.get(unescape(link)).text, re.DOTALL)[0])
        for link in links
    ]
    assert sorted(shown) == ids(phone)
