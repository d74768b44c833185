"""Run the checks: here, or in a child process, which an endless template ends in place of the command."""

from __future__ import annotations

import json
import resource
import secrets
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from functools import partial
from itertools import chain
from math import ceil
from pathlib import Path
from typing import Any

from flask_pickup.caller import key_of
from flask_pickup.catalog import Catalog, Complaint, load
from flask_pickup.checking.analysis import check_analysis
from flask_pickup.checking.answers import check_answers
from flask_pickup.checking.content import Content
from flask_pickup.checking.experiments import check_experiments
from flask_pickup.checking.overrides import check_overrides
from flask_pickup.checking.recorded import NO_HISTORY, History
from flask_pickup.checking.references import check_references
from flask_pickup.checking.templates import check_templates
from flask_pickup.errors import ChecksFailed
from flask_pickup.options import ConfigReader
from flask_pickup.platforms import Platform, content_platforms

TIMEOUT = 600.0
"""Seconds for all checks. Each step's CPU time has its own limit; this one ends a child that waits."""

STEP = 2
"""CPU seconds for a step: a file to read, an answer to render. Both take milliseconds."""
MEMORY = 256 * 1024 * 1024
"""Bytes of memory."""


@dataclass(frozen=True)
class Found:
    """The complaints about two folders, sorted.

    :param experiments: how many there are; None if the checks ended before all were read.
    :param skipped: how many of them do not load, so that calls skip them.
    """

    complaints: tuple[Complaint, ...]
    experiments: int | None = None
    skipped: int = 0


def load_content(
    experiments: Path,
    greetings: Path,
    *,
    region: str,
    platforms: Collection[Platform],
    at: Callable[[str], None] = lambda _: None,
) -> Catalog:
    """Read both folders without an app."""
    # The pins' numbers are checked; their keys are not used, so that any secret will do.
    pin_key = partial(key_of, region=region, secret=secrets.token_hex())
    return load(experiments, greetings, pin_key=pin_key, region=region, platforms=platforms, at=at)


def check_here(  # noqa: PLR0913 (all that the checks follow from)
    experiments: Path,
    greetings: Path,
    *,
    region: str,
    platforms: Collection[Platform],
    recorded: History = NO_HISTORY,
    found: Callable[[Complaint], None],
    at: Callable[[str], None] = lambda _: None,
) -> Catalog:
    """Check both folders in this process, without limits, and return what loads.

    :param found: is given each complaint, some of them twice.
    :param at: is told, before each step, the next file or folder.
    """
    catalog = load_content(experiments, greetings, region=region, platforms=platforms, at=at)
    content = Content(catalog, region, at, recorded)
    checks = (check_references, check_templates, check_overrides, check_experiments, check_analysis, check_answers)
    for complaint in chain(catalog.complaints, *(check(content) for check in checks)):
        found(complaint)
    return catalog


def check_folders(
    experiments: Path,
    greetings: Path,
    *,
    region: str,
    options: Mapping[str, Any] | None = None,
    recorded: History = NO_HISTORY,
) -> Found:
    """Check both folders. A file that takes too much time or memory gets a complaint and ends the checks.

    Its parameters are those of :func:`check_here`; the platforms are those that the options enable.

    :raises ChecksFailed: if the checks cannot begin.
    """
    folders = [str(experiments), str(greetings)]
    request = {"folders": folders, "region": region, "options": options or {}, "recorded": asdict(recorded)}
    # Safe path (-P): the folder that is checked can hold modules named like ours.
    command = [sys.executable, "-P", "-c", "from flask_pickup.checking.runner import in_the_child; in_the_child()"]
    try:
        child = subprocess.run(  # noqa: S603 (our own module)
            command, input=json.dumps(request, default=str).encode(), capture_output=True, timeout=TIMEOUT, check=False
        )
    except subprocess.TimeoutExpired as error:
        return _found(error.stdout or b"", f"it takes more than {TIMEOUT:g} seconds")
    return _found(child.stdout, _cause(child))


def in_the_child() -> None:
    """Check the folders that a JSON object on standard input names, under limits on CPU time and memory.

    Prints JSON lines: ``{"at"}`` before each step, each complaint when it is found, and at the end the numbers of
    :class:`Found`.
    """
    _limit(resource.RLIMIT_DATA, MEMORY)
    _limit(resource.RLIMIT_CORE, 0)
    request = json.load(sys.stdin)
    folders, recorded = map(Path, request["folders"]), History(**request["recorded"])
    catalog = check_here(
        *folders,
        region=request["region"],
        platforms=content_platforms(ConfigReader({}, request["options"])),
        recorded=recorded,
        found=lambda complaint: _print(asdict(complaint)),
        at=_begin_step,
    )
    skipped = len(catalog.left_out)
    _print({"experiments": len(catalog.experiments) + skipped, "skipped": skipped})


def _begin_step(place: str) -> None:
    _print({"at": place})
    _limit(resource.RLIMIT_CPU, ceil(time.process_time()) + STEP)


def _limit(kind: int, most: int) -> None:
    # macOS has no limit on memory.
    with suppress(ValueError, OSError):
        resource.setrlimit(kind, (most, resource.getrlimit(kind)[1]))


def _print(value: Any) -> None:
    sys.stdout.write(json.dumps(value) + "\n")
    sys.stdout.flush()


def _found(output: bytes, cause: str) -> Found:
    """Return the complaints that the child printed, and one more if it ended too early."""
    # A child that is killed may leave half a line.
    printed: Sequence[dict[str, Any]] = [json.loads(line) for line in output.rpartition(b"\n")[0].splitlines()]
    complaints = {Complaint(**each) for each in printed if "problem" in each}
    if printed and "experiments" in printed[-1]:
        return Found(tuple(sorted(complaints)), **printed[-1])
    places = [each["at"] for each in printed if "at" in each]
    if not places:
        raise ChecksFailed(f"The checks did not begin: {cause}")
    complaints.add(Complaint(places[-1], 0, f"the checks ended here: {cause}", "make it shorter and simpler"))
    return Found(tuple(sorted(complaints)))


def _cause(child: subprocess.CompletedProcess[bytes]) -> str:
    if child.returncode in {-signal.SIGXCPU, -signal.SIGKILL}:
        return "it takes too long, or too much memory"
    if child.returncode < 0:
        return f"Python crashes ({signal.Signals(-child.returncode).name})"
    lines = [line for line in child.stderr.decode("utf-8", "replace").splitlines() if line.strip()]
    return lines[-1] if lines else f"Python exits with {child.returncode}"
