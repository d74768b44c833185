"""The pages over HTTP: what they say with nothing, with little, and when something fails."""

from __future__ import annotations

import csv
import html
import io
import json
import re
import time
from typing import Any

import pytest
import sqlalchemy as sa
from werkzeug.test import TestResponse

from conftest import CALLER, CONTENT, NOW, MakePhone, Phone
from flask_pickup import Pickup
from flask_pickup.results.numbers import COLUMNS

TOKEN = "a-token-of-at-least-128-bits"
BEGAN = time.monotonic()


def running() -> float:
    """A clock that began with the tests: results are of the calls before them."""
    return NOW + time.monotonic() - BEGAN


@pytest.fixture
def author(make_phone: MakePhone, database_url: str) -> Phone:
    """An app with one running experiment, whose dashboard is open to the author's browser."""
    phone = make_phone(url=database_url, pickup=Pickup(clock=running), PICKUP_DASHBOARD_TOKEN=TOKEN)
    phone.client.get(f"/pickup/?token={TOKEN}")
    return phone


def page(phone: Phone, path: str) -> TestResponse:
    """Load a page as a browser does: again, as long as it says that it comes again by itself."""
    end = time.monotonic() + 60
    while True:
        response = phone.client.get(f"/pickup{path}")
        if 'http-equiv="refresh"' not in response.text or time.monotonic() > end:
            return response
        time.sleep(0.05)


def post(phone: Phone, path: str, **form: str) -> TestResponse:
    return phone.client.post(f"/pickup{path}", data=form, headers={"Sec-Fetch-Site": "same-origin"})


def test_overview_without_a_call(author: Phone) -> None:
    """Before the first call the overview says what is running, and that nobody has called yet."""
    text = page(author, "/").text
    assert "warm-opening" in text
    assert "No caller yet." in text
    assert "Good day." in text
    assert "how lovely that you call" in text


def test_overview_says_what_does_not_load_and_waits(make_phone: MakePhone, database_url: str) -> None:
    """Experiments that do not load are named in one line, below what touches a result."""
    broken = {f"experiments/broken-{index}/experiment.toml": "arms =" for index in range(3)}
    phone = make_phone({**CONTENT, **broken}, url=database_url, PICKUP_DASHBOARD_TOKEN=TOKEN)
    phone.client.get(f"/pickup/?token={TOKEN}")
    assert "flask pickup check says why: broken-0, broken-1, broken-2." in page(phone, "/").text


def test_paused_experiment_is_heard_by_nobody(make_phone: MakePhone) -> None:
    """The overview tells the words of running experiments and of winners, and none of what is paused or a draft."""
    toml = CONTENT["experiments/warm-opening/experiment.toml"]
    for status, heard in (("running", 2), ("paused", 0), ("draft", 0), ('concluded"\nwinner = "warm', 1)):
        files = {**CONTENT, "experiments/warm-opening/experiment.toml": toml.replace("running", status)}
        phone = make_phone(files, PICKUP_DASHBOARD_TOKEN=TOKEN)
        phone.client.get(f"/pickup/?token={TOKEN}")
        text = page(phone, "/").text
        assert ("Good day." in text) + ("how lovely" in text) == heard, status


def test_calls_without_a_call(author: Phone) -> None:
    """Before the first call the list of calls says how to make one."""
    assert "No call yet." in page(author, "/calls").text


def test_call_is_listed_without_its_number(author: Phone) -> None:
    """A call stands in the list with its arm and language, and its caller as a pseudonym's beginning."""
    author.ring("call-1")
    key = author.rows("SELECT caller_key FROM pickup_calls")[0][0]
    text = page(author, "/calls").text
    assert key[:8] in text
    assert key not in text
    assert CALLER not in text
    assert "612345678" not in text


def test_pages_of_calls_go_on_where_the_last_one_ended(author: Phone) -> None:
    """Every call is on exactly one page, also when calls come in between the loading of two pages."""
    ids = [f"call-{letter}{other}" for letter in "abcdefgh" for other in "abcdefgh"]
    for call_id in ids:
        author.ring(call_id)
    seen: list[str] = []
    address = "/calls"
    while address:
        text = author.client.get(f"/pickup{address}").text
        seen += [part.split('"')[0] for part in text.split('href="/pickup/calls/')[1:]]
        author.ring(f"late-{len(seen)}")
        following = text.split('rel="next" href="/pickup')[1:]
        address = following[0].split('"')[0].replace("&amp;", "&") if following else ""
    assert sorted(seen) == sorted(ids)


