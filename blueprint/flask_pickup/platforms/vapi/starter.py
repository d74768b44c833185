"""How an app begins on Vapi."""

from pathlib import Path

from flask_pickup.platforms.starter import Starter, StarterOption, placeholder

STARTER = Starter(
    "Vapi",
    [
        StarterOption("vapi_secret", "Signs Vapi's webhook: the secret of your credential there."),
        StarterOption("vapi_assistant", "REPLACE with the id of your saved assistant at Vapi.", placeholder),
    ],
    [
        "Save an assistant, and write its id into .env: PICKUP_VAPI_ASSISTANT.",
        "Integrations, Server Configuration: add a custom credential, HMAC with SHA-256, with PICKUP_VAPI_SECRET of .env.",
        "The phone number: this URL as its server URL, this credential, a fallback destination, and no assistant.",
        "The assistant: remove its own server URL, to which its reports would go.",
        "greetings/override.vapi.json: name the model that speaks. It replaces the assistant's.",
    ],
    Path(__file__).with_name("starter.json"),
)
