"""The list of calls and the page of a call: which calls are listed, and what is said of each."""

from __future__ import annotations

import html
import re
from collections.abc import Iterator, Mapping
from datetime import timedelta
from typing import Any
from urllib.parse import unquote

import pytest

from authors import HOURS, TOML, page, words
from conftest import CALLER, CONTENT, OpenApp, Phone
from flask_pickup.dashboard import rows
from flask_pickup.testing import PickupClient
from result_rows import START, Rows

SEVERAL = {
    **HOURS,
    "greetings/first_message.nl.j2": "Goedendag.",
    "greetings/settings.toml": '[lines."+31850835037"]\nname = "Front desk"\n[lines."+31201234567"]\nname = "Amsterdam"\n',
    TOML: CONTENT[TOML] + 'label = { en = "Call length", nl = "Gespreksduur" }\n',
}


def ids(text: str) -> list[str]:
    """Return the calls that a page lists."""
    return [unquote(call) for call in re.findall(r'href="/pickup/calls/call\?id=([^"]+)"', text)]


def pages(phone: Phone, address: str) -> Iterator[str]:
    """Load a page of calls and those that it leads to."""
    while address:
        text = page(phone, address).text
        yield text
        following = re.findall(r'rel="next" href="/pickup([^"]+)"', text)
        address = html.unescape(following[0]) if following else ""


def said(text: str) -> str:
    """Return what a reader sees of a page."""
    return words(text.partition("<main")[2])


def test_call_is_shown_without_its_number(author: Phone) -> None:
    """A call's page has the start of its caller's pseudonym; the list has no more."""
    author.ring("call-1")
    key = author.rows("SELECT caller_key FROM pickup_calls")[0][0]
    text = page(author, "/calls/call?id=call-1").text
    assert key[:8] in text
    assert not [secret for secret in (key, CALLER, "612345678") if secret in text + page(author, "/calls").text]


def test_pages_of_calls_go_on_where_the_last_one_ended(author_of_each: Phone) -> None:
    """Every call is on exactly one page, also when calls come in between the loading of two pages."""
    made = [f"call-{letter}{other}" for letter in "abcdefgh" for other in "abcdefgh"]
    for call_id in made:
        author_of_each.ring(call_id)
    seen: list[str] = []
    for text in pages(author_of_each, "/calls"):
        seen += ids(text)
        author_of_each.ring(f"late-{len(seen)}")
    assert sorted(seen) == sorted(made)


def test_call_says_what_was_decided_and_why(author_of_each: Phone) -> None:
    """A call's page has the decision, the arm, the reasons and the outcomes, and a link to the definition at the time."""
    author_of_each.ring("call-1")
    author_of_each.report("call-1", analysis={"appointment_booked": True})
    text = page(author_of_each, "/calls/call?id=call-1").text
    for each in ("chose the arm", "appointment_<wbr>booked", "Netherlands"):
        assert each in text
    [(fingerprint,)] = author_of_each.rows("SELECT fingerprint FROM pickup_definitions")
    assert f"/definitions/{fingerprint}" in text
    definition = page(author_of_each, f"/definitions/{fingerprint}").text
    assert "Hello there, how lovely that you call!" in definition
    assert "minimum_days" in definition


def test_call_is_found_by_the_platforms_own_id(open_app: OpenApp, database_url: str) -> None:
    """Where Pickup names the calls, the page is found by either id, and shows both."""
    phone = open_app(url=database_url, PICKUP_RETELL_API_KEY="key_of-an-example")
    client = PickupClient(phone.app, platform="retell")
    client.post_call("call-of-retell")
    client.post_report()
    [(call_id,)] = phone.rows("SELECT call_id FROM pickup_calls")
    for known in ("call-of-retell", call_id):
        text = page(phone, f"/calls/call?id={known}").text
        assert f"<code>{call_id}</code>" in text
        assert "retell, <code>call-of-retell</code>" in text


@pytest.fixture
def listed(open_app: OpenApp, database_url: str) -> Phone:
    """An app with five calls on two days, of two experiments, one of which only the tables know."""
    phone = open_app(SEVERAL, url=database_url, PICKUP_RETELL_API_KEY="key_of-an-example")
    calls = Rows()
    warm: dict[str, Any] = {"experiment": "warm-opening"}
    # It is 18:00 in Tokyo; six hours later the next day has begun there, and not elsewhere.
    calls.call("ann", START, "warm", {"early_hang_up": 1, "duration_seconds": 102}, call_id="warm", **warm)
    calls.call("bob", START, "control", {"early_hang_up": 0}, call_id="control", delivered=False, language="nl", **warm)
    calls.call("cas", START, None, None, call_id="base", line="+31201234567")
    calls.call("dee", START + timedelta(hours=6), "old", {"refund": -1}, call_id="old", experiment="gone")
    calls.call("eve", START + timedelta(hours=30), "warm", {}, call_id="late", platform="retell", **warm)
    calls.write(phone.app.extensions["pickup"].engine)
    return phone


