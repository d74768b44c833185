"""The host's own outcomes: told in Python or imported from a file, joined to the right call, and once."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from time import monotonic, sleep
from typing import Any

import pytest
from click.testing import Result
from sqlalchemy import update

from conftest import CALLER, CONTENT, NOW, MakePhone, Phone
from flask_pickup import Pickup
from flask_pickup.cli import pickup as commands
from flask_pickup.errors import BadOutcome
from flask_pickup.models import Call

AT = datetime.fromtimestamp(NOW, UTC)
OLD = "the-older-secret"


@pytest.fixture
def pickup() -> Pickup:
    return Pickup(clock=lambda: NOW)


@pytest.fixture
def shop(make_phone: MakePhone, database_url: str, pickup: Pickup) -> Phone:
    """An app that somebody rang, on each database in turn."""
    phone = make_phone(url=database_url, pickup=pickup)
    phone.ring("call-1")
    return phone


def told(phone: Phone) -> list[tuple[Any, ...]]:
    return phone.rows("SELECT call_id, name, value FROM pickup_outcomes ORDER BY call_id, name")


def ring_at(phone: Phone, call_id: str, at: datetime) -> None:
    phone.ring(call_id)
    with phone.app.extensions["pickup"].engine.begin() as connection:
        connection.execute(update(Call).where(Call.call_id == call_id).values(decided_at=at))


def record(phone: Phone, pickup: Pickup, *arguments: Any, **options: Any) -> None:
    with phone.app.app_context():
        pickup.record_outcome(*arguments, **options)


@pytest.mark.parametrize(
    ("of", "value"),
    [
        *(({"call_id": call_id}, 12.5) for call_id in ("call-1", "call-1\0", "\0call\0-1")),
        *(({"caller": spelled}, True) for spelled in (CALLER, "06 1234 5678", "tel:0031612345678")),
    ],
)
def test_outcome_of_a_call_or_a_caller(shop: Phone, pickup: Pickup, of: dict[str, str], value: float) -> None:
    """An outcome belongs to the call with the platform's id, or to the caller's, however the shop writes the number."""
    record(shop, pickup, "sale", value, **of)
    assert told(shop) == [("call-1", "sale", float(value))]


def test_numbers_of_other_types_are_recorded(shop: Phone, pickup: Pickup) -> None:
    """A database gives amounts as ``Decimal``, and some platforms' ids are integers."""
    shop.ring("12345")
    record(shop, pickup, "sale", Decimal("49.90"), call_id=12345)
    assert told(shop) == [("12345", "sale", 49.9)]


def test_outcome_of_a_caller_belongs_to_their_latest_call_before_it(shop: Phone, pickup: Pickup) -> None:
    """Of several calls the last one before it happened; one that came later, or was rehearsed, has no part in it."""
    for call, hours in (("call-0", -5), ("call-2", 1), ("pickup-rehearsal-a", -3)):
        ring_at(shop, call, AT + timedelta(hours=hours))
    record(shop, pickup, "sale", 1, caller=CALLER)
    record(shop, pickup, "visit", 1, caller=CALLER, at=AT - timedelta(hours=2))
    assert told(shop) == [("call-0", "visit", 1.0), ("call-1", "sale", 1.0)]


def test_report_leaves_the_hosts_outcomes(shop: Phone, pickup: Pickup) -> None:
    """A report replaces what reports told, and nothing that the host did."""
    record(shop, pickup, "sale", 1, call_id="call-1")
    shop.report()
    shop.report(timestamp="2025-12-13T12:06:00Z", duration_seconds=3)
    assert ("call-1", "sale", 1.0) in told(shop)


def test_later_word_stands(shop: Phone, pickup: Pickup) -> None:
    """Of outcomes of one name for one call the one that happened last stands; of two at one time, the later word."""
    for value, minutes in ((2, 2), (1, 1), (3, 3), (3.5, 3)):
        record(shop, pickup, "sale", value, call_id="call-1", at=AT + timedelta(minutes=minutes))
    assert told(shop) == [("call-1", "sale", 3.5)]


def test_outcome_of_nobody_is_counted(shop: Phone, pickup: Pickup) -> None:
    """What belongs to no call leaves no row, and the operator sees how much that was."""
    record(shop, pickup, "sale", 1, caller="+31687654321")
    record(shop, pickup, "sale", 1, call_id="nothing")
    assert told(shop) == []
    assert shop.client.get("/pickup/health").get_json()["unjoined_outcomes"] == 2


