"""What the host's own code knows of a caller: asked under a deadline, cleaned before it meets a template."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from concurrent.futures import TimeoutError as FutureTimeoutError
from dataclasses import dataclass
from threading import Lock
from time import monotonic
from typing import Any, NoReturn

from flask_pickup.caller import Caller
from flask_pickup.cleaning import clean, record

log = logging.getLogger("flask_pickup")

Hook = Callable[[Caller], Any]


class CustomerFailed(Exception):
    """An audience looked at the customer, and the hook had failed."""


class Unavailable:
    """Stands for the customer in an audience after the hook failed: each look at it raises, also what kind it is."""

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
    """Asks the hook on threads of its own, each call for at most ``wait`` seconds.

    After a time-out calls do not wait again: one call at a time asks in the background, and the first such answer that
    is in time lets them wait again. However long the hook hangs, it never holds more than ``threads`` threads.
    """

    threads = 8

    def __init__(self, hook: Hook | None, wait: float) -> None:
        self._hook = hook
        self._wait = wait
        self._pool = ThreadPoolExecutor(self.threads, thread_name_prefix="pickup-customer") if hook else None
        self._lock = Lock()
        self._probe: Future[Customer] | None = None
        self._busy = 0
        self.skipping = False
        self.faults = 0

    def __call__(self, caller: Caller) -> Customer:
        """Return the customer; never raises. An unidentified caller is never looked up."""
        if self._hook is None or not caller.identified:
            return UNKNOWN
        if self.skipping:
            self._probe_with(caller)
            return self._fault("skipped after a time-out")
        future = self._submit(caller)
        if future is None:
            return self._fault("all its threads are busy")
        try:
            customer = future.result(self._wait)
        except FutureTimeoutError:
            future.cancel()
            self.skipping = True
            return self._fault("time-out")
        return self._fault(customer.failed) if customer.failed else customer

    def _submit(self, caller: Caller) -> Future[Customer] | None:
        with self._lock:
            if self._pool is None or self._busy >= self.threads:
                return None
            self._busy += 1
        future = self._pool.submit(self._ask, caller)
        future.add_done_callback(self._done)
        return future

    def _done(self, _: Future[Customer]) -> None:
        with self._lock:
            self._busy -= 1

    def _probe_with(self, caller: Caller) -> None:
        with self._lock:
            if self._probe is not None and not self._probe.done():
                return
        self._probe = self._submit(caller)

    def _ask(self, caller: Caller) -> Customer:
        started = monotonic()
        try:
            raw = self._hook(caller) if self._hook else None
            customer = UNKNOWN if raw is None else _customer(raw)
        except Exception as error:  # noqa: BLE001 (the host's code may raise anything)
            return Customer(failed=type(error).__name__)
        if monotonic() - started <= self._wait:
            self.skipping = False
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
