"""Flireo: the only place that knows its headers, its keys and its signature."""

from flask_pickup.platforms.flireo.platform import Flireo
from flask_pickup.platforms.flireo.schemas import AssistantRequestPayloadSchema, AssistantRequestResponseSchema

__all__ = ["AssistantRequestPayloadSchema", "AssistantRequestResponseSchema", "Flireo"]