def test_call_says_what_was_decided_and_why(author: Phone) -> None:
    """A call's page tells the decision, the arm, the reasons, and what came of it."""
    author.ring("call-1")
    author.report("call-1", analysis={"appointment_booked": True})
    text = page(author, "/calls/call-1").text
    assert "drawn by lot, from the caller&#39;s number" in text
    assert "analysis.appointment_booked" in text
    assert "Netherlands" in text


def test_definition_is_shown_as_it_stood(author: Phone) -> None:
    """The experiment as it stood when a call was answered is one link away from the call."""
    author.ring("call-1")
    [(fingerprint,)] = author.rows("SELECT fingerprint FROM pickup_definitions")
    text = page(author, f"/definitions/{fingerprint}").text
    assert "Hello there, how lovely that you call!" in text
    assert "minimum_days" in text


def test_experiment_shows_what_callers_hear(author: Phone) -> None:
    """Before there is any result, the arms stand beside each other with their words."""
    text = page(author, "/experiments/warm-opening").text
    assert "Good day." in text
    assert "how lovely that you call" in text
    assert "No caller has been given an arm yet" in text


def test_experiment_shows_its_numbers(author: Phone) -> None:
    """With calls the page tells the verdict, the numbers by arm, who had called before, and the SQL."""
    for index in range(6):
        author.ring(f"call-{'abcdef'[index]}", caller=f"+120155501{index:02}")
        author.report(f"call-{'abcdef'[index]}", caller=f"+120155501{index:02}")
    text = page(author, "/experiments/warm-opening").text
    assert "Too early to call" in text
    assert "6 callers since" in text
    assert "WITH callers AS" in text
    assert "Called before" in text
    assert "duration_seconds (a call), apart for callers who had called before" in text


def test_calls_without_a_number_stand_apart(make_phone: MakePhone, database_url: str) -> None:
    """Calls that were drawn one by one have a table of their own; where there are none, there is no word of them."""
    toml = "experiments/warm-opening/experiment.toml"
    files = {**CONTENT, toml: f'unidentified = "per-call"\n{CONTENT[toml]}'}
    phones = [
        make_phone(files, url=url, pickup=Pickup(clock=running), PICKUP_DASHBOARD_TOKEN=TOKEN)
        for url in (None, database_url)
    ]
    for phone in phones:
        phone.client.get(f"/pickup/?token={TOKEN}")
        phone.ring()
    for call in range(8):
        phones[1].ring(f"withheld-{call}", caller=None)
        phones[1].report(f"withheld-{call}", caller=None)
    without, text = (page(phone, "/experiments/warm-opening").text for phone in phones)
    assert "Calls without a number" not in without
    table = text.partition("<h2>Calls without a number")[2].partition("</table>")[0]
    assert "too few" in table
    assert sum(int(calls) for calls in re.findall(r'</td><td class="number">(\d)</td>', table)) == 8


@pytest.mark.parametrize("kind", ["csv", "json"])
def test_numbers_of_an_experiment_can_be_taken_along(author: Phone, kind: str) -> None:
    """A line for each metric and arm, with the comparison to control, is there as CSV and JSON."""
    address = f"/experiments/warm-opening/numbers.{kind}"
    author.ring("call-1")
    author.report("call-1")
    said = page(author, address).text
    lines = json.loads(said) if kind == "json" else list(csv.DictReader(io.StringIO(said)))
    assert all(tuple(line) == COLUMNS for line in lines)
    assert [(line["metric"], line["arm"]) for line in lines] == [
        ("duration_seconds", arm) for arm in ("control", "warm")
    ]
    assert sorted(str(line["callers"]) for line in lines) == ["0", "1"]
    assert page(author, "/experiments/warm-opening/numbers.xml").status_code == 404


