"""What the host's own code knows of a caller: asked under a deadline, cleaned before it meets a template."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from concurrent.futures import TimeoutError as FutureTimeoutError
from dataclasses import dataclass
from threading import BoundedSemaphore, Lock, Thread
from time import monotonic
from typing import Any, NoReturn

from flask_pickup.caller import Caller
from flask_pickup.cleaning import clean, record
from flask_pickup.processes import PerProcess

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
    is in time lets them wait again. However long the hook hangs, it never holds more than ``threads`` threads, and as
    they are daemons it does not keep the process from ending.
    """

    threads = 8

    def __init__(self, hook: Hook | None, wait: float) -> None:
        self._hook = hook
        self._wait = wait
        self._free = PerProcess(lambda: BoundedSemaphore(self.threads))
        self._probes = PerProcess(Lock)
        self.skipping = False
        self.faults = 0

    def __call__(self, caller: Caller) -> Customer:
        """Return the customer; never raises. An unidentified caller is never looked up."""
        if self._hook is None or not caller.identified:
            return UNKNOWN
        if self.skipping:
            self._probe_with(caller)
            return self._fault("skipped after a time-out")
        future = self._start(caller)
        if future is None:
            return self._fault("all its threads are busy")
        try:
            customer = future.result(self._wait)
        except FutureTimeoutError:
            self.skipping = True
            return self._fault("time-out")
        return self._fault(customer.failed) if customer.failed else customer

    def _start(self, caller: Caller) -> Future[Customer] | None:
        free = self._free()
        if not free.acquire(blocking=False):
            return None
        future: Future[Customer] = Future()

        def ask() -> None:
            try:
                future.set_result(self._ask(caller))
            finally:
                free.release()

        try:
            Thread(target=ask, name="pickup-customer", daemon=True).start()
        except RuntimeError:
            free.release()
            return None
        return future

    def _probe_with(self, caller: Caller) -> None:
        lock = self._probes()
        if lock.acquire(blocking=False):
            future = self._start(caller)
            if future is None:
                lock.release()
            else:
                future.add_done_callback(lambda _: lock.release())

    def _ask(self, caller: Caller) -> Customer:
        started = monotonic()
        try:
            raw = self._hook(caller) if self._hook else None
            customer = UNKNOWN if raw is None else _customer(raw)
        except BaseException as error:  # noqa: BLE001 (the host's code may raise anything, SystemExit too)
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
