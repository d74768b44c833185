"""What a host needs for its own tests: a client that sends what a platform sends, and a clock that stands still.

``flask_pickup.testing.fixtures`` has the fixtures for pytest.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from itertools import count
from typing import Any

from flask import Flask, Response
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from flask_pickup.blueprint import EXTENSION, State
from flask_pickup.errors import ConfigurationError
from flask_pickup.platforms import (
    CallEnded,
    Event,
    IncomingCall,
    Platform,
    SampleCall,
    StatusChanged,
    ToolCall,
    ToolCalls,
)
from flask_pickup.rehearsal import CALLER, LINE

__all__ = ["CALLER", "LINE", "FrozenClock", "PickupClient"]

_ids = count(1)


class FrozenClock:
    """A clock that stands still until it is moved: ``Pickup(clock=FrozenClock(…))``.

    :param at: aware, or Unix seconds.
    """

    def __init__(self, at: datetime | float) -> None:
        self.move_to(at)

    def __call__(self) -> float:
        """Return Unix seconds."""
        return self.now

    def move_to(self, at: datetime | float) -> None:
        """Set the time.

        :raises ValueError: if ``at`` has no time zone.
        """
        if isinstance(at, datetime) and at.tzinfo is None:
            raise ValueError("The clock needs a time zone: datetime(…, tzinfo=UTC).")
        self.now = at.timestamp() if isinstance(at, datetime) else float(at)

    def tick(self, seconds: float) -> None:
        """Advance the clock."""
        self.now += seconds


class PickupClient(FlaskClient):
    """Flask's test client, which also signs and sends what a platform sends.

    ::

        client = PickupClient(app)
        answer = client.post_call(from_="+31612345678").get_json()
        client.post_report(analysis={"appointment_booked": True})

    It signs with the app's first secret, at the time of the app's Pickup, and finds the webhook wherever it is mounted. Or
    set ``app.test_client_class = PickupClient``, and ``app.test_client()`` returns one.

    ``fields`` are the platform's own keys of the event, which win over those of a sample.

    :param platform: the name of the platform that calls; by default Flireo, or else the first that is enabled.
    """

    def __init__(
        self, app: Flask, response_wrapper: type[Response] | None = None, *, platform: str = "", **options: Any
    ) -> None:
        super().__init__(app, response_wrapper or app.response_class, **options)
        self._platform = platform
        self.last_call = f"test-call-{next(_ids)}"
        self._calls: dict[str, SampleCall] = {}

    @property
    def pickup(self) -> State:
        """What the app keeps of its Pickup."""
        state: State = self.application.extensions[EXTENSION]
        return state

    @property
    def webhook_url(self) -> str:
        """Where the app answers the platform."""
        urls = self.application.url_map.bind(self.application.config["SERVER_NAME"] or "localhost")
        return urls.build(self.pickup.endpoints[self.platform.name])

    @property
    def platform(self) -> Platform:
        """The platform that calls.

        :raises ConfigurationError: if it is not enabled.
        """
        state = self.pickup
        if self._platform and self._platform not in state.platforms:
            names = ", ".join(sorted(state.platforms))
            raise ConfigurationError(f"'{self._platform}' is not enabled in this app. There are: {names}.")
        return state.platforms[self._platform] if self._platform else state.default_platform

    def freeze(self, at: datetime | float) -> FrozenClock:
        """Stop the clock of the app's Pickup, and return it."""
        self.pickup.clock = clock = FrozenClock(at)
        return clock

    def post_call(
        self, call_id: str | None = None, *, from_: str | None = CALLER, to: str | None = LINE, **fields: Any
    ) -> TestResponse:
        """Send the request of an incoming call.

        :param call_id: by default a new one; the same one again is the same call delivered again.
        :param from_: the caller's number; None withholds it.
        :param to: the number called.
        """
        self.last_call = call_id or f"test-call-{next(_ids)}"
        call = SampleCall(self.last_call, from_, to, self.pickup.now)
        response = self._post(IncomingCall, call, fields)
        answer = response.get_json(silent=True)
        self._calls[self.last_call] = replace(call, answer=answer if isinstance(answer, dict) else None)
        return response

    def post_report(self, call_id: str | None = None, **fields: Any) -> TestResponse:
        """Send the report on the last call, or another; it returns the call's answer, as the platform does."""
        return self._post(CallEnded, self._call(call_id), fields)

    def post_status(self, status: str = "ended", call_id: str | None = None, **fields: Any) -> TestResponse:
        """Send a status update of the last call, or another."""
        return self._post(StatusChanged, replace(self._call(call_id), status=status), fields)

    def post_tool_call(
        self, name: str, arguments: Mapping[str, Any] | None = None, call_id: str | None = None, **fields: Any
    ) -> TestResponse:
        """Send a tool call of the last call, or another."""
        tool = ToolCall(id="tool-1", name=name, arguments=arguments or {})
        return self._post(ToolCalls, replace(self._call(call_id), tool=tool), fields)

    def post_signed(self, body: bytes, event: type[Event] = IncomingCall, **headers: str) -> TestResponse:
        """Send any bytes, signed as the platform signs such an event; ``headers`` win: ``X_Webhook_Event="…"``."""
        more = {name.replace("_", "-"): value for name, value in headers.items()}
        sent = dict(self.platform.sign(body, event).headers)
        response = self.post(self.webhook_url, data=body, headers={**sent, **more})
        # A test reads at once what its receivers got.
        self.pickup.signals.wait()
        return response

    def _post(self, event: type[Event], call: SampleCall, fields: Mapping[str, Any]) -> TestResponse:
        return self.post_signed(self.platform.payload(event, call, fields), event)

    def _call(self, call_id: str | None) -> SampleCall:
        known = self._calls.get(call_id or self.last_call)
        now = self.pickup.now
        return replace(known, at=now) if known else SampleCall(call_id or self.last_call, CALLER, LINE, now)
