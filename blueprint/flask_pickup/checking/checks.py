"""All checks of a catalog, in one list."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from flask_pickup.catalog import Catalog, Complaint
from flask_pickup.checking.answers import check_answers
from flask_pickup.checking.experiments import check_experiments
from flask_pickup.checking.overrides import check_overrides
from flask_pickup.checking.recorded import Recorded
from flask_pickup.checking.references import References, unused_files
from flask_pickup.checking.templates import check_templates
from flask_pickup.platforms import Platform


def check(catalog: Catalog, platform: Platform, *, region: str = "NL") -> list[Complaint]:
    """Return all complaints about the content, sorted by file and line."""
    return sorted(set(all_complaints(catalog, platform, region=region)))


def all_complaints(  # noqa: PLR0913 (all that the checks follow from)
    catalog: Catalog,
    platform: Platform,
    *,
    region: str,
    at: Callable[[str], None] = lambda _: None,
    recorded: Recorded | None = None,
    retention: float | None = None,
) -> Iterator[Complaint]:
    """Yield all complaints about the content, some of them twice.

    :param at: is told, before each step, the next file or folder.
    :param recorded: the last definition that the database has of each experiment.
    :param retention: the days that calls are kept.
    """
    yield from catalog.complaints
    trees = {}
    # A file that does not compile has its complaint already.
    for path in catalog.library.codes:
        at(path)
        trees[path] = catalog.environment.parse(catalog.texts[path], path)
    references = References(catalog, trees)
    yield from references.complaints()
    yield from unused_files(catalog, references.included())
    yield from check_templates(catalog, platform.untemplated, trees, references, region, at)
    yield from check_overrides(catalog, platform)
    yield from check_experiments(catalog, recorded=recorded or {}, retention=retention)
    yield from check_answers(catalog, platform, at)
