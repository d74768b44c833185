"""How an app begins on Telnyx."""

import secrets
from base64 import b64encode

from flask_pickup.platforms.starter import Starter, StarterOption


def _key() -> str:
    return b64encode(secrets.token_bytes(32)).decode()


def _placeholder() -> str:
    """Return a public key to be replaced, whose private key nobody knows."""
    mark = "REPLACE/ME/"
    return mark + _key()[len(mark) :]


STARTER = Starter(
    "Telnyx",
    [
        StarterOption("telnyx_public_key", "REPLACE with the public key of your Telnyx account.", _placeholder),
        StarterOption("telnyx_rehearsal_key", "Signs the calls of flask pickup rehearse, in place of Telnyx.", _key),
        StarterOption(
            "telnyx_insights", "REPLACE replace-me with the id of your insight.", lambda: "replace-me=analysis"
        ),
    ],
    [
        "Keys & Credentials: write your public key into .env: PICKUP_TELNYX_PUBLIC_KEY.",
        "The assistant: {{pickup_greeting}} is its greeting, {{pickup_prompt}} its instructions. Give both variables default values.",
        "The assistant: this URL as its dynamic variables webhook, with a timeout of 3000 ms, and a hangup tool.",
        "The number's Voice API application and the insight group: this URL as their webhook.",
        "An insight with a JSON schema of one boolean, appointment_booked. Write its id into .env, in place of replace-me: PICKUP_TELNYX_INSIGHTS.",
    ],
    packages=["cryptography"],
)
