"""Runs the host's handlers of events under a deadline, and answers whatever they do."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from concurrent.futures import TimeoutError as FutureTimeoutError
from contextlib import suppress
from functools import partial
from threading import BoundedSemaphore
from typing import Any

import orjson
from flask import copy_current_request_context, current_app, got_request_exception

from flask_pickup.errors import Unavailable, place_of
from flask_pickup.platforms import Event, Platform, ToolCalls
from flask_pickup.processes import DaemonThreads, PerProcess

log = logging.getLogger("flask_pickup")

Handler = Callable[[Any], Any]

_LARGEST = 1024 * 1024
"""Bytes of an answer: it goes into a model's context."""


class Handlers:
    """Runs handlers on threads of their own, each for at most ``deadline`` seconds; a platform gives a tool ten.

    :param at_once: how many threads of the server may wait for a handler at a time, in a process. The others stay free
        for calls.
    """

    deadline = 9.0
    threads = 8
    """Handlers that hang keep their threads: so many at most."""

    def __init__(self, functions: Mapping[str, Handler], at_once: int) -> None:
        self._functions = functions
        self._slots = PerProcess(lambda: BoundedSemaphore(at_once))
        self._threads = DaemonThreads("pickup-handler", self.threads)

    def answer(self, event: Event, platform: Platform) -> Mapping[str, Any]:
        """Return the body of the answer. To be called inside the request, whose context the handler gets.

        :raises Unavailable: if an event that is not a tool call finds no free slot.
        """
        handler = self._functions.get(event.name)
        if handler is None:
            return {}
        slots = self._slots()
        if not slots.acquire(blocking=False):
            return _refused(event, platform)
        try:
            return self._answer(handler, event, platform)
        finally:
            slots.release()

    def _answer(self, handler: Handler, event: Event, platform: Platform) -> Mapping[str, Any]:
        future = self._threads.submit(partial(copy_current_request_context(_run), handler, event))
        if future is None:
            return _refused(event, platform)
        try:
            # Not result(): a SystemExit raised here would end the server's own thread.
            error = future.exception(self.deadline)
        except FutureTimeoutError:
            return _failed(event, platform, f"it took more than {self.deadline:g} s", "The tool took too long.")
        if error is None:
            result = future.result()
            return platform.tool_results(event, result) if isinstance(event, ToolCalls) else result
        _tell_host(error)
        # No traceback: its last line often quotes the caller's number or words.
        return _failed(event, platform, f"{type(error).__name__} in {place_of(error)}", "The tool failed.")


def _run(handler: Handler, event: Event) -> Mapping[str, Any]:
    result = current_app.ensure_sync(handler)(event)
    if result is None:
        return {}
    if not isinstance(result, Mapping):
        raise TypeError(f"a handler returned {type(result).__name__}, not a mapping or None")
    # Through the app's own JSON, so that it may hold whatever the app's other answers do.
    body = current_app.json.dumps(result)
    if len(body) > _LARGEST:
        raise ValueError("a handler returned more than a megabyte")
    return orjson.loads(body)  # type: ignore[no-any-return]


def _tell_host(error: BaseException) -> None:
    """Let the host's error tracker see what the host's own code raised, as it sees its views' exceptions."""
    with suppress(Exception):
        app = current_app._get_current_object()  # type: ignore[attr-defined]  # noqa: SLF001 (Flask's own way)
        got_request_exception.send(app, _async_wrapper=app.ensure_sync, exception=error)


def _refused(event: Event, platform: Platform) -> Mapping[str, Any]:
    if not isinstance(event, ToolCalls):
        raise Unavailable("Too many handlers are running; send it again.")
    return _failed(event, platform, "too many handlers are running", "Too many tools are running.")


def _failed(event: Event, platform: Platform, why: str, answer: str) -> Mapping[str, Any]:
    log.error("The handler of '%s' failed: %s.", event.name, why)
    return platform.tool_results(event, {}, answer) if isinstance(event, ToolCalls) else {}
