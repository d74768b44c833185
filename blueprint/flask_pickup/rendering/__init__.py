"""The Jinja sandbox: what a template may do, what it sees, what it may use up, and where the names in it lead."""

from flask_pickup.rendering.budget import LONGEST, TooMuch, allow
from flask_pickup.rendering.sandbox import NAMES, Environment, Silent, refused
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
    "LONGEST",
    "NAMES",
    "Environment",
    "Expression",
    "Library",
    "Namespace",
    "Silent",
    "Stack",
    "TooMuch",
    "allow",
    "expression",
    "failed_at",
    "refused",
    "render",
    "split_variant",
]
