"""Weekly looks: rows that never change, and verdicts that follow from them alone."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine, create_engine, delete, insert, select, update

from flask_pickup.models import Assignment, Call, Definition, Look, Outcome
from flask_pickup.results.assembling import ResultOptions, analysis, results
from flask_pickup.results.model import Results
from result_rows import BOOKED, HANG_UP, START, Rows, body, callers

WEEK = timedelta(weeks=1)
METRICS = {"booked": BOOKED}
SALE = {"outcome": "sale", "smallest": 0.05}


def fill(engine: Engine, control: float, warm: float, **options: Any) -> None:
    """Write 600 callers an arm over eight weeks, with their rates of booking."""
    rows = Rows()
    callers(rows, "control", 600, control, **options)
    callers(rows, "warm", 600, warm, **options)
    rows.write(engine)


def add(engine: Engine, number: int, week: float, weeks: float, *arms: str, definition: str = "d") -> None:
    """Write more callers of arms, evenly over some weeks from ``week`` on, none of whom books."""
    rows = Rows()
    for caller in range(number):
        at, arm = START + (week + weeks * caller / number) * WEEK, arms[caller % len(arms)]
        rows.call(f"more-{caller}", at, arm, {"analysis.booked": 0.0}, call_id=f"more-{caller}", definition=definition)
    rows.write(engine)


def define(engine: Engine, name: str, week: float, **changed: Any) -> None:
    """Write a definition that was first seen in a week."""
    found = body(changed.pop("metrics", METRICS), **changed)
    values = {"fingerprint": name, "experiment": "opening", "body": found, "first_seen_at": START + week * WEEK}
    with engine.begin() as connection:
        connection.execute(insert(Definition).values(values))


def serve(engine: Engine, name: str, first: float, last: float = 99) -> None:
    """Have the calls of some weeks answered from a definition."""
    at = Assignment.assigned_at
    with engine.begin() as connection:
        some = update(Assignment).where(at >= START + first * WEEK, at < START + last * WEEK)
        connection.execute(some.values(definition=name))


def shown(engine: Engine, week: float, **options: Any) -> Results:
    return results(engine, "opening", options=ResultOptions(now=START + week * WEEK, **options))


def looks(engine: Engine) -> dict[int, Any]:
    with engine.connect() as connection:
        return dict(tuple(row) for row in connection.execute(select(Look.week, Look.body).order_by(Look.week)))


def codes(found: Results) -> list[str]:
    return [each.code for each in found.warnings]


def test_weeks_nobody_looked_at_are_as_they_would_have_been(engine: Engine) -> None:
    """The first computation writes the looks of all weeks before it, each with what was known at its end."""
    define(engine, "d", 0)
    fill(engine, 0.3, 0.36)
    shown(engine, 6.5)
    at_once = looks(engine)
    with engine.begin() as connection:
        connection.execute(delete(Look))
    for week in range(1, 7):
        shown(engine, week + 0.1)
    assert looks(engine) == at_once
    assert list(at_once) == [1, 2, 3, 4, 5, 6]
    assert at_once[3]["until"] == (START + 3 * WEEK).isoformat()


def test_looks_are_kept_whatever_fails_after_them(engine: Engine) -> None:
    """A computation that ends with an error has kept the looks that it made: the next one begins there."""
    define(engine, "d", 0)
    fill(engine, 0.3, 0.36)

    def computes() -> None:
        with analysis(engine, "opening", None, ResultOptions(now=START + 3.5 * WEEK)) as found:
            found.results()
            raise TimeoutError

    with pytest.raises(TimeoutError):
        computes()
    assert list(looks(engine)) == [1, 2, 3]


def test_looks_and_verdicts_outlive_the_rows(engine: Engine) -> None:
    """What is imported, corrected or forgotten later changes no look, and no verdict that was given."""
    define(engine, "d", 0)
    fill(engine, 0.3, 0.5)
    found, kept = shown(engine, 8.1), looks(engine)
    assert found.verdict
    assert (found.verdict.state, found.verdict.found) == ("better", "2026-03-23T09:00:00+00:00")
    with engine.begin() as connection:
        connection.execute(update(Outcome).where(Outcome.name == "analysis.booked").values(value=0))
        some = select(Call.call_id).where(Call.decided_at < START + 4 * WEEK)
        for table in (Assignment, Outcome, Call):
            connection.execute(delete(table).where(table.call_id.in_(some)))
    after = shown(engine, 9.1)
    assert {week: each for week, each in looks(engine).items() if week < 9} == kept
    assert after.verdict
    assert (after.verdict.state, after.verdict.found) == ("better", found.verdict.found)
    assert "not-today" in [each.code for each in after.verdict.findings]


def test_a_verdict_outlives_all_its_rows(sqlite_engine: Engine) -> None:
    """Where all calls were purged, what was found stays found."""
    define(sqlite_engine, "d", 0)
    fill(sqlite_engine, 0.3, 0.5)
    given = shown(sqlite_engine, 8.1).verdict
    with sqlite_engine.begin() as connection:
        for table in (Assignment, Outcome, Call):
            connection.execute(delete(table))
    kept = shown(sqlite_engine, 10.1).verdict
    assert given
    assert kept
    assert (kept.state, kept.found, kept.claims[0].at_least) == (given.state, given.found, given.claims[0].at_least)


def test_looks_hold_aggregates_only(engine: Engine) -> None:
    """No row of a look has anything of a caller."""
    define(engine, "d", 0)
    fill(engine, 0.3, 0.36)
    shown(engine, 4)
    assert "-17" not in str(looks(engine))
    assert set(looks(engine)[4]["arms"][0]) >= {"arm", "callers", "calls"}


def test_the_horizon_ends_in_a_choice(sqlite_engine: Engine) -> None:
    """Without a verdict at the end of maximum_weeks one arm is chosen, and stays chosen."""
    define(sqlite_engine, "d", 0, decision={"maximum_weeks": 6})
    fill(sqlite_engine, 0.3, 0.32)
    states = [
        (found.verdict.state, found.verdict.found)
        for week in (5, 6, 8)
        if (found := shown(sqlite_engine, week)).verdict
    ]
    chosen = ("choice", (START + 6 * WEEK).isoformat())
    assert states == [("cannot tell yet", None), chosen, chosen]


def test_as_of_a_day_has_no_later_look(sqlite_engine: Engine) -> None:
    """A result as of an earlier day is what it was that day, though later weeks have their looks."""
    define(sqlite_engine, "d", 0)
    fill(sqlite_engine, 0.3, 0.5)
    then, _, again = shown(sqlite_engine, 2.5), shown(sqlite_engine, 8.1), shown(sqlite_engine, 2.5)
    assert again == then
    assert then.verdict
    assert then.verdict.state == "cannot tell yet"


# --- rules that change ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changed", "told"),
    [
        ({"primary": "sale"}, "primary from booked to sale"),
        ({"decision": {"confidence": 0.8}}, "confidence from 0.95 to 0.8"),
        ({"decision": {"maximum_weeks": 30}}, "maximum_weeks from 26 to 30"),
        ({"metrics": {"booked": {**BOOKED, "smallest": 0.01}, "sale": SALE}}, "booked.smallest from 0.05 to 0.01"),
        ({"metrics": {"booked": {**BOOKED, "within": 7}, "sale": SALE}}, "booked.within from none to 7"),
    ],
)
def test_rules_changed_midway_are_told_for_good(sqlite_engine: Engine, changed: Any, told: str) -> None:
    """A change of the rules is named with its day, and a verdict after it says that its error rate does not hold."""
    both = {"metrics": {"booked": BOOKED, "sale": SALE}}
    decision = {"confidence": 0.95, "maximum_weeks": 26}
    define(sqlite_engine, "d", 0, **both, decision=decision)
    define(sqlite_engine, "e", 2.5, **{**both, **changed, "decision": {**decision, **changed.get("decision", {})}})
    fill(sqlite_engine, 0.3, 0.45)
    with sqlite_engine.begin() as connection:
        sales = [
            {"call_id": row.call_id, "name": "sale", "value": row.value, "reported_at": row.reported_at}
            for row in connection.execute(select(Outcome.__table__).where(Outcome.name == "analysis.booked"))
        ]
        connection.execute(insert(Outcome), sales)
    serve(sqlite_engine, "e", 2.5)
    before, after = shown(sqlite_engine, 2.2), shown(sqlite_engine, 8.2)
    assert "rules-changed" not in codes(before)
    [message] = [each.message for each in after.warnings if each.code == "rules-changed"]
    assert message == f"Rules of the decision changed on 19 Mar 2026: {told}."
    assert after.verdict
    assert after.verdict.state in {"better", "cannot tell yet"}
    assert ("error-rate" in [each.code for each in after.verdict.findings]) is (after.verdict.state == "better")


def test_a_change_after_a_verdict_does_not_revoke_it(sqlite_engine: Engine) -> None:
    """The verdict stays as it was given, without a word about its error rate; the change is noted."""
    define(sqlite_engine, "d", 0, metrics={"booked": BOOKED, "sale": SALE})
    define(sqlite_engine, "e", 6.5, metrics={"booked": BOOKED, "sale": SALE}, primary="sale")
    fill(sqlite_engine, 0.3, 0.5)
    serve(sqlite_engine, "e", 6.5)
    before, after = shown(sqlite_engine, 6.2), shown(sqlite_engine, 8.2)
    assert before.verdict
    assert after.verdict
    assert before.verdict.state == after.verdict.state == "better"
    assert before.verdict.found == after.verdict.found
    assert "error-rate" not in [each.code for each in after.verdict.findings]
    assert "rules-changed" in codes(after)


def test_rules_that_return_decide_again(sqlite_engine: Engine) -> None:
    """A rule that is changed and changed back decides the looks of its own weeks alone; both changes are told."""
    decision = {"confidence": 0.95}
    define(sqlite_engine, "d", 0, decision=decision)
    define(sqlite_engine, "e", 2.5, decision={"confidence": 0.5})
    fill(sqlite_engine, 0.3, 0.34)
    serve(sqlite_engine, "e", 2.5, 2.8)
    found = results(sqlite_engine, "opening", body(METRICS, decision=decision), ResultOptions(now=START + 8.2 * WEEK))
    assert {each["rules"] for each in looks(sqlite_engine).values()} == {"d"}
    assert [each.message for each in found.warnings if each.code == "rules-changed"] == [
        "Rules of the decision changed on 19 Mar 2026: confidence from 0.95 to 0.5.",
        "Rules of the decision changed on 22 Mar 2026: confidence from 0.5 to 0.95.",
    ]


def test_a_folder_that_served_nobody_leaves_no_look_of_its_own(sqlite_engine: Engine) -> None:
    """Results of an edited folder show its metrics today; the looks are of what calls were answered from."""
    define(sqlite_engine, "d", 0)
    fill(sqlite_engine, 0.3, 0.3)
    edited = body({"booked": {**BOOKED, "outcome": "early_hang_up"}})
    peeked = results(sqlite_engine, "opening", edited, ResultOptions(now=START + 8.2 * WEEK))
    assert peeked.metrics[0].outcome == "early_hang_up"
    assert {metric["outcome"] for each in looks(sqlite_engine).values() for metric in each["metrics"]} == {
        "analysis.booked"
    }
    assert "rules-changed" in codes(peeked)


def test_a_guardrail_that_is_removed_is_told(sqlite_engine: Engine) -> None:
    """Without its guardrail a verdict is another: the removal is a change of the rules, and so is its return."""
    define(sqlite_engine, "d", 0, metrics={"booked": BOOKED, "hang_up": HANG_UP})
    define(sqlite_engine, "e", 2.5)
    fill(sqlite_engine, 0.3, 0.5)
    serve(sqlite_engine, "e", 2.5)
    told = [each.message for each in shown(sqlite_engine, 8.2).warnings if each.code == "rules-changed"]
    assert told == ["Rules of the decision changed on 19 Mar 2026: hang_up.guardrail from True to none."]


def test_a_label_is_not_a_rule(sqlite_engine: Engine) -> None:
    """What pages call a metric decides nothing: another label is not told."""
    define(sqlite_engine, "d", 0)
    define(sqlite_engine, "e", 2.5, metrics={"booked": {**BOOKED, "label": {"nl": "Afspraken"}}})
    fill(sqlite_engine, 0.3, 0.5)
    serve(sqlite_engine, "e", 2.5)
    assert "rules-changed" not in codes(shown(sqlite_engine, 8.2))


def test_a_horizon_that_is_moved_makes_a_choice_of_its_own(sqlite_engine: Engine) -> None:
    """A choice stands for the horizon at which it was made: at a later one the arms are weighed anew."""
    define(sqlite_engine, "d", 0, decision={"maximum_weeks": 3})
    define(sqlite_engine, "e", 4.5, decision={"maximum_weeks": 8})
    fill(sqlite_engine, 0.3, 0.31)
    serve(sqlite_engine, "e", 4.5)
    found = [shown(sqlite_engine, week).verdict for week in (3.1, 5.1, 8.1)]
    assert [each and each.state for each in found] == ["choice", "cannot tell yet", "choice"]
    assert found[2]
    assert found[2].found == (START + 8 * WEEK).isoformat()


def test_each_period_has_its_own_looks(sqlite_engine: Engine) -> None:
    """A new period begins with its own first week and its own error; the looks of the earlier one stay."""
    define(sqlite_engine, "d", 0)
    fill(sqlite_engine, 0.3, 0.5)
    shown(sqlite_engine, 8.2)
    define(sqlite_engine, "e", 9, files={"warm": {"first_message.j2": "Hello"}})
    add(sqlite_engine, 300, 9, 3, "control", "warm", definition="e")
    found = shown(sqlite_engine, 11.5)
    assert found.period == 2
    assert found.verdict
    assert found.verdict.state == "cannot tell yet"
    with sqlite_engine.connect() as connection:
        weeks = connection.execute(select(Look.period, Look.week)).all()
    assert sorted(week for _, week in weeks) == [1, 1, 2, 2, 3, 4, 5, 6, 7, 8]
    assert len({period for period, _ in weeks}) == 2


# --- alarms -----------------------------------------------------------------------------------------------------------


def test_an_alarm_of_the_split_stays(sqlite_engine: Engine) -> None:
    """A split that was an alarm on one day stays one for the period, also when the counts come together again."""
    define(sqlite_engine, "d", 0)
    rows = Rows()
    callers(rows, "control", 300, 0.3, last=10)
    callers(rows, "warm", 450, 0.3, last=10)
    rows.write(sqlite_engine)
    first = shown(sqlite_engine, 1.9)
    assert first.verdict
    assert first.verdict.state == "broken"
    add(sqlite_engine, 150, 1.9, 0.15, "control")
    later = shown(sqlite_engine, 3.1)
    assert [arm.callers for arm in later.arms] == [450, 450]
    assert (later.sample_ratio.ok, later.metrics[0].comparisons[0].state) == (False, "suppressed")
    assert not shown(sqlite_engine, 3.1, platform="flireo").sample_ratio.ok
    assert later.verdict
    assert "On 9 Mar 2026 the numbers" in later.verdict.message


def test_a_broken_split_says_what_was_said(sqlite_engine: Engine) -> None:
    """An alarm after a verdict revokes it, tells it with its day, and why it no longer holds."""
    define(sqlite_engine, "d", 0)
    fill(sqlite_engine, 0.3, 0.5)
    given = shown(sqlite_engine, 6)
    add(sqlite_engine, 300, 6, 0.3, "warm")
    broken = shown(sqlite_engine, 7.1)
    assert given.verdict
    assert broken.verdict
    assert (given.verdict.state, broken.verdict.state) == ("better", "broken")
    assert "Before, it was: warm is better (found on 23 Mar 2026). That no longer holds." in broken.verdict.message


# --- without looks ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("options", [{"pool": True}, {"rehearsals": True}, {"platform": "flireo"}])
def test_other_results_have_neither_looks_nor_a_verdict(sqlite_engine: Engine, options: Any) -> None:
    """Pooled results, those of one platform and those with rehearsals have intervals of their own, and no verdict."""
    define(sqlite_engine, "d", 0)
    fill(sqlite_engine, 0.3, 0.5)
    found = shown(sqlite_engine, 8.2, **options)
    assert (found.verdict, looks(sqlite_engine)) == (None, {})
    assert found.metrics[0].comparisons[0].interval


def test_a_database_that_cannot_be_written_gives_the_same(sqlite_engine: Engine, tmp_path: Path) -> None:
    """Where the looks cannot be kept, each computation finds them anew."""
    define(sqlite_engine, "d", 0)
    fill(sqlite_engine, 0.3, 0.5)
    with sqlite_engine.connect() as connection:
        connection.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)")
    readable = create_engine(f"sqlite:///file:{tmp_path / 'pickup.db'}?mode=ro&uri=true")
    found = shown(readable, 8.2)
    readable.dispose()
    assert looks(sqlite_engine) == {}
    assert found == shown(sqlite_engine, 8.2)
