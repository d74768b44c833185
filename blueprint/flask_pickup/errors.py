"""Everything that Pickup raises.

No message carries a caller's number, a secret or a piece of a request's body.
"""

from __future__ import annotations

import traceback

from werkzeug.exceptions import HTTPException

__all__ = [
    "BadOutcome",
    "BadSignature",
    "BadWebhook",
    "BodyTooLarge",
    "ChecksFailed",
    "ConfigurationError",
    "NotRecorded",
    "PickupError",
    "Unavailable",
    "UnknownExperiment",
    "UnreadableCall",
    "UnsupportedBody",
    "WrongMethod",
]


class PickupError(Exception):
    """The base of all of Pickup's exceptions."""


class ConfigurationError(PickupError, RuntimeError):
    """An option is missing or invalid; the message says what to set."""


class ChecksFailed(PickupError, RuntimeError):
    """The checks of the content could not begin; the message says why."""


class BadOutcome(PickupError, ValueError):
    """An outcome that cannot be recorded; the message says why, without repeating it."""


class UnknownExperiment(PickupError, LookupError):
    """There is no experiment of that name, neither in the folders nor in the tables."""


class NotRecorded(PickupError):
    """Neither the database nor the spool took a row in time."""


class BadWebhook(PickupError, HTTPException):
    """A request that is refused.

    :param detail: what is wrong, for the sender.
    :param field: where: a dotted path into the body, or a header's name.
    """

    code = 400

    def __init__(self, detail: str, field: str | None = None) -> None:
        super().__init__(detail)
        self.detail = detail
        self.field = field


class BadSignature(BadWebhook):
    """The request is not signed by a secret of ours, or not lately.

    :param reason: which part was bad. For the log only: a sender who cannot sign learns nothing.
    """

    code = 401

    def __init__(self, reason: str) -> None:
        super().__init__("The request is not signed, or not validly signed.")
        self.reason = reason


class UnreadableCall(BadWebhook):
    """A call waits for an answer, and its request cannot be read."""


class BodyTooLarge(BadWebhook):
    """The body is larger than ``PICKUP_MAX_BODY``."""

    code = 413


class UnsupportedBody(BadWebhook):
    """The body comes in an encoding that Pickup does not read."""

    code = 415


class Unavailable(BadWebhook):
    """What was sent could not be recorded; the platform may send it again."""

    code = 503


class WrongMethod(BadWebhook):
    """The request has another method than is answered there.

    :param allowed: those that are.
    """

    code = 405

    def __init__(self, *allowed: str) -> None:
        super().__init__(f"Send {' or '.join(allowed)}; no other method is answered here.")
        self.allowed = allowed


def place_of(error: BaseException) -> str:
    """Return where an exception rose: file and line alone, for a log that quotes nobody."""
    places = traceback.extract_tb(error.__traceback__)
    return f"{places[-1].filename}:{places[-1].lineno}" if places else "an unknown place"
