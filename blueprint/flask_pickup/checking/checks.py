"""All checks of a catalog, in one list."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from jinja2 import TemplateSyntaxError, nodes

from flask_pickup.catalog import Catalog, Complaint
from flask_pickup.catalog.complaints import json_line, toml_line
from flask_pickup.catalog.settings import SPEAKS
from flask_pickup.checking.answers import check_answers
from flask_pickup.checking.braces import check_braces
from flask_pickup.checking.changes import Recorded, check_changes
from flask_pickup.checking.experiments import check_experiments
from flask_pickup.checking.inheritance import check_inheritance
from flask_pickup.checking.names import Source, check_names, own_names
from flask_pickup.checking.numbers import check_numbers
from flask_pickup.checking.overrides import check_overrides
from flask_pickup.checking.references import References
from flask_pickup.checking.retention import check_retention
from flask_pickup.checking.strays import check_strays
from flask_pickup.override import templates
from flask_pickup.rendering import BASE


def check(catalog: Catalog, *, region: str = "NL") -> list[Complaint]:
    """Return all complaints about the content, sorted by file and line."""
    return sorted(set(all_complaints(catalog, region=region)))


def all_complaints(
    catalog: Catalog,
    *,
    region: str,
    at: Callable[[str], None] = lambda _: None,
    recorded: Recorded | None = None,
    retention: float | None = None,
) -> Iterator[Complaint]:
    """Yield all complaints about the content, some of them twice.

    :param at: is told, before each step, which file or folder comes next.
    :param recorded: the last definition that the database has of each experiment.
    :param retention: the days that calls are kept.
    """
    yield from catalog.complaints
    trees = dict(_trees(catalog, at))
    references = References(catalog, trees)
    yield from references.complaints()
    yield from check_strays(catalog, references)
    yield from check_inheritance(references)
    for source in _sources(catalog, trees, references):
        at(source.path)
        yield from check_names(source, catalog.environment)
    for path in trees:
        yield from check_numbers(path, catalog.texts[path], region)
    for path in (*trees, *dict(catalog.overrides())):
        yield from check_braces(path, catalog.texts[path])
    yield from check_overrides(catalog)
    yield from check_experiments(catalog)
    yield from check_retention(catalog, retention)
    yield from check_answers(catalog, at)
    yield from check_changes(catalog, recorded or {})


def _trees(catalog: Catalog, at: Callable[[str], None]) -> Iterator[tuple[str, nodes.Template]]:
    # What does not compile was complained about when it was loaded.
    for path in catalog.library.codes:
        at(path)
        yield path, catalog.environment.parse(catalog.texts[path], path)


def _sources(catalog: Catalog, trees: Mapping[str, nodes.Template], references: References) -> Iterator[Source]:
    own = {path: own_names(tree) for path, tree in trees.items()}
    for path, tree in trees.items():
        known = frozenset().union(*(own[other] for other in references.seen_by(path)))
        yield Source(path, tree, known=known)
    for path, patch in catalog.overrides():
        for keys, text in templates(patch):
            if text in catalog.library.strings:
                tree = catalog.environment.parse(text)
                yield Source(path, tree, json_line(catalog.texts[path], *keys))
    for path, key, text in _expressions(catalog):
        try:
            tree = catalog.environment.parse("{% set found = (" + text + "\n) %}")
        except TemplateSyntaxError:
            continue
        yield Source(path, tree, toml_line(catalog.texts[path], key), is_spoken=False)


def _expressions(catalog: Catalog) -> Iterator[tuple[str, str, str]]:
    for experiment in catalog.experiments:
        if experiment.audience:
            yield f"experiments/{experiment.name}/experiment.toml", "audience", experiment.audience
    if catalog.settings.speaks_source != SPEAKS:
        yield f"{BASE}/settings.toml", "speaks", catalog.settings.speaks_source


def as_json(complaint: Complaint) -> Mapping[str, Any]:
    """Return a complaint for programs."""
    return {
        "file": complaint.file,
        "line": complaint.line,
        "level": complaint.level,
        "problem": complaint.problem,
        "remedy": complaint.remedy,
    }
