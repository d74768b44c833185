"""``flask pickup simulate``: what results would say, before the first real call."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from click.testing import Result

from conftest import BOOKED, CONTENT, MakePhone, Phone
from flask_pickup.cli import pickup

EXPERIMENT = (
    BOOKED
    + """\
[metrics.asked]
outcome = "analysis.asked"
per = "call"
[metrics.early_hang_up]
goal = "decrease"
guardrail = true
margin = 0.1
[metrics.duration_seconds]
[metrics.sale]
smallest = 5
"""
)
FILES = {**CONTENT, "experiments/warm-opening/experiment.toml": EXPERIMENT}
EFFECTS = ("--effect", "warm=+0.3", "--effect", "warm:asked=-0.1", "--effect", "warm:duration_seconds=20")


def simulate(phone: Phone, *arguments: str) -> Result:
    return phone.app.test_cli_runner().invoke(pickup, ["simulate", "warm-opening", *arguments])


@pytest.fixture
def made(make_phone: MakePhone) -> Phone:
    """An app that has had no calls."""
    return make_phone(FILES)


def test_results_recover_the_truth(made: Phone, make_phone: MakePhone, database_url: str) -> None:
    """All that was put in is in the results of the filled database: each effect, within four of its errors.

    The rows are those that real calls leave, in the real tables, with nobody's number.
    """
    filled = simulate(made, "--callers", "800", *EFFECTS, "--into", database_url)
    assert filled.exit_code == 0, filled.output
    phone = make_phone(FILES, url=database_url)
    found = phone.app.test_cli_runner().invoke(pickup, ["results", "warm-opening", "--format", "json"])
    shown = json.loads(found.stdout)
    truth = {"booked": 0.3, "asked": -0.1, "early_hang_up": 0.0, "duration_seconds": 20.0, "sale": 0.0}
    compared = {metric["metric"]: metric["comparisons"][0] for metric in shown["metrics"]}
    assert compared.keys() == truth.keys()
    for name, one in compared.items():
        assert abs(one["difference"] - truth[name]) < 4 * one["standard_error"], name
    assert (shown["verdict"]["state"], shown["warnings"]) == ("better", [])
    assert [arm["delivered"] for arm in shown["arms"]] == [1.0, 1.0]
    assert phone.rows("SELECT COUNT(DISTINCT caller_key) FROM pickup_assignments") == [(800,)]
    assert phone.rows("SELECT COUNT(*) FROM pickup_calls") == [(sum(arm["calls"] for arm in shown["arms"]),)]
    assert "+31" not in str(phone.rows("SELECT * FROM pickup_calls"))


def test_the_verdict_comes_first_and_then_each_week(made: Phone) -> None:
    """People see the verdict with its week, the truth that was put in, and what each week's look said."""
    found = simulate(made, "--callers", "400", "--weeks", "4", "--effect", "warm=+0.25", "--baseline", "0.3")
    lines = found.stdout.splitlines()
    assert re.fullmatch(r"warm is better \(found in week [234]\)", lines[0])
    assert lines[1].startswith("warm is better on booked: at least")
    assert any(line.startswith("What to do then: Continue") for line in lines)
    assert "400 of 400 made-up callers count." in lines
    assert "  booked: control 30.0 %, warm 55.0 % (+25.0 pp)" in lines
    assert "  duration_seconds: control 90.00, warm the same" in lines
    assert "Assumed: 400 callers over 4 weeks (--callers, --weeks), and these rates" in found.stdout
    weeks = [line.split() for line in lines if line.strip()[:1].isdigit() and " warm " in line]
    assert [week[0] for week in weeks] == ["1", "2", "3", "4"]
    assert " ".join(weeks[0][2:]) == "warm none yet Too early to call"
    assert " ".join(weeks[3][-3:]) == "warm is better"
    assert max(map(len, lines)) <= 80


def test_it_fills_no_other(make_phone: MakePhone, database_url: str) -> None:
    """A database that has calls is left as it is."""
    phone = make_phone(FILES, url=database_url)
    phone.ring()
    found = simulate(phone, "--callers", "30", "--into", database_url)
    assert (found.exit_code, phone.rows("SELECT COUNT(*) FROM pickup_calls")) == (1, [(1,)])
    assert "has calls already" in found.output


