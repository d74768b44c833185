"""An experiment's page over HTTP: its verdict, its numbers, and what they rest on."""

from __future__ import annotations

import csv
import html
import io
import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from authors import TOML, WARM, page, words
from conftest import CONTENT, DASHBOARD_TOKEN, LATER, NOW, MakePhone, OpenApp, Phone
from dashboards import FILES, SHORT, Dashboards, Told
from dashboards import SAID as KNOWN
from flask_pickup import Pickup
from flask_pickup.caller import REHEARSAL
from flask_pickup.dashboard.plots import bars_by_day
from flask_pickup.results.model import CSV_COLUMNS
from result_rows import Rows


def test_experiment_shows_its_numbers(author_of_each: Phone) -> None:
    """With calls the page has the verdict, the numbers by arm, and the SQL."""
    for index in range(6):
        author_of_each.ring(f"call-{'abcdef'[index]}", caller=f"+120155501{index:02}")
        author_of_each.report(f"call-{'abcdef'[index]}", caller=f"+120155501{index:02}")
    text = page(author_of_each, WARM).text
    for each in ("6 callers since", "WITH callers AS", "Too early to call", "Included and excluded calls"):
        assert each in text
    assert "could not be read" not in text


def test_platforms_have_a_table_where_there_are_several(open_app: OpenApp) -> None:
    """The numbers of each platform are shown where the calls came from several."""
    one, two = open_app(), open_app()
    for phone in (one, two):
        phone.ring("call-a", caller="+12015550100")
        phone.ring("call-b", caller="+12015550101")
    with two.app.extensions["pickup"].engine.begin() as connection:
        connection.exec_driver_sql("UPDATE pickup_calls SET platform = 'retell' WHERE call_id = 'call-b'")
    assert "By platform" not in page(one, WARM).text
    table, others = page(two, WARM).text.partition("<h3>By platform")[2].split("</table>")[:2]
    assert re.findall(r'<th scope="row">(\w+)</th>', table) == ["flireo", "flireo", "retell", "retell"]
    assert re.findall(r'<th scope="row">([^<]+)</th>', others) == ["retell against all others"]


def test_unread_reports_are_told_once(author: Phone) -> None:
    """The page says once, in the reader's language, how many calls have a report that could not be read."""
    for index in range(2):
        author.ring(f"call-{index}")
        author.report(f"call-{index}", messages="Hello?", analysis=["booked"][index:] or None)
    english = page(author, WARM).text
    dutch = author.client.get(f"/pickup{WARM}", headers={"Accept-Language": "nl"}).text
    assert english.count("2 calls have transcripts that could not be read") == 1
    assert english.count("1 call has an analysis with values that could not be read") == 1
    assert dutch.count("2 gesprekken hebben een transcript dat niet te lezen was") == 1


def test_calls_without_a_number_stand_apart(open_app: OpenApp, database_url: str) -> None:
    """Calls that drew their own arm have a table; without such calls there is none."""
    files = {TOML: f'unidentified = "per-call"\n{CONTENT[TOML]}'}
    without, with_them = open_app(files), open_app(files, url=database_url)
    for phone in (without, with_them):
        phone.ring()
    for call in range(8):
        with_them.ring(f"withheld-{call}", caller=None)
        with_them.report(f"withheld-{call}", caller=None)
    assert "Calls without a number" not in page(without, WARM).text
    table = page(with_them, WARM).text.partition("<h3>Calls without a number")[2].partition("</table>")[0]
    assert "Too few" in table
    assert sum(int(calls) for calls in re.findall(r'data-label="Calls">(\d)</td>', table)) == 8


@pytest.mark.parametrize("kind", ["csv", "json"])
def test_numbers_can_be_exported(author: Phone, kind: str) -> None:
    """A line for each metric and arm, with the comparison to control, is there as CSV and JSON."""
    author.ring("call-1")
    author.report("call-1")
    text = page(author, f"{WARM}/numbers.{kind}").text
    lines = json.loads(text) if kind == "json" else list(csv.DictReader(io.StringIO(text)))
    assert all(tuple(line) == CSV_COLUMNS for line in lines)
    assert [(line["metric"], line["arm"]) for line in lines] == [
        ("duration_seconds", arm) for arm in ("control", "warm")
    ]
    assert sorted(str(line["callers"]) for line in lines) == ["0", "1"]


