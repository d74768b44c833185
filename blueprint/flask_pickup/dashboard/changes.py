"""What changed from one definition of an experiment to the next, in words."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise
from typing import Any

from flask_pickup.translation import DASH, gettext

_Body = Mapping[str, Any]


def definition_changes(bodies: Sequence[_Body]) -> list[list[str]]:
    """Return what changed with each definition, the latest first; nothing with the first of all."""
    return [list(_changes(old, new)) for new, old in pairwise(bodies)] + [[]]


def setting_names() -> Mapping[str, str]:
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


def _changes(old: _Body, new: _Body) -> Iterator[str]:
    for arm in _changed_keys(old, new, "files"):
        files = ", ".join(_changed_keys(old.get("files"), new.get("files"), arm))
        yield gettext("words of %(arm)s (%(files)s)", arm=arm, files=files)
    for arm in _changed_keys(old, new, "arms"):
        weights = [(body.get("arms") or {}).get(arm) for body in (old, new)]
        yield _from_to(gettext("weight of %(arm)s", arm=arm), *weights)
    for key, name in setting_names().items():
        if old.get(key) != new.get(key):
            yield _from_to(name, old.get(key), new.get(key))
    for metric in _changed_keys(old, new, "metrics"):
        yield gettext("metric %(name)s", name=metric)
    names = {
        "decision": gettext("rule of decision"),
        "pins": gettext("pinned numbers"),
        "callers": gettext("the callers' pseudonyms (another caller secret)"),
        "description": gettext("description"),
    }
    yield from (name for key, name in names.items() if old.get(key) != new.get(key))


def _from_to(name: str, old: Any, new: Any) -> str:
    before, after = (DASH if value in (None, "") else value for value in (old, new))
    return f"{name}: {before} → {after}"


def _changed_keys(old: _Body | None, new: _Body | None, table: str) -> list[str]:
    """Return the keys of a table whose values differ, or that only one of the two has."""
    before, after = ((body or {}).get(table) or {} for body in (old, new))
    return [key for key in {**before, **after} if before.get(key) != after.get(key)]