def test_who_was_left_out_is_counted_with_the_reason(author: Phone) -> None:
    """Every call on the line is in one of the reasons: in it, without a number, or answered without being asked."""
    author.ring("call-1")
    author.ring("call-2", caller="anonymous")
    with author.app.extensions["pickup"].engine.begin() as connection:
        closed = "INSERT INTO pickup_calls (call_id, decided_at, decision) SELECT 'c', decided_at, 'closed' FROM pickup_calls"
        connection.execute(sa.text(closed + " WHERE call_id = 'call-2'"))
    said = page(author, "/experiments/warm-opening").text
    reasons = dict(re.findall(r'<th scope="row">(.*?in it[^<]*)</th><td class="number">(\d+)</td>', said))
    assert {html.unescape(reason).split(":")[1].split()[0]: calls for reason, calls in reasons.items()} == {
        "the": "1", "there": "1", "turned": "1",
    }  # fmt: skip


def test_customer_on_the_page_is_heard(make_phone: MakePhone) -> None:
    """What an author writes into the fields for the customer is heard in the arms; the fields are those of the content."""
    files = {**CONTENT, "greetings/first_message.j2": "Good day {{ customer.first_name }}."}
    phone = make_phone(files, PICKUP_DASHBOARD_TOKEN=TOKEN)
    phone.client.get(f"/pickup/?token={TOKEN}")
    assert 'name="customer.first_name"' in page(phone, "/experiments/warm-opening").text
    assert "Good day Ada." in page(phone, "/experiments/warm-opening?customer.first_name=Ada").text
    assert "Good day Ada." not in page(phone, "/experiments/warm-opening?customer.first_name=Ada&who=withheld").text


def test_customer_of_another_experiment_is_not_asked_for(make_phone: MakePhone) -> None:
    """The fields are those of the base and of the experiment on the page, and of no other."""
    files = {**CONTENT, "experiments/other/experiment.toml": 'audience = "customer.vip"\n[arms]\ncontrol = 1\n'}
    phone = make_phone(files, PICKUP_DASHBOARD_TOKEN=TOKEN)
    phone.client.get(f"/pickup/?token={TOKEN}")
    assert 'name="customer.vip"' in page(phone, "/experiments/other").text
    assert 'name="customer.vip"' not in page(phone, "/experiments/warm-opening").text


def test_chosen_moment_is_heard(make_phone: MakePhone) -> None:
    """What depends on the time is heard as it is at the moment that was chosen, in the business's time zone."""
    files = {
        **CONTENT,
        "greetings/first_message.j2": "It is {{ now.hour }} o'clock, and we are {{ 'open' if open else 'not here' }}.",
        "greetings/hours.toml": 'timezone = "Asia/Tokyo"\n[week]\nmonday = "09:00-17:00"\n',
    }
    phone = make_phone(files, PICKUP_DASHBOARD_TOKEN=TOKEN)
    phone.client.get(f"/pickup/?token={TOKEN}")
    said = html.unescape(page(phone, "/experiments/warm-opening?hours=closed&at=2025-12-15T11:30").text)
    assert "It is 11 o'clock, and we are open." in said
    assert 'value="2025-12-15T11:30"' in said


def test_markup_in_a_template_is_shown_as_characters(make_phone: MakePhone) -> None:
    """An opening that contains a script is shown as these characters, in the experiment and in the preview."""
    files = {**CONTENT, "greetings/first_message.j2": "<script>alert(1)</script>"}
    phone = make_phone(files, PICKUP_DASHBOARD_TOKEN=TOKEN)
    phone.client.get(f"/pickup/?token={TOKEN}")
    for text in (page(phone, "/experiments/warm-opening").text, post(phone, "/preview", number="").text):
        assert "<script>alert" not in text
        assert "&lt;script&gt;alert(1)&lt;/script&gt;" in text


def test_moment_at_the_end_of_time_is_none(make_phone: MakePhone) -> None:
    """A moment that has no day before or after it is taken for none that was chosen."""
    hours = {"greetings/hours.toml": 'timezone = "Europe/Amsterdam"\n[week]\nmonday = "09:00-17:00"\n'}
    author = make_phone({**CONTENT, **hours, "greetings/closed.j2": "Closed."}, PICKUP_DASHBOARD_TOKEN=TOKEN)
    author.client.get(f"/pickup/?token={TOKEN}")
    for year in ("0001-01-01", "9999-12-31"):
        assert page(author, f"/experiments/warm-opening?at={year}T00:00").status_code == 200
        assert post(author, "/preview", number=CALLER, at=f"{year}T00:00").status_code == 200


