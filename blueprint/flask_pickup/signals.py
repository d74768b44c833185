"""Signals for the host's own code: what Pickup did, told after it was done.

Receivers run one after another on a thread of Pickup's own, inside the app's context: one that raises is logged, one that
hangs holds up the other receivers, and neither costs a caller anything. If a thousand signals wait, further ones are
dropped and counted. Deliveries of the platform come at least once, and so do signals::

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

__all__ = [
    "assigned",
    "fault",
    "reported",
]

log = logging.getLogger("flask_pickup")

_signals = Namespace()

assigned = _signals.signal("pickup-assigned")
"""A call was given arms, and they are durable: ``call_id``, ``caller_key`` (or None), ``assignments`` (a tuple of objects
with ``experiment``, ``arm``, ``source`` and ``definition``). Not sent again where the call is delivered again."""

reported = _signals.signal("pickup-reported")
"""A call's report was recorded: ``call_id``, ``caller_key`` (or None), ``outcomes`` (name to number), ``end_reason``."""

fault = _signals.signal("pickup-fault")
"""Something failed on a call's way, and the caller was answered all the same: ``kind`` (``database``, ``spool``, ``refused``,
``customer``, ``content`` or ``own``) and ``what``, a text that quotes nobody."""


class Sender:
    """Sends one app's signals, on a thread that is started by the first one which somebody listens for."""

    def __init__(self, app: Flask) -> None:
        self._app = app
        self._writer = Writer[Callable[[], None], None]("pickup-signals", self._deliver)
        self.dropped = 0

    def send(self, signal: NamedSignal, **payload: Any) -> None:
        """Send ``signal`` soon; never raises, never waits."""
        if not signal.has_receivers_for(self._app):
            return
        try:
            self._writer.submit(lambda: self._tell(signal, payload))
        except Overloaded:
            self.dropped += 1

    def wait(self, seconds: float = 5.0) -> None:
        """Wait until what was sent is delivered, at most so long."""
        if self._writer.waiting or self._writer.runs:
            with suppress(FutureTimeoutError, Overloaded):
                self._writer.submit(lambda: None).result(seconds)

    def close(self) -> None:
        """Deliver what waits, and end the thread."""
        self._writer.close()

    def _deliver(self, tellings: Sequence[Callable[[], None]]) -> list[None]:
        for tell in tellings:
            tell()
        return [None] * len(tellings)

    def _tell(self, signal: NamedSignal, payload: dict[str, Any]) -> None:
        for receiver in signal.receivers_for(self._app):
            try:
                with self._app.app_context():
                    self._app.ensure_sync(receiver)(self._app, **payload)
            except BaseException as error:  # noqa: BLE001 (the host's code may raise anything, SystemExit too)
                log.error("A receiver of '%s' failed: %s in %s.", signal.name, type(error).__name__, place_of(error))
