"""A year of calls, as fast as a database takes them: the rows that Pickup itself would have written.

Callers have a heavy tail, calls come in the order of time, ids are random, each call with an arm is reported. What is
made up is the same each time.
"""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import lru_cache

import psycopg
from common import CALLER_SECRET, CALLERS, LINE, number
from sqlalchemy import Engine, make_url
from sqlalchemy.schema import Table

from flask_pickup.caller import caller_key
from flask_pickup.models import Assignment, Call, Outcome

YEAR = timedelta(days=365)
TABLES: Mapping[str, Table] = {model.__tablename__: model.__table__ for model in (Call, Assignment, Outcome)}
CHUNK = 20_000
_NULL = "\\N"
_WITHOUT_NUMBER, _WITHOUT_REPORT = 0.03, 0.02
_CALLS_PER_CALLER = 10 / 3
_ENDINGS = ("completed", "transferred", "voicemail", "silence", "error")

Lines = Mapping[str, list[str]]
"""Table to lines of values with tabs between."""


@dataclass(frozen=True)
class Year:
    """What is loaded.

    :param until: the end of the year; naive, in UTC.
    :param running: experiment to its fingerprint, the share of callers who are in it, and its arms.
    """

    calls: int
    until: datetime
    running: Mapping[str, tuple[str, float, Sequence[str]]]

    @property
    def callers(self) -> int:
        """How many there are to draw from; not all are drawn."""
        return max(1, round(self.calls / _CALLS_PER_CALLER))

    def key(self, who: int) -> str:
        """Return a caller's pseudonym; the first 20,000 have numbers, so that they can be asked for."""
        return caller_key(CALLER_SECRET, number(who) if who < CALLERS else f"caller {who}")

    def chunks(self) -> Iterator[Lines]:
        """Yield the rows, some thousand calls at a time."""
        drawn = random.Random(1)
        start, step = self.until - YEAR, YEAR / self.calls
        for first in range(0, self.calls, CHUNK):
            lines: dict[str, list[str]] = {name: [] for name in TABLES}
            for index in range(first, min(first + CHUNK, self.calls)):
                self._call(drawn, start + index * step, lines)
            yield lines

    def _call(self, drawn: random.Random, at: datetime, lines: Lines) -> None:
        call_id, share = _uuid(drawn), drawn.random()
        # The density falls with the square root: the first caller is a switchboard, the last ones call once or twice.
        key = _NULL if drawn.random() < _WITHOUT_NUMBER else self.key(int(self.callers * share * share))
        ended = at + timedelta(seconds=round(drawn.expovariate(1 / 120)))
        reported = drawn.random() >= _WITHOUT_REPORT
        told = str(ended + timedelta(seconds=4)) if reported else _NULL
        # Any digits of a pseudonym are as good a draw as the hash.
        place = int(key[:6], 16) / 16**6 if key != _NULL else 2.0
        for experiment, (fingerprint, enrolled, arms) in self.running.items():
            if place < enrolled:
                arm = arms[int(key[-1], 16) % len(arms)]
                lines["pickup_assignments"].append(
                    f"{call_id}\t{experiment}\t{arm}\thash\t{key}\t{fingerprint}\t{at}\t{'1' if reported else _NULL}\n"
                )
        reasons = _reasons(place, tuple((name, enrolled) for name, (_, enrolled, _) in self.running.items()))
        decision = "arm" if "enrolled" in reasons else "base"
        end = f"ended\tuser_hangup\t{ended}\t{told}" if reported else "\t".join([_NULL] * 4)
        ids = "\t".join([_NULL] * 2)
        lines["pickup_calls"].append(
            f"{call_id}\tflireo\t{key}\t{LINE}\tinbound_phone_call\tGB\ten\t{at}\t{decision}\t{reasons}\t{end}\t{ids}\n"
        )
        if reported:
            lines["pickup_outcomes"].extend(
                f"{call_id}\t{name}\t{value}\t{told}\n" for name, value in _outcomes(drawn, key, (ended - at).seconds)
            )


def _reasons(place: float, shares: tuple[tuple[str, float], ...]) -> str:
    return _reasons_of(tuple((name, place > 1, place < share) for name, share in shares))


@lru_cache
def _reasons_of(experiments: tuple[tuple[str, bool, bool], ...]) -> str:
    return json.dumps(
        {name: "unidentified" if nobody else "enrolled" if is_in else "traffic" for name, nobody, is_in in experiments}
    )


def _uuid(drawn: random.Random) -> str:
    digits = f"{drawn.getrandbits(128):032x}"
    return f"{digits[:8]}-{digits[8:12]}-4{digits[13:16]}-a{digits[17:20]}-{digits[20:]}"


def _outcomes(drawn: random.Random, key: str, seconds: int) -> Sequence[tuple[str, float]]:
    early = drawn.random() < 0.06
    booked = not early and drawn.random() < (0.36 if key[-1] in "13579bdf" else 0.34)
    return [
        ("duration_seconds", float(seconds)),
        ("user_messages", 0.0 if early else float(seconds // 12 + 1)),
        *((name, float(name == "completed")) for name in _ENDINGS),
        ("early_hang_up", float(early)),
        ("analysis.appointment_booked", float(booked)),
    ]


def copy_into_postgresql(url: str, year: Year, done: Callable[[int], None], *, grown: bool) -> int:
    """Write all rows with COPY, and return how many that was.

    :param grown: whether indexes are there from the start and grow as those of a live database do; otherwise they are
        made in the end, which is many times faster and packs them.
    """
    rows = 0
    plain = make_url(url).set(drivername="postgresql").render_as_string(hide_password=False)
    # In one transaction with the emptying: PostgreSQL then writes no log of it where wal_level is minimal.
    with psycopg.connect(plain) as connection:
        connection.execute("SET TimeZone = 'UTC'")
        connection.execute("SET maintenance_work_mem = '1GB'")
        connection.execute(f"TRUNCATE {', '.join(TABLES)}")
        if not grown:
            for table in TABLES.values():
                connection.execute(f"ALTER TABLE {table.name} DROP CONSTRAINT {table.name}_pkey")
                for index in table.indexes:
                    connection.execute(f"DROP INDEX {index.name}")
        for chunk, lines in enumerate(year.chunks(), 1):
            for name, written in lines.items():
                columns = ", ".join(TABLES[name].columns.keys())
                with connection.cursor().copy(f"COPY {name} ({columns}) FROM STDIN (FREEZE)") as copy:
                    copy.write("".join(written))
                rows += len(written)
            done(min(chunk * CHUNK, year.calls))
        if not grown:
            for table in TABLES.values():
                connection.execute(
                    f"ALTER TABLE {table.name} ADD PRIMARY KEY ({', '.join(table.primary_key.columns.keys())})"
                )
                for index in table.indexes:
                    connection.execute(f"CREATE INDEX {index.name} ON {table.name} ({', '.join(index.columns.keys())})")
    with psycopg.connect(plain, autocommit=True) as connection:
        connection.execute("VACUUM (ANALYZE)")
    return rows


def insert_into_sqlite(engine: Engine, year: Year) -> None:
    """Write all rows into SQLite's tables as they stand."""
    for lines in year.chunks():
        with engine.begin() as connection:
            for name, written in lines.items():
                marks = ", ".join("?" * len(TABLES[name].columns))
                rows = [tuple(None if v == _NULL else v for v in line[:-1].split("\t")) for line in written]
                connection.exec_driver_sql(f"INSERT INTO {name} VALUES ({marks})", rows)
