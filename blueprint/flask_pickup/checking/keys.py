"""The keys that a platform knows, and an override with keys that only another platform knows."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import lru_cache
from typing import Any

from marshmallow import Schema, fields

from flask_pickup.catalog.overrides import Overrides
from flask_pickup.override import KeyPath
from flask_pickup.platforms import Platform

Known = Mapping[KeyPath, Mapping[str, fields.Field[Any]]]
"""The fields that a platform knows below each path of keys."""


def walk(value: Any, path: KeyPath = ()) -> Iterator[tuple[KeyPath, Any]]:
    """Yield each key in ``value`` with its path."""
    children = value.items() if isinstance(value, Mapping) else enumerate(value) if isinstance(value, list) else ()
    for key, child in children:
        if isinstance(key, str):
            yield (*path, key), child
        yield from walk(child, (*path, key))


@lru_cache(maxsize=64)
def known_keys(schema: Schema) -> Known:
    """Return the fields below each path of keys in an answer."""
    found: dict[KeyPath, Mapping[str, fields.Field[Any]]] = {(): schema.fields}
    for name, each in schema.fields.items():
        inner = each.inner if isinstance(each, fields.List) else each
        if isinstance(inner, fields.Nested):
            found |= {(name, *path): below for path, below in known_keys(inner.schema).items()}
    return found


def beside(known: Known, keys: KeyPath) -> Mapping[str, fields.Field[Any]]:
    """Return the fields that may stand where the last of ``keys`` does; none where any may."""
    return known.get(tuple(key for key in keys[:-1] if isinstance(key, str)), {})


def owner_of(overrides: Overrides, path: str, platform: Platform, others: tuple[Platform, ...]) -> Platform | None:
    """Return the platform whose JSON an override is, if it has a key that ``platform`` lacks and that one knows.

    :param others: the other platforms that get the file.
    """
    known = known_keys(platform.answer_schema)
    for keys, _ in walk(overrides.patches[path]):
        here = beside(known, keys)
        for other in others if here and keys[-1] not in here else ():
            if keys[-1] in beside(known_keys(other.answer_schema), keys):
                return other
    return None
