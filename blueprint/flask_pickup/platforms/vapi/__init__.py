"""Vapi: the only place that knows its headers, its keys and its signature."""

from flask_pickup.platforms.vapi.platform import Vapi

__all__ = ["Vapi"]
