"""Phone numbers in what is said."""

from __future__ import annotations

import re
from collections.abc import Iterator

from flask_pickup.caller import e164
from flask_pickup.catalog import Complaint

_LIKE_A_NUMBER = re.compile(r"(?<![\w+])\+?\d(?:[\s().-]{0,2}\d){7,14}(?!\w)")


def check_numbers(path: str, text: str, region: str) -> Iterator[Complaint]:
    """Yield each line of a template on which there is a phone number; the number itself is not repeated."""
    for number, line in enumerate(text.splitlines(), 1):
        if any(e164(found, region) for found in _LIKE_A_NUMBER.findall(line)):
            problem = "there is a phone number in the text, which is kept with every definition"
            yield Complaint(path, number, problem, "take it out if it is a caller's", "warning")
