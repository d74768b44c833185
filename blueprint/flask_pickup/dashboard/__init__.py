"""The pages where authors read what callers hear and which opening works. Closed unless somebody opens them."""

from flask_pickup.dashboard.access import Access
from flask_pickup.dashboard.frame import Frame
from flask_pickup.dashboard.pages import routes

__all__ = ["Access", "Frame", "routes"]