def test_call_under_an_earlier_secret_is_found(make_phone: MakePhone, database_url: str) -> None:
    """After the caller secret changed, the outcome of an earlier call still finds it."""
    make_phone(url=database_url, PICKUP_CALLER_SECRET=OLD).ring("call-1")
    pickup = Pickup(clock=lambda: NOW)
    phone = make_phone(url=database_url, pickup=pickup, PICKUP_CALLER_SECRET=f"the-newer-secret,{OLD}")
    record(phone, pickup, "sale", 1, caller=CALLER)
    assert told(phone) == [("call-1", "sale", 1.0)]


def test_outcome_is_kept_while_no_database_answers(make_phone: MakePhone, tmp_path: Path) -> None:
    """It is as durable as an assignment: it waits in the spool, and is joined once the database is back."""
    pickup = Pickup(clock=lambda: NOW)
    database = tmp_path / "later" / "pickup.db"
    url, spool = f"sqlite:///{database}", str(tmp_path / "spool")
    phone = make_phone(url=f"sqlite:///{tmp_path}", pickup=pickup, migrate=False, PICKUP_SPOOL=spool)
    phone.ring("call-1")
    record(phone, pickup, "sale", 1, caller=CALLER)
    phone.app.extensions["pickup"].close()
    database.parent.mkdir()
    back = make_phone(url=url, PICKUP_SPOOL=spool)
    back.ring("call-2")
    deadline = monotonic() + 10
    while not told(back) and monotonic() < deadline:
        sleep(0.05)
    assert told(back) == [("call-1", "sale", 1.0)]


@pytest.mark.parametrize(
    ("name", "value", "options", "says"),
    [
        ("my sale", 1, {"call_id": "x"}, "name"),
        ("x" * 65, 1, {"call_id": "x"}, "name"),
        ("duration_seconds", 1, {"call_id": "x"}, "comes from the platform's reports"),
        ("analysis.booked", 1, {"call_id": "x"}, "comes from the platform's reports"),
        *(
            (name, 1, {"call_id": "x"}, "name has as many")
            for name in ("sale-0612345678", "31_6_12345678", "analysis.31612345678")
        ),
        *(
            ("sale", value, {"caller": CALLER}, "value is the caller's")
            for value in (31612345678, 612345678.0, 12345678)
        ),
        ("sale", float("nan"), {"call_id": "x"}, "finite"),
        ("sale", 1e300, {"call_id": "x"}, "15 digits"),
        ("sale", "12", {"call_id": "x"}, "finite"),
        ("sale", 1, {}, "either the call or the caller"),
        ("sale", 1, {"call_id": "x", "caller": CALLER}, "either the call or the caller"),
        *(
            ("sale", 1, {"caller": caller}, "not a phone number")
            for caller in ("anonymous", f"{CALLER}\0", f"{CALLER}\ud800")
        ),
        *(("sale", 1, {"call_id": call_id}, "surrogate") for call_id in ("\ud800", "call-1\udfff")),
        ("sale", 1, {"call_id": "\0"}, "either the call or the caller"),
        *((f"sale{odd}", 1, {"call_id": "x"}, "name") for odd in ("\0", "\ud800")),
        ("sale", 1, {"call_id": "x", "at": datetime(2025, 12, 1)}, "no time zone"),  # noqa: DTZ001
        ("sale", 1, {"call_id": "x", "at": "2025-12-01"}, "no time zone"),
        ("sale", 1, {"call_id": "x", "at": datetime(9999, 12, 31, tzinfo=UTC)}, "in the future"),
    ],
)
def test_what_cannot_be_recorded_is_refused(
    make_phone: MakePhone, name: str, value: Any, options: dict[str, Any], says: str
) -> None:
    """A wrong outcome is an error that the host sees, and that repeats nothing of it."""
    pickup = Pickup(clock=lambda: NOW)
    phone = make_phone(pickup=pickup)
    with pytest.raises(BadOutcome, match=says) as error:
        record(phone, pickup, name, value, **options)
    assert "12345678" not in str(error.value)
    assert told(phone) == []


# --- files ----------------------------------------------------------------------------------------------------------------


def imported(phone: Phone, folder: Path, text_: str, *arguments: str, encoding: str = "utf-8") -> Result:
    file = folder / "outcomes.csv"
    file.write_bytes(text_.encode(encoding))
    return phone.app.test_cli_runner().invoke(commands, ["outcomes", "import", str(file), *arguments])


