"""The Jinja environment: what a template may do and sees, and where the names in it lead."""

from flask_pickup.rendering.environment import (
    REFUSED_FILTERS,
    TEMPLATE_NAMES,
    Environment,
    SilentUndefined,
    asks_the_clock,
)
from flask_pickup.rendering.stack import (
    BASE,
    Expression,
    Library,
    Namespace,
    Stack,
    expression,
    failed_at,
    render,
    split_variant,
)

__all__ = [
    "BASE",
    "REFUSED_FILTERS",
    "TEMPLATE_NAMES",
    "Environment",
    "Expression",
    "Library",
    "Namespace",
    "SilentUndefined",
    "Stack",
    "asks_the_clock",
    "expression",
    "failed_at",
    "render",
    "split_variant",
]
