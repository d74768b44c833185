"""What changed from one definition of an experiment to the next, in words."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise
from typing import Any

from flask_pickup.dashboard.speech import NOTHING, Speech

Body = Mapping[str, Any]


def changes_of(definitions: Sequence[Mapping[str, Any]], speech: Speech) -> list[list[str]]:
    """Return what changed with each definition; nothing with the first.

    :param definitions: rows of ``pickup_definitions``, the latest first.
    """
    bodies = [row["body"] for row in definitions]
    return [list(_changes(old, new, speech)) for new, old in pairwise(bodies)] + [[]]


def _changes(old: Body, new: Body, speech: Speech) -> Iterator[str]:
    for arm in _either(old, new, "files"):
        if files := _different(_of(old, "files", arm), _of(new, "files", arm)):
            yield speech("words of %(arm)s (%(files)s)", arm=arm, files=", ".join(files))
    for arm in _different(old.get("arms"), new.get("arms")):
        yield _from_to(speech("weight of %(arm)s", arm=arm), _of(old, "arms", arm), _of(new, "arms", arm))
    for key, name in names_of(speech).items():
        if old.get(key) != new.get(key):
            yield _from_to(name, old.get(key), new.get(key))
    for metric in _different(old.get("metrics"), new.get("metrics")):
        yield speech("metric %(name)s", name=metric)
    for key, name in _named_only(speech).items():
        if old.get(key) != new.get(key):
            yield name


def names_of(speech: Speech) -> Mapping[str, str]:
    """Return the keys of a definition whose values can be shown, and their names."""
    return {
        "status": speech("status"),
        "audience": speech("audience"),
        "traffic": speech("share of the audience that is enrolled"),
        "layer": speech("layer"),
        "unidentified": speech("callers without a number"),
        "seed": speech("seed"),
        "primary": speech("primary metric"),
        "winner": speech("winner"),
    }


def _named_only(speech: Speech) -> Mapping[str, str]:
    return {
        "decision": speech("rule of decision"),
        "pins": speech("pinned numbers"),
        "callers": speech("the callers' pseudonyms (another caller secret)"),
        "description": speech("description"),
    }


def _from_to(name: str, old: Any, new: Any) -> str:
    before, after = (NOTHING if value in (None, "") else value for value in (old, new))
    return f"{name}: {before} → {after}"


def _of(body: Body, key: str, name: str) -> Any:
    return (body.get(key) or {}).get(name)


def _either(old: Body, new: Body, key: str) -> list[str]:
    return list({**(old.get(key) or {}), **(new.get(key) or {})})


def _different(old: Mapping[str, Any] | None, new: Mapping[str, Any] | None) -> list[str]:
    """Return the keys whose values differ, or that only one of the two has."""
    before, after = old or {}, new or {}
    return [key for key in {**before, **after} if before.get(key) != after.get(key)]
