"""Pickup decides what a voice agent says when it picks up."""

from flask_pickup.blueprint import Pickup
from flask_pickup.caller import Caller
from flask_pickup.errors import BadWebhook, ConfigurationError, PickupError
from flask_pickup.models import include_object

__all__ = ["BadWebhook", "Caller", "ConfigurationError", "Pickup", "PickupError", "include_object"]
