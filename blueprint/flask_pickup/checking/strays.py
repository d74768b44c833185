"""Files that no call reads, though somebody wrote them to be heard."""

from __future__ import annotations

from collections.abc import Iterator

from flask_pickup.catalog import Catalog, Complaint
from flask_pickup.catalog.files import NAMES, meant, stray
from flask_pickup.checking.references import References
from flask_pickup.rendering import BASE, split_variant

_DEPTH = 2
"""Slashes in an arm's folder, and in the path of an experiment.toml."""


def check_strays(catalog: Catalog, references: References) -> Iterator[Complaint]:
    """Yield each file that is called almost as one that is read, stands elsewhere, or is in a language of no call."""
    taken = references.targets()
    for path in catalog.texts.keys() - taken:
        if not _is_read(catalog, path) and (name := meant(path.rpartition("/")[2])):
            yield stray(path, name)
    for variants in catalog.library.variants.values():
        for language in variants.keys() - catalog.languages - {""}:
            if variants[language] not in taken:
                yield _unheard(catalog, variants[language], language)


def _is_read(catalog: Catalog, path: str) -> bool:
    folder, _, file = path.rpartition("/")
    name, _ = split_variant(file)
    is_an_experiments = path.startswith("experiments/")
    if name not in NAMES:
        return False
    if name == "experiment.toml":
        return is_an_experiments and path.count("/") == _DEPTH
    if is_an_experiments:
        # What an arm must not bring is an error there.
        return folder.count("/") == _DEPTH
    lines = {line.folder for line in catalog.settings.lines.values()}
    return folder == BASE or (folder in lines and name != "settings.toml")


def _unheard(catalog: Catalog, path: str, language: str) -> Complaint:
    problem = f"nobody hears this: no call is in '{language}', in which the greeting is not written"
    remedy = f"write {BASE}/first_message.{language}.j2 too; there are {', '.join(sorted(catalog.languages))}"
    return Complaint(path, 0, problem, remedy, "warning")
