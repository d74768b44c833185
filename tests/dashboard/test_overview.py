"""The overview: whether the line works, what needs attention, and each experiment in a row."""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import sqlalchemy as sa

from authors import HOURS, TOML, page, words
from conftest import CONTENT, LATER, MakePhone, OpenApp, Phone
from dashboards import EXPERIMENT, FILES, TOKEN, Dashboards, Told
from flask_pickup import platform_status
from flask_pickup.caller import REHEARSAL
from flask_pickup.catalog import Experiment
from flask_pickup.models import Call
from flask_pickup.results.attention import attention

NOW = datetime.fromtimestamp(LATER, UTC)
ARMS = ("warm", "short", "long", "none")
SAID: Mapping[str, Mapping[str, Told]] = {
    "winner": {"control": Told(300, 30), "warm": Told(300, 60)},
    "undecided": {"control": Told(200, 30), "warm": Told(200, 35)},
    "broken": {"control": Told(150, 30), "warm": Told(50, 40)},
    "little": {"control": Told(1, 0)},
    "empty": {},
}
"""As in ``dashboards``, with fewer callers, which are sooner counted."""
SALES = EXPERIMENT.partition("[metrics.early_hang_up]")[0]
"""The experiment without its guardrails, which need more."""


def shown(phone: Phone, path: str = "/") -> str:
    """Return what a reader sees of a page."""
    return words(page(phone, path).text.partition("<main")[2].partition("</main>")[0])


def add_calls(phone: Phone, calls: Iterable[tuple[float, bool]]) -> None:
    """Write calls of so many hours ago, with or without a report."""
    moments = [(NOW - timedelta(hours=hours), has_report) for hours, has_report in calls]
    rows = [
        {
            "call_id": f"call-{index}",
            "platform": "flireo",
            "decided_at": at,
            "reported_at": at + timedelta(minutes=5) if has_report else None,
        }
        for index, (at, has_report) in enumerate(moments)
    ]
    with phone.app.extensions["pickup"].engine.begin() as connection:
        connection.execute(sa.insert(Call), rows)


def test_checklist_ticks_itself(author_of_each: Phone) -> None:
    """Until the first report the overview says what has arrived, what to do next, and where to send it."""
    steps = []
    for act in (lambda: None, author_of_each.ring, author_of_each.report):
        act()
        steps.append((page(author_of_each, "/").text.count('class="done"'), shown(author_of_each)))
    assert [done for done, _ in steps] == [1, 2, 0]
    first, second, third = (text for _, text in steps)
    assert "Waiting for the first call" in first
    assert "Enter this address in Flireo, and call the line." in first
    assert "http://localhost/pickup/webhook" in first
    assert "Waiting for the first report" in second
    assert "Working Last call 12:1" in third
    assert "1 call today" in third


def test_rehearsals_are_no_calls(author_of_each: Phone) -> None:
    """While every call was a rehearsal the platform waits for the first one, and the overview says why."""
    author_of_each.ring(f"{REHEARSAL}1")
    author_of_each.report(f"{REHEARSAL}1")
    text = shown(author_of_each)
    assert "Waiting for the first call Only rehearsed calls so far." in text
    assert "calls today" not in text
    author_of_each.ring()
    text = shown(author_of_each)
    assert "Waiting for the first report Last call" in text
    assert "no report yet · 1 call today" in text


def test_refusals_are_told(author: Phone) -> None:
    """What this process refused is told with the reason; before the first call it is what to mend."""
    author.client.post("/pickup/webhook", data=b"{}")
    author.client.get("/pickup/webhook")
    text = shown(author)
    assert "Refused since the server started: 1 × signature does not match, 1 × status 405. Last refusal 12:10." in text
    assert "compare the secrets" in text


def test_line_that_does_not_work_is_seen(author_of_each: Phone) -> None:
    """A platform's pill says whether calls and their reports come in."""
    cases: list[tuple[list[tuple[float, bool]], str]] = [
        ([(0.5, False)], "Waiting for the first report"),
        ([(2, False)], "No reports"),
        ([(3, True), (2, False)], "Working"),
        ([(9, True), (4, False), (3, False), (2, False)], "No reports"),
        ([(9, False), (8, False), (7, False), (2, True)], "Working"),
        ([(24 * 8, True)], "No recent calls"),
    ]
    for calls, says in cases:
        with author_of_each.app.extensions["pickup"].engine.begin() as connection:
            connection.execute(sa.delete(Call))
        add_calls(author_of_each, calls)
        assert f"Flireo {says}" in shown(author_of_each), calls


