"""The child process of :mod:`.runner`: checks under limits on CPU time and memory.

Reads one JSON object from standard input. Prints JSON lines: ``{"at"}`` before each step, each complaint when it is
found, and at the end the number of experiments.
"""

from __future__ import annotations

import json
import resource
import sys
import time
from contextlib import suppress
from dataclasses import asdict
from math import ceil
from pathlib import Path
from typing import Any

from flask_pickup.checking.runner import check_here

STEP = 2
"""CPU seconds for a step: a file to read, an answer to render. Both take milliseconds."""
MEMORY = 256 * 1024 * 1024
"""Bytes of memory."""


def main() -> None:
    """Check the folders that standard input names."""
    _limit(resource.RLIMIT_DATA, MEMORY)
    _limit(resource.RLIMIT_CORE, 0)
    request = json.load(sys.stdin)
    folders = (Path(request.pop("experiments")), Path(request.pop("greetings")))
    number = check_here(*folders, **request, found=lambda complaint: _print(asdict(complaint)), at=_at)
    _print({"experiments": number})


def _at(place: str) -> None:
    _print({"at": place})
    _limit(resource.RLIMIT_CPU, ceil(time.process_time()) + STEP)


def _limit(kind: int, most: int) -> None:
    # macOS has no limit on memory.
    with suppress(ValueError, OSError):
        resource.setrlimit(kind, (most, resource.getrlimit(kind)[1]))


def _print(value: Any) -> None:
    sys.stdout.write(json.dumps(value) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
