"""Everything about the content that could go wrong on a call, found before it."""

from flask_pickup.checking.recorded import (
    NO_HISTORY,
    History,
    ask,
    carry_over,
    history_of_experiments,
)
from flask_pickup.checking.runner import Found, check_folders, load_content

__all__ = [
    "NO_HISTORY",
    "Found",
    "History",
    "ask",
    "carry_over",
    "check_folders",
    "history_of_experiments",
    "load_content",
]
