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
class _Kept:
    answer: Any = None
    at: float = float("-inf")
    took: float = 0.0
    asked: bool = False
    done: Event = field(default_factory=Event)

    @property
    def until(self) -> float:
        """The moment until which the answer is fresh."""
        return self.at + max(FRESH, _TIMES_AS_LONG * self.took)


class Board:
    """Asks a child process, one question at a time.

    :param settings: what the child needs to reach the rows, as JSON; asked for when a child is started.
    """

    def __init__(self, settings: Callable[[], Mapping[str, Any]]) -> None:
        self._settings = settings
        self._kept: dict[str, _Kept] = {}
        self._lock = Lock()
        self._one_at_a_time = Lock()
        self._child: subprocess.Popen[bytes] | None = None
        self._pid = 0

    def ask(self, question: Question, wait: float = WAIT) -> Any:
        """Return the answer to a question, perhaps one of a while ago; None while there is none yet."""
        kept = self._keep(json.dumps(question, sort_keys=True))
        if monotonic() > kept.until + LATEST:
            kept.done.wait(wait)
        return kept.answer if monotonic() <= kept.until + LATEST else None

    def close(self) -> None:
        """End the child, whatever it is doing."""
        if (child := self._child) and self._pid == os.getpid():
            child.kill()
            with self._one_at_a_time:
                self._end()

    def _keep(self, question: str) -> _Kept:
        with self._lock:
            if self._pid != os.getpid():
                # Of another process: its child is not ours to ask, and a lock of it may be held for ever.
                self._kept, self._child, self._one_at_a_time, self._pid = {}, None, Lock(), os.getpid()
            kept = self._kept.setdefault(question, _Kept())
            if kept.asked or monotonic() < kept.until:
                return kept
            kept.asked = True
            kept.done.clear()
            self._forget_the_oldest()
        Thread(target=self._answer, args=(question, kept), name="pickup-board", daemon=True).start()
        return kept

    def _forget_the_oldest(self) -> None:
        settled = sorted((kept.at, question) for question, kept in self._kept.items() if not kept.asked)
        for _, question in settled[: max(0, len(self._kept) - _MOST_KEPT)]:
            del self._kept[question]

    def _answer(self, question: str, kept: _Kept) -> None:
        began = monotonic()
        try:
            with self._one_at_a_time:
                began = monotonic()
                kept.answer = self._of_child(question)
        except Exception as error:  # noqa: BLE001 (the host's engine, too, may raise anything)
            log.error("Results could not be computed: %s.", type(error).__name__)
            kept.answer = {"failed": type(error).__name__}
        finally:
            kept.at = monotonic()
            kept.took, kept.asked = kept.at - began, False
            kept.done.set()

    def _of_child(self, question: str) -> Any:
        if self._child is not None:
            # It may be about to end, or have been killed by somebody who needed memory: a new one answers.
            with suppress(BrokenPipeError, EOFError):
                return self._of_this_child(question)
        return self._of_this_child(question)

    def _of_this_child(self, question: str) -> Any:
        child = self._started()
        assert child.stdin
        try:
            child.stdin.write(question.encode() + b"\n")
            child.stdin.flush()
            return json.loads(_line(child))
        except (OSError, ValueError, EOFError):
            self._end()
            raise

    def _started(self) -> subprocess.Popen[bytes]:
        if self._child is None or self._child.poll() is not None:
            self._end()
            child = self._child = subprocess.Popen(
                [sys.executable, "-m", "flask_pickup.results"],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                env={name: value for name, value in os.environ.items() if not name.startswith("PICKUP_")},
            )
            assert child.stdin
            # Not in its arguments or its environment, which others can read: there are secrets in it.
            child.stdin.write(json.dumps({**self._settings(), "deadline": DEADLINE}).encode() + b"\n")
            # A child that ends by itself is waited for, or it would stay in the table of processes.
            Thread(target=child.wait, name="pickup-board-wait", daemon=True).start()
        return self._child

    def _end(self) -> None:
        child, self._child = self._child, None
        if child is None:
            return
        child.kill()
        child.wait()
        for pipe in (child.stdin, child.stdout):
            if pipe:
                with suppress(BrokenPipeError):
                    pipe.close()


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
