"""Flireo: the only place that knows its headers, its keys and its signature."""

from flask_pickup.platforms.flireo.platform import Flireo

__all__ = ["Flireo"]
