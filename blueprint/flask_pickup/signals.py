"""Signals that tell the host's code what Pickup has done.

Receivers run one after another on a thread of Pickup's own, in the app's context. A receiver that raises is logged, one that
hangs delays the others, and neither delays a call. If a thousand signals are queued, further ones are dropped and counted.
The platform delivers events at least once, and so are signals::

    from flask_pickup.signals import assigned

    @assigned.connect
    def remember(app, call_id, caller_key, assignments):
        ...

No signal carries a caller's number.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from concurrent.futures import TimeoutError as FutureTimeoutError
from contextlib import suppress
from typing import Any

from blinker import NamedSignal, Namespace
from flask import Flask

from flask_pickup.errors import place_of
from flask_pickup.ledger.writer import Overloaded, Writer
from flask_pickup.processes import PerProcess

__all__ = ["assigned", "fault", "reported"]

log = logging.getLogger("flask_pickup")

_signals = Namespace()

assigned = _signals.signal("pickup-assigned")
"""A call was given arms, and they are durable: ``call_id``, ``caller_key`` (or None), ``assignments`` (a tuple of objects
with ``experiment``, ``arm``, ``source`` and ``definition``). Not sent again where the call is delivered again."""

reported = _signals.signal("pickup-reported")
"""A call's report was recorded: ``call_id``, ``caller_key`` (or None), ``outcomes`` (name to number), ``end_reason``."""

fault = _signals.signal("pickup-fault")
"""Something failed, and the caller was answered all the same: ``kind`` (``database``, ``spool``, ``refused``,
``customer``, ``content`` or ``own``) and ``what``, a text without personal data."""


class Sender:
    """Sends one app's signals, on a thread that the first signal with a receiver starts."""

    def __init__(self, app: Flask) -> None:
        self._app = app
        self._writers = PerProcess(lambda: Writer[Callable[[], None], None]("pickup-signals", _call_all))
        self.dropped = 0

    def send(self, signal: NamedSignal, **payload: Any) -> None:
        """Queue ``signal`` for its receivers. Never blocks or raises."""
        if not signal.has_receivers_for(self._app):
            return
        try:
            self._writers().submit(lambda: self._call_receivers(signal, payload))
        except Overloaded:
            self.dropped += 1

    def wait(self, seconds: float = 5.0) -> None:
        """Wait at most ``seconds`` until the queued signals are delivered."""
        if (writer := self._writers()).started:
            with suppress(FutureTimeoutError, Overloaded):
                writer.submit(lambda: None).result(seconds)

    def close(self) -> None:
        """Deliver the queued signals, and end the thread."""
        if writer := self._writers.take():
            writer.close()

    def _call_receivers(self, signal: NamedSignal, payload: dict[str, Any]) -> None:
        for receiver in signal.receivers_for(self._app):
            try:
                with self._app.app_context():
                    self._app.ensure_sync(receiver)(self._app, **payload)
            except BaseException as error:  # noqa: BLE001 (the host's code may raise anything, SystemExit too)
                log.error("A receiver of '%s' failed: %s in %s.", signal.name, type(error).__name__, place_of(error))


def _call_all(calls: Sequence[Callable[[], None]]) -> list[None]:
    return [call() for call in calls]
