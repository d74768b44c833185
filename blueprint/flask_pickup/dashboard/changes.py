"""What changed from one definition of an experiment to the next, in words."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise
from typing import Any

from flask_pickup.dashboard.speech import NOTHING
from flask_pickup.translation import gettext

Body = Mapping[str, Any]


def changes_of(definitions: Sequence[Mapping[str, Any]]) -> list[list[str]]:
    """Return what changed with each definition; nothing with the first.

    :param definitions: rows of ``pickup_definitions``, the latest first.
    """
    bodies = [row["body"] for row in definitions]
    return [list(_changes(old, new)) for new, old in pairwise(bodies)] + [[]]


def _changes(old: Body, new: Body) -> Iterator[str]:
    for arm in _either(old, new, "files"):
        if files := _different(_of(old, "files", arm), _of(new, "files", arm)):
            yield gettext("words of %(arm)s (%(files)s)", arm=arm, files=", ".join(files))
    for arm in _different(old.get("arms"), new.get("arms")):
        yield _from_to(gettext("weight of %(arm)s", arm=arm), _of(old, "arms", arm), _of(new, "arms", arm))
    for key, name in names_of().items():
        if old.get(key) != new.get(key):
            yield _from_to(name, old.get(key), new.get(key))
    for metric in _different(old.get("metrics"), new.get("metrics")):
        yield gettext("metric %(name)s", name=metric)
    for key, name in _named_only().items():
        if old.get(key) != new.get(key):
            yield name


def names_of() -> Mapping[str, str]:
    """Return the keys of a definition whose values can be shown, and their names."""
    return {
        "status": gettext("status"),
        "audience": gettext("audience"),
        "traffic": gettext("share of the audience that is enrolled"),
        "layer": gettext("layer"),
        "unidentified": gettext("callers without a number"),
        "seed": gettext("seed"),
        "primary": gettext("primary metric"),
        "winner": gettext("winner"),
    }


def _named_only() -> Mapping[str, str]:
    return {
        "decision": gettext("rule of decision"),
        "pins": gettext("pinned numbers"),
        "callers": gettext("the callers' pseudonyms (another caller secret)"),
        "description": gettext("description"),
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
