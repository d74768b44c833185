"""What a host needs for its own tests: the platform on the phone, and a clock that stands still.

``flask_pickup.testing.fixtures`` has the fixtures for pytest.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import count
from typing import Any

from flask import Flask, Response
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from flask_pickup.blueprint import EXTENSION, State
from flask_pickup.flireo import outgoing, sign
from flask_pickup.flireo.outgoing import Ringing
from flask_pickup.flireo.signature import SIGNATURE, TIMESTAMP
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
        """Let it be another time.

        :raises ValueError: if ``at`` has no time zone.
        """
        if isinstance(at, datetime) and at.tzinfo is None:
            raise ValueError("The clock needs a time zone: datetime(…, tzinfo=UTC).")
        self.now = at.timestamp() if isinstance(at, datetime) else float(at)

    def tick(self, seconds: float) -> None:
        """Let time pass."""
        self.now += seconds


@dataclass(frozen=True, slots=True)
class _Call:
    caller: str | None = CALLER
    line: str | None = LINE
    assistant: Any = None


class PickupClient(FlaskClient):
    """Flask's test client, which can ring as well: it signs and sends what the platform sends.

    ::

        client = PickupClient(app)
        answer = client.post_call(from_="+31612345678").get_json()
        client.post_report(analysis={"appointment_booked": True})

    It signs with the app's first ``PICKUP_WEBHOOK_SECRET``, at the time of the app's Pickup, and finds the webhook
    wherever it is mounted. Or set ``app.test_client_class = PickupClient``, and ``app.test_client()`` returns one.

    ``message`` is more keys of the message, which win over what would be sent without them.
    """

    def __init__(self, app: Flask, response_wrapper: type[Response] | None = None, **options: Any) -> None:
        super().__init__(app, response_wrapper or app.response_class, **options)
        self.last_call = f"test-call-{next(_ids)}"
        self._calls: dict[str, _Call] = {}

    @property
    def pickup(self) -> State:
        """What the app keeps of its Pickup."""
        state: State = self.application.extensions[EXTENSION]
        return state

    @property
    def webhook_url(self) -> str:
        """Where the app answers the platform."""
        app = self.application
        return app.url_map.bind(app.config["SERVER_NAME"] or "localhost").build(self.pickup.endpoint)

    def freeze(self, at: datetime | float) -> FrozenClock:
        """Stop the clock of the app's Pickup, and return it: for opening hours, and what a greeting says of the day."""
        self.pickup.webhook.clock = clock = FrozenClock(at)
        return clock

    def post_call(
        self, call_id: str | None = None, *, from_: str | None = CALLER, to: str | None = LINE, **message: Any
    ) -> TestResponse:
        """Ring: send an assistant-request.

        :param call_id: by default another one each time; the same one again is the same call delivered again.
        :param from_: the caller's number; None withholds it.
        :param to: the number called.
        """
        self.last_call = call_id or f"test-call-{next(_ids)}"
        request = outgoing.common("assistant-request", Ringing(self.last_call, from_, to, self._moment()), "ringing")
        response = self.post_message({**request, **message})
        answer = response.get_json(silent=True)
        said = answer if isinstance(answer, dict) else {}
        self._calls[self.last_call] = _Call(from_, to, said.get("assistant") or said.get("assistant_override"))
        return response

    def post_report(self, call_id: str | None = None, **message: Any) -> TestResponse:
        """Send an end-of-call report; it brings back what the call was answered with, as the platform does.

        :param call_id: by default the last call's.
        """
        answered = self._call(call_id).assistant
        report = {"duration_seconds": 84, "summary": "Somebody asked something."}
        brought_back = {"assistant": answered} if answered else {}
        return self._post_about(call_id, "end-of-call-report", "ended", {**report, **brought_back, **message})

    def post_status(self, status: str = "ended", call_id: str | None = None, **message: Any) -> TestResponse:
        """Send a status update, of the last call unless another is named."""
        return self._post_about(call_id, "status-update", status, message)

    def post_tool_call(
        self, name: str, arguments: Mapping[str, Any] | None = None, call_id: str | None = None, **message: Any
    ) -> TestResponse:
        """Let the agent use a tool, in the last call unless another is named."""
        tool = outgoing.tool_call(name, arguments or {})
        return self._post_about(call_id, "tool-calls", "in-progress", {**tool, **message})

    def post_message(self, message: Mapping[str, Any]) -> TestResponse:
        """Send a signed message, of the platform's current generation."""
        body = json.dumps({"message": message}).encode()
        return self.post_signed(body, X_Webhook_Event=str(message.get("type", "")))

    def post_signed(self, body: bytes, *, now: float | None = None, **headers: str) -> TestResponse:
        """Send signed bytes.

        :param now: when they are signed, in Unix seconds; by default what the app's clock says.
        :param headers: win over those that the platform sends; ``X_Webhook_Event="…"`` or ``**{"X-Webhook-Event": …}``.
        """
        stamp = str(int(self.pickup.webhook.clock() if now is None else now))
        signed = {"Content-Type": "application/json", TIMESTAMP: stamp}
        if secrets := self.pickup.options.webhook_secrets:
            signed[SIGNATURE] = sign(secrets[0], stamp, body)
        more = {name.replace("_", "-"): value for name, value in headers.items()}
        response = self.post(self.webhook_url, data=body, headers={**signed, **more})
        # A test looks at once for what its receivers were told.
        self.pickup.webhook.signals.wait()
        return response

    def _post_about(self, call_id: str | None, kind: str, status: str, message: Mapping[str, Any]) -> TestResponse:
        call = self._call(call_id)
        ringing = Ringing(call_id or self.last_call, call.caller, call.line, self._moment())
        return self.post_message({**outgoing.common(kind, ringing, status), **message})

    def _call(self, call_id: str | None) -> _Call:
        return self._calls.get(call_id or self.last_call, _Call())

    def _moment(self) -> datetime:
        return datetime.fromtimestamp(self.pickup.webhook.clock(), UTC)
