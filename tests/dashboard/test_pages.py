"""The pages over HTTP: what they say with nothing, with little, and when something fails."""

from __future__ import annotations

import csv
import html
import io
from datetime import UTC, datetime
from typing import Any

import hypothesis
import hypothesis.strategies as st
import pytest
import sqlalchemy as sa

from authors import HOURS, TOML, WARM, page, post
from conftest import CALLER, CONTENT, OpenApp, Phone
from flask_pickup.models import Outcome, Transcript


@pytest.mark.parametrize(
    ("path", "texts"),
    [
        ("/calls", ("No calls yet.",)),
        (WARM, ("Good day.", "how lovely that you call", "No callers yet.")),
    ],
)
def test_pages_without_a_call(author: Phone, path: str, texts: tuple[str, ...]) -> None:
    """Before the first call the pages say that there is none, and what callers will hear."""
    text = page(author, path).text
    assert [each for each in texts if each not in text] == []


@pytest.mark.parametrize("table", ["calls", "assignments", "outcomes", "definitions", "transcripts"])
def test_each_table_can_be_exported(author_of_each: Phone, monkeypatch: pytest.MonkeyPatch, table: str) -> None:
    """Every table is there as CSV and JSON, with all its rows, however many chunks they are read in."""
    monkeypatch.setattr("flask_pickup.dashboard.downloads._CHUNK", 1)
    author_of_each.ring("call-1")
    author_of_each.report("call-1")
    expected = author_of_each.rows(f"SELECT COUNT(*) FROM pickup_{table}")[0][0]
    as_json: list[dict[str, Any]] = author_of_each.client.get(f"/pickup/download/{table}.json").get_json()
    as_csv = list(csv.DictReader(io.StringIO(author_of_each.client.get(f"/pickup/download/{table}.csv").text)))
    assert (len(as_json), len(as_csv)) == (expected, expected)
    assert not as_json or list(as_json[0]) == list(as_csv[0])


FORMULAS = (
    '=HYPERLINK("http://example.com")',
    "+cmd|'/c calc'!A1",
    "-2+3",
    "@SUM(A1)",
    "\t=1",
    "\r=1",
    "\uff1d1+1",
    "+31 6=1",
    '"=1;',
)


def test_no_cell_is_computed(author: Phone) -> None:
    """Whatever separates cells for a spreadsheet, none begins as a formula does; text is otherwise as it was."""
    texts = [before + formula for before in ("", "Hi;", "Hi\t", "Hi\n", "Hi\r\n") for formula in FORMULAS]
    values = [{"call_id": f"call-{place:02}", "summary": text, "messages": [text]} for place, text in enumerate(texts)]
    with author.app.extensions["pickup"].engine.begin() as connection:
        connection.execute(sa.insert(Transcript), values)
    text = author.client.get("/pickup/download/transcripts.csv").text
    readers = [csv.reader(io.StringIO(text, newline=None), delimiter=separator) for separator in ",;\t"]
    cells = [cell for reader in readers for row in reader for cell in row]
    assert [cell for cell in cells if cell.startswith(("=", "+", "-", "@", "\t", "\r", "\uff1d"))] == []
    rows = csv.DictReader(io.StringIO(text, newline=""))
    assert [row["summary"].replace("'", "") for row in rows] == [text.replace("'", "") for text in texts]


def test_numbers_stay_numbers(author: Phone) -> None:
    """An amount below zero and the number of a line are written as they are."""
    author.ring("call-1")
    with author.app.extensions["pickup"].engine.begin() as connection:
        values = {
            "call_id": "call-1",
            "name": "refund",
            "value": -49.9,
            "reported_at": datetime(2025, 12, 13, tzinfo=UTC),
        }
        connection.execute(sa.insert(Outcome).values(values))
    assert ",refund,-49.9,2025-12-13T00:00:00+00:00" in author.client.get("/pickup/download/outcomes.csv").text
    assert ",+31850835037," in author.client.get("/pickup/download/calls.csv").text


def test_markup_in_a_template_is_shown_as_characters(open_app: OpenApp) -> None:
    """A greeting that contains a script is shown as these characters."""
    author = open_app({"greetings/first_message.j2": "<script>alert(1)</script>"})
    for text in (page(author, WARM).text, post(author, "/preview", number="").text):
        assert "<script>alert" not in text
        assert "&lt;script&gt;alert(1)&lt;/script&gt;" in text


def test_names_in_a_sentence_are_shown_as_they_are(open_app: OpenApp) -> None:
    """A line's name and a metric's label are escaped once, in a page's sentences too."""
    lines = "".join(f'[lines."+3185083503{number}"]\nname = "A & \'B\'"\n' for number in (7, 8))
    label = CONTENT[TOML] + "label = \"C & 'D'\"\n"
    author = open_app({"greetings/settings.toml": lines, TOML: label})
    author.ring("call-1")
    for address, says in (
        (WARM, "on line A & 'B'"),
        (WARM, "Primary metric: C & 'D'"),
        ("/calls?outcome=duration_seconds", "Remove the filter Outcome: C & 'D'"),
    ):
        assert says in html.unescape(page(author, address).text)


