"""How an app begins on Flireo."""

from pathlib import Path

from flask_pickup.platforms.starter import Starter, StarterOption

STARTER = Starter(
    "Flireo",
    [StarterOption("webhook_secret", "Signs Flireo's webhook: the agent's webhook_secret.")],
    [
        "The agent's settings: webhook_url is this URL, webhook_secret is PICKUP_WEBHOOK_SECRET of .env.",
        "webhook_events: assistant-request, status-update and end-of-call-report.",
        "greetings/override.flireo.json: name the model that speaks. It replaces the agent's.",
    ],
    Path(__file__).with_name("starter.json"),
)
