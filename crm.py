"""The practice's records, a stand-in for your CRM: one small SQL table of people who do not exist, made on first use."""

import sqlite3
from contextlib import closing
from functools import cache
from pathlib import Path
from typing import Any

from flask import current_app

_TABLE = """
CREATE TABLE IF NOT EXISTS patients (number TEXT PRIMARY KEY, first_name TEXT, language TEXT, vip INT, unwanted INT)
"""

# The first is the platform's own example; the others are in ranges that the United States, the United Kingdom, Germany
# and France keep free for stories. What is None is not known.
_PATIENTS = [
    ("+31612345678", "Jan", None, 0, None),
    ("+12015550123", "Grace", None, 0, None),
    ("+442079460018", "Amara", None, 1, None),
    ("+493023125017", "Sanne", "nl", 1, None),
    ("+33199005512", None, None, None, 1),
]


def find(number: str | None) -> dict[str, Any] | None:
    """Return the record of the patient with this number; None if there is none."""
    with closing(sqlite3.connect(_file(current_app.instance_path))) as database:
        database.row_factory = sqlite3.Row
        row = database.execute(
            "SELECT first_name, language, vip, unwanted FROM patients WHERE number = ?", (number,)
        ).fetchone()
    return dict(row) if row else None


@cache
def _file(folder: str) -> Path:
    path = Path(folder, "crm.db")
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    path.touch(mode=0o600)
    with closing(sqlite3.connect(path)) as database, database:
        database.execute(_TABLE)
        database.executemany("INSERT OR IGNORE INTO patients VALUES (?, ?, ?, ?, ?)", _PATIENTS)
    return path