OUT_OF_RANGE = [
    *((f"/calls?before={call}", "The call after which") for call in ("x", "0001-01-01T00:00:00%2B23:59~x", "x" * 3000)),
    *((f"/calls?since={day}", "Enter the day as") for day in ("soon", "2026-13-01", "2026-03-02T10:00", "1e9")),
    *((f"/calls?until={year}-01-01", "Enter a time between") for year in ("0001", "1969", "2200", "9999")),
    *(
        (f"/calls?{name}=%2Bx", f'"{name}" has a value')
        for name in ("experiment", "arm", "outcome", "value", "line", "platform", "language", "delivered")
    ),
    *(
        (f"{WARM}?at={at}", "Enter the time as")
        for at in ("soon", "12:00", "2026-13-01T00:00", "2026-03-02T25:00", "1e9")
    ),
    *((f"{WARM}?at={year}-01-01T00:00", "Enter a time between") for year in ("0001", "1969", "2200", "9999")),
    *((f"{WARM}?{name}=x", f'"{name}" has a value') for name in ("who", "hours", "country", "language", "line")),
    *(
        (f"{path}%00", "a character that")
        for path in ("/calls/call?id=", "/calls?before=x", "/definitions/x", f"{WARM}?x=")
    ),
]


def test_parameter_out_of_range_has_a_sentence(author_of_each: Phone) -> None:
    """A parameter that is out of range is a 400, with a sentence in the reader's language; the page does not wait."""
    for address, says in OUT_OF_RANGE:
        english, dutch = (
            author_of_each.client.get(f"/pickup{address}", headers={"Accept-Language": language})
            for language in ("en", "nl")
        )
        assert (address, english.status_code, dutch.status_code) == (address, 400, 400)
        assert (says in html.unescape(english.text), says in html.unescape(dutch.text)) == (True, False), address
        assert "data-updating" not in english.text


NAMES = st.one_of(
    st.sampled_from(("before", "id", "baseline", "lift", "callers_a_week", "number")),
    st.sampled_from(("who", "country", "language", "line", "hours", "at")),
    st.sampled_from(("experiment", "arm", "outcome", "value", "platform", "delivered", "since", "until")),
    st.sampled_from(("customer.first_name", "customer.language", "customer.vip")),
    st.text().map("customer.".__add__),
)
VALUES = st.one_of(
    st.text(), st.floats().map(str), st.integers().map(str), st.datetimes().map(datetime.isoformat),
    st.sampled_from((*"0%", "nl", "closed", "withheld", CALLER, "warm", "yes", "no", "missing", "early_hang_up", "call-1")),
)  # fmt: skip
PATHS = ("/", "/calls", WARM, "/plan", "/calls/call", "/definitions/x", f"{WARM}/numbers.csv", "/download/calls.json")


def test_no_parameter_breaks_a_page(open_app: OpenApp, database_url: str) -> None:
    """Whatever is asked of a page, it answers with the page, or says what is out of range; it never waits for ever."""
    greeting = "Day {{ now.day }}, {{ customer.first_name|title }}{% if customer.vip > 1 %}!{% endif %}"
    author = open_app({**HOURS, "greetings/first_message.j2": greeting}, url=database_url)
    author.ring("call-1")
    page(author, WARM)
    page(author, "/plan")

    @hypothesis.given(path=st.sampled_from((*PATHS, "/preview")), asked=st.dictionaries(NAMES, VALUES))
    def ask(path: str, asked: dict[str, str]) -> None:
        get = author.client.get(f"/pickup{path}", query_string=asked)
        response = post(author, path, **asked) if path == "/preview" else get
        assert response.status_code in {200, 400, 404}
        assert "data-computing" not in response.text

    ask()


@pytest.mark.parametrize(
    "path", ["/calls/call", "/calls/call?id=x", "/experiments/x", "/definitions/x", "/download/x.csv", "/download/calls.xml", f"{WARM}/numbers.xml", "/assets/x.js"]
)  # fmt: skip
def test_unknown_address_has_a_page(author: Phone, path: str) -> None:
    """An address of nothing is answered with a page."""
    response = author.client.get(f"/pickup{path}")
    assert (response.status_code, "There is no such page." in response.text) == (404, True)


def test_pages_without_a_database(open_app: OpenApp) -> None:
    """Where the database does not answer, pages say so, and that calls are answered."""
    author = open_app(url="sqlite:////nowhere/at/all.db", migrate=False)
    for address in ("/calls", "/download/calls.csv"):
        response = author.client.get(f"/pickup{address}")
        assert (response.status_code, "Calls are still answered" in response.text) == (503, True)


def test_pages_speak_the_browsers_language(author: Phone) -> None:
    """A browser that asks for Dutch gets a page in Dutch."""
    text = author.client.get("/pickup/calls", headers={"Accept-Language": "nl-NL,nl;q=0.9,en;q=0.5"}).text
    assert '<html lang="nl">' in text
    assert "Nog geen gesprekken." in text


def test_one_snapshot_is_read_in_each_language(author: Phone) -> None:
    """Results are computed once, and each browser reads them in its own language."""
    author.ring("call-1")
    english = page(author, "/experiments/warm-opening").text
    computed = author.rows("SELECT experiment, computed_at FROM pickup_snapshots")
    dutch = author.client.get("/pickup/experiments/warm-opening", headers={"Accept-Language": "nl"}).text
    assert author.rows("SELECT experiment, computed_at FROM pickup_snapshots") == computed
    assert "Arms are not compared below 100 callers each: so far control" in english
    assert "Varianten worden pas vergeleken vanaf 100 bellers per stuk: tot nu toe control" in dutch