def test_nothing_is_left_behind(made: Phone, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without --into the app's database is left alone, and the one that was filled is gone."""
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "temporary"))
    (tmp_path / "temporary").mkdir()
    assert simulate(made, "--callers", "30").exit_code == 0
    assert list((tmp_path / "temporary").iterdir()) == []
    assert made.rows("SELECT COUNT(*) FROM pickup_calls") == [(0,)]


def test_the_same_seed_makes_up_the_same_callers(made: Phone) -> None:
    """A simulation can be repeated, and another seed is another simulation."""
    one, same, other = (simulate(made, "--callers", "60", "--weeks", "2", "--seed", seed).stdout for seed in "334")
    assert one == same != other


def test_no_hook_is_asked(make_phone: MakePhone) -> None:
    """The host's customers are real people's: no made-up caller is looked up."""
    from flask_pickup import Pickup  # noqa: PLC0415

    asked: list[Any] = []
    pickup_ = Pickup()
    pickup_.customer(asked.append)
    assert simulate(make_phone(FILES, pickup=pickup_), "--callers", "20").exit_code == 0
    assert asked == []


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("--effect", "warm"), "--effect warm must be an arm and a difference, such as warm=+0.05."),
        (("--effect", "warm=1.2.3"), "must be an arm and a difference"),
        (("--effect", "cold=0.1"), "unknown arm 'cold'; the arms besides control are: warm"),
        (("--effect", "control=0.1"), "unknown arm 'control'"),
        (("--effect", "warm:sold=0.1"), "unknown metric 'sold'"),
        (("--effect", "warm=0.9"), "booked would be 1.2 in warm; a rate lies between 0 and 1"),
        (("--into", "nonsense"), "--into must be an SQLAlchemy URL"),
        (("--into", "mysql://host/db"), "--into must be an SQLAlchemy URL"),
    ],
)
def test_wrong_options_are_refused(made: Phone, arguments: tuple[str, ...], says: str) -> None:
    """Asked wrongly, it says what to write, with exit status 2."""
    found = simulate(made, *arguments)
    assert found.exit_code == 2
    assert says in found.output


def test_a_draft_is_simulated_as_if_it_were_running(make_phone: MakePhone) -> None:
    """It is said that it is not; its calls are those of a running one."""
    draft = {**FILES, "experiments/warm-opening/experiment.toml": EXPERIMENT.replace('"running"', '"draft"')}
    found = simulate(make_phone(draft), "--callers", "60")
    assert found.exit_code == 0
    assert "'warm-opening' is draft; this is as if it were running." in found.stdout.splitlines()
    assert "60 of 60 made-up callers count." in found.stdout.splitlines()


HOURS = 'timezone = "Europe/Amsterdam"\n[week]\ntuesday = ["09:00-12:00", "14:00-16:00"]\nsaturday = "20:00-02:00"\n'


def local_times(phone: Phone) -> list[datetime]:
    zone = ZoneInfo("Europe/Amsterdam")
    rows = phone.rows("SELECT decided_at FROM pickup_calls")
    return [datetime.fromisoformat(at).replace(tzinfo=UTC).astimezone(zone) for (at,) in rows]


@pytest.mark.parametrize("hours", [HOURS, None])
def test_calls_come_when_a_business_has_them(make_phone: MakePhone, tmp_path: Path, hours: str | None) -> None:
    """Most calls come within the opening hours, the more of them soon after it opens, and none at night."""
    files = {**FILES, **({"greetings/hours.toml": hours} if hours else {})}
    url = f"sqlite:///{tmp_path / 'filled.db'}"
    simulate(make_phone(files), "--callers", "600", "--into", url)
    times = local_times(make_phone(files, url=url))
    if hours:
        is_open = [
            (at.weekday() == 1 and at.hour in {9, 10, 11, 14, 15})
            or (at.weekday() == 5 and at.hour >= 20)
            or (at.weekday() == 6 and at.hour < 2)
            for at in times
        ]
        tuesdays = [at for at in times if at.weekday() == 1]
        busiest = [at for at in tuesdays if at.hour == 9], [at for at in tuesdays if at.hour == 15]
    else:
        # An hour or two later than in UTC, in which no hours are told.
        is_open = [at.weekday() < 5 and 10 <= at.hour < 19 for at in times]
        afternoons = [at for at in times if 15 <= at.hour < 19]
        busiest = [at for at in afternoons if at.weekday() < 4][::4], [at for at in afternoons if at.weekday() == 4]
    assert 0.86 < sum(is_open) / len(times) < 0.97
    assert len(busiest[0]) > len(busiest[1])
    assert not [at for at in times if 4 <= at.hour < 7]