def test_excluded_calls_are_counted_by_reason(author_of_each: Phone) -> None:
    """Every call on the line has one of the reasons: included, without a number, or answered without the experiment."""
    author_of_each.ring("call-1")
    author_of_each.ring("call-2", caller="anonymous")
    with author_of_each.app.extensions["pickup"].engine.begin() as connection:
        closed = "INSERT INTO pickup_calls (call_id, decided_at, decision) SELECT 'c', decided_at, 'closed' FROM pickup_calls"
        connection.execute(sa.text(closed + " WHERE call_id = 'call-2'"))
    text = html.unescape(page(author_of_each, WARM).text)
    reasons = re.findall(
        r'<th scope="row">((?:In|Ex)cluded: \w+ \w+)[^<]*</th><td class="number" data-label="Calls">(\d+)</td>', text
    )
    assert sorted(reasons) == [
        ("Excluded: no caller", "1"), ("Excluded: rejected outside", "1"), ("Included: the hash", "1"),
    ]  # fmt: skip


Shown = Callable[..., str]
SAID = {**KNOWN, "harmful": {"control": Told(1500, 30, 4), "warm": Told(1500, 42, 25)}}
"""Of the harmful arm's callers more book, and more hang up."""
CONCLUDED = FILES[TOML].replace('"running"', '"concluded"\nwinner = "warm"')
LABELLED = {
    name: file.replace("[metrics.booked]", '[metrics.booked]\nlabel.en = "Visits"\nlabel.nl = "Bezoeken"')
    for name, file in (("", FILES[TOML]), ("over", SHORT[TOML]), ("concluded", CONCLUDED))
}
LENGTH = """\
status = "running"
primary = "length"
[arms]
control = 1
warm = 1
[metrics.length]
outcome = "duration_seconds"
per = "call"
smallest = 20
"""


@pytest.fixture(scope="module")
def shown(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shown]:
    """Load the experiment's page over a database of which it is known what it says.

    ``over`` has no weeks left, and ``length`` measures how long calls last.
    """
    made = Dashboards(tmp_path_factory.mktemp("shown"))

    def load(name: str, language: str = "en") -> str:
        toml = LENGTH if name == "length" else LABELLED.get(name, LABELLED[""])
        phone = made(
            name,
            SAID[{"over": "undecided", "length": "undecided", "concluded": "winner"}.get(name, name)],
            {**FILES, TOML: toml},
        )
        page(phone, WARM)
        return phone.client.get(f"/pickup{WARM}", headers={"Accept-Language": language}).text

    yield load
    made.close()


def part(text: str, name: str) -> str:
    """The words of the section of a name."""
    return words(text.partition(f'id="{name}"')[2].partition("</section>")[0].partition(">")[2])


@pytest.mark.parametrize(
    ("database", "says"),
    [
        ("winner", ("Better warm is better (found on", "control 30.0 % → warm 42.0 %", "+12.0 pp, 95 % interval", 'Roll out warm status = "concluded" winner = "warm"', "week 5 of 12")),
        ("same", ("No difference No relevant difference (found on", "30.0 % → warm 30.0 %", "Keep either")),
        ("undecided", ("Undecided Too early to call", "30.0 % → warm 33.0 %", "Let it run")),
        ("over", ("Choice Choose warm (since", "Conclude with warm", "This is a choice, not a finding")),
        ("broken", ("Not reliable These results are not reliable", "Find the lost calls Decide nothing yet. Look for calls", "Calls without a report: control , warm")),
        ("little", ("Undecided Too early to call", "Let it run")),
        ("length", ("control 89.50 s → warm 89.50 s", "warm differs from control by less than 20 s per call on length.")),
        ("harmful", ("Worse warm is worse (found on", "early_hang_up: control 4.0 % → warm 25.0 % +21.0 pp", "Remove warm")),
    ],
)  # fmt: skip
def test_verdict_is_told_in_one_strip(shown: Shown, database: str, says: tuple[str, ...]) -> None:
    """The strip has the verdict in a word and in at most twelve, the two rates, the interval, and what to do."""
    text = shown(database)
    strip = part(text, "verdict")
    assert [each for each in says if each not in strip] == []
    headline = words(text.partition('id="headline"')[2].partition("</h2>")[0].partition("</span>")[2])
    assert len(headline.split()) <= 12
    developer = 'Please set status = "concluded" and winner = "warm" in experiments/warm-opening/experiment.toml.'
    assert (developer in html.unescape(text)) == (database in {"winner", "over"})


def test_nothing_is_said_twice(shown: Shown) -> None:
    """Why leaves out what the page tells elsewhere: alarms, and to roll out the arm that is rolled out."""
    running, concluded = (part(shown(name), "verdict") for name in ("winner", "concluded"))
    assert "You can stop: roll out warm." in running
    assert "Concluded: every caller hears warm." in concluded
    assert "warm is better on Visits: at least" in concluded
    assert "“At least” is what the last weekly look found" in concluded
    assert "roll out" not in concluded
    assert shown("broken").count("did not match the weights") == 1