def test_day_is_the_business_own(open_app: OpenApp) -> None:
    """Calls today are those since midnight where the business is."""
    author = open_app(HOURS)
    add_calls(author, [(20, True), (22, True)])
    assert "1 call today" in shown(author)


def test_calls_are_counted_to_a_bound(open_app: OpenApp, database_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """However many calls there are, only the latest are looked at; the page says so."""
    monkeypatch.setattr(platform_status, "_LATEST", 2)
    author = open_app(url=database_url, PICKUP_RETELL_API_KEY="key_of-an-example")
    add_calls(author, [(3, True), (2, True), (1, True)])
    text = shown(author)
    assert "at least 2 calls today" in text
    assert "Retell No recent calls" in text


def test_overview_works_without_a_database(open_app: OpenApp) -> None:
    """Where the database does not answer, the overview says so, and what it knows all the same."""
    author = open_app(url="sqlite:////nowhere/at/all.db", migrate=False)
    text = shown(author)
    assert "Unknown The database does not answer." in text
    assert "warm-opening : the results could not be computed" in text
    assert "No callers yet" not in text


def test_content_that_does_not_load_is_named(open_app: OpenApp) -> None:
    """Experiments that do not load are named in one line."""
    author = open_app({f"experiments/broken-{index}/experiment.toml": "arms =" for index in range(4)})
    assert "4 experiments do not load; run flask pickup check: broken-0, broken-1, broken-2 …" in shown(author)


SHARES = [("control", 0.01), ("warm", 0.25)]


@pytest.mark.parametrize(
    ("code", "values", "line"),
    [
        ("few", {"least": 100, "counts": [("control", 3)]}, None),
        ("changed", {"pooled": 1}, None),
        ("split", {"expected": [], "on": "2026-03-02"}, "callers are not split as the weights say"),
        ("missing", {"unreported": SHARES}, "missing reports: control 1.0 %, warm 25.0 %"),
        ("missing", {"unanalysed": SHARES}, "missing analyses: control 1.0 %"),
        ("missing", {"unjudged": SHARES}, "unknown early hang-ups: control 1.0 %"),
        ("missing-values", {"metric": "sold", "shares": SHARES}, "missing sold: control 1.0 %"),
        ("delivery", {"platform": "vapi", "shares": SHARES}, "delivery on vapi: control 1.0 %"),
        ("unreached", {"shares": SHARES}, "could not hear an arm: control 1.0 %"),
        ("rules-changed", {"on": "2026-03-02", "changes": []}, "changed on 2 Mar 2026"),
        ("effect-changed", {"arms": ["warm"], "metric": "sold"}, "the effect of warm on sold changed"),
        ("two-arms", {"callers": 3, "metric": "sold", "differences": []}, "3 callers were assigned two arms"),
    ],
)
def test_findings_that_need_a_person(code: str, values: Mapping[str, Any], line: str | None) -> None:
    """A finding that needs a person is one line; what passes by itself is none."""
    lines = list(attention(Experiment("sales"), {"warnings": [{"code": code, "values": values}]}))
    assert len(lines) == (line is not None)
    assert line is None or line in lines[0]


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[..., Phone]]:
    """Make a dashboard of which it is known what happened, once for each."""
    made = Dashboards(tmp_path_factory.mktemp("told"))

    def make(name: str, said: Mapping[str, Told] | None = None, toml: str = SALES, **files: str) -> Phone:
        return made(name, SAID[name] if said is None else said, {**FILES, TOML: toml, **files})

    yield make
    made.close()


