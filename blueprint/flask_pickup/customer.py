"""Looks up the customer in the host's own code: under a deadline, and cleaned before a template sees it."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from concurrent.futures import TimeoutError as FutureTimeoutError
from dataclasses import dataclass
from time import monotonic
from typing import Any, NoReturn

from flask_pickup.caller import Caller
from flask_pickup.cleaning import clean, record
from flask_pickup.processes import DaemonThreads

log = logging.getLogger("flask_pickup")

Hook = Callable[[Caller], Any]


class CustomerFailed(Exception):
    """An audience uses the customer, and the hook failed."""


class UnavailableCustomer:
    """Stands for the customer in an audience after the hook failed: every use of it raises ``CustomerFailed``."""

    def _raise(self, *_: object) -> NoReturn:
        raise CustomerFailed

    __getattr__ = __getitem__ = __bool__ = __iter__ = __len__ = __contains__ = __str__ = _raise
    __eq__ = __ne__ = __lt__ = __le__ = __gt__ = __ge__ = _raise
    __hash__ = object.__hash__
    __class__ = property(_raise)


@dataclass(frozen=True, slots=True)
class Customer:
    """What the hook returned.

    :param cleaned: what templates see; None if the caller is not known.
    :param raw: as it came.
    :param failed: why the hook gave nothing, empty if it did not fail.
    """

    cleaned: Mapping[str, Any] | None = None
    raw: Any = None
    failed: str = ""


UNKNOWN = Customer()


class Lookup:
    """Calls the hook on threads of its own, and lets a call wait for it for a bounded time.

    A circuit breaker: after a time-out calls skip the hook. Meanwhile one call at a time sends a probe in the background,
    and the first probe that answers in time closes the breaker. A probe that hangs is followed by another, later each time.

    Platforms that wait differently have one each: a hook may be too slow for one of them alone.

    :param wait: seconds that a call waits.
    """

    threads = 32
    """Hooks that hang keep their threads: so many at most."""
    longest_pause = 60.0
    """Seconds between probes that hang."""

    def __init__(self, hook: Hook | None, wait: float) -> None:
        self._hook = hook
        self._wait = wait
        self._threads = DaemonThreads("pickup-customer", self.threads)
        self._probe: Future[Customer] | None = None
        self._pause = wait
        self._next_probe = 0.0
        self.skipped = False
        self.faults = 0

    def __call__(self, caller: Caller) -> Customer:
        """Return the customer; never raises. An unidentified caller is never looked up."""
        if self._hook is None or not caller.identified:
            return UNKNOWN
        if self.skipped:
            self._send_probe(caller)
            return self._fault("skipped after a time-out")
        future = self._threads.submit(lambda: self._ask(caller))
        if future is None:
            return self._fault("all its threads are busy")
        try:
            customer = future.result(self._wait)
        except FutureTimeoutError:
            self.skipped = True
            return self._fault("time-out")
        return self._fault(customer.failed) if customer.failed else customer

    def _send_probe(self, caller: Caller) -> None:
        hangs = self._probe is not None and not self._probe.done()
        if hangs and monotonic() < self._next_probe:
            return
        self._pause = min(2 * self._pause, self.longest_pause) if hangs else self._wait
        self._next_probe = monotonic() + self._pause
        self._probe = self._threads.submit(lambda: self._ask(caller))

    def _ask(self, caller: Caller) -> Customer:
        started = monotonic()
        try:
            raw = self._hook(caller) if self._hook else None
            customer = UNKNOWN if raw is None else _customer(raw)
        except BaseException as error:  # noqa: BLE001 (the host's code may raise anything, SystemExit too)
            return Customer(failed=type(error).__name__)
        if monotonic() - started <= self._wait:
            self.skipped = False
        return customer

    def _fault(self, why: str) -> Customer:
        self.faults += 1
        log.warning("The customer hook gave nothing: %s.", why)
        return Customer(failed=why)


def _customer(raw: object) -> Customer:
    values = record(raw)
    if values is None:
        return Customer(failed=f"it returned {type(raw).__name__}, not a mapping, a row or None")
    return Customer(clean(values), raw)