def test_scorecard_has_each_metric_in_a_row(shown: Shown) -> None:
    """A row has the metric's label, both arms with what they are of, the difference, its interval and the result."""
    text, dutch = shown("winner"), shown("winner", "nl")
    card = part(text, "numbers")
    primary, guardrails = card.split(" Checks ")[0].split("Guardrails: these must not get worse")
    assert "Visits 30.0 % (450 of 1,500) 42.0 % (630 of 1,500) +12.0 pp +" in primary
    assert re.search(
        r"early_hang_up 8\.0 % \(120 of 1,500\) 6\.0 % \(90 of 1,500\) -2\.0 pp -\S+ to \+\S+ pp Safe", guardrails
    )
    assert "length (per call) 89.50 s (1,500 calls) 89.50 s (1,500 calls) +0.00 s" in guardrails
    assert "Bezoeken 30,0 % (450 van 1.500)" in part(dutch, "numbers")
    assert "warm is beter op Bezoeken" in part(dutch, "verdict")


@pytest.mark.parametrize(
    ("database", "split"),
    [
        ("winner", "Split OK No sample ratio mismatch (p = 1.00; alarm below 0.005)."),
        ("broken", "Split Attention Sample ratio mismatch (p < 0.0001; alarm below 0.005)."),
        ("little", "Split OK No sample ratio mismatch (p = 1.00; alarm below 0.005)."),
    ],
)
def test_checks_have_their_result_and_its_number(shown: Shown, database: str, split: str) -> None:
    """The row of checks says of the split, delivery, reports and rules what was found."""
    numbers = part(shown(database), "numbers")
    assert split in numbers
    arms = "control 100.0 %, warm 100.0 %" if database != "little" else "control 100.0 %"
    assert f"Delivery OK Delivered: {arms}." in numbers
    assert "Rules OK Unchanged since" in numbers


def test_only_what_needs_attention_is_in_the_red_box(shown: Shown) -> None:
    """A broken split has the box, and its numbers are folded and dimmed; a routine note about few callers has none."""
    broken, little = shown("broken"), shown("little")
    assert "the numbers of callers did not match the weights: control 360 instead of 300" in part(broken, "alarms")
    assert 'class="dimmed"' in broken.partition("which are not reliable")[2]
    assert 'id="alarms"' not in little
    assert "Arms are not compared below 100 callers each" in part(little, "numbers").partition("Notes (1)")[2]


@pytest.mark.parametrize(
    ("reported", "says"),
    [
        (1, "Reports Not known yet 1 of 3 callers have a report; the others are not due yet."),
        (3, "Reports OK Every caller has a report."),
    ],
)
def test_first_reports_are_checked(author: Phone, reported: int, says: str) -> None:
    """On the first day the reports are sound where all have arrived, and the page says when the verdict can come."""
    for index in range(3):
        author.ring(f"call-{index}", caller=f"+120155501{index:02}")
        if index < reported:
            author.report(f"call-{index}", caller=f"+120155501{index:02}")
    text = words(page(author, WARM).text)
    assert says in text
    assert re.search(r"Let it run until (\d+ \w+ \d{4}) .* at least 14 days\. That is not before \1\.", text)


def opened_later(make_phone: MakePhone, files: Mapping[str, Any], **options: Any) -> Phone:
    """An app with these files alone, on a clock that a test moves."""
    phones: list[Phone] = []
    pickup = Pickup(clock=lambda: phones[0].now if phones else LATER)
    phones.append(make_phone(files, pickup=pickup, PICKUP_DASHBOARD_TOKEN=DASHBOARD_TOKEN, **options))
    phones[0].now = LATER
    phones[0].client.get(f"/pickup/?token={DASHBOARD_TOKEN}")
    return phones[0]


@pytest.mark.parametrize("arms", ["control = 1\n", "control = 1\nwarm = 1\n"])
def test_scorecard_says_when_there_is_nothing_to_compare(make_phone: MakePhone, arms: str) -> None:
    """An experiment with one arm or without metrics has a page, which says that it compares nothing."""
    files = {path: text for path, text in CONTENT.items() if "warm = 1" in arms or "/warm/" not in path}
    author = opened_later(make_phone, {**files, TOML: f'status = "running"\n[arms]\n{arms}'})
    author.ring("call-1")
    author.now += 60
    response = page(author, WARM)
    assert (response.status_code, "Nothing to compare" in response.text) == (200, True)


