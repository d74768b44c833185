"""CSV that a spreadsheet shows as it is: text of strangers in it is never computed."""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Iterable
from datetime import datetime
from typing import Any

# A spreadsheet that expects another separator than a comma finds cells within the text, and takes quotes off them.
_FORMULA = re.compile(r"(^|[;\t\r\n])(?=\"*[=+@\t\r\uff1d\uff0b\uff0d\uff20-])")
_NUMBER = re.compile(r"[+-]?\d+(\.\d+)?(e[+-]?\d+)?", re.IGNORECASE)


def csv_text(rows: Iterable[Iterable[Any]]) -> str:
    """Return rows as CSV: an apostrophe stands before text that a spreadsheet would compute; JSON stands for objects."""
    lines = io.StringIO()
    csv.writer(lines).writerows([_cell(value) for value in row] for row in rows)
    return lines.getvalue()


def _cell(value: Any) -> Any:
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, dict | list):
        value = json.dumps(value, ensure_ascii=False)
    return _FORMULA.sub(r"\1'", value) if isinstance(value, str) and not _NUMBER.fullmatch(value) else value
