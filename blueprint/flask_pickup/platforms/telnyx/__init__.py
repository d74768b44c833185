"""Telnyx AI Assistants: the only place that knows their headers, their keys and their signature."""

from flask_pickup.platforms.telnyx.platform import Telnyx

__all__ = ["Telnyx"]
