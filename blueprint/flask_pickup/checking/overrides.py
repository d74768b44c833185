"""Overrides in the platform's own JSON: misspelt keys, and values that the platform rejects."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from difflib import get_close_matches
from typing import Any

from marshmallow import Schema, fields

from flask_pickup.catalog import Catalog, Complaint
from flask_pickup.catalog.complaints import Level, json_line
from flask_pickup.checking.content import Content
from flask_pickup.override import KeyPath, is_template
from flask_pickup.platforms import JsonObject, Platform
from flask_pickup.rendering import BASE

_Finding = tuple[KeyPath, str, str, Level]
"""A path of keys, what is wrong there, the remedy, and whether it is an error."""

_SECRET = re.compile(r"secret|password|api[-_]?key|authorization|(^|[-_])token$", re.IGNORECASE)
_MISSING = object()


def check_overrides(content: Content) -> Iterator[Complaint]:
    """Yield what is wrong with each ``override.json`` by itself."""
    schema = content.platform.answer_schema
    places = _places(schema)
    for path, patch in content.catalog.overrides():
        found = [finding for keys, _ in walk(patch) for finding in _misspelt(keys, schema, places)]
        found += [(keys, *_rejected(keys, message), "error") for keys, message in _own_mistakes(patch, schema)]
        if not path.startswith(BASE + "/"):
            found += _not_an_experiments(patch, content.platform)
        for keys, problem, remedy, level in found:
            yield Complaint(path, json_line(content.catalog.texts[path], *keys), problem, remedy, level)


def check_answer(content: Content, folders: tuple[str, ...], answer: JsonObject) -> Iterator[Complaint]:
    """Yield what the platform rejects in the answer of a stack of folders, at the lines that write it."""
    patches = dict(content.catalog.overrides())
    schema = content.platform.answer_schema
    if any(f"{folder}/override.json" in content.catalog.texts.keys() - patches.keys() for folder in folders):
        # An override that cannot be read may hold what the answer lacks.
        return
    known = {message for patch in patches.values() for keys, message in _own_mistakes(patch, schema) if _is_item(keys)}
    for keys, message in _flat(schema.validate(answer)):
        # The prompt goes before the author's messages and moves their places in the list.
        if not (_is_item(keys) and message in known):
            yield _wrong(content.catalog, schema, folders, keys, message)


def _is_item(keys: KeyPath) -> bool:
    return any(isinstance(key, int) for key in keys)


def _written_at(catalog: Catalog, folders: tuple[str, ...], keys: KeyPath) -> tuple[str, int]:
    """Return the file and line of the last layer that writes a key, or else the nearest key above it."""
    patches = dict(catalog.overrides())
    for length in range(len(keys), 0, -1):
        for folder in reversed(folders):
            path = f"{folder}/override.json"
            if path in patches and _at(patches[path], keys[:length], _MISSING) is not _MISSING:
                return path, json_line(catalog.texts[path], *keys[:length])
    prompt = catalog.plan(folders, catalog.settings.language, frozenset()).stack.find("system_prompt.j2")
    return (prompt and prompt.name) or f"{BASE}/override.json", 0


def _own_mistakes(patch: Any, schema: Schema) -> Iterator[tuple[KeyPath, str]]:
    """Yield what the platform rejects wherever the patch is applied: not what it lacks, removes or renders."""
    for keys, message in _flat(schema.validate(patch)):
        value = _at(patch, keys)
        if value is not None and not (isinstance(value, str) and is_template(value)):
            yield keys, message


def walk(value: Any, path: KeyPath = ()) -> Iterator[tuple[KeyPath, Any]]:
    """Yield each key in ``value`` with its path."""
    children = value.items() if isinstance(value, Mapping) else enumerate(value) if isinstance(value, list) else ()
    for key, child in children:
        if isinstance(key, str):
            yield (*path, key), child
        yield from walk(child, (*path, key))


def _misspelt(keys: KeyPath, schema: Schema, places: Mapping[str, Sequence[str]]) -> Iterator[_Finding]:
    """Yield an unknown key that is nearly a known one, or known elsewhere: others may be newer than the schema."""
    known, name = _fields_at(schema, keys[:-1]), str(keys[-1])
    if name in known and (instead := known[name].metadata.get("write_instead")):
        yield keys, f"overrides of a saved agent are written under '{instead}'", f"write '{instead}'", "warning"
    elif known and name not in known and name in places:
        meant = " or ".join(f"'{place}'" for place in places[name])
        yield keys, f"misplaced key '{name}'", f"did you mean {meant}?", "warning"
    elif name not in known and (close := get_close_matches(name, known, n=1, cutoff=0.8)):
        yield keys, f"unknown key '{name}'", f"did you mean '{close[0]}'?", "warning"


def _places(schema: Schema, path: str = "") -> dict[str, list[str]]:
    """Return each key that an author may write, and where."""
    found: dict[str, list[str]] = {}
    for name, field in schema.fields.items():
        if "write_instead" in field.metadata:
            continue
        found.setdefault(name, []).append(f"{path}{name}")
        if isinstance(field, fields.Nested):
            for other, places in _places(field.schema, f"{path}{name}.").items():
                found.setdefault(other, []).extend(places)
    return found


def _fields_at(schema: Schema, keys: KeyPath) -> Mapping[str, fields.Field[Any]]:
    """Return the fields that the platform knows below a path of keys."""
    known: Mapping[str, fields.Field[Any]] = schema.fields
    for key in keys:
        if isinstance(key, str):
            field = known.get(key)
            inner = field.inner if isinstance(field, fields.List) else field
            known = inner.schema.fields if isinstance(inner, fields.Nested) else {}
    return known


def _not_an_experiments(patch: JsonObject, platform: Platform) -> Iterator[_Finding]:
    for keys, value in walk(patch):
        name = str(keys[-1])
        field = _fields_at(platform.answer_schema, keys[:-1]).get(name)
        if field is not None and field.metadata.get("app_only"):
            problem = f"an experiment must not set '{name}': its calls' reports would go elsewhere"
            yield keys, problem, f"remove it, or set it for all calls in {BASE}/", "error"
        elif isinstance(value, str) and _SECRET.search(name) and platform.untemplated.isdisjoint(map(str, keys)):
            problem = f"'{name}' looks like a secret, and every definition is stored in the database"
            yield keys, problem, f"keep it in {BASE}/", "error"


def _flat(problems: Any, path: KeyPath = ()) -> Iterator[tuple[KeyPath, str]]:
    if isinstance(problems, Mapping):
        for key, below in problems.items():
            yield from _flat(below, path if key == "_schema" else (*path, key))
    else:
        yield path, " ".join(map(str, problems))


def _wrong(catalog: Catalog, schema: Schema, folders: tuple[str, ...], keys: KeyPath, message: str) -> Complaint:
    file, line = _written_at(catalog, folders, keys)
    known = schema.fields
    written = tuple(known[key].metadata.get("write_instead", key) if key in known else key for key in keys)
    if not file.endswith(".json") or json_line(catalog.texts[file], *keys[:1]) == 1:
        # An author writes another key than is sent.
        keys = written
        file, line = _written_at(catalog, folders, keys)
    return Complaint(file, line, *_rejected(keys, message))


def _rejected(keys: KeyPath, message: str) -> tuple[str, str]:
    return f"the platform rejects {'.'.join(map(str, keys))}", message[:1].lower() + message[1:].rstrip(".")


def _at(value: Any, keys: KeyPath, missing: object = None) -> Any:
    for key in keys:
        within = range(len(value)) if isinstance(value, list) else value if isinstance(value, Mapping) else ()
        if key not in within:
            return missing
        value = value[key]
    return value
