"""Retell: the only place that knows its header, its keys and its signature."""

from flask_pickup.platforms.retell.platform import Retell

__all__ = ["Retell"]