def test_it_says_where_other_callers_went(make_phone: MakePhone) -> None:
    """Who does not count is told with the reason of their calls' decisions, in JSON too."""
    narrowed = 'traffic = 0.6\nlayer = "opening"\nlayer_range = [0.0, 0.5]\naudience = "now.weekday() < 5"\n'
    files = {
        **FILES,
        "experiments/warm-opening/experiment.toml": narrowed + EXPERIMENT,
        "greetings/hours.toml": HOURS,
        "greetings/closed.j2": "We are closed.",
    }
    phone = make_phone(files)
    shown = " ".join(simulate(phone, "--callers", "150").stdout.split())
    went = json.loads(simulate(phone, "--callers", "150", "--format", "json").stdout)["callers"]
    assert went.keys() == {"enrolled", "layer", "traffic", "audience", "closed"}
    assert sum(went.values()) == 150
    assert f"{went['enrolled']} of 150 made-up callers count." in shown
    where = "outside its range of the layer 'opening': warm-opening [0.0, 0.5], free [0.5, 1.0]."
    assert f"{went['layer']} do not: {where}" in shown
    assert f"{went['traffic']} do not: not in its traffic = 0.6." in shown
    assert f"{went['audience']} do not: not in its audience: now.weekday() < 5." in shown
    assert f"{went['closed']} do not: turned away, as they rang only outside the hours." in shown


def test_it_counts_one_as_one_and_names_a_few_of_many(make_phone: MakePhone) -> None:
    """One caller counts, or does not; of a layer's many ranges five are named."""
    toml = "experiments/{}/experiment.toml"
    ranges = [(0.98 + step / 500, 0.981 + step / 500) for step in range(8)]
    others = {
        name.format(f"other-{number}"): text
        for number, of_layer in enumerate(ranges)
        for name, text in (
            (toml, f'layer = "opening"\nlayer_range = {[*of_layer]}\n{EXPERIMENT}'),
            ("experiments/{}/warm/first_message.j2", "Hello."),
        )
    }
    found = []
    for start in (0, 0.97):
        mine = f'layer = "opening"\nlayer_range = [{start}, 0.98]\n{EXPERIMENT}'
        phone = make_phone({**FILES, **others, toml.format("warm-opening"): mine})
        found.append(" ".join(simulate(phone, "--callers", "1").output.split()))
    assert "1 of 1 made-up caller counts." in found[0]
    assert "1 does not: outside its range of the layer 'opening': other-0 [0.98, 0.981], " in found[1]
    assert "other-4 [0.988, 0.989], and 4 more, free [0.0, 0.97], " in found[1]
    assert found[1].count("free [") == 5


def test_an_audience_of_nobody_is_said(make_phone: MakePhone) -> None:
    """Where no made-up caller is in the audience, that is said, and no verdict is made up."""
    closed = EXPERIMENT.replace('"running"', '"running"\naudience = "customer.vip"')
    found = simulate(make_phone({**FILES, "experiments/warm-opening/experiment.toml": closed}), "--callers", "20")
    assert found.exit_code == 1
    assert "none of the made-up callers was assigned an arm.\n0 of 20 made-up callers count." in found.output
    assert "20 do not: not in its audience: customer.vip." in found.output


@pytest.mark.parametrize(
    ("files", "says"),
    [
        ({"greetings/first_message.j2": "{% if %}"}, "20 do not: answered by the saved agent, as the greetings do not load."),
        ({"experiments/warm-opening/warm/first_message.j2": "{% if %}"}, "'warm-opening' does not load. Run: flask pickup check"),
    ],
)  # fmt: skip
def test_content_that_does_not_load_is_said(make_phone: MakePhone, files: Mapping[str, str], says: str) -> None:
    """An author who made a mistake learns of it, and not of an experiment that is not there."""
    assert says in " ".join(simulate(make_phone({**FILES, **files}), "--callers", "20").output.split())
