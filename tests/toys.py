"""Bells that differ from the toy platform as the shipped platforms differ from each other."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime
from typing import Any

from bells import bell
from flask_pickup import platforms
from flask_pickup.platforms import Answer, CallEnded, Delivery, Event, IncomingCall, Rejection


class Nameless(bell()):  # type: ignore[misc]
    """Bell without ids in its requests; its reports have its own, and may be parts of one."""

    name = "nameless"

    def sign(self, body: bytes, event: type[Event]) -> Delivery:
        """Return a body with the token and the time."""
        signed: Delivery = super().sign(body, event)
        return replace(signed, headers={**signed.headers, "X-Bell-Time": str(self.clock())})

    def answer(self, answer: Answer | Rejection) -> dict[str, Any]:
        """Return Bell's answer; a call that is turned away brings our metadata back too."""
        written: dict[str, Any] = super().answer(answer)
        return {**written, "note": answer.metadata} if answer.metadata else written

    def verify(self, delivery: Delivery) -> float:
        """Return the time that is signed."""
        super().verify(delivery)
        return float(delivery.headers["X-Bell-Time"])

    def parse(self, delivery: Delivery) -> Event:
        """Return Bell's event, as this platform sends it."""
        event: Event = super().parse(delivery)
        at = event.body.get("at")
        if isinstance(event, IncomingCall):
            return replace(event, call_id="", timestamp=datetime.fromisoformat(at) if at else None)
        if isinstance(event, CallEnded):
            said = event.body.get("lines")
            return replace(
                event,
                call_id="",
                platform_call_id=event.call_id,
                is_whole=event.body.get("part") is None,
                timestamp=datetime.fromisoformat(at) if at else None,
                end_reason=event.body.get("why"),
                summary=event.body.get("gist"),
                transcript=said,
                user_messages=None if said is None else len([each for each in said if each["role"] == "user"]),
            )
        return event


class Hasty(bell()):  # type: ignore[misc]
    """Bell with the shortest deadline of all platforms."""

    name = "hasty"
    deadline = 1.5


class Verbose(bell()):  # type: ignore[misc]
    """Bell, which stops sending where a large body is refused."""

    name = "verbose"
    acknowledges_large_bodies = True


@contextmanager
def enabled(*toys: Any) -> Iterator[None]:
    """Register toys; each is enabled by ``PICKUP_BELL_TOKEN``."""
    platforms.REGISTRY.update({toy.name: toy.from_config for toy in toys})
    try:
        yield
    finally:
        for toy in toys:
            del platforms.REGISTRY[toy.name]