def test_arm_that_was_deleted_after_the_end_is_shown(make_phone: MakePhone, tmp_path: Path) -> None:
    """Somebody who deletes the losing arm of a concluded experiment still finds its result and what callers heard."""
    url = f"sqlite:///{tmp_path / 'pickup.db'}"
    before = make_phone(url=url)
    for index in range(9):
        before.ring(f"call-{index}", caller=f"+120155501{index:02}")
    files = {path: text for path, text in CONTENT.items() if "/warm/" not in path}
    ended = CONTENT[TOML].replace("running", "concluded").replace("warm = 1\n", "")
    after = opened_later(make_phone, {**files, TOML: ended}, url=url)
    after.ring("call-x")
    text = page(after, WARM).text.replace("\N{NO-BREAK SPACE}", " ")
    for says in (
        "control 50 %, warm 50 %",
        "9 callers since",
        "Hello there, how lovely that you call!",
        'data-label="warm"',
    ):
        assert says in text


@pytest.mark.parametrize(("zone", "days"), [("Pacific/Kiritimati", ("2025-12-14", "2025-12-14")), ("Pacific/Pago_Pago", ("2025-12-13", "2025-12-13"))])  # fmt: skip
def test_rates_lead_to_the_calls_that_they_count(open_app: OpenApp, zone: str, days: tuple[str, str]) -> None:
    """A cell's link has the days of the business's time zone, and leaves out pinned calls and rehearsals."""
    hours = {
        "greetings/hours.toml": f'timezone = "{zone}"\n[week]\nmonday = "09:00-17:00"\n',
        "greetings/closed.j2": "Closed.",
    }
    author = open_app({**hours, TOML: 'unidentified = "per-call"\n' + CONTENT[TOML]})
    # It brings the definition into its table.
    author.ring("withheld", caller=None)
    rows = Rows()
    fingerprint = author.app.extensions["pickup"].catalog.experiments[0].fingerprint
    at = datetime.fromtimestamp(NOW, UTC)
    options = {"experiment": "warm-opening", "definition": fingerprint}
    for arm in ("control", "warm"):
        for index in range(7):
            rows.call(f"{arm}-{index}", at, arm, {"duration_seconds": 9}, **options)
        rows.call(f"{arm}-pinned", at, arm, {"duration_seconds": 9}, source="pin", **options)
        rows.call(f"{arm}-r", at, arm, {"duration_seconds": 9}, call_id=f"{REHEARSAL}{arm}", **options)
        rows.call(None, at, arm, {"duration_seconds": 9}, source="unidentified", **options)
    rows.write(author.app.extensions["pickup"].engine)
    text = page(author, WARM).text
    links = [html.unescape(each) for each in re.findall(r'href="/pickup(/calls\?[^"]+)"', text)]
    assert len(links) == 2
    for link in links:
        assert (f"since={days[0]}" in link, f"until={days[1]}" in link) == (True, True)
        assert page(author, link).text.count("/calls/call?id=") == 7


@pytest.mark.parametrize("path", ["/", WARM])
def test_rehearsed_calls_are_said_not_to_count(author: Phone, path: str) -> None:
    """Where rehearsed calls are all that there is, the overview and the experiment's page say how many there are."""
    says = "2 rehearsed calls are not counted."
    for index in range(2):
        author.ring(f"{REHEARSAL}{index}")
    assert says in page(author, path).text


def test_small_means_keep_their_digits(author: Phone) -> None:
    """A mean of which two decimals would leave nothing has three digits of its own, and so has its difference."""
    for index in range(6):
        author.ring(f"call-{index}", caller=f"+120155501{index:02}")
        author.report(f"call-{index}", caller=f"+120155501{index:02}", duration_seconds=0.00123 * (index + 1))
    arms = author.rows(
        "SELECT arm, AVG(value) FROM pickup_assignments JOIN pickup_outcomes USING (call_id)"
        " WHERE name = 'duration_seconds' GROUP BY arm"
    )
    text = page(author, WARM).text
    assert len(arms) == 2
    for _, mean in arms:
        assert f">{mean:.3g}\N{NO-BREAK SPACE}s</a>" in text
    assert f">{arms[1][1] - arms[0][1]:+.3g}\N{NO-BREAK SPACE}s</td>" in text


@pytest.mark.parametrize(
    ("days", "labels"), [(1, []), (2, [1, 2]), (5, [1, 3, 5]), (6, [1, 3, 5]), (31, [1, 10, 19, 28])]
)
def test_days_below_a_plot_have_room(days: int, labels: Sequence[int]) -> None:
    """As many days stand below a plot as do not touch each other on a phone, evenly spread; of one day there is no plot."""
    plot = bars_by_day({f"2026-03-{day:02}": {"control": 1} for day in range(1, days + 1)}, ["control"])
    assert [day for _, day in plot.labels] == [f"2026-03-{day:02}" for day in labels] if plot else not labels
