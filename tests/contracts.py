"""Every platform, enabled for the tests that all of them pass. The toy platform of docs/platforms/adding.md is one of them."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from bells import BELL_TOKEN
from conftest import CALLER, LINE, NOW, WEBHOOK_SECRET
from flask_pickup.options import ConfigReader
from flask_pickup.platforms import Platform, SampleCall, Words, enabled_platforms


def new_key(name: str) -> str:
    """Return base64 of 32 bytes."""
    return b64encode(name.encode().ljust(32)).decode()


SECRETS = {
    "flireo": {"PICKUP_WEBHOOK_SECRET": WEBHOOK_SECRET},
    "bell": {"PICKUP_BELL_TOKEN": BELL_TOKEN},
    "retell": {"PICKUP_RETELL_API_KEY": "key_of-the-account-on-retell"},
    "telnyx": {"PICKUP_TELNYX_REHEARSAL_KEY": new_key("our own")},
    "elevenlabs": {
        "PICKUP_ELEVENLABS_TOKEN": "the-token-of-elevenlabs",
        "PICKUP_ELEVENLABS_SECRET": "wsec-for-the-tests",
    },
    "vapi": {"PICKUP_VAPI_SECRET": "the-secret-of-vapi"},
}
"""Each platform's name, and its secrets."""
OTHERS: dict[str, dict[str, str]] = {
    "telnyx": {"PICKUP_TELNYX_PUBLIC_KEY": new_key("public")},
    "vapi": {"PICKUP_VAPI_ASSISTANT": "an-assistant"},
}
"""What else enables a platform."""
ALL = {key: value for known in (*SECRETS.values(), *OTHERS.values()) for key, value in known.items()}
NEW_SECRETS = {"telnyx": (new_key("new"), new_key("theirs"))}
"""A new secret of ours, and somebody else's, where any text will not do."""
SILENT = {"telnyx"}
"""Platforms whose report brings nothing of the answer back."""
UNTIMED = {"bell"}
"""Platforms that sign no time."""
LEAST_TOLERANCE = {"retell": 300, "telnyx": 300}
"""Seconds that the vendor's own verifier tolerates: a shorter tolerance of ours would refuse what it accepts."""
OLDEST = {"elevenlabs": 1800}
"""Seconds that a report may be old, where that is more than the tolerance."""

CALL = SampleCall("pickup-rehearsal-one", CALLER, LINE, datetime.fromtimestamp(NOW, UTC))
METADATA = {"v": 1, "call": "pickup-rehearsal-one"}
WORDS = Words("Good day.", "You are kind.")


def platform_of(name: str, config: Mapping[str, Any] | None = None, clock: float = NOW) -> Platform:
    """Return a platform with its secrets, at one moment."""
    found = {**SECRETS[name], **OTHERS.get(name, {}), **(config or {})}
    return enabled_platforms(ConfigReader(found), lambda: clock)[name]
