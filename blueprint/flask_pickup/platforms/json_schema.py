"""What a JSON Schema lets an analysis find, its references to parts of itself resolved."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import unquote

from flask_pickup.platforms.events import JsonObject
from flask_pickup.platforms.reading import mapping

_COMBINED = ("anyOf", "oneOf", "allOf")


def properties_of(schema: JsonObject) -> dict[str, JsonObject]:
    """Return the schema of each property of an object, resolved."""
    properties = mapping(_followed(schema, schema).get("properties"))
    return {key: resolved(each, schema) for key, each in properties.items() if isinstance(each, Mapping)}


def resolved(schema: JsonObject, root: JsonObject) -> JsonObject:
    """Return a schema with what its ``$ref`` names in its place, also in ``anyOf`` and its like.

    :param root: the whole schema, which has the definitions. Other documents are not read.
    """
    found = _followed(schema, root)
    parts = {key: found[key] for key in _COMBINED if isinstance(found.get(key), list)}
    return {**found, **{key: [_followed(mapping(each), root) for each in parts[key]] for key in parts}}


def _followed(schema: JsonObject, root: JsonObject) -> JsonObject:
    """Return a schema with what it and its referents refer to; a circle of references ends where it began."""
    found, seen = {**schema}, set[str]()
    while isinstance(reference := found.pop("$ref", None), str) and reference not in seen:
        seen.add(reference)
        found = {**_at(root, reference), **found}
    return found


def _at(root: JsonObject, reference: str) -> JsonObject:
    start, *keys = reference.split("/")
    found: Any = root if start == "#" else {}
    for key in keys:
        # As JSON Pointer (RFC 6901) spells a slash and a tilde.
        found = mapping(found).get(unquote(key).replace("~1", "/").replace("~0", "~"))
    return mapping(found)