def test_preview_shows_answer_and_records_nothing(author: Phone) -> None:
    """The preview shows the words and the platform's answer for a number, and leaves no row."""
    text = post(author, "/preview", number=CALLER).text
    assert "first_message" in text
    assert author.rows("SELECT COUNT(*) FROM pickup_calls") == [(0,)]


@pytest.mark.parametrize(
    ("form", "says"),
    [
        ({}, "How long will it take?"),
        ({"baseline": "30", "lift": "5", "callers_a_week": "500"}, "weeks, "),
        ({"baseline": "30", "lift": "5", "callers_a_week": "500"}, '<td class="number">4.6</td>'),
        ({"baseline": "30", "lift": "x", "callers_a_week": "500"}, "Write three numbers."),
        ({"baseline": "0", "lift": "5", "callers_a_week": "500"}, "none or to all"),
        ({"baseline": "30", "lift": "5", "callers_a_week": "-1"}, "more than nothing"),
        ({"baseline": "97", "lift": "5", "callers_a_week": "500"}, "larger than there is room for"),
        ({"baseline": "30", "lift": "5", "callers_a_week": "0.000001"}, "weeks, "),
        ({"baseline": "99", "lift": "50", "callers_a_week": "50"}, "larger than there is room for"),
        ({"baseline": "30", "lift": "5", "callers_a_week": "1.000"}, '<td class="number">4,000</td>'),
        ({"baseline": "30", "lift": "5", "callers_a_week": "1,000"}, '<td class="number">4,000</td>'),
    ],
)
def test_plan_says_how_long_it_takes(author: Phone, form: dict[str, str], says: str) -> None:
    """The plan's form answers in weeks and callers; what makes no sense is said."""
    query = "&".join(f"{name}={value}" for name, value in form.items())
    assert says in page(author, f"/plan?{query}").text


@pytest.mark.parametrize("table", ["calls", "assignments", "outcomes", "definitions", "transcripts"])
def test_each_table_can_be_taken_along(author: Phone, table: str) -> None:
    """Every table is there as CSV and JSON, with all its rows."""
    author.ring("call-1")
    author.report("call-1")
    expected = author.rows(f"SELECT COUNT(*) FROM pickup_{table}")[0][0]
    as_json: list[dict[str, Any]] = author.client.get(f"/pickup/download/{table}.json").get_json()
    as_csv = list(csv.DictReader(io.StringIO(author.client.get(f"/pickup/download/{table}.csv").text)))
    assert (len(as_json), len(as_csv)) == (expected, expected)
    assert not as_json or list(as_json[0]) == list(as_csv[0])


@pytest.mark.parametrize("path", ["/calls/unknown", "/experiments/unknown", "/definitions/unknown", "/download/x.csv"])
def test_what_is_not_there_is_said(author: Phone, path: str) -> None:
    """An address of nothing is answered with a page, not with a trace."""
    response = author.client.get(f"/pickup{path}")
    assert (response.status_code, "There is no such page." in response.text) == (404, True)


def test_pages_without_a_database(make_phone: MakePhone) -> None:
    """Where the database does not answer, pages say so, and that calls are answered all the same."""
    phone = make_phone(url="sqlite:////nowhere/at/all.db", migrate=False, PICKUP_DASHBOARD_TOKEN=TOKEN)
    phone.client.get(f"/pickup/?token={TOKEN}")
    response = phone.client.get("/pickup/calls")
    assert (response.status_code, "Calls are answered all the same" in response.text) == (503, True)
    overview = page(phone, "/")
    assert (overview.status_code, "The results could not be computed." in overview.text) == (200, True)
    assert "No caller yet." not in overview.text


def test_pages_speak_the_browsers_language(author: Phone) -> None:
    """A browser that asks for Dutch gets a page that says so; numbers follow."""
    response = author.client.get("/pickup/calls", headers={"Accept-Language": "nl-NL,nl;q=0.9,en;q=0.5"})
    assert '<html lang="nl">' in response.text
