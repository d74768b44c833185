"""Results for the pages: computed in a child process, kept for a while, and never waited for long.

The child imports the statistics, which no process that answers calls does. It is one for each process that serves
pages, gives way to calls, and ends when nobody has asked it for a minute or its parent is gone.
"""

from __future__ import annotations

import json
import logging
import os
import subprocess
import sys
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from threading import Event, Lock, Thread
from time import monotonic
from typing import Any

from flask_pickup.processes import PerProcess

log = logging.getLogger("flask_pickup")

FRESH = 10.0
"""Seconds for which an answer is given again; one that took long to compute is kept five times as long as it took."""
_TIMES_AS_LONG = 5
LATEST = 60.0
"""Seconds after that for which it is still given, while another one is being computed."""
WAIT = 1.5
"""Seconds that a page waits for an answer; after that it says so, and comes again by itself."""
DEADLINE = 120.0
"""Seconds after which a computation is given up."""
_MOST_KEPT = 64

Question = Mapping[str, Any]


@dataclass
class Kept:
    """An answer, the moment at which it came, and the seconds that it took to compute."""

    answer: Any = None
    at: float = float("-inf")
    took: float = 0.0
    asked: bool = False
    done: Event = field(default_factory=Event)

    @property
    def until(self) -> float:
        """The moment until which the answer is fresh."""
        return self.at + max(FRESH, _TIMES_AS_LONG * self.took)


@dataclass
class _Memory:
    """The answers that a process has."""

    kept: dict[str, Kept] = field(default_factory=dict)
    lock: Lock = field(default_factory=Lock)


class Board:
    """Asks the process's child.

    :param database_url: gives the place of the rows, as an SQLAlchemy URL; asked for with each question.
    """

    def __init__(self, database_url: Callable[[], str]) -> None:
        self._database_url = database_url
        self._memories = PerProcess(_Memory)

    def ask(self, question: Question, wait: float = WAIT) -> Any:
        """Return the answer to a question, perhaps one of a while ago; None while there is none yet.

        :param wait: seconds.
        """
        kept = self._keep(json.dumps(question, sort_keys=True), question)
        if monotonic() > kept.until + LATEST:
            kept.done.wait(wait)
        return kept.answer if monotonic() <= kept.until + LATEST else None

    def _keep(self, key: str, question: Question) -> Kept:
        memory = self._memories()
        with memory.lock:
            kept = memory.kept.setdefault(key, Kept())
            if kept.asked or monotonic() < kept.until:
                return kept
            kept.asked = True
            kept.done.clear()
            _forget_the_oldest(memory.kept)
        Thread(target=self._answer, args=(question, kept), name="pickup-board", daemon=True).start()
        return kept

    def _answer(self, question: Question, kept: Kept) -> None:
        try:
            kept.answer, kept.took = _child().ask({**question, "database_url": self._database_url()})
        except Exception as error:  # noqa: BLE001 (the host's engine, too, may raise anything)
            log.error("Results could not be computed: %s.", type(error).__name__)
            kept.answer, kept.took = {"failed": type(error).__name__}, 0.0
        finally:
            kept.at, kept.asked = monotonic(), False
            kept.done.set()


def _forget_the_oldest(kept: dict[str, Kept]) -> None:
    settled = sorted((each.at, key) for key, each in kept.items() if not each.asked)
    for _, key in settled[: max(0, len(kept) - _MOST_KEPT)]:
        del kept[key]


class _Child:
    """A process that answers one question at a time; started when the first is asked."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._process: subprocess.Popen[bytes] | None = None

    def ask(self, question: Question) -> tuple[Any, float]:
        """Return the answer, and the seconds that it took.

        :raises OSError: if there is none.
        :raises EOFError: likewise.
        """
        # Through a pipe and not in its arguments or its environment, which others can read: there are secrets in it.
        line = json.dumps(question).encode() + b"\n"
        with self._lock:
            began = monotonic()
            if self._process is not None:
                # It may be about to end, or have been killed by somebody who needed memory: a new one answers.
                with suppress(BrokenPipeError, EOFError):
                    return self._answer(line), monotonic() - began
            return self._answer(line), monotonic() - began

    def _answer(self, line: bytes) -> Any:
        process = self._running()
        assert process.stdin
        try:
            process.stdin.write(line)
            process.stdin.flush()
            return json.loads(_line(process))
        except (OSError, EOFError):
            self._end()
            raise

    def _running(self) -> subprocess.Popen[bytes]:
        if self._process is None:
            self._process = subprocess.Popen(  # noqa: S603 (a module of ours)
                [sys.executable, "-m", "flask_pickup.results", str(DEADLINE)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                env={name: value for name, value in os.environ.items() if not name.startswith("PICKUP_")},
            )
            # A child that ends by itself is waited for, or it would stay in the table of processes.
            Thread(target=self._process.wait, name="pickup-board-wait", daemon=True).start()
        return self._process

    def _end(self) -> None:
        process, self._process = self._process, None
        assert process
        process.kill()
        process.wait()
        for pipe in (process.stdin, process.stdout):
            if pipe:
                with suppress(BrokenPipeError):
                    pipe.close()


_child = PerProcess(_Child)


def _line(child: subprocess.Popen[bytes]) -> bytes:
    """Return the child's next line; a child that takes too long is killed.

    :raises TimeoutError: if it was.
    :raises EOFError: if the child ended without an answer.
    """
    assert child.stdout
    done = Event()
    late = Event()

    def watch() -> None:
        if not done.wait(DEADLINE):
            late.set()
            child.kill()

    Thread(target=watch, name="pickup-board-watch", daemon=True).start()
    try:
        line = child.stdout.readline()
    finally:
        done.set()
    if late.is_set():
        raise TimeoutError("the child took too long")
    if not line.endswith(b"\n"):
        raise EOFError("the child ended without an answer")
    return line