FILE = """caller,outcome,value,at
0612345678,sale,12.50,2025-12-13T12:00+00:00
+31687654321,sale,3,2025-12-13T12:00+00:00
0612345678,visit,1,2025-12-13
"""


def test_importing_twice_changes_nothing(shop: Phone, tmp_path: Path) -> None:
    """A file of buyers becomes rows; what belongs to nobody is counted; the same file again changes no row."""
    first = imported(shop, tmp_path, FILE)
    rows = shop.rows("SELECT * FROM pickup_outcomes ORDER BY name")
    assert first.stdout == "Outcomes: 2 new, 1 without a matching call; 0 lines invalid.\n"
    assert told(shop) == [("call-1", "sale", 12.5), ("call-1", "visit", 1.0)]
    shop.ring("call-2", caller="+31699999999")
    again = imported(shop, tmp_path, FILE, "--format", "json")
    counts = {"new": 0, "corrected": 0, "unchanged": 2, "older": 0, "unjoined": 1}
    assert json.loads(again.stdout) == {**counts, "bad": {}}
    assert shop.rows("SELECT * FROM pickup_outcomes ORDER BY name") == rows


@pytest.mark.parametrize(
    ("correction", "says", "stands"),
    [
        ("60,2025-12-13T11:00Z", "1 corrected", 60),
        ("60,2025-12-13T11:30Z", "1 corrected", 60),
        ("49.90,2025-12-13T11:30Z", "1 corrected", 49.9),
        ("60,2025-12-13T10:30Z", "1 older than what is recorded", 49.9),
        ("49.90,2025-12-13T12:00+01:00", "1 unchanged", 49.9),
    ],
)
def test_later_import_corrects(shop: Phone, tmp_path: Path, correction: str, says: str, stands: float) -> None:
    """A later import of an outcome stands, unless it happened before; the summary says which of them it was."""
    ring_at(shop, "call-1", AT - timedelta(hours=2))
    imported(shop, tmp_path, "caller,outcome,value,at\n0612345678,sale,49.90,2025-12-13T11:00Z\n")
    found = imported(shop, tmp_path, f"caller,outcome,value,at\n0612345678,sale,{correction}\n")
    assert found.stdout == f"Outcomes: {says}; 0 lines invalid.\n"
    assert told(shop) == [("call-1", "sale", stands)]


@pytest.mark.parametrize("later", [timedelta(minutes=1), timedelta(hours=3), timedelta(days=2)])
def test_todays_date_means_now(make_phone: MakePhone, database_url: str, tmp_path: Path, later: timedelta) -> None:
    """An outcome with today's date loses to what happens later that day, and stays with its call when imported again."""
    seconds = [float(NOW)]
    pickup = Pickup(clock=lambda: seconds[-1])
    phone = make_phone(url=database_url, pickup=pickup)
    phone.ring("call-1")
    today = "caller,outcome,value,at\n0612345678,{},1,2025-12-13\n"
    imported(phone, tmp_path, today.format("sale"))
    imported(phone, tmp_path, today.format("visit"))
    seconds.append(NOW + later.total_seconds())
    ring_at(phone, "call-9", AT + later / 2)
    record(phone, pickup, "sale", 2, call_id="call-1")
    again = imported(phone, tmp_path, today.format("visit"))
    assert again.stdout == "Outcomes: 1 unchanged; 0 lines invalid.\n"
    assert told(phone) == [("call-1", "sale", 2.0), ("call-1", "visit", 1.0)]