@pytest.mark.parametrize(
    ("database", "says", "plots"),
    [
        ("winner", "Better booked control 30.0 % → warm 60.0 % +30.0 pp (+", ["good"]),
        ("winner", "pp) Roll out warm", ["good"]),
        ("undecided", "Undecided booked control 30.0 % → warm 35.0 % +5.0 pp", [""]),
        ("broken", "Not reliable The arms cannot be compared. Find the lost calls", []),
        ("little", "Undecided Too few callers to compare. Let it run", []),
        ("empty", "Does a warm opening book more appointments? warm-opening No callers yet", []),
    ],
)
def test_experiment_is_a_row(told: Callable[..., Phone], database: str, says: str, plots: list[str]) -> None:
    """A running experiment's row has the verdict, the numbers if they can be trusted, and what to do."""
    phone = told(database)
    assert says in shown(phone)
    assert [each.strip() for each in re.findall('svg class="interval([^"]*)"', page(phone, "/").text)] == plots


def test_rows_have_their_progress(told: Callable[..., Phone]) -> None:
    """A row has the week of the planned ones and the callers; what needs attention and drafts are in one line each."""
    text = shown(told("broken"))
    assert "warm-opening week 5 of 12 200 callers" in text
    assert "Needs attention warm-opening : callers are not split as the weights say" in text
    assert "Drafts later" in text
    assert 'href="/pickup/experiments/warm-opening#results"' in page(told("broken"), "/").text
    assert "Needs attention" not in shown(told("winner"))


def test_many_arms_are_cut_short(told: Callable[..., Phone]) -> None:
    """While the verdict is about none of them, three of the arms have a line."""
    toml = SALES.replace("warm = 1", "\n".join(f"{arm} = 1" for arm in ARMS))
    files = {f"experiments/warm-opening/{arm}/first_message.j2": "Hello." for arm in ARMS}
    said = dict.fromkeys(("control", *ARMS), Told(100, 30))
    text = shown(told("arms", said, toml, **files))
    assert text.count("control 30.0 % →") == 3
    assert "1 more arm" in text


def test_concluded_experiment_is_a_line(told: Callable[..., Phone]) -> None:
    """A concluded experiment is a line with its winner, the date, and the verdict."""
    concluded = SALES.replace('"running"', '"concluded"\nwinner = "warm"')
    text = shown(told("concluded", SAID["winner"], concluded))
    assert re.search(r"warm-opening : warm rolled out, \d+ \w+ \d{4} · warm is better \(found on [^)]+\)", text)


def test_layers_are_folded(open_app: OpenApp) -> None:
    """The overview has who has which range of a layer, and what is free."""
    assert "Layers" not in shown(open_app(CONTENT))
    toml = 'status = "running"\nlayer = "voice"\nlayer_range = [0.25, 0.5]\n[arms]\ncontrol = 1\n'
    text = shown(open_app({**CONTENT, "experiments/brisk/experiment.toml": toml}))
    assert "Layers voice: brisk [0.25, 0.5], free [0.0, 0.25], free [0.5, 1.0]" in text


def test_greetings_are_elsewhere(author: Phone) -> None:
    """No greeting is on the overview."""
    assert "Good day." not in shown(author)


def test_empty_overview_says_how_to_begin(make_phone: MakePhone) -> None:
    """Without experiments the overview says how to make one."""
    phone = make_phone({"greetings/first_message.j2": "Good day."}, PICKUP_DASHBOARD_TOKEN=TOKEN)
    phone.client.get(f"/pickup/?token={TOKEN}")
    assert "Create one with: flask pickup new NAME --arms warm" in shown(phone)


@pytest.mark.parametrize("kind", ["csv", "json"])
def test_overview_can_be_exported(told: Callable[..., Phone], kind: str) -> None:
    """A line for each experiment and arm is there as CSV and JSON; a draft has no numbers."""
    phone = told("winner")
    page(phone, "/")
    text = page(phone, f"/overview.{kind}").text
    lines = json.loads(text) if kind == "json" else list(csv.DictReader(io.StringIO(text)))
    assert [(line["experiment"], line["arm"], str(line["callers"])) for line in lines] == [
        ("later", "control", "" if kind == "csv" else "None"),
        ("later", "short", "" if kind == "csv" else "None"),
        ("warm-opening", "control", "300"),
        ("warm-opening", "warm", "300"),
    ]
    line = lines[-1]
    assert (line["verdict"], line["action"], line["metric"], line["unit"]) == (
        "better",
        "Roll out warm",
        "booked",
        "percent",
    )
    low, difference, high = (float(line[name]) for name in ("low", "difference", "high"))
    assert difference == pytest.approx(30)
    assert 0 < low < difference < high
