"""The keys that platforms know, and the platform whose JSON an override is."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import lru_cache
from typing import Any

from marshmallow import Schema, fields

from flask_pickup.override import KeyPath
from flask_pickup.platforms import ANSWER_SCHEMAS, JsonObject, Platform

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


def owner(patch: JsonObject, platforms: Iterable[Platform]) -> str:
    """Return the name of the platform whose JSON an override is: it knows most of the keys, and is one of these if it can be."""
    return _owned(patch, platforms)[0]


def strangers(patch: JsonObject, platforms: Sequence[Platform]) -> tuple[Platform, ...]:
    """Return the platforms that do not know a key of an override that its owner knows."""
    _, owned = _owned(patch, platforms)
    return tuple(each for each in platforms if any(_lacks(each, keys) for keys in owned))


def _owned(patch: JsonObject, platforms: Iterable[Platform]) -> tuple[str, list[KeyPath]]:
    """Return the platform whose JSON an override is, and the keys that it knows."""
    schemas = {**{each.name: each.answer_schema for each in platforms}, **ANSWER_SCHEMAS}
    return max(((name, _known_in(patch, schema)) for name, schema in schemas.items()), key=lambda each: len(each[1]))


def _known_in(patch: JsonObject, schema: Schema) -> list[KeyPath]:
    known = known_keys(schema)
    return [keys for keys, _ in walk(patch) if keys[-1] in beside(known, keys)]


def _lacks(platform: Platform, keys: KeyPath) -> bool:
    here = beside(known_keys(platform.answer_schema), keys)
    return bool(here) and keys[-1] not in here
