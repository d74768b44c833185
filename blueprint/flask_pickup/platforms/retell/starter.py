"""How an app begins on Retell."""

from pathlib import Path

from flask_pickup.platforms.starter import Starter, StarterOption, placeholder

STARTER = Starter(
    "Retell",
    [StarterOption("retell_api_key", "REPLACE with the API key at Retell that has the webhook badge.", placeholder)],
    [
        "Write the API key with the webhook badge into .env: PICKUP_RETELL_API_KEY.",
        "The phone number: this URL as its inbound webhook, and an inbound agent.",
        "The agent's webhook settings: this URL as well.",
        "The agent's prompt: {{pickup_prompt}}. Give pickup_prompt and pickup_greeting default values among its dynamic variables.",
        "An agent with a conversation flow needs one more step: see the page.",
    ],
    Path(__file__).with_name("starter.json"),
)
