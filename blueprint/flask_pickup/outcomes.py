"""The host's own outcomes, such as a sale a day after the call."""

from __future__ import annotations

import csv
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta, tzinfo
from itertools import islice

from sqlalchemy import Engine

from flask_pickup.caller import caller_key, e164, pseudonymous_call_id
from flask_pickup.errors import BadOutcome
from flask_pickup.ledger.entries import OutcomeEntry
from flask_pickup.ledger.store import Store
from flask_pickup.options import Options
from flask_pickup.outcome_names import is_measurable, is_reported

_COLUMNS = ("call_id", "caller", "outcome", "value", "at")
"""The columns of a file: one of the first two, the outcome's name, its value (1 by default), and when it happened."""

_NAME = re.compile(r"[A-Za-z0-9_.-]{1,64}")
_BATCH = 500
_SEPARATORS = ",;\t"


def entry(  # noqa: PLR0913 (all of an outcome)
    options: Options,
    name: str,
    value: float,
    at: datetime,
    *,
    call_id: str | None = None,
    caller: str | None = None,
) -> OutcomeEntry:
    """Return an outcome to write.

    :raises BadOutcome: if it is invalid; the message does not repeat it.
    """
    if not (isinstance(name, str) and _NAME.fullmatch(name)):
        raise BadOutcome("An outcome's name has up to 64 letters, digits, '_', '.' and '-'.")
    if is_reported(name):
        raise BadOutcome(f"'{name}' comes from the platform's reports. Give the outcome a name of your own.")
    if not (isinstance(value, bool | int | float) and is_measurable(value)):
        raise BadOutcome("An outcome's value is a finite number of at most 15 digits, or true or false.")
    if at.tzinfo is None:
        raise BadOutcome("The time has no time zone.")
    if bool(call_id) is bool(caller):
        raise BadOutcome("Name either the call or the caller.")
    if call_id:
        return OutcomeEntry(name, float(value), at, call_id=pseudonymous_call_id(options.caller_secret, call_id, None))
    number = e164(str(caller), options.region)
    if not number:
        raise BadOutcome("The caller is not a phone number. Write it in full, such as +1 201 555 0123.")
    keys = [caller_key(secret, number) for secret in options.caller_secrets]
    return OutcomeEntry(name, float(value), at, caller_keys=keys)


@dataclass
class Imported:
    """The result of an import: lines with a matching call, without one, and invalid ones with the reason."""

    joined: int = 0
    unjoined: int = 0
    bad: dict[int, str] = field(default_factory=dict)


def import_file(engine: Engine, options: Options, lines: Iterable[str], zone: tzinfo) -> Imported:
    """Write a file's outcomes; importing it again changes nothing.

    :param zone: the time zone of times without one.
    :raises BadOutcome: if the first line does not name the columns.
    :raises sqlalchemy.exc.SQLAlchemyError: if the database fails.
    """
    imported = Imported()
    entries = _entries(options, lines, zone, imported)
    store = Store(engine)
    while batch := list(islice(entries, _BATCH)):
        before = store.unjoined
        store.write(batch)
        lost = store.unjoined - before
        imported.unjoined += lost
        imported.joined += len(batch) - lost
    return imported


def _entries(options: Options, lines: Iterable[str], zone: tzinfo, imported: Imported) -> Iterator[OutcomeEntry]:
    iterator = iter(lines)
    header = next(iterator, "").lstrip("\ufeff")
    separator = max(_SEPARATORS, key=header.count)
    names = [name.strip().lower() for name in next(csv.reader([header], delimiter=separator), [])]
    known = set(names) & set(_COLUMNS)
    if not ({"outcome", "at"} <= known and known & {"call_id", "caller"}):
        raise BadOutcome(
            "The first line has to name the columns: outcome, at, caller or call_id, and optionally value."
        )
    reader = csv.reader(iterator, delimiter=separator)
    try:
        for row in reader:
            cells = [cell.strip() for cell in row]
            try:
                if any(cells):
                    yield _read(options, names, cells, zone)
            except BadOutcome as error:
                imported.bad[reader.line_num + 1] = str(error)
    except csv.Error as error:
        raise BadOutcome(f"Line {reader.line_num + 1} is not valid CSV. The lines before it are imported.") from error


def _read(options: Options, names: list[str], cells: list[str], zone: tzinfo) -> OutcomeEntry:
    if len(cells) != len(names):
        raise BadOutcome("The line has more or fewer cells than the first. Put a cell with commas in quotes.")
    row = dict(zip(names, cells, strict=True))
    value, at = _value(row.get("value", "")), _moment(row["at"], zone)
    return entry(options, row["outcome"], value, at, call_id=row.get("call_id"), caller=row.get("caller"))


def _value(text: str) -> float:
    words = {"": 1.0, "true": 1.0, "yes": 1.0, "false": 0.0, "no": 0.0}
    try:
        return words[text.lower()] if text.lower() in words else float(text)
    except ValueError as error:
        raise BadOutcome("The value is not a number. Write it as 12.50.") from error


def _moment(text: str, zone: tzinfo) -> datetime:
    """Return a time; a date means the end of that day, so that the day's calls are before it."""
    try:
        if "T" not in text and ":" not in text:
            found = datetime.combine(date.fromisoformat(text), time(), zone) + timedelta(days=1, microseconds=-1)
        else:
            found = datetime.fromisoformat(text)
        # Programs write the year 1 for a missing time; in UTC it may be before the first datetime.
        return (found if found.tzinfo else found.replace(tzinfo=zone)).astimezone(UTC)
    except (ValueError, OverflowError) as error:
        raise BadOutcome("'at' is not a time. Write it as 2026-03-02T14:30 or 2026-03-02.") from error
