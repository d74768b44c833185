"""The child process of :mod:`.runner`: checks under limits on CPU time and memory.

Reads one JSON object from standard input. Prints JSON lines: ``{"at"}`` before each step, each complaint when it is
found, and at the end the number of experiments.
"""

from __future__ import annotations

import json
import resource
import secrets
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import asdict
from functools import partial
from math import ceil
from pathlib import Path
from typing import Any

from flask_pickup.caller import key_of
from flask_pickup.catalog import Complaint, load
from flask_pickup.checking.answers import check_answers
from flask_pickup.checking.content import Content
from flask_pickup.checking.experiments import check_experiments
from flask_pickup.checking.overrides import check_overrides
from flask_pickup.checking.references import References, unused_files
from flask_pickup.checking.templates import check_templates
from flask_pickup.platforms import content_platform

STEP = 2
"""CPU seconds for a step: a file to read, an answer to render. Both take milliseconds."""
MEMORY = 256 * 1024 * 1024
"""Bytes of memory."""


def main() -> None:
    """Check the folders that standard input names."""
    _limit(resource.RLIMIT_DATA, MEMORY)
    _limit(resource.RLIMIT_CORE, 0)
    request = json.load(sys.stdin)
    region, platform = request["region"], content_platform()
    experiments, greetings = Path(request["experiments"]), Path(request["greetings"])
    # The pins' numbers are checked; their keys are not used, so that any secret will do.
    pin_key = partial(key_of, region=region, secret=secrets.token_hex())
    catalog = load(experiments, greetings, pin_key=pin_key, region=region, platforms=[platform], at=_at)
    for complaint in _complaints(Content(catalog, platform, region, _at, request["recorded"], request["retention"])):
        _print(asdict(complaint))
    _print({"experiments": len(catalog.experiments)})


def _complaints(content: Content) -> Iterator[Complaint]:
    """Yield all complaints about the content, some of them twice."""
    yield from content.catalog.complaints
    references = References(content)
    yield from references.complaints()
    yield from unused_files(content.catalog, references.included())
    yield from check_templates(content, references)
    yield from check_overrides(content)
    yield from check_experiments(content)
    yield from check_answers(content)


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
