"""The checks in a process of their own, which may use up little and write nothing.

From the standard input it reads two lines of JSON: ``{"experiments", "greetings", "region"}``, and when it gets so far
the definitions that the database has. On the standard output it says ``{"at"}`` before each step, each complaint as
soon as it is found, and how many experiments there are when it is done.
"""

from __future__ import annotations

import json
import resource
import secrets
import sys
from functools import partial
from math import ceil
from pathlib import Path
from typing import Any

from flask_pickup.caller import key_of
from flask_pickup.catalog import load
from flask_pickup.checking.checks import all_complaints, as_json

STEP = 2
"""Seconds of a processor for a step: a file to read, an answer to make. It takes milliseconds."""
ALTOGETHER = 2.5
"""Seconds of a processor for all steps, of which starting takes one."""
A_PLACE = 0.01
"""Seconds more for each file or arm: hundreds of experiments may take longer."""
MEMORY = 128 * 1024 * 1024
"""Bytes of memory, beside the code."""


def main() -> None:
    """Check the folders that the standard input names."""
    _limit()
    where = json.loads(sys.stdin.readline())
    # The pins' numbers are checked; their keys are of no use here, and the secret stays outside.
    pin_key = partial(key_of, region=where["region"], secret=secrets.token_hex())
    catalog = load(
        Path(where["experiments"]), Path(where["greetings"]), pin_key=pin_key, region=where["region"], at=_at
    )
    for complaint in all_complaints(
        catalog,
        region=where["region"],
        at=_at,
        recorded=lambda: json.loads(sys.stdin.readline() or "{}"),
        retention=where["retention"],
    ):
        _say(as_json(complaint))
    _say({"experiments": len(catalog.experiments)})


def _limit() -> None:
    resource.setrlimit(resource.RLIMIT_DATA, (MEMORY, MEMORY))
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


_places: set[str] = set()


def _at(place: str) -> None:
    _places.add(place)
    _say({"at": place})
    usage = resource.getrusage(resource.RUSAGE_SELF)
    limit = min(usage.ru_utime + usage.ru_stime + STEP, ALTOGETHER + A_PLACE * len(_places))
    resource.setrlimit(resource.RLIMIT_CPU, (ceil(limit), resource.RLIM_INFINITY))


def _say(value: Any) -> None:
    sys.stdout.write(json.dumps(value) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
