"""JSON Merge Patch (RFC 7396), and the strings of a merged override that are templates."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any


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


def templates(
    value: Any, untemplated: frozenset[str], path: tuple[str | int, ...] = ()
) -> Iterator[tuple[tuple[str | int, ...], str]]:
    """Yield each string in ``value`` that is a template, with its path of keys and indices.

    :param untemplated: keys whose values are the platform's own templates.
    """
    if isinstance(value, str):
        if is_template(value):
            yield path, value
    elif isinstance(value, Mapping):
        for key, child in value.items():
            if key not in untemplated:
                yield from templates(child, untemplated, (*path, key))
    elif isinstance(value, list):
        for index, child in enumerate(value):
            yield from templates(child, untemplated, (*path, index))


def leaves(value: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    """Yield the path of each field that the patch ``value`` writes; a list is one field."""
    if isinstance(value, Mapping) and value:
        for key, child in value.items():
            yield from leaves(child, (*path, key))
    else:
        yield path


def fill(value: Any, strings: Iterator[str], untemplated: frozenset[str]) -> Any:
    """Return ``value`` with the next of ``strings`` in place of each template, in the order of :func:`templates`."""
    if isinstance(value, str):
        return next(strings) if is_template(value) else value
    if isinstance(value, Mapping):
        return {key: child if key in untemplated else fill(child, strings, untemplated) for key, child in value.items()}
    if isinstance(value, list):
        return [fill(child, strings, untemplated) for child in value]
    return value
