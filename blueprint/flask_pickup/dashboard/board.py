"""Results for the pages: computed in a child process, kept for a few seconds, and never waited for long.

The child imports the statistics, which no process that answers calls does. It is one for each process that serves
pages, gives way to calls, and ends when nobody has asked it for a minute.
"""

from __future__ import annotations

import json
import logging
import os
import subprocess
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from threading import Event, Lock, Thread
from time import monotonic
from typing import Any

log = logging.getLogger("flask_pickup")

FRESH = 10.0
"""Seconds for which an answer is given again."""
WAIT = 1.5
"""Seconds that a page waits for a first answer; after that it says so, and comes again by itself."""
DEADLINE = 120.0
"""Seconds after which a computation is given up."""

Question = Mapping[str, Any]


@dataclass
class _Kept:
    answer: Any = None
    at: float = float("-inf")
    asked: bool = False
    done: Event = field(default_factory=Event)


class Board:
    """Asks a child process, one question at a time.

    :param settings: what the child needs to reach rows and content, as JSON; asked for when a child is started.
    """

    def __init__(self, settings: Callable[[], Mapping[str, Any]]) -> None:
        self._settings = settings
        self._kept: dict[str, _Kept] = {}
        self._lock = Lock()
        self._one_at_a_time = Lock()
        self._child: subprocess.Popen[bytes] | None = None
        self._pid = 0

    def ask(self, question: Question) -> Any:
        """Return the answer to a question, perhaps one of some seconds ago; None while there is none yet."""
        kept = self._keep(json.dumps(question, sort_keys=True))
        if kept.answer is None:
            kept.done.wait(WAIT)
        return kept.answer

    def close(self) -> None:
        """End the child."""
        with self._one_at_a_time:
            self._end()

    def _keep(self, question: str) -> _Kept:
        with self._lock:
            if self._pid != os.getpid():
                self._kept, self._child, self._pid = {}, None, os.getpid()
            kept = self._kept.setdefault(question, _Kept())
            if kept.asked or monotonic() - kept.at < FRESH:
                return kept
            kept.asked = True
        Thread(target=self._answer, args=(question, kept), name="pickup-board", daemon=True).start()
        return kept

    def _answer(self, question: str, kept: _Kept) -> None:
        try:
            with self._one_at_a_time:
                kept.answer = self._of_child(question)
        except (OSError, ValueError) as error:
            log.error("Results could not be computed: %s.", type(error).__name__)
            kept.answer = kept.answer or {"failed": type(error).__name__}
        finally:
            kept.at, kept.asked = monotonic(), False
            kept.done.set()

    def _of_child(self, question: str) -> Any:
        child = self._started()
        assert child.stdin
        assert child.stdout
        try:
            child.stdin.write(question.encode() + b"\n")
            child.stdin.flush()
            return json.loads(_line(child))
        except (OSError, ValueError):
            self._end()
            raise

    def _started(self) -> subprocess.Popen[bytes]:
        if self._child is None or self._child.poll() is not None:
            self._end()
            self._child = subprocess.Popen(
                [sys.executable, "-m", "flask_pickup.results"], stdin=subprocess.PIPE, stdout=subprocess.PIPE
            )
            assert self._child.stdin
            # Not in its arguments or its environment, which others can read: there are secrets in it.
            self._child.stdin.write(json.dumps(self._settings()).encode() + b"\n")
        return self._child

    def _end(self) -> None:
        child, self._child = self._child, None
        if child is None:
            return
        child.kill()
        child.wait()
        for pipe in (child.stdin, child.stdout):
            if pipe:
                pipe.close()


def _line(child: subprocess.Popen[bytes]) -> bytes:
    """Return the child's next line; a child that takes too long is killed, which ends the line.

    :raises ValueError: if there is none.
    """
    assert child.stdout
    done = Event()

    def watch() -> None:
        if not done.wait(DEADLINE):
            child.kill()

    Thread(target=watch, name="pickup-board-watch", daemon=True).start()
    try:
        line = child.stdout.readline()
    finally:
        done.set()
    if not line.endswith(b"\n"):
        raise ValueError("the child ended without an answer")
    return line
