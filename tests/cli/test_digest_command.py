"""``flask pickup digest``: what changed since the last one, told once, and not lost where it could not be delivered."""

from __future__ import annotations

import errno
import os
import re
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import click
import pytest
import sqlalchemy as sa

from commands import run
from conftest import CONTENT, EXPERIMENT, LATER, MakePhone, OpenApp, Phone
from flask_pickup.digest import digest_for
from flask_pickup.digest.silence import ENOUGH, WEEKS, LineCalls
from flask_pickup.ledger.spool import Spool
from flask_pickup.models import Snapshot
from flask_pickup.results.snapshots import VERSION
from result_rows import Rows

NOW = datetime.fromtimestamp(LATER, UTC)
"""A Saturday, shortly after noon."""
NAME = "warm-opening"
EARLY: Mapping[str, Any] = {"state": "cannot tell yet", "arms": ["warm"], "found": None, "stop": False}
BETTER: Mapping[str, Any] = {"state": "better", "arms": ["warm"], "found": "2025-12-06", "stop": False}
DELIVERY: Mapping[str, Any] = {
    "code": "delivery",
    "values": {"platform": "flireo", "shares": [["control", 0.99], ["warm", 0.8]]},
}
SPLIT: Mapping[str, Any] = {
    "code": "split",
    "values": {"on": "2025-12-12", "expected": [["control", 90, 60.0], ["warm", 30, 60.0]]},
}
REVOKED = {"code": "revoked", "values": {"said": {"state": "better", "arms": ["warm"], "found": "2025-12-06"}}}
BROKEN = {"state": "broken", "arms": [], "found": None, "findings": [SPLIT, REVOKED]}


def keep(phone: Phone, verdict: Mapping[str, Any] = EARLY, *warnings: Mapping[str, Any], period: int = 1) -> None:
    """Keep results, as if they had just been computed."""
    means = [{"arm": "control", "mean": 60.0}, {"arm": "warm", "mean": 75.0}]
    metric = {"metric": "duration_seconds", "is_proportion": False, "per": "caller", "arms": means, "comparisons": []}
    results = {
        "status": "running", "since": "2025-11-03T10:00:00+00:00", "period": period, "metrics": [metric],
        "arms": [{"arm": "control", "callers": 600}, {"arm": "warm", "callers": 604}], "warnings": list(warnings),
        "verdict": {"stop": False, "findings": [], "choice": None, "claims": [], **verdict},
    }  # fmt: skip
    body = {"version": VERSION, "seconds": 0.0, "results": results, "details": None}
    with phone.app.extensions["pickup"].engine.begin() as connection:
        connection.execute(sa.delete(Snapshot).where(Snapshot.experiment == NAME))
        # The results stay the latest however long a test takes.
        values = {"experiment": NAME, "computed_at": NOW + timedelta(minutes=5), "body": body}
        connection.execute(sa.insert(Snapshot).values(values))


def told(phone: Phone, *options: str) -> str:
    result = run("digest", *options, app=phone.app)
    assert result.exit_code == 0, result.output
    return result.stdout


def test_first_digest_tells_how_things_are_and_the_next_nothing(author_of_each: Phone) -> None:
    """Each open experiment has its verdict, its callers and what to do; where nothing changed nothing is printed."""
    keep(author_of_each, BETTER)
    assert told(author_of_each) == (
        "Pickup on 13 Dec 2025: how things are\n\n"
        "warm-opening: warm is better (found on 6 Dec 2025)\n"
        "duration_seconds: control 60.00, warm 75.00. 1,204 callers.\n"
        "What to do: Continue: the open questions need more callers. You may decide now if they do not matter to you.\n"
    )
    assert told(author_of_each) == ""


def test_first_digest_without_experiments_says_so(open_app: OpenApp) -> None:
    """It is told once, too."""
    author = open_app({"experiments/warm-opening/experiment.toml": EXPERIMENT.replace("running", "draft")})
    assert "No experiment is running: every caller hears the base.\n" in told(author)
    assert told(author) == ""


