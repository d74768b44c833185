"""Overrides in the platform's own JSON: misspelt keys, and values that the platform rejects."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from difflib import get_close_matches
from typing import Any

from flask_pickup.catalog import Catalog, Complaint
from flask_pickup.catalog.complaints import Level, json_line
from flask_pickup.catalog.overrides import as_written, override_name
from flask_pickup.checking.content import Content
from flask_pickup.checking.keys import Known, beside, known_keys, owner, walk
from flask_pickup.override import KeyPath
from flask_pickup.platforms import Answer, Platform, Rejection
from flask_pickup.rendering import BASE

_Finding = tuple[str, str, Level]
"""What is wrong with a key, the remedy, and whether it is an error."""

_SECRET = re.compile(r"secret|password|api[-_]?key|authorization|(^|[-_])token$", re.IGNORECASE)


def check_overrides(content: Content) -> Iterator[Complaint]:
    """Yield what is wrong with the keys of each override, and what an experiment must not set."""
    overrides, texts = content.catalog.overrides, content.catalog.texts
    for path, patch in overrides.patches.items():
        getting, lacking = overrides.getting(path), content.strangers[path]
        if lacking:
            mine, others = owner(patch, getting), ", ".join(each.name for each in lacking)
            problem = f"this is {mine}'s JSON, and calls on {others} get it"
            yield Complaint(path, 0, problem, f"rename it to '{override_name(mine)}'")
        for platform in (each for each in getting if each not in lacking):
            known = known_keys(platform.answer_schema)
            for keys, value in walk(patch):
                found = list(_misspelt(keys, known))
                if not path.startswith(BASE + "/"):
                    found += _not_an_experiments(keys, value, known, platform)
                for problem, remedy, level in found:
                    yield Complaint(path, json_line(texts[path], *keys), problem, remedy, level)


def check_answer(
    content: Content, platform: Platform, folders: tuple[str, ...], answer: Answer | Rejection
) -> Iterator[Complaint]:
    """Yield what a platform rejects in the answer of a stack of folders, at the lines that write it."""
    overrides = content.catalog.overrides
    files = {overrides.file(folder, platform) for folder in folders}
    unreadable = content.catalog.texts.keys() - overrides.patches.keys()
    if any(file in unreadable or platform in content.strangers.get(file, ()) for file in files):
        # An override that cannot be read, or is another platform's, may be the cause; it has its complaint.
        return
    for keys, message in _rejected(platform, answer).items():
        path, line = written_at(content.catalog, platform, folders, keys)
        remedy = message[:1].lower() + message[1:].rstrip(".")
        others = [each.name for each in overrides.getting(path) if each is not platform]
        if others and path in overrides.patches:
            remedy += f"; if the file is not for {platform.name}, rename it to '{override_name(others[0])}'"
        yield Complaint(path, line, f"{platform.name} rejects {'.'.join(map(str, keys))}", remedy)


def _rejected(platform: Platform, answer: Answer | Rejection) -> dict[KeyPath, str]:
    """Return what the platform rejects, by the keys that an author writes."""
    schema = platform.answer_schema
    settings = answer.settings if isinstance(answer, Answer) else {}
    # The prompt goes before the author's messages and moves their places in the list.
    of_answer = {
        keys if keys and keys[0] in settings else as_written(keys, schema): message
        for keys, message in _flat(schema.validate(platform.answer(answer)))
        if not _is_item(keys)
    }
    # What is empty does not leave, and what is missing there may be in the answer.
    of_settings = {
        keys: message
        for keys, message in _flat(schema.validate(settings))
        if _is_item(keys) or value_at(settings, keys) not in (None, "")
    }
    return {**of_answer, **of_settings}


def _is_item(keys: KeyPath) -> bool:
    return any(isinstance(key, int) for key in keys)


def written_at(catalog: Catalog, platform: Platform, folders: tuple[str, ...], keys: KeyPath) -> tuple[str, int]:
    """Return the file and line of the last layer that writes a key, or else the nearest key above it."""
    overrides = catalog.overrides
    for length in range(len(keys), 0, -1):
        above, last = keys[: length - 1], keys[length - 1]
        for path in (overrides.file(folder, platform) for folder in reversed(folders)):
            if last in _children(value_at(overrides.patches.get(path), above)):
                return path, json_line(catalog.texts[path], *keys[:length])
    prompt = catalog.stack(folders, catalog.settings.language).find("system_prompt.j2")
    return (prompt and prompt.name) or overrides.file(BASE, platform), 0


def _misspelt(keys: KeyPath, known: Known) -> Iterator[_Finding]:
    """Yield an unknown key that is nearly a known one, or known elsewhere: others may be newer than the schema."""
    here, name = beside(known, keys), str(keys[-1])
    if name in here:
        if instead := here[name].metadata.get("write_instead"):
            yield f"overrides of a saved agent are written under '{instead}'", f"write '{instead}'", "warning"
    elif here and (places := _places(name, known)):
        yield f"misplaced key '{name}'", f"did you mean {' or '.join(places)}?", "warning"
    elif close := get_close_matches(name, here, n=1, cutoff=0.8):
        yield f"unknown key '{name}'", f"did you mean '{close[0]}'?", "warning"
    elif len(keys) == 1:
        yield f"unknown key '{name}'", f"known are {', '.join(sorted(here))}", "warning"


def _places(name: str, known: Known) -> list[str]:
    """Return where an author may write a key."""
    unwritten = {key for key, field in known[()].items() if "write_instead" in field.metadata}
    paths = [path for path, fields_ in known.items() if name in fields_ and unwritten.isdisjoint(path)]
    return [f"'{'.'.join(map(str, (*path, name)))}'" for path in paths]


def _not_an_experiments(keys: KeyPath, value: Any, known: Known, platform: Platform) -> Iterator[_Finding]:
    here, name = beside(known, keys), str(keys[-1])
    if name in here and here[name].metadata.get("app_only"):
        problem = f"an experiment must not set '{name}': its calls' reports would go elsewhere"
        yield problem, f"remove it, or set it for all calls in {BASE}/", "error"
    elif isinstance(value, str) and _SECRET.search(name) and platform.untemplated.isdisjoint(map(str, keys)):
        problem = f"'{name}' looks like a secret, and every definition is stored in the database"
        yield problem, f"keep it in {BASE}/", "error"


def _flat(problems: Any, path: KeyPath = ()) -> Iterator[tuple[KeyPath, str]]:
    if isinstance(problems, Mapping):
        for key, below in problems.items():
            yield from _flat(below, path if key == "_schema" else (*path, key))
    else:
        yield path, " ".join(map(str, problems))


def _children(value: Any) -> Any:
    return range(len(value)) if isinstance(value, list) else value if isinstance(value, Mapping) else ()


def value_at(value: Any, keys: KeyPath) -> Any:
    """Return what is at a path of keys; None if nothing is."""
    for key in keys:
        value = value[key] if key in _children(value) else None
    return value