FILTERS = {
    "": "late old warm control base",
    "experiment=warm-opening": "late warm control",
    "experiment=warm-opening&arm=warm": "late warm",
    "arm=control": "control",
    "experiment=gone&arm=old": "old",
    "experiment=nowhere": "",
    "outcome=early_hang_up": "warm control",
    "outcome=early_hang_up&value=yes": "warm",
    "outcome=early_hang_up&value=no": "control",
    "outcome=early_hang_up&value=missing": "late old base",
    "value=yes": "late old warm control base",
    "outcome=duration_seconds&value=yes": "warm",
    "line=%2B31201234567": "base",
    "platform=retell": "late",
    "language=nl": "control",
    "delivered=yes": "late old warm",
    "delivered=no": "control",
    "arm=warm&delivered=no": "",
    "counted=yes": "late old warm control",
    "since=2026-03-03": "late old",
    "until=2026-03-02": "warm control base",
    "since=2026-03-03&until=2026-03-03": "old",
    "since=2026-03-04&until=2026-03-02": "",
    "experiment=&arm=&outcome=&value=&line=&platform=&language=&since=&until=&delivered=no": "control",
    "experiment=warm-opening&arm=warm&outcome=early_hang_up&value=yes&since=2026-03-02&until=2026-03-02": "warm",
}
"""What is asked, and the calls that are found."""


def test_filters_choose_the_calls(listed: Phone) -> None:
    """The list has the calls that match all filters, the latest first; days are in the business's time zone."""
    assert {asked: " ".join(ids(page(listed, f"/calls?{asked}").text)) for asked in FILTERS} == FILTERS


def test_only_experiments_that_there_are_have_a_link(listed: Phone) -> None:
    """An experiment that only the tables know has no page to link to."""
    text = page(listed, "/calls").text + page(listed, "/calls/call?id=old").text
    assert set(re.findall(r'href="/pickup/experiments/([^"]+)"', text)) == {"warm-opening"}
    assert "old gone" in said(text)


def test_filters_can_be_removed(listed: Phone) -> None:
    """Each filter that is set has a link without it; there is one without all, and the form is filled in."""
    text = html.unescape(page(listed, "/calls?arm=warm&outcome=duration_seconds&value=yes&since=2026-03-02").text)
    for address, name in (
        ("outcome=duration_seconds&value=yes&since=2026-03-02", "Arm: warm"),
        ("arm=warm&value=yes&since=2026-03-02", "Outcome: Call length"),
        ("arm=warm&outcome=duration_seconds&value=yes", "From: 2 Mar 2026"),
    ):
        assert re.search(rf'href="/pickup/calls\?{re.escape(address)}" [^>]*>{name} ×</a>', text), name
    assert '<a href="/pickup/calls">Remove all filters</a>' in text
    assert re.findall(r'<option value="([^"]+)" selected>', text) == ["warm", "duration_seconds", "yes"]
    assert 'name="since" value="2026-03-02"' in text
    assert "Remove all filters" not in page(listed, "/calls").text


def test_search_says_how_far_it_looked(author_of_each: Phone, monkeypatch: pytest.MonkeyPatch) -> None:
    """A page looks for a moment only; it says back to when, and leads on until every call was looked at."""
    monkeypatch.setattr(rows, "SEARCH_STEP", 4)
    monkeypatch.setattr(rows, "SEARCH_SECONDS", 0)
    monkeypatch.setattr(rows, "PAGE", 2)
    calls = Rows()
    for hour in range(14):
        at, arm = START + timedelta(hours=hour), "warm" if hour in (1, 9, 10, 11) else "control"
        calls.call("ann", at, arm, call_id=f"{arm}-{hour}", experiment="warm-opening")
    calls.write(author_of_each.app.extensions["pickup"].engine)
    texts = list(pages(author_of_each, "/calls?arm=warm"))
    assert [ids(text) for text in texts] == [["warm-11", "warm-10"], ["warm-9"], [], ["warm-1"]]
    assert "No more among the 4 calls back to 2 Mar 2026 15:00:00." in said(texts[1])
    assert "None among the 4 calls back to 2 Mar 2026 11:00:00. Latest calls Search earlier calls" in said(texts[2])
    monkeypatch.setattr(rows, "SEARCH_SECONDS", 60)
    texts = list(pages(author_of_each, "/calls?arm=warm"))
    assert [ids(text) for text in texts] == [["warm-11", "warm-10"], ["warm-9", "warm-1"]]