def test_results_that_could_not_be_computed_are_not_lost(author: Phone) -> None:
    """The first digest says so, and the one that has them tells the verdict."""
    keep(author)
    engine = author.app.extensions["pickup"].engine
    with engine.begin() as connection:
        failed = {"version": VERSION, "seconds": 0.0, "failed": "OperationalError"}
        connection.execute(sa.update(Snapshot).values(body=failed))
    assert "warm-opening: results are not computed yet" in told(author)
    assert told(author) == ""
    keep(author, BETTER)
    assert "warm is better" in told(author)


@pytest.mark.parametrize(
    ("before", "after", "says"),
    [
        ((EARLY,), (BETTER,), ["warm-opening: warm is better (found on 6 Dec 2025)"]),
        ((EARLY,), (EARLY,), []),
        ((BETTER,), ({**BETTER, "stop": True},), ["Roll out warm: set status"]),
        ((BETTER,), (BROKEN, SPLIT), ["These results are not reliable", "Before, it was: warm is better", "90 instead of 60"]),
        ((BROKEN, SPLIT), (BETTER,), ["warm is better", "Before, it was: These results are not reliable."]),
        ((EARLY,), (EARLY, DELIVERY), ["the arms differ in delivery on flireo: control 99", "Find out why"]),
        ((EARLY, DELIVERY), (EARLY,), ["warm-opening: an alarm is over", "It was: the arms differ in delivery"]),
        (
            (EARLY, DELIVERY),
            (EARLY, {**DELIVERY, "values": {**DELIVERY["values"], "shares": [["control", 0.9], ["warm", 0.7]]}}),
            [],
        ),
        ((EARLY,), (EARLY, {"code": "few", "values": {"least": 50, "counts": []}}), []),
    ],
    ids=["found", "early", "stop", "revoked", "reliable again", "alarm", "over", "other numbers", "no alarm"],
)  # fmt: skip
def test_each_change_is_told_once(author: Phone, before: Any, after: Any, says: list[str]) -> None:
    """The result comes first, in at most twelve words; then numbers; then what to do. What stays is not told."""
    keep(author, *before)
    told(author)
    keep(author, *after)
    text = told(author)
    assert [part for part in says if part not in text] == []
    assert bool(text) is bool(says)
    if says:
        title, change = text.split("\n\n")
        assert title == "Pickup on 13 Dec 2025: 1 change since 13 Dec 2025"
        assert len(change.splitlines()[0].replace(" %", "%").split()) <= 12
        assert change.splitlines()[-1].startswith("What to do: ")
    assert told(author) == ""


def test_new_period_is_named(author: Phone) -> None:
    """A verdict that ends with its period is told with the reason."""
    keep(author, BETTER)
    told(author)
    keep(author, EARLY, period=2)
    assert "A new period began on 3 Nov 2025. Before, it was: warm is better (found on 6 Dec 2025)." in told(author)


def test_starts_and_ends_are_told(make_phone: MakePhone, database_url: str) -> None:
    """An experiment's status is told as it changes; that its file cannot be read is told once."""
    statuses = ["draft", "running", "paused", "arms =", "arms =", "running", 'concluded"\nwinner = "warm']
    says = []
    for status in statuses:
        toml = EXPERIMENT.replace("running", status) if status != "arms =" else status
        phone = make_phone({**CONTENT, "experiments/warm-opening/experiment.toml": toml}, url=database_url)
        lines = told(phone).splitlines()
        told(phone, "--again")
        says.append(lines[2] if lines else "")
    assert says == [
        "No experiment is running: every caller hears the base.",
        "warm-opening: started",
        "warm-opening: paused",
        "warm-opening: does not load",
        "",
        "warm-opening: resumed",
        "warm-opening: warm rolled out",
    ]


# --- lines without calls ----------------------------------------------------------------------------------------------


def add_calls(phone: Phone, hours: float, *, weeks: int = 9) -> None:
    """Write ten calls an hour until so many hours ago, of the same days of each week."""
    rows = Rows()
    for week in range(weeks + 1):
        for minute in range(0, 60 * 12, 6):
            at = NOW - timedelta(weeks=week, minutes=minute)
            if at <= NOW - timedelta(hours=hours):
                rows.call(None, at, call_id=f"call-{week}-{minute}", line="+31850835037")
    rows.write(phone.app.extensions["pickup"].engine)


