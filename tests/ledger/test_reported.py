"""Reports of one call: parts complete one another, whole reports replace what they lack, in any order."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import count
from threading import Barrier
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import Engine, select
from sqlalchemy import text as sql

from conftest import MakePhone, facts
from faulty import eventually
from flask_pickup.engines import make_engine
from flask_pickup.ledger import CallEntry, ReportEntry
from flask_pickup.ledger.entries import Entry, from_json, to_json
from flask_pickup.ledger.spool import Spool
from flask_pickup.ledger.store import Store
from flask_pickup.models import Call, Outcome, Transcript
from flask_pickup.reports import call_row

NOW = datetime(2025, 12, 13, tzinfo=UTC)
ids = count()

Told = Mapping[str, Any]
"""What a report tells: minutes since the call, whether it is whole, columns, outcomes and the transcript."""

FACTS = {
    "status": st.sampled_from(["ended", "failed"]),
    "end_reason": st.sampled_from(["hung up", "no reason"]),
    "ended_at": st.integers(1, 3).map(lambda minutes: NOW + timedelta(minutes=minutes)),
    "platform_call_id": st.sampled_from(["theirs", "their-other"]),
}
WORDS = {"summary": st.sampled_from(["Short.", "Long."]), "messages": st.just([{"role": "user", "content": "Hi."}])}
NAMES = ("duration_seconds", "completed", "analysis.booked", "unread.messages")


def optional(fields: Mapping[str, st.SearchStrategy[Any]]) -> st.SearchStrategy[dict[str, Any]]:
    return st.fixed_dictionaries({name: st.none() | value for name, value in fields.items()})


TOLD: st.SearchStrategy[Told] = st.fixed_dictionaries(
    {
        "minute": st.integers(0, 20),
        "is_whole": st.sampled_from([False, False, True]),
        "facts": optional(FACTS),
        "words": optional(WORDS),
        "outcomes": st.dictionaries(st.sampled_from(NAMES), st.floats(0, 9)),
    }
)


@st.composite
def deliveries(draw: st.DrawFn) -> tuple[list[Told], list[Told | None]]:
    """Return reports of one call, and in which order they are delivered, some repeatedly; None is the call itself."""
    reports = draw(st.lists(TOLD, min_size=1, max_size=4, unique_by=lambda told: told["minute"]))
    again = draw(st.lists(st.sampled_from(reports), max_size=3))
    return reports, draw(st.permutations([*reports, *again, None]))


def report(call_id: str, told: Told) -> ReportEntry:
    return ReportEntry(
        {**call_row(facts(call_id)), **told["facts"]},
        NOW + timedelta(minutes=told["minute"]),
        outcomes=told["outcomes"],
        transcript={"call_id": call_id, **told["words"]},
        is_whole=told["is_whole"],
    )


def call(call_id: str) -> CallEntry:
    return CallEntry(call_row(facts(call_id), decision="base", decided_at=NOW), [], NOW)


def expected(reports: Sequence[Told]) -> dict[str, Any]:
    """Return what the tables should say after all reports, whichever came first."""
    known: dict[str, Any] = dict.fromkeys([*FACTS, *WORDS])
    outcomes: dict[str, float] = {}
    for told in sorted(reports, key=lambda told: int(told["minute"])):
        known |= {name: value for name, value in {**told["facts"], **told["words"]}.items() if value is not None}
        outcomes = told["outcomes"] if told["is_whole"] else outcomes | told["outcomes"]
    latest = max(told["minute"] for told in reports)
    return {**known, "outcomes": outcomes, "reported_at": NOW + timedelta(minutes=latest), "decision": "base"}


def stored(engine: Engine, call_id: str) -> dict[str, Any]:
    with engine.connect() as connection:
        row = connection.execute(select(Call.__table__).where(Call.call_id == call_id)).mappings().one()
        words = connection.execute(select(Transcript.__table__).where(Transcript.call_id == call_id)).mappings().one()
        outcomes = connection.execute(select(Outcome.name, Outcome.value).where(Outcome.call_id == call_id)).all()
    known = {**row, **words}
    names = [*FACTS, *WORDS, "reported_at", "decision"]
    return {**{name: known[name] for name in names}, "outcomes": {row.name: row.value for row in outcomes}}


WAYS: Mapping[str, Callable[[list[Entry]], list[Any]]] = {
    "one by one": lambda entries: [[entry] for entry in entries],
    "in one batch": lambda entries: [entries],
    "from the spool": lambda entries: [[from_json(to_json(entry)) for entry in entries]],
}
"""How entries reach the store: batch by batch."""


@given(case=deliveries(), way=st.sampled_from(sorted(WAYS)))
@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_order_and_repetition_change_nothing(
    engine: Engine, case: tuple[list[Told], list[Told | None]], way: str
) -> None:
    """The tables end the same however often and in whichever order parts, whole reports and their call come."""
    reports, order = case
    call_id = f"call-{next(ids)}"
    for batch in WAYS[way]([call(call_id) if told is None else report(call_id, told) for told in order]):
        Store(engine).write(batch)
    assert stored(engine, call_id) == expected(reports)


def part(minute: int, *, is_whole: bool = False, status: str | None = None, **outcomes: float) -> Told:
    told = {"facts": {**dict.fromkeys(FACTS), "status": status}, "words": dict.fromkeys(WORDS), "outcomes": outcomes}
    return {"minute": minute, "is_whole": is_whole, **told}


def test_parts_at_once(engine: Engine) -> None:
    """Parts that two processes write in the same moment complete one another."""
    parts = [part(1, duration_seconds=84, completed=1), part(2, status="ended", completed=0)]
    for _ in range(10):
        call_id, gate = f"call-{next(ids)}", Barrier(2)

        def write(told: Told, call_id: str = call_id, gate: Barrier = gate) -> None:
            own = make_engine(engine.url.render_as_string(hide_password=False))
            gate.wait()
            Store(own).write([report(call_id, told)])
            own.dispose()

        with ThreadPoolExecutor(2) as pool:
            list(pool.map(write, parts))
        assert stored(engine, call_id) == {**expected(parts), "decision": None}


def test_one_whole_report_keeps_no_times(engine: Engine) -> None:
    """The times of parts cost nothing where a call has one report, as on most platforms."""
    told = part(3, is_whole=True, status="ended", completed=1)
    Store(engine).write([call("one"), report("one", told), report("one", told)])
    with engine.connect() as connection:
        assert connection.execute(sql("SELECT part_times FROM pickup_calls")).scalars().all() == [None]


def test_rows_that_an_earlier_version_spooled(make_phone: MakePhone, database_url: str) -> None:
    """Spooled rows without the columns and fields of this version are replayed, beside rows that have them."""
    phone = make_phone(url=database_url)
    reported = replace(report("old", part(1, is_whole=True, status="ended", completed=1)), transcript=None)
    texts = [to_json(entry) for entry in (call("new"), report("new", part(2, completed=0)), call("old"), reported)]
    missing = '"(platform_call_id|part_times)":null,?|,"is_whole":true'
    texts[2:] = [re.sub(missing, "", text).replace(",}", "}") for text in texts[2:]]
    Spool(phone.app.extensions["pickup"].options.spool).append(texts)
    phone.app.extensions["pickup"].ledger.start()
    query = "SELECT call_id, decision, value FROM pickup_calls JOIN pickup_outcomes USING (call_id) ORDER BY call_id"
    eventually(lambda: phone.rows(query) == [("new", "base", 0), ("old", "base", 1)])
