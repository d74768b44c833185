"""JSON Merge Patch (RFC 7396), and the strings of the merged answer that are templates.

An override is merged first and filled afterwards. What holds no template is shared between all answers and never
copied: :class:`Filling` knows at start which branches a call has to make anew.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from functools import lru_cache
from typing import Any

Render = Callable[[str], str]

_KEPT = 64


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


class Filling:
    """A merged override whose templates are filled for each call.

    :param untemplated: keys whose values are the platform's own templates.
    """

    def __init__(self, merged: Mapping[str, Any], untemplated: frozenset[str]) -> None:
        self._merged = merged
        self._fill = _filler(merged, untemplated)
        self._sources = tuple(source for _, source in templates(merged, untemplated))
        # Most answers of a plan have the same few strings: a language, a model.
        self.filled: Callable[[tuple[str, ...]], dict[str, Any]] = lru_cache(maxsize=_KEPT)(self._filled)
        """Returns the override with these strings in place of its templates; read-only, as it is shared."""

    def __call__(self, render: Render) -> dict[str, Any]:
        """Return the override with each template replaced by what ``render`` makes of it.

        Treat it as read-only: it is shared between calls.
        """
        return self.filled(self.strings(render))

    def strings(self, render: Render) -> tuple[str, ...]:
        """Return what ``render`` makes of each template, in the order in which they stand."""
        return tuple(map(render, self._sources))

    def _filled(self, strings: tuple[str, ...]) -> dict[str, Any]:
        return dict(self._merged) if self._fill is None else self._fill(iter(strings))


Fill = Callable[[Iterator[str]], Any]
"""Takes the next strings for a value's templates, in their order."""


def _filler(value: Any, untemplated: frozenset[str]) -> Fill | None:
    if isinstance(value, str):
        return next if is_template(value) else None
    if isinstance(value, Mapping):
        return _dict_filler(value, untemplated)
    if isinstance(value, list):
        return _list_filler(value, untemplated)
    return None


def _dict_filler(value: Mapping[str, Any], untemplated: frozenset[str]) -> Fill | None:
    children = ((key, child) for key, child in value.items() if key not in untemplated)
    changing = {key: fill for key, child in children if (fill := _filler(child, untemplated))}
    if not changing:
        return None
    return lambda strings: {**value, **{key: fill(strings) for key, fill in changing.items()}}


def _list_filler(value: list[Any], untemplated: frozenset[str]) -> Fill | None:
    fills = [_filler(child, untemplated) for child in value]
    if not any(fills):
        return None
    return lambda strings: [fill(strings) if fill else child for child, fill in zip(value, fills, strict=True)]