def test_line_without_calls_is_told_and_that_they_come_again(author_of_each: Phone) -> None:
    """It is told where so many hours are empty that had twenty calls and more in the weeks before; and the end of it."""
    keep(author_of_each)
    add_calls(author_of_each, 0)
    told(author_of_each)
    engine = author_of_each.app.extensions["pickup"].engine
    with engine.begin() as connection:
        connection.execute(sa.text("DELETE FROM pickup_calls WHERE call_id LIKE 'call-0-%'"))
    rows = Rows()
    rows.call(None, NOW - timedelta(hours=5), call_id="last", line="+31850835037")
    rows.write(engine)
    text = told(author_of_each)
    assert "No calls on +31850835037 since 13 Dec 2025 07:10\n" in text
    assert "The same hours had 40 calls or more in 7 of the 8 weeks before.\n" in text
    assert "check the webhook at Flireo" in text
    assert told(author_of_each) == ""
    again = Rows()
    again.call(None, NOW - timedelta(minutes=1), call_id="again", line="+31850835037")
    again.write(engine)
    assert "Calls come in on +31850835037 again\nThere were none from 13 Dec 2025 07:10 on.\n" in told(author_of_each)
    assert told(author_of_each) == ""


@pytest.mark.parametrize(
    ("hours", "weeks", "files"),
    [
        (1.5, 9, {}),
        (5, 4, {}),
        (
            5,
            9,
            {"greetings/hours.toml": 'timezone = "UTC"\n[week]\nmonday = "09:00-17:00"\n', "greetings/closed.j2": "-"},
        ),
    ],
    ids=["too few", "new line", "closed"],
)
def test_line_is_not_missed_too_soon(open_app: OpenApp, hours: float, weeks: int, files: Mapping[str, str]) -> None:
    """Fewer than twenty missed calls, less than seven weeks of them, and closed hours are no alarm."""
    author = open_app(files)
    keep(author)
    add_calls(author, hours, weeks=weeks)
    assert "No calls" not in told(author)


def test_calls_that_wait_for_the_database_are_not_missing(author: Phone) -> None:
    """While rows wait in the spool nothing is said of lines without calls."""
    keep(author)
    add_calls(author, 5)
    Spool(author.app.extensions["pickup"].options.spool).append(["an entry"])
    assert "No calls" not in told(author)


