"""What ``flask pickup init`` writes and prints that is one platform's own."""

from __future__ import annotations

import re
import secrets
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path


def fresh_secret() -> str:
    """Return a random text that nobody can guess."""
    return secrets.token_urlsafe(32)


def placeholder() -> str:
    """Return a text to be replaced; random, because it verifies requests as long as it stands there."""
    return f"replace-me-{secrets.token_urlsafe(24)}"


def is_placeholder(value: object) -> bool:
    """Return whether an option still has the value that ``flask pickup init`` wrote to be replaced."""
    return re.match(r"replace.me.", str(value), re.IGNORECASE) is not None


@dataclass(frozen=True, slots=True)
class StarterOption:
    """An option that is written into ``.env``.

    :param name: the option's name in lower case, such as ``vapi_secret``.
    :param about: what it is, for the line above it.
    :param make: returns a value with which the app starts.
    """

    name: str
    about: str
    make: Callable[[], str] = fresh_secret


@dataclass(frozen=True, slots=True)
class Starter:
    """How an app begins on a platform.

    :param title: the platform's name as its vendor writes it.
    :param options: those that enable the platform.
    :param steps: what to set at the vendor, where the webhook's URL is known as "this URL".
    :param override: a file with the first override, whose analysis finds the boolean ``appointment_booked``;
        ``None`` if the analysis is set at the vendor.
    :param packages: what has to be installed beside Pickup.
    """

    title: str
    options: Sequence[StarterOption]
    steps: Sequence[str]
    override: Path | None = None
    packages: Sequence[str] = ()
