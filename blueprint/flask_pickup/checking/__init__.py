"""Everything about the content that could go wrong on a call, found before it."""

from flask_pickup.checking.recorded import LastDefinitions, ask, has_callers, last_definitions
from flask_pickup.checking.runner import Found, check_folders

__all__ = ["Found", "LastDefinitions", "ask", "check_folders", "has_callers", "last_definitions"]
