"""What insights found, as values of an analysis.

An insight has an id, and the name that the app's configuration gives it. One without a name is left out: the platform
adds some of its own, such as a summary.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from flask_pickup.options import ConfigReader
from flask_pickup.platforms.reading import SentValues, identifier, json_value, mappings, text

Names = Mapping[str, str]
"""Insight ids to names."""

ROOT = "analysis"
"""The insight of this name gives its keys as they are; those of any other begin with the insight's name."""
SUMMARY = "summary"
"""The insight of this name gives the call's summary."""

_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_-]{0,39}")
_DEPTH = 4


def read_names(config: ConfigReader) -> Names:
    """Return ``PICKUP_TELNYX_INSIGHTS``: a mapping, or a text such as ``id=name,id=name``.

    :raises ConfigurationError: if it is neither, or a name is invalid or duplicate.
    """
    given = config.get("telnyx_insights", {})
    pairs = given.items() if isinstance(given, Mapping) else _pairs(given)
    names: dict[str, str] = {}
    for key, name in pairs:
        if not (isinstance(key, str) and key and isinstance(name, str) and _NAME.fullmatch(name)):
            right = "set insight ids to names of up to 40 letters, digits, '_' and '-'."
            raise config.invalid("telnyx_insights", f"has an invalid entry {key}={name}; {right}")
        if key in names or name in names.values():
            raise config.invalid("telnyx_insights", f"has {key}={name}, and the id or the name a second time.")
        names[key] = name
    return names


def _pairs(given: Any) -> Iterator[tuple[str, str]]:
    for part in str(given).split(","):
        key, _, name = part.partition("=")
        yield key.strip(), name.strip()


def read_results(values: SentValues, names: Names) -> dict[str, Any]:
    """Return the ``analysis`` in the results of insights, flat, and the call's ``summary``; count those without a name.

    A result has the insight's id, and a text, an object, or an object as JSON text.
    """
    named: dict[str, Any] = {}
    for each in values.get("results", mappings, "analysis") or ():
        if name := names.get(identifier(each.get("insight_id")) or ""):
            named[name] = each.get("result")
        else:
            values.unread.update(text=1)
    summary = text(named.pop(SUMMARY), None) if isinstance(named.get(SUMMARY), str) else None
    # The root comes first, so that a named insight wins over a key of the root.
    found = dict(_flat("", json_value(named.pop(ROOT)))) if ROOT in named else {}
    for name, result in named.items():
        found.update(_flat(name, json_value(result)))
    return {"analysis": found, "summary": summary}


def _flat(name: str, value: Any, depth: int = _DEPTH) -> Iterator[tuple[str, Any]]:
    """Yield the values in a result, each with the names above it; what lies too deep stays an object."""
    if not isinstance(value, Mapping) or not depth:
        yield name or ROOT, value
        return
    for key, child in value.items():
        yield from _flat(f"{name}.{key}" if name else key, child, depth - 1)
