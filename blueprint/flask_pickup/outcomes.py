"""The host's own outcomes, such as a sale a day after the call."""

from __future__ import annotations

import csv
import re
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import replace
from datetime import UTC, date, datetime, time, timedelta, tzinfo
from decimal import Decimal
from itertools import islice

from sqlalchemy import Engine

from flask_pickup.caller import could_hold_number, is_written_as, keys_of, pseudonymous_call_id
from flask_pickup.errors import BadOutcome
from flask_pickup.ledger.entries import OutcomeEntry
from flask_pickup.ledger.store import Store
from flask_pickup.options import Options
from flask_pickup.outcome_names import is_measurable, is_reported
from flask_pickup.phone_numbers import e164

_COLUMNS = ("call_id", "caller", "outcome", "value", "at")
"""The columns of a file: one of the first two, the outcome's name, its value (1 by default), and when it happened."""

_NAME = re.compile(r"[A-Za-z0-9_.-]{1,64}")
_SURROGATE = re.compile("[\ud800-\udfff]")
_BATCH = 500
_SEPARATORS = ",;\t"
_WORDS = {"true": 1.0, "yes": 1.0, "false": 0.0, "no": 0.0}
_THOUSANDS = re.compile(r"[+-]?[1-9]\d{0,2}(\.\d{3})+")
_CLOCKS_DIFFER = timedelta(minutes=5)


def entry(  # noqa: PLR0913 (all of an outcome)
    options: Options,
    name: str,
    value: float | Decimal,
    at: datetime,
    *,
    now: datetime,
    call_id: str | None = None,
    caller: str | None = None,
) -> OutcomeEntry:
    """Return an outcome to write.

    :raises BadOutcome: if it is invalid; the message does not repeat it.
    """
    _check_name(name)
    if not (isinstance(value, bool | int | float | Decimal) and is_measurable(float(value))):
        raise BadOutcome("An outcome's value is a finite number of at most 15 digits, or true or false.")
    if not isinstance(at, datetime) or at.tzinfo is None:
        raise BadOutcome("The time is no datetime, or has no time zone.")
    if at > now + _CLOCKS_DIFFER:
        raise BadOutcome("The time is in the future. Check its time zone.")
    # PostgreSQL stores no NUL, and the webhook drops it from ids as well.
    call_id = call_id and str(call_id).replace("\0", "")
    if bool(call_id) is bool(caller):
        raise BadOutcome("Name either the call or the caller.")
    if call_id:
        if _SURROGATE.search(call_id):
            raise BadOutcome("The call's id is not text in Unicode: it has half a surrogate pair.")
        pseudonym = pseudonymous_call_id(options.caller_secret, call_id)
        return OutcomeEntry(name, float(value), at, call_id=call_id, pseudonym=pseudonym)
    if not (keys := keys_of(str(caller), options.region, options.caller_secrets)):
        raise BadOutcome(
            "The caller is not a phone number. Write it in full, such as +1 201 555 0123; in a spreadsheet, format the "
            "column as text."
        )
    if is_written_as(e164(str(caller), options.region), float(value)):
        raise BadOutcome("The outcome's value is the caller's number. Give an amount, or 1.")
    return OutcomeEntry(name, float(value), at, caller_keys=keys)


def _check_name(name: str) -> None:
    if not (isinstance(name, str) and _NAME.fullmatch(name)):
        raise BadOutcome("An outcome's name has up to 64 letters, digits, '_', '.' and '-'.")
    if could_hold_number(name):
        raise BadOutcome("The outcome's name has as many digits as a phone number. Give it a name without one.")
    if is_reported(name):
        raise BadOutcome(f"'{name}' comes from the platform's reports. Give the outcome a name of your own.")


def import_file(
    engine: Engine, options: Options, lines: Iterable[str], zone: tzinfo, now: datetime
) -> tuple[Counter[str], dict[int, str]]:
    """Write a file's outcomes; importing it again changes nothing.

    :param zone: the time zone of times without one.
    :returns: what :meth:`.Store.write_outcomes` counts, and why lines were not imported, by their numbers.
    :raises BadOutcome: if the first line does not name the columns.
    :raises sqlalchemy.exc.SQLAlchemyError: if the database fails.
    """
    iterator, counts, bad = iter(lines), Counter[str](), dict[int, str]()
    reader = _LineReader(options, next(iterator, ""), zone, now)
    entries = _entries(reader, iterator, bad)
    store = Store(engine)
    while batch := list(islice(entries, _BATCH)):
        counts += store.write_outcomes(batch)
    return counts, bad


