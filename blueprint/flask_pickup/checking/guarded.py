"""Checking content that a stranger wrote: in a child process, so that none of it touches this one."""

from __future__ import annotations

import json
import os
import select
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from flask_pickup.catalog import Complaint
from flask_pickup.checking.changes import Recorded
from flask_pickup.errors import ChecksFailed

PATIENCE = 20.0
"""Seconds without a sign of life. A step may take two of a processor, which may have others to serve."""


@dataclass(frozen=True)
class Found:
    """What was found in the folders."""

    complaints: tuple[Complaint, ...]
    experiments: int


def check_folders(
    experiments: Path,
    greetings: Path,
    *,
    region: str,
    recorded: Callable[[], Recorded] = dict,
    retention: float | None = None,
) -> Found:
    """Check both folders, whatever is in them.

    What takes too long or too much memory is a complaint about the file at which it happened.

    :param recorded: asked, while the checks run, for what the database has of the experiments.
    :param retention: the days that calls are kept.
    :raises ChecksFailed: if the checks cannot even begin.
    """
    where = {"experiments": str(experiments), "greetings": str(greetings), "region": region, "retention": retention}
    command = [sys.executable, "-P", "-m", "flask_pickup.checking"]
    with subprocess.Popen(  # noqa: S603 (our own module)
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=_environment()
    ) as child:
        try:
            _tell(child, where)
            _tell(child, recorded())
            return _found(child, list(_lines(child)))
        finally:
            child.kill()


def _environment() -> dict[str, str]:
    # No template gets there, and no secret is there if one did.
    return {name: value for name, value in os.environ.items() if not name.startswith("PICKUP_")}


def _tell(child: subprocess.Popen[bytes], value: Any) -> None:
    assert child.stdin is not None
    try:
        child.stdin.write(json.dumps(value).encode() + b"\n")
        child.stdin.flush()
    except BrokenPipeError:
        # It is dead already; its last words are in the other pipe.
        return


def _lines(child: subprocess.Popen[bytes]) -> Iterator[Mapping[str, Any]]:
    """Yield what the child says until it ends, or says nothing for too long."""
    assert child.stdout is not None
    rest = b""
    while select.select([child.stdout], [], [], PATIENCE)[0]:
        chunk = os.read(child.stdout.fileno(), 1 << 16)
        if not chunk:
            return
        *whole, rest = (rest + chunk).split(b"\n")
        yield from map(json.loads, whole)


def _found(child: subprocess.Popen[bytes], said: list[Mapping[str, Any]]) -> Found:
    complaints = {Complaint(**each) for each in said if "problem" in each}
    if said and "experiments" in said[-1]:
        return Found(tuple(sorted(complaints)), said[-1]["experiments"])
    places = [each["at"] for each in said if "at" in each]
    if not places:
        raise ChecksFailed(f"The checks did not begin: {_cause(child)}")
    problem = f"the checks ended here: {_cause(child)}"
    complaints.add(Complaint(places[-1], 0, problem, "make what is here shorter and simpler, then check again"))
    return Found(tuple(sorted(complaints)), 0)


def _cause(child: subprocess.Popen[bytes]) -> str:
    try:
        # Its pipe may close a moment before it ends.
        status = child.wait(1)
    except subprocess.TimeoutExpired:
        return f"nothing happened for {PATIENCE:.0f} seconds"
    if status in {-signal.SIGXCPU, -signal.SIGKILL}:
        return "it takes too long"
    if status < 0:
        return f"it brings Python down ({signal.Signals(-status).name})"
    return f"it takes too much memory, or is not foreseen ({_last_words(child)})"


def _last_words(child: subprocess.Popen[bytes]) -> str:
    assert child.stderr is not None
    # A child that lives on would have its pipe open, and be read for ever.
    child.kill()
    lines = child.stderr.read().decode("utf-8", "replace").split("\n")
    return next((line for line in reversed(lines) if line.strip()), "it said nothing")