@pytest.mark.parametrize("later", [timedelta(days=2), timedelta(hours=1)])
def test_importing_again_after_another_call_changes_nothing(shop: Phone, tmp_path: Path, later: timedelta) -> None:
    """An outcome stays with its call: a call between two imports does not take it over."""
    imported(shop, tmp_path, FILE)
    ring_at(shop, "call-9", AT + later)
    imported(shop, tmp_path, FILE)
    assert told(shop) == [("call-1", "sale", 12.5), ("call-1", "visit", 1.0)]


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ("0612345678,sale,twelve,2025-12-13", "The value is not a number"),
        ("0612345678,sale,1,yesterday", "'at' is not a time"),
        ("0612345678,sale,1,", "'at' is not a time"),
        ("0612345678,sale,1,0001-01-01T00:00+01:00", "'at' is not a time"),
        *((f"0612345678,sale,1,{at}", "'at' is not a time") for at in ("46003", "46003.5", "13-12-2025", "12/13/2025")),
        *((f"0612345678,sale,1,{at}", "future") for at in ("9999-12-31", "2025-12-14", "2025-12-13T12:10Z")),
        *(
            (f'0612345678,sale,"{value}",2025-12-13', "not a number")
            for value in ("1.234,56", "€ 49.90", "49,90", "1\0")
        ),
        ("0612345678\0,sale,1,2025-12-13", "not a phone number"),
        ("0612345678;sale;1;2025-12-13", "more or fewer cells"),
        ("0612345678,sale,2,2025-12-13", "Add their values up"),
        ("0612345678,sale,1,2025-12-13", "Add their values up"),
        ("0612345678,sale,,2025-12-13", "The value is empty"),
        ("+31612345678;+31687654321,sale,1,2025-12-13", "not a phone number"),
        ("caller,outcome,value,at", "'at' is not a time"),
        ("0612345678,sale,nan,2025-12-13", "finite number"),
        ("0612345678,completed,1,2025-12-13", "comes from the platform's reports"),
        ("0612345678,0612345678 sale,1,2025-12-13", "An outcome's name"),
        ("0612345678,sale-0612345678,1,2025-12-13", "The outcome's name"),
        *((f"0612345678,sale,{value},2025-12-13", "The outcome's value") for value in ("0612345678", "+31612345678")),
        *(
            (f'"{caller}",sale,1,2025-12-13', "format the column as text")
            for caller in ("nobody", "+493012345.0", "3.16E+10", "3,16123E+10", "31.612.345.678", "-12345653")
        ),
        (",sale,1,2025-12-13", "either the call or the caller"),
        ("0612345678,sale,12,50,2025-12-13", "more or fewer cells"),
    ],
)
def test_bad_line_is_told_by_its_number(make_phone: MakePhone, tmp_path: Path, line: str, says: str) -> None:
    """Every bad line is reported with its place and what is wrong, and never with a phone number; the others count."""
    phone = make_phone()
    phone.ring("call-1")
    good = "0612345678,sale,1,2025-12-13"
    found = imported(phone, tmp_path, f"caller,outcome,value,at\n{good}\n{line}\n")
    assert found.exit_code == 1
    assert "outcomes.csv:3: " in found.stderr
    assert says in found.stderr
    assert "12345678" not in found.output
    assert told(phone) == [("call-1", "sale", 1.0)]


def test_damaged_id_costs_its_line_alone(shop: Phone, tmp_path: Path) -> None:
    """An id loses its NUL characters, as the webhook's ids do; one that has nothing else is a bad line."""
    ids = ("call-1\0", "\0", "call-1")
    lines = "".join(f"{call_id},sale-{place},2025-12-13T12:00Z\n" for place, call_id in enumerate(ids))
    found = imported(shop, tmp_path, f"call_id,outcome,at\n{lines}", "--format", "json")
    assert list(json.loads(found.stdout)["bad"]) == ["3"]
    assert told(shop) == [("call-1", "sale-0", 1.0), ("call-1", "sale-2", 1.0)]


def test_files_of_spreadsheets_are_read(make_phone: MakePhone, tmp_path: Path) -> None:
    """A byte-order mark, semicolons, quotes, blank lines, capitals in the first line: as programs save them."""
    phone = make_phone()
    phone.ring("call-1")
    text_ = '\ufeffCaller;Outcome;At;;\r\n"06 12345678";sale;"2025-12-13 12:00";;\r\n;;;;\r\n'
    assert imported(phone, tmp_path, text_).exit_code == 0
    assert told(phone) == [("call-1", "sale", 1.0)]


@pytest.mark.parametrize("separator", [";", "\t"])
@pytest.mark.parametrize("value", ["49,90", "1.234,56", "1.234", "-1.234.567"])
def test_decimal_commas_are_refused(make_phone: MakePhone, tmp_path: Path, value: str, separator: str) -> None:
    """Where no commas separate cells, a number whose point or comma could be one of thousands is a bad line."""
    phone = make_phone()
    phone.ring("call-1")
    rows = ("caller", "outcome", "value", "at"), ("0612345678", "sale", value, "2025-12-13")
    found = imported(phone, tmp_path, "\n".join(map(separator.join, rows)))
    assert (found.exit_code, "outcomes.csv:2: The value is " in found.stderr, told(phone)) == (1, True, [])


