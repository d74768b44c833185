"""ElevenLabs: the only place that knows its header, its keys and its signature."""

from flask_pickup.platforms.elevenlabs.platform import ElevenLabs

__all__ = ["ElevenLabs"]