def _entries(reader: _LineReader, lines: Iterable[str], bad: dict[int, str]) -> Iterator[OutcomeEntry]:
    for number, line in enumerate(lines, 2):
        try:
            if found := reader.entry(line):
                yield found
        except BadOutcome as error:
            bad[number] = str(error)


class _LineReader:
    """Reads the lines of a file by what its first line says. A line is a row: no cell has a line break."""

    def __init__(self, options: Options, header: str, zone: tzinfo, now: datetime) -> None:
        self._options, self._zone, self._now = options, zone, now
        self._read: set[tuple[str, str, datetime]] = set()
        header = header.lstrip("\ufeff").rstrip()
        self._separator = max(_SEPARATORS, key=header.count)
        self._names = [name.lower() for name in self._cells(header.rstrip(self._separator))]
        known = set(self._names) & set(_COLUMNS)
        if not ({"outcome", "at"} <= known and known & {"call_id", "caller"}):
            raise BadOutcome(
                "The first line has to name the columns: outcome, at, caller or call_id, and optionally value. "
                "The file has to be CSV in UTF-8."
            )
        if len(known) < len(self._names):
            # An unknown column may be the amount.
            raise BadOutcome(f"A column is duplicate or unknown. Keep only one each of {', '.join(_COLUMNS)}.")

    def entry(self, line: str) -> OutcomeEntry | None:
        """Return a line's outcome; None for an empty line."""
        cells = self._cells(line)
        if not any(cells):
            return None
        if len(cells) < len(self._names) or any(cells[len(self._names) :]):
            raise BadOutcome("The line has more or fewer cells than the first. Put a cell with commas in quotes.")
        row = dict(zip(self._names, cells, strict=False))
        begins, at = self._time(row["at"])
        if begins <= self._now:
            # The day's end may still be in the future.
            at = min(at, self._now)
        value, call_id, caller = self._value(row.get("value", "1")), row.get("call_id"), row.get("caller")
        found = entry(self._options, row["outcome"], value, at, now=self._now, call_id=call_id, caller=caller)
        found = replace(found, since=begins)
        key = (found.call_id or found.caller_keys[0], found.name, found.reported_at)
        if key in self._read:
            raise BadOutcome("An earlier line has the same outcome and time. Add their values up, or remove one.")
        self._read.add(key)
        return found

    def _cells(self, line: str) -> list[str]:
        try:
            [cells] = csv.reader([line], delimiter=self._separator, strict=True)
        except csv.Error as error:
            raise BadOutcome("A quote is not closed, or is followed by other text than a separator.") from error
        return [cell.strip() for cell in cells]

    def _value(self, text: str) -> float:
        # Where no commas separate cells, 1.234 often is a thousand and more.
        if not text:
            raise BadOutcome("The value is empty. Write 1 for what has no amount, or leave the column out.")
        if self._separator != "," and _THOUSANDS.fullmatch(text):
            raise BadOutcome("The value is ambiguous. Write 1.234 as 1234 or as 1.2340.")
        try:
            return _WORDS[text.lower()] if text.lower() in _WORDS else float(text)
        except ValueError as error:
            raise BadOutcome("The value is not a number. Write it as 12.50.") from error

    def _time(self, text: str) -> tuple[datetime, datetime]:
        """Return the first and the last moment that a text means: a date stands for its whole day."""
        try:
            if "T" in text or ":" in text:
                found = datetime.fromisoformat(text)
                begins = ends = found if found.tzinfo else found.replace(tzinfo=self._zone)
            else:
                # So that the day's calls are before its end.
                begins = datetime.combine(date.fromisoformat(text), time(), self._zone)
                ends = begins + timedelta(days=1, microseconds=-1)
            # Programs write the year 1 for a missing time; in UTC it may be before the first datetime.
            return begins.astimezone(UTC), ends.astimezone(UTC)
        except (ValueError, OverflowError) as error:
            raise BadOutcome("'at' is not a time. Write it as 2026-03-02T14:30 or 2026-03-02.") from error