def test_quote_costs_its_line_alone(make_phone: MakePhone, tmp_path: Path) -> None:
    """A stray quote makes its own line bad, wherever it stands; the lines before and after are imported."""
    phone = make_phone()
    phone.ring("call-1")
    line = "0612345678,sale,1,2025-12-13"
    damaged = [f'{line[:place]}"{line[place:]}' for place in range(len(line) + 1)]
    lines = [each for place, bad in enumerate(damaged) for each in (bad, line.replace("sale", f"sale-{place}"))]
    found = imported(phone, tmp_path, "\n".join(("caller,outcome,value,at", *lines)), "--format", "json")
    assert [int(number) for number in json.loads(found.stdout)["bad"]] == list(range(2, 2 * len(damaged) + 2, 2))
    assert {name for _, name, _ in told(phone)} == {f"sale-{place}" for place in range(len(damaged))}


_HEADER = "caller,outcome,value,at"


@pytest.mark.parametrize(
    ("header", "encoding"),
    [
        ("0612345678,sale,1,2025-12-13", "utf-8"),
        *((_HEADER, encoding) for encoding in ("utf-16", "utf-16-le", "utf-32")),
        *((_HEADER.replace(",", separator), "utf-8") for separator in ("|", ":", " ")),
        *((header, "utf-8") for header in ("", "caller,outcome,value", "outcome,value,at", "caller,value,at")),
        *((f"{_HEADER},{column}", "utf-8") for column in ("value", "caller", "amount", ",total", "0612345678")),
        *((f'{_HEADER[:place]}"{_HEADER[place:]}', "utf-8") for place in (0, 3, 7, len(_HEADER) - 2, len(_HEADER))),
    ],
)
def test_file_with_other_columns_is_refused(make_phone: MakePhone, tmp_path: Path, header: str, encoding: str) -> None:
    """A file whose first line does not name the columns, each once, is refused as a whole, and not repeated."""
    phone = make_phone()
    phone.ring("call-1")
    found = imported(phone, tmp_path, f"{header}\n0612345678,sale,1,2025-12-13,7\n", encoding=encoding)
    assert (found.exit_code, "outcomes.csv:1: " in found.stderr, told(phone)) == (2, True, [])
    assert "12345678" not in found.output


def test_times_without_a_zone_are_the_business_s_own(make_phone: MakePhone, tmp_path: Path) -> None:
    """A shop writes the hour on its wall: 13:00 in Amsterdam is after a call at 12:00 UTC, 12:30 is before it."""
    files = {**CONTENT, "greetings/hours.toml": 'timezone = "Europe/Amsterdam"\n[week]\nsaturday = "00:00-24:00"\n'}
    phone = make_phone(files)
    phone.ring("call-1")
    row = "0612345678,{},1,2025-12-13T{}\n"
    imported(
        phone, tmp_path, "caller,outcome,value,at\n" + row.format("after", "13:00") + row.format("before", "12:30")
    )
    assert told(phone) == [("call-1", "after", 1.0)]


# --- what somebody heard --------------------------------------------------------------------------------------------------


def test_assign_says_which_arm_each_number_gets(make_phone: MakePhone, tmp_path: Path) -> None:
    """Support learns what a customer heard; nothing is recorded, and no number is repeated."""
    phone = make_phone()
    heard = phone.ring("call-1").get_json()["assistant"]["metadata"]["pickup"]
    file = tmp_path / "numbers.csv"
    file.write_text("number\n06 12345678\n")
    runner = phone.app.test_cli_runner()
    found = runner.invoke(commands, ["assign", "--from", str(file), "--format", "json"])
    [line] = json.loads(found.stdout)
    arm = heard["assignments"]["warm-opening"]["arm"]
    assert (line["line"], line["caller"]) == (2, heard["caller_key"])
    assert line["assignments"]["warm-opening"]["arm"] == arm
    text_ = runner.invoke(commands, ["assign", "--from", str(file)]).stdout
    assert text_ == f"line 2: {heard['caller_key'][:8]}, warm-opening: {arm}\n"
    assert phone.rows("SELECT COUNT(*) FROM pickup_calls") == [(1,)]


def test_assign_says_where_there_is_no_number(make_phone: MakePhone, tmp_path: Path) -> None:
    """A line that identifies nobody is said, and the exit status is 1; a stray quote takes no other line with it."""
    file = tmp_path / "numbers.csv"
    file.write_text('"+31612345678\nanonymous\n\n+31612345678;Ann\n')
    found = make_phone().app.test_cli_runner().invoke(commands, ["assign", "--from", str(file)])
    assert found.exit_code == 1
    assert [line.partition(":")[0] for line in found.stdout.splitlines()] == ["line 1", "line 2", "line 4"]
    assert "line 2: this identifies no caller" in found.stdout
