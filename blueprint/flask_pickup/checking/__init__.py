"""Everything about the content that could go wrong on a call, found before it."""

from flask_pickup.checking.checks import check
from flask_pickup.checking.recorded import ask, has_callers, last_definitions, recorded_definitions
from flask_pickup.checking.runner import Found, check_folders

__all__ = ["Found", "ask", "check", "check_folders", "has_callers", "last_definitions", "recorded_definitions"]
