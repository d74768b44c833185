"""Everything about the content that could go wrong on a call, found before it."""

from flask_pickup.checking.recorded import (
    LastDefinitions,
    UsedRange,
    ask,
    carry_over,
    has_callers,
    last_definitions,
    used_ranges,
)
from flask_pickup.checking.runner import Found, check_folders, load_content

__all__ = [
    "Found",
    "LastDefinitions",
    "UsedRange",
    "ask",
    "carry_over",
    "check_folders",
    "has_callers",
    "last_definitions",
    "load_content",
    "used_ranges",
]
