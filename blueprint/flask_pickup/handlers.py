"""The host's own handlers of the platform's other events: run under a deadline, answered whatever they do."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from concurrent.futures import TimeoutError as FutureTimeoutError
from contextlib import suppress
from threading import Lock
from typing import Any

import orjson
from flask import copy_current_request_context, current_app, got_request_exception

from flask_pickup.errors import place_of
from flask_pickup.flireo import Message, ToolCalls
from flask_pickup.processes import PerProcess

log = logging.getLogger("flask_pickup")

Handler = Callable[[Any], Any]
Answer = Mapping[str, Any]

LARGEST = 1024 * 1024
"""Bytes of an answer: it goes into a model's context."""


class Handlers:
    """Runs the host's handlers, each on a thread and for at most ``deadline`` seconds.

    The platform gives a tool ten seconds. However many handlers hang, they hold no more than ``threads`` threads; who
    comes then is told at once, so that the server's own threads stay free for callers.
    """

    deadline = 9.0
    threads = 8

    def __init__(self, functions: Mapping[str, Handler]) -> None:
        self._functions = functions
        self._pools = PerProcess(lambda: ThreadPoolExecutor(self.threads, thread_name_prefix="pickup-handler"))
        self._lock = PerProcess(Lock)
        self._busy = 0

    def answer(self, message: Message) -> Answer:
        """Return the body of the answer; never raises. To be called inside the request, whose context handlers get."""
        handler = self._functions.get(message.type)
        if handler is None:
            return {}
        future = self._submit(handler, message)
        if future is None:
            return _failed(message, "all its threads are busy", "Too many tools are at work.")
        try:
            result = future.result(self.deadline)
        except FutureTimeoutError:
            future.cancel()
            return _failed(message, f"it took more than {self.deadline:g} s", "The tool took too long.")
        if isinstance(result, BaseException):
            _tell_host(result)
            # No traceback: its last line often quotes the caller's number or words.
            return _failed(message, f"{type(result).__name__} in {place_of(result)}", "The tool failed.")
        return result

    def _submit(self, handler: Handler, message: Message) -> Future[Answer | BaseException] | None:
        with self._lock():
            if self._busy >= self.threads:
                return None
            self._busy += 1
        future = self._pools().submit(_caught, copy_current_request_context(_run), handler, message)
        future.add_done_callback(self._done)
        return future

    def _done(self, _: Future[Answer | BaseException]) -> None:
        with self._lock():
            self._busy -= 1


def _caught(run: Callable[[Handler, Message], Answer], handler: Handler, message: Message) -> Answer | BaseException:
    """Return what was raised: a SystemExit that reached the server's own thread would end it."""
    try:
        return run(handler, message)
    except BaseException as error:  # noqa: BLE001 (the host's code may raise anything, SystemExit too)
        return error


def _run(handler: Handler, message: Message) -> Answer:
    result = current_app.ensure_sync(handler)(message)
    if result is None:
        return {}
    if not isinstance(result, Mapping):
        raise TypeError(f"a handler returned {type(result).__name__}, not a mapping or None")
    # Through the app's own JSON, so that it may hold whatever the app's other answers do.
    body = current_app.json.dumps(result)
    if len(body) > LARGEST:
        raise ValueError("a handler returned more than a megabyte")
    answer: Answer = orjson.loads(body)
    return answer


def _tell_host(error: BaseException) -> None:
    """Let the host's error tracker see what the host's own code raised, as it sees all else that does."""
    with suppress(Exception):
        app = current_app._get_current_object()  # type: ignore[attr-defined]  # noqa: SLF001 (Flask's own way)
        got_request_exception.send(app, _async_wrapper=app.ensure_sync, exception=error)


def _failed(message: Message, why: str, answer: str) -> Answer:
    log.error("The handler of '%s' failed: %s.", message.type, why)
    return {"error": answer} if isinstance(message, ToolCalls) else {}
