"""JSON Merge Patch (RFC 7396), and the strings of a merged override that are templates."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from copy import copy
from typing import Any

KeyPath = tuple[str | int, ...]
"""Keys and indices."""


def merge(target: Any, patch: Any) -> Any:
    """Return ``target`` with the JSON Merge Patch ``patch`` applied; neither is changed."""
    if not isinstance(patch, Mapping):
        return patch
    merged = dict(target) if isinstance(target, Mapping) else {}
    for key, value in patch.items():
        if value is None:
            merged.pop(key, None)
        else:
            merged[key] = merge(merged.get(key), value)
    return merged


def is_template(text: str) -> bool:
    """Return whether ``text`` has anything for Jinja to do."""
    return "{{" in text or "{%" in text or "{#" in text


def templates(value: Any, untemplated: frozenset[str], path: KeyPath = ()) -> Iterator[tuple[KeyPath, str]]:
    """Yield each string in ``value`` that is a template, with its path of keys and indices.

    :param untemplated: keys whose values are the platform's own templates.
    """
    if isinstance(value, str) and is_template(value):
        yield path, value
    children = value.items() if isinstance(value, Mapping) else enumerate(value) if isinstance(value, list) else ()
    for key, child in children:
        if key not in untemplated:
            yield from templates(child, untemplated, (*path, key))


def leaves(value: Any, path: KeyPath = ()) -> Iterator[KeyPath]:
    """Yield the path of each field that the patch ``value`` writes; a list is one field."""
    if isinstance(value, Mapping) and value:
        for key, child in value.items():
            yield from leaves(child, (*path, key))
    else:
        yield path


def fill(override: Mapping[str, Any], strings: Iterable[tuple[KeyPath, str]]) -> dict[str, Any]:
    """Return ``override`` with each string at its path. What is not above one of them is shared, not copied."""
    filled = dict(override)
    for path, string in strings:
        node: Any = filled
        for key in path[:-1]:
            node[key] = copy(node[key])
            node = node[key]
        node[path[-1]] = string
    return filled
