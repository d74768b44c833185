"""Everything about the content that could go wrong on a call, found before it."""

from flask_pickup.checking.changes import Recorded, ask, has_callers, last_definitions, recorded_definitions
from flask_pickup.checking.checks import as_json, check
from flask_pickup.checking.runner import Found, check_folders

__all__ = [
    "Found",
    "Recorded",
    "as_json",
    "ask",
    "check",
    "check_folders",
    "has_callers",
    "last_definitions",
    "recorded_definitions",
]