@pytest.mark.parametrize(
    ("outcome", "value", "shown"),
    [
        ("early_hang_up", 1, "Early hang-up yes"),
        ("voicemail", 1, "Voicemail yes"),
        ("voicemail", 0, ""),
        ("user_messages", 1, "Caller's messages 1"),
        ("analysis.booked", 1, "booked yes"),
        ("analysis.booked", 0, "booked no"),
        ("analysis.rating", 4, "rating 4"),
        ("refund", -49.9, "refund -49.90"),
        ("duration_seconds", 102, "1:42"),
        ("duration_seconds", 3599.7, "60:00"),
    ],
)
def test_outcomes_are_in_words(author: Phone, outcome: str, value: float, shown: str) -> None:
    """A flag is yes or no, a number a number; a report's flag that is no has no place in the list."""
    calls = Rows()
    calls.call("ann", START, None, {outcome: value}, call_id="call-1")
    calls.write(author.app.extensions["pickup"].engine)
    row = said("<main" + page(author, "/calls").text.partition("<tbody>")[2].partition("</tbody>")[0])
    assert (shown or "– –") in row
    assert not {"yes", "no"} & set(row.split()) - set(shown.split())


def test_outcomes_go_by_their_label(listed: Phone) -> None:
    """An outcome that an experiment measures goes by the metric's label, in the page's language; a duration is in seconds then."""
    dutch = listed.client.get("/pickup/calls/call?id=warm", headers={"Accept-Language": "nl"}).text
    assert "Call length 102 s" in said(page(listed, "/calls/call?id=warm").text)
    assert "Gespreksduur" in dutch


ARM = {"arm": "warm", "experiment": "warm-opening", "country": "NL"}
DURATION = {"duration_seconds": 102.0}


@pytest.mark.parametrize(
    ("call", "outcomes", "sentence"),
    [
        (
            ARM,
            DURATION,
            "A caller (Netherlands) heard warm of warm-opening; it was delivered, and the call lasted 1:42.",
        ),
        (
            {**ARM, "delivered": False},
            None,
            "A caller (Netherlands) should have heard warm of warm-opening; it was not delivered.",
        ),
        ({**ARM, "delivered": None}, None, "heard warm of warm-opening; whether it was delivered is not known."),
        ({**ARM, "source": "pin"}, None, "heard warm of warm-opening (pinned); it was delivered."),
        ({}, DURATION, "A caller heard the base; the call lasted 1:42."),
        ({"decision": "closed"}, None, "A caller called outside opening hours and was rejected."),
        ({"decision": "fallback"}, None, "A caller heard the fallback because of a fault."),
        ({"decision": None}, DURATION, "Only the report of this call has arrived; the call lasted 1:42."),
        ({"caller": None}, None, "A caller without a number heard the base."),
        ({"call_id": "pickup-rehearsal-1"}, None, "This is a rehearsal: results exclude it."),
    ],
)
def test_call_begins_with_a_sentence(
    author: Phone, call: Mapping[str, Any], outcomes: Mapping[str, float] | None, sentence: str
) -> None:
    """A call's page says first who called, what they heard, whether it was delivered, and how long it took."""
    calls = Rows()
    call_id = calls.call(**{"caller": "ann", "at": START, "outcomes": outcomes, **call})
    calls.write(author.app.extensions["pickup"].engine)
    assert sentence in said(page(author, f"/calls/call?id={call_id}").text)
    is_rehearsal = call_id.startswith("pickup-rehearsal-")
    assert ("Rehearsal" in said(page(author, "/calls").text)) == is_rehearsal


def test_call_has_the_templates_of_its_time(open_app: OpenApp) -> None:
    """What was sent are the arm's templates in the call's language, as they were defined then."""
    phone = open_app({"experiments/warm-opening/warm/first_message.nl.j2": "Hallo {{ customer.first_name }}"})
    experiment = next(one for one in phone.app.extensions["pickup"].catalog.experiments if one.name == "warm-opening")
    calls = Rows()
    warm: dict[str, Any] = {"experiment": "opening", "definition": "then"}
    for language in ("nl", "en", "fr"):
        calls.call("ann", START, "warm", call_id=language, language=language, **warm)
    calls.call("ann", START, "warm", call_id="lost", experiment="opening", definition="gone")
    calls.write(phone.app.extensions["pickup"].engine, [("then", experiment.body)])
    found = {call: said(page(phone, f"/calls/call?id={call}").text) for call in ("nl", "en", "fr", "lost")}
    plain = "Hello there, how lovely that you call! System prompt: that of the base."
    assert "Hallo {{ customer.first_name }} System prompt: that of the base." in found["nl"]
    assert [plain in found[language] for language in ("nl", "en", "fr")] == [False, True, True]
    assert "The definition of that time is not there." in found["lost"]
