"""Overrides in the platform's own JSON: misspelt keys, and values that the platform rejects."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from difflib import get_close_matches
from typing import Any

from marshmallow import Schema, fields

from flask_pickup.catalog import Catalog, Complaint
from flask_pickup.catalog.complaints import Level, json_line
from flask_pickup.flireo.answer import Answer
from flask_pickup.flireo.schemas import AssistantRequestResponseSchema
from flask_pickup.override import UNTOUCHED, is_template
from flask_pickup.rendering import BASE

Path = tuple[str | int, ...]
Finding = tuple[Path, str, str, Level]
"""A path of keys, what is wrong there, the remedy, and whether it is an error."""

_SCHEMA = AssistantRequestResponseSchema()
_THE_APPS = ("webhook_url", "webhook_secret", "webhook_events")
_SECRET = re.compile(r"secret|password|api[-_]?key|authorization|(^|[-_])token$", re.IGNORECASE)
_MISSING = object()


def check_overrides(catalog: Catalog) -> Iterator[Complaint]:
    """Yield what is wrong with each ``override.json`` by itself."""
    for path, patch in catalog.overrides():
        found = [finding for keys, _ in _walk(patch) for finding in _misspelt(keys)]
        found += [(keys, *_rejected(keys, message), "error") for keys, message in _own_mistakes(patch)]
        if not path.startswith(BASE + "/"):
            found += _not_an_experiments(patch)
        for keys, problem, remedy, level in found:
            yield Complaint(path, json_line(catalog.texts[path], *keys), problem, remedy, level)


def check_answer(catalog: Catalog, folders: tuple[str, ...], answer: Answer) -> Iterator[Complaint]:
    """Yield what the platform rejects in the answer of a stack of folders, at the lines that write it."""
    patches = dict(catalog.overrides())
    if any(f"{folder}/override.json" in catalog.texts.keys() - patches.keys() for folder in folders):
        # An override that cannot be read may hold what the answer lacks.
        return
    known = {message for patch in patches.values() for keys, message in _own_mistakes(patch) if "messages" in keys}
    for keys, message in _flat(_SCHEMA.validate(answer)):
        # The prompt goes before the author's messages and moves their places.
        if not ("messages" in keys and message in known):
            yield _wrong(catalog, folders, keys, message)


def written_at(catalog: Catalog, folders: tuple[str, ...], keys: Path) -> tuple[str, int]:
    """Return the file and line of the last layer that writes a key, or else the nearest key above it."""
    patches = dict(catalog.overrides())
    for length in range(len(keys), 0, -1):
        for folder in reversed(folders):
            path = f"{folder}/override.json"
            if path in patches and _at(patches[path], keys[:length], _MISSING) is not _MISSING:
                return path, json_line(catalog.texts[path], *keys[:length])
    prompt = catalog.plan(folders, catalog.settings.language).stack.find("system_prompt.j2")
    return (prompt and prompt.name) or f"{BASE}/override.json", 0


def _own_mistakes(patch: Any) -> Iterator[tuple[Path, str]]:
    """Yield what the platform rejects wherever the patch is applied: not what it lacks, removes or renders."""
    for keys, message in _flat(_SCHEMA.validate(patch)):
        value = _at(patch, keys)
        if value is not None and not (isinstance(value, str) and is_template(value)):
            yield keys, message


def _walk(value: Any, path: Path = ()) -> Iterator[tuple[Path, Any]]:
    """Yield each key in ``value`` with its path."""
    children = value.items() if isinstance(value, Mapping) else enumerate(value) if isinstance(value, list) else ()
    for key, child in children:
        if isinstance(key, str):
            yield (*path, key), child
        yield from _walk(child, (*path, key))


def _misspelt(keys: Path) -> Iterator[Finding]:
    """Yield an unknown key that is nearly a known one, or known elsewhere: others may be newer than the schema."""
    schema = _schema_at(keys[:-1])
    known = schema.fields.keys() if schema else set()
    name = str(keys[-1])
    if keys == ("assistant_override",):
        yield keys, "overrides of a saved agent are written under 'assistant'", "write 'assistant'", "warning"
    elif known and name not in known and name in _ELSEWHERE:
        yield keys, f"misplaced key '{name}'", f"did you mean {_ELSEWHERE[name]}?", "warning"
    elif name not in known and (close := get_close_matches(name, known, n=1, cutoff=0.8)):
        yield keys, f"unknown key '{name}'", f"did you mean '{close[0]}'?", "warning"


def _places(schema: Schema, path: str = "") -> Iterator[tuple[str, str]]:
    """Yield each key that an author may write with its path."""
    for name, field in schema.fields.items():
        if name != "assistant_override":
            yield name, f"{path}{name}"
            if isinstance(field, fields.Nested):
                yield from _places(field.schema, f"{path}{name}.")


_ELSEWHERE = {
    name: " or ".join(f"'{path}'" for other, path in _places(_SCHEMA) if other == name) for name, _ in _places(_SCHEMA)
}
"""Each key that the platform knows, and where."""


def _schema_at(keys: Path) -> Schema | None:
    schema: Schema | None = _SCHEMA
    for key in keys:
        field = schema.fields.get(str(key)) if schema else None
        field = field.inner if isinstance(field, fields.List) else field
        if isinstance(key, str):
            schema = field.schema if isinstance(field, fields.Nested) else None
    return schema


def _not_an_experiments(patch: Mapping[str, Any]) -> Iterator[Finding]:
    for keys, value in _walk(patch):
        name = str(keys[-1])
        if name in _THE_APPS and UNTOUCHED not in keys:
            problem = f"an experiment must not set '{name}': its calls' reports would go elsewhere"
            yield keys, problem, f"remove it, or set it for all calls in {BASE}/", "error"
        elif "tools" in keys and isinstance(value, str) and _SECRET.search(name):
            problem = f"'{name}' looks like a secret, and every definition is stored in the database"
            yield keys, problem, f"keep tools with secrets in {BASE}/", "error"


def _flat(problems: Any, path: Path = ()) -> Iterator[tuple[Path, str]]:
    if isinstance(problems, Mapping):
        for key, below in problems.items():
            yield from _flat(below, path if key == "_schema" else (*path, key))
    else:
        yield path, " ".join(map(str, problems))


def _wrong(catalog: Catalog, folders: tuple[str, ...], keys: Path, message: str) -> Complaint:
    file, line = written_at(catalog, folders, keys)
    if not file.endswith(".json") or "assistant_override" not in catalog.texts[file]:
        # An author writes "assistant", whatever is sent.
        keys = tuple("assistant" if key == "assistant_override" else key for key in keys)
        file, line = written_at(catalog, folders, keys)
    problem, remedy = _rejected(keys, message)
    if keys[-2:] in {("llm_config", "provider"), ("llm_config", "model")} and "issing" in message:
        problem = f"a prompt needs {'.'.join(map(str, keys))}: the platform replaces the whole llm_config"
        remedy = f"write provider and model under llm_config in {BASE}/override.json"
    return Complaint(file, line, problem, remedy)


def _rejected(keys: Path, message: str) -> tuple[str, str]:
    return f"the platform rejects {'.'.join(map(str, keys))}", message[:1].lower() + message[1:].rstrip(".")


def _at(value: Any, keys: Path, missing: object = None) -> Any:
    for key in keys:
        within = range(len(value)) if isinstance(value, list) else value if isinstance(value, Mapping) else ()
        if key not in within:
            return missing
        value = value[key]
    return value