def test_weeks_are_those_of_the_clock() -> None:
    """The hours of a week before are the same by the clock of the business, also where summer time ended between."""
    zone = ZoneInfo("Europe/Amsterdam")
    last = datetime(2025, 11, 3, 8, 30, tzinfo=zone)
    mornings = [
        datetime(2025, 11, 3, hour, tzinfo=zone) - timedelta(weeks=week) for week in range(1, 9) for hour in (9, 10)
    ]
    hours = {int(at.timestamp()) // 3600: 12 for at in mornings}
    calls = LineCalls("flireo", None, last.astimezone(UTC), hours)
    assert calls.usual(last + timedelta(hours=3), zone, None) == 24


def test_page_says_when_a_line_is_without_calls() -> None:
    """The page for operators has the numbers of the rule."""
    page = (Path(__file__).parents[2] / "docs/operations.md").read_text("utf-8")
    assert f"{ENOUGH} calls or more in {WEEKS - 1} of the {WEEKS} weeks before" in page


# --- delivering -------------------------------------------------------------------------------------------------------


def test_command_delivers_what_there_is(author: Phone, tmp_path: Path) -> None:
    """A command gets the digest; if it fails the next digest tells the same; without news it does not run."""
    keep(author, BETTER)
    file = tmp_path / "digest"
    failed = run("digest", "--deliver", "exit 3", app=author.app)
    assert (failed.exit_code, failed.stdout) == (1, "")
    assert "will be told again" in failed.stderr
    assert told(author, "--deliver", f"cat > {file}") == ""
    assert "warm is better" in file.read_text("utf-8")
    file.unlink()
    assert told(author, "--deliver", f"cat > {file}") == ""
    assert not file.exists()
    failed = run("digest", "--again", "--deliver", "exit 3", app=author.app)
    assert (failed.exit_code, "told again" in failed.stderr) == (1, False)
    assert "Repeat it with --again." in failed.stderr


@pytest.mark.parametrize("number", [errno.EPIPE, errno.ENOSPC])
def test_digest_that_could_not_be_printed_is_told_again(
    author: Phone, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    """A broken pipe and a full disk end with exit status 1."""

    def write(text: str, *, nl: bool = True, err: bool = False) -> None:
        if not err:
            raise OSError(number, os.strerror(number))

    keep(author, BETTER)
    with monkeypatch.context() as patch:
        patch.setattr(click, "echo", write)
        result = run("digest", app=author.app)
    assert (result.exit_code, result.stdout) == (1, "")
    assert "warm is better" in told(author)


def test_again_tells_the_last_digest_too(author: Phone) -> None:
    """It tells what the last digest told and what changed since, as often as it is asked."""
    keep(author)
    told(author)
    keep(author, BETTER)
    first = told(author)
    assert told(author) == ""
    assert [told(author, "--again") for _ in range(2)] == [first, first]
    keep(author, BETTER, DELIVERY)
    text = told(author, "--again")
    assert ("warm is better" in text, "differ in delivery" in text) == (True, True)


def test_two_at_once_tell_it_once(author_of_each: Phone) -> None:
    """While one process delivers a digest another tells nothing, and says so; each reader has their own."""
    state = author_of_each.app.extensions["pickup"]
    keep(author_of_each, BETTER)
    with author_of_each.app.app_context(), digest_for(state, "owner") as digest:
        assert digest
        for options, status in (((), 0), (("--again",), 1)):
            busy = run("digest", *options, app=author_of_each.app)
            assert (busy.exit_code, busy.stdout) == (status, "")
            assert busy.stderr == "Another digest is being delivered; try again in two minutes.\n"
        assert "warm is better" in told(author_of_each, "--reader", "chat")
    assert told(author_of_each) == ""


def test_database_that_does_not_answer_is_no_news(make_phone: MakePhone) -> None:
    """Nothing is printed, the exit status is 1, and the reason is on the standard error stream."""
    result = run("digest", app=make_phone(url="postgresql://ann:hunter2@127.0.0.1:9/none", migrate=False).app)
    assert (result.exit_code, result.stdout) == (1, "")
    assert "The database does not answer" in result.stderr


# --- the reader -------------------------------------------------------------------------------------------------------


def test_mail_shows_everywhere(open_app: OpenApp) -> None:
    """HTML has its styles inline and loads nothing; what authors write is text; links lead to the dashboard."""
    author = open_app({
        "experiments/warm-opening/experiment.toml": EXPERIMENT + 'label = "<b>Length</b>"\n',
        "greetings/settings.toml": 'language = "nl"\n',
    })  # fmt: skip
    keep(author, BETTER)
    html = told(author, "--format", "html", "--url", "https://example.com/pickup")
    assert "&lt;b&gt;Length&lt;/b&gt;" in html
    assert 'href="https://example.com/pickup/experiments/warm-opening"' in html
    assert "Pickup op 13 dec 2025: zo staat het ervoor" in html
    assert re.findall(r"<(?:link|script|style|img)|src=|url\(|class=", html) == []
    assert "href" not in told(author, "--again", "--format", "html")


@pytest.mark.parametrize(("language", "options", "says"), [("nl", (), "Pickup op"), ("de", (), "Pickup on"), ("de", ("--language", "nl"), "Pickup op")])  # fmt: skip
def test_language_is_the_contents_own(open_app: OpenApp, language: str, options: tuple[str, ...], says: str) -> None:
    """Without --language it is that of settings.toml if there is a catalog of it, else English."""
    author = open_app({"greetings/settings.toml": f'language = "{language}"\n'})
    keep(author)
    assert told(author, *options).startswith(says)


def test_address_is_one(author: Phone) -> None:
    """What is no address is a usage error."""
    assert run("digest", "--url", "example.com", app=author.app).exit_code == 2
