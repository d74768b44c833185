"""How an app begins on ElevenLabs."""

from flask_pickup.platforms.starter import Starter, StarterOption, placeholder

STARTER = Starter(
    "ElevenLabs",
    [
        StarterOption("elevenlabs_token", "Comes with ElevenLabs' webhook before a call, in a header."),
        StarterOption(
            "elevenlabs_secret", "REPLACE with the secret of your post-call webhook at ElevenLabs.", placeholder
        ),
    ],
    [
        "Agents, Settings: a conversation initiation webhook with this URL and a header X-Pickup-Token: PICKUP_ELEVENLABS_TOKEN of .env.",
        "There too: a post-call webhook with this URL, event transcript. Write its secret into .env: PICKUP_ELEVENLABS_SECRET.",
        "The agent, Security: fetch initiation data for inbound calls, and allow overrides of First message and System prompt; else calls fail.",
        "The agent: a dynamic variable pickup with any placeholder.",
        "The agent, Analysis: collect a boolean appointment_booked.",
    ],
)
