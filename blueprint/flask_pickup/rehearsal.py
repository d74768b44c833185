"""Ringing a running server as the platform would: signed requests to the one address that the user named."""

from __future__ import annotations

import json
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from http import HTTPStatus
from time import perf_counter, time
from typing import Any
from urllib.error import HTTPError
from urllib.request import Request, urlopen

from flask_pickup.flireo import sign
from flask_pickup.flireo.signature import SIGNATURE, TIMESTAMP

CALLER = "+31612345678"
LINE = "+31850835037"
PATIENCE = 10.0


@dataclass(frozen=True, slots=True)
class Reply:
    """What the server answered.

    :param body: the JSON, or the text where it is none.
    :param seconds: from sending to the last byte.
    """

    status: int
    body: Any
    seconds: float

    @property
    def is_answer(self) -> bool:
        """Whether the platform would take it as an answer."""
        return HTTPStatus.OK <= self.status < HTTPStatus.MULTIPLE_CHOICES


def new_call_id() -> str:
    """Return the id of a call that has not been rehearsed yet: letters only, so that it holds no number."""
    return "".join(secrets.choice("abcdefghijkmnpqrstuvwxyz") for _ in range(8))


def assistant_request(call_id: str, *, caller: str | None = CALLER, line: str | None = LINE) -> dict[str, Any]:
    """Return the message that the platform sends before a call is answered."""
    return {
        "message": {
            "type": "assistant-request",
            "timestamp": datetime.now(UTC).isoformat(),
            "call": {"id": call_id, "type": "inbound_phone_call", "status": "ringing"},
            "phone_number": {"number": line, "name": "Rehearsal"},
            "customer": {"number": caller},
        }
    }


def ring(url: str, secret: str, message: Mapping[str, Any]) -> Reply:
    """Send a signed message and return the reply.

    :raises OSError: if the server cannot be reached or does not answer within ten seconds.
    """
    body = json.dumps(message).encode()
    stamp = str(int(time()))
    headers = {
        "Content-Type": "application/json",
        "X-Webhook-Event": str(message.get("message", {}).get("type", "")),
        TIMESTAMP: stamp,
        SIGNATURE: sign(secret, stamp, body),
    }
    return send(url, body, headers)


def send(url: str, body: bytes, headers: Mapping[str, str]) -> Reply:
    """Send bytes as they are and return the reply, whatever its status."""
    request = Request(url, body, dict(headers), method="POST")  # noqa: S310 (the user named the address)
    started = perf_counter()
    try:
        with urlopen(request, timeout=PATIENCE) as response:  # noqa: S310
            status, answer = response.status, response.read()
    except HTTPError as refusal:
        status, answer = refusal.code, refusal.read()
    return Reply(status, _parsed(answer), perf_counter() - started)


def _parsed(answer: bytes) -> Any:
    try:
        return json.loads(answer)
    except ValueError:
        return answer.decode("utf-8", "replace")
