"""Reading the two folders into a :class:`~flask_pickup.catalog.Catalog`."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from types import CodeType
from typing import Any

import orjson
from jinja2 import TemplateSyntaxError, meta

from flask_pickup.catalog.catalog import Catalog
from flask_pickup.catalog.complaints import Complaint
from flask_pickup.catalog.conflicts import check_conflicts, check_ranges
from flask_pickup.catalog.experiment import Arm, Loaded, PinKey, read_experiment
from flask_pickup.catalog.files import read_tree
from flask_pickup.catalog.hours import read_hours
from flask_pickup.catalog.metrics import Kinds, planned_kinds
from flask_pickup.catalog.overrides import Overrides, as_written, override_name
from flask_pickup.catalog.settings import Settings, read_settings
from flask_pickup.catalog.syntax import line_of, unreadable
from flask_pickup.catalog.toml import TomlFile
from flask_pickup.override import KeyPath, leaves, templates
from flask_pickup.platforms import Answer, Platform, Words
from flask_pickup.rendering import BASE, Environment, Library, split_variant

EXPERIMENTS = "experiments"

# The answer's own templates, and the words that each becomes.
_WORDS = {"first_message.j2": Words(greeting="…"), "system_prompt.j2": Words(prompt="…")}

_JSON_SYNTAX = (
    'check here and just before: put names and text in straight quotes ("…"), one comma between two, none after the '
    "last; close each { and [; remove comments"
)

# What is commented out is as if it were not there.
_SAYS_SOMETHING = re.compile(r"^\s*[^\s#]", re.MULTILINE)

Progress = Callable[[str], None]
"""Is told which file comes next."""


def load(  # noqa: PLR0913 (all that the content follows from)
    experiments: Path,
    greetings: Path,
    *,
    pin_key: PinKey,
    region: str,
    platforms: Collection[Platform],
    at: Progress = lambda _: None,
) -> Catalog:
    """Read both folders. Never raises: what is wrong with them is in ``complaints``, and excluded.

    :param platforms: those whose overrides are read.
    """
    loader = _Loader({}, platforms, at)
    for folder, name in ((greetings, BASE), (experiments, EXPERIMENTS)):
        at(name)
        texts, complaints = read_tree(folder, name)
        loader.texts |= texts
        loader.complaints += complaints
    return loader.load(pin_key, region)


def with_folder(catalog: Catalog, folder: str, files: Mapping[str, str]) -> Catalog:
    """Return the content with other files in a folder, such as those that an arm had when callers heard it.

    :param folder: such as ``experiments/warm-opening/warm``.
    :param files: the text of each file by its path in the folder.
    """

    def others(of: Mapping[str, Any]) -> dict[str, Any]:
        return {path: each for path, each in of.items() if not path.startswith(f"{folder}/")}

    added = {f"{folder}/{name}": text for name, text in files.items()}
    loader = _Loader({**others(catalog.texts), **added}, catalog.platforms)
    loader.codes = others(catalog.library.codes)
    loader.strings = dict(catalog.library.strings)
    loader.overrides.patches.update(others(catalog.overrides.patches))
    loader.read(added)
    lines = {line.folder for line in catalog.settings.lines.values() if line.folder}
    return replace(catalog, texts=loader.texts, library=loader.library(lines), overrides=loader.overrides)


class _Loader:
    """Texts, compiled templates and patches by path, and the complaints about them."""

    def __init__(self, texts: dict[str, str], platforms: Collection[Platform], at: Progress = lambda _: None) -> None:
        self.at = at
        self.environment = Environment()
        self.complaints: list[Complaint] = []
        self.texts = texts
        self.codes: dict[str, CodeType] = {}
        self.strings: dict[str, CodeType] = {}
        self.overrides = Overrides(tuple(platforms), texts)

    def read(self, texts: Mapping[str, str]) -> None:
        """Compile templates and read overrides."""
        overrides = tuple(f"/{override_name(name)}" for name in ("", *(each.name for each in self.overrides.platforms)))
        for path, text in texts.items():
            self.at(path)
            if path.endswith(".j2") and (code := self._compile(text, path, path)):
                self.codes[path] = code
            elif path.endswith(overrides):
                self._read_override(path, text)

    def load(self, pin_key: PinKey, region: str) -> Catalog:
        """Return the catalog of all texts."""
        self.read(self.texts)
        settings_file = TomlFile(_SETTINGS, self.texts.get(_SETTINGS, ""), self.complaints)
        settings = read_settings(settings_file, environment=self.environment, region=region)
        hours = {
            path.rpartition("/")[0]: read_hours(path, text, self.complaints)
            for path, text in self.texts.items()
            if path.endswith("/hours.toml") and _SAYS_SOMETHING.search(text)
        }
        line_folders = {line.folder for line in settings.lines.values() if line.folder}
        library = self.library(line_folders)
        languages = {folder: _languages(settings, library, folder) for folder in (BASE, *line_folders)}
        self._check_lines(settings_file, settings, languages)
        names = sorted({path.split("/")[1] for path in self.texts if path.startswith(EXPERIMENTS + "/")})
        found = [each for name in names if (each := self._experiment(name, pin_key))]
        check_conflicts(found, self._left_out())
        left_out = self._left_out()
        loaded = [each for each in found if each.experiment.name not in left_out]
        check_ranges(loaded)
        return Catalog(
            settings=settings,
            experiments=tuple(each.experiment for each in loaded),
            arms={each.experiment.name: each.arms for each in loaded},
            audiences={each.experiment.name: each.audience for each in loaded if each.audience},
            left_out=tuple(sorted(left_out)),
            broken=frozenset(_home(file, line_folders) for file in self._wrong() if file.startswith(BASE)),
            complaints=tuple(sorted(set(self.complaints))),
            texts=self.texts,
            library=library,
            environment=self.environment,
            overrides=self.overrides,
            _hours=hours,
            _languages=languages,
        )

    def _wrong(self) -> set[str]:
        """Return the files with an error so far."""
        return {complaint.file for complaint in self.complaints if complaint.level == "error"}

    def _left_out(self) -> set[str]:
        """Return the names of the experiments with an error so far."""
        return {file.split("/")[1] for file in self._wrong() if file.startswith(EXPERIMENTS + "/")}

    # --- templates and overrides --------------------------------------------------------------------------------------

    def _compile(self, source: str, name: str, path: str, line: int = 0) -> CodeType | None:
        """Return a template's code. Its name says where it stands, for errors on a call."""
        try:
            code: CodeType = self.environment.compile(source, name, path)
        except TemplateSyntaxError as error:
            self._complain(path, line or line_of(error), *unreadable(error, self.environment))
            return None
        return code

    def _read_override(self, path: str, text: str) -> None:
        try:
            patch = orjson.loads(text)
        except orjson.JSONDecodeError as error:
            self._complain(path, error.lineno, f"invalid JSON: {error.msg}", _JSON_SYNTAX)
            return
        if not isinstance(patch, dict):
            self._complain(path, 1, "not a JSON object", "write {…}")
            return
        self.overrides.patches[path] = patch
        getting = self.overrides.getting(path)
        # A string is compiled unless no platform renders it.
        for source in {source: None for each in getting for _, source in templates(patch, each.untemplated)}:
            found = text.find(json.dumps(source, ensure_ascii=False)[1:-1])
            line = text.count("\n", 0, max(found, 0)) + 1
            if code := self._compile(source, f"{path}:{line}", path, line):
                self.strings.setdefault(source, code)

    def library(self, line_folders: Collection[str]) -> Library:
        """Return the compiled templates by what they are looked up by."""
        variants: dict[str, dict[str, str]] = {}
        homes: dict[str, tuple[str, str]] = {}
        for path in self.codes:
            directory, _, name = path.rpartition("/")
            logical, language = split_variant(name)
            variants.setdefault(f"{directory}/{logical}", {})[language] = path
            folder = _home(path, line_folders)
            homes[path] = (folder, f"{directory}/{logical}".removeprefix(folder + "/"))
        return Library(self.codes, variants, homes, self.strings)

    # --- lines and experiments ----------------------------------------------------------------------------------------

    def _check_lines(self, toml: TomlFile, settings: Settings, languages: Mapping[str, frozenset[str]]) -> None:
        for number, line in settings.lines.items():
            if line.folder and not any(text.startswith(line.folder + "/") for text in self.texts):
                toml.complain(f"folder '{line.folder}' is missing", 'create it, or remove "greetings"', "lines", number)
            spoken = languages[line.folder or BASE]
            if line.language and line.language not in spoken:
                problem = f"language '{line.language}' of a line has neither greeting nor prompt"
                remedy = f"write first_message.{line.language}.j2, or one of: {', '.join(sorted(spoken))}"
                toml.complain(problem, remedy, "lines", number, level="warning")

    def _experiment(self, name: str, pin_key: PinKey) -> Loaded | None:
        file = f"{EXPERIMENTS}/{name}/experiment.toml"
        if file not in self.texts:
            if "." not in name:
                self._complain(file, 0, "the file is missing", f"create it, or run: flask pickup new {name}")
            return None
        self.at(file)
        toml = TomlFile(file, self.texts[file], self.complaints)
        if not toml.is_readable:
            return None
        return read_experiment(toml, name, self._arms(name), self.environment, pin_key=pin_key, kinds=self.kinds)

    @cached_property
    def kinds(self) -> Kinds | None:
        """The outcomes that a platform's analysis can find, with their kinds; None where that is set at the vendor."""
        return planned_kinds(self.overrides)

    def _arms(self, experiment: str) -> dict[str, Arm]:
        """Return what is in each folder beside ``experiment.toml``, whether it is an arm or not."""
        prefix = f"{EXPERIMENTS}/{experiment}/"
        files: dict[str, dict[str, str]] = {}
        for path, text in self.texts.items():
            arm, slash, inside = path.removeprefix(prefix).partition("/")
            if path.startswith(prefix) and slash:
                files.setdefault(arm, {})[inside] = text
        return {name: self._arm(name, prefix + name, inside) for name, inside in files.items()}

    def _arm(self, name: str, folder: str, files: Mapping[str, str]) -> Arm:
        for path in files:
            logical = split_variant(path.rpartition("/")[2])[0]
            if logical in {"hours.toml", "settings.toml", "closed.j2"}:
                self._complain(f"{folder}/{path}", 0, f"an arm cannot change {logical}", "keep it in greetings/")
        logical_files = {split_variant(path)[0] for path in files}
        changed = [self.of_words[template] for template in _WORDS if logical_files & self.included[template]]
        patched = {
            (platform.name, *path)
            for platform in self.overrides.platforms
            for path in leaves(self.overrides.patch(folder, platform))
            if path
        }
        return Arm(name, folder, files, frozenset(patched.union(*changed)))

    @cached_property
    def of_words(self) -> Mapping[str, set[KeyPath]]:
        """The fields that the words of each of the answer's templates become, each after the name of its platform."""
        return {
            template: {
                (platform.name, *path) for platform in self.overrides.platforms for path in _fields(platform, words)
            }
            for template, words in _WORDS.items()
        }

    @cached_property
    def included(self) -> Mapping[str, frozenset[str]]:
        """The base's files that each of the answer's templates includes, itself among them, by logical name."""
        return {name: frozenset(reachable([name], self._references)) for name in _WORDS}

    def _references(self, logical: str) -> Iterator[str]:
        for path in self.codes:
            if split_variant(path)[0] == f"{BASE}/{logical}":
                used = meta.find_referenced_templates(self.environment.parse(self.texts[path]))
                yield from (name.removeprefix(BASE + "/") for name in used if name)

    def _complain(self, file: str, line: int, problem: str, remedy: str) -> None:
        self.complaints.append(Complaint(file, line, problem, remedy))


_SETTINGS = f"{BASE}/settings.toml"


def _languages(settings: Settings, library: Library, folder: str) -> frozenset[str]:
    names = [f"{place}/{name}" for place in {BASE, folder} for name in _WORDS]
    return frozenset({settings.language, *(code for name in names for code in library.variants.get(name, ()) if code)})


def _fields(platform: Platform, words: Words) -> set[KeyPath]:
    """Return the fields that words become in a platform's answer, by the keys that an author writes."""
    with_words, without = (set(leaves(platform.answer(Answer(each, "")))) for each in (words, Words()))
    return {as_written(path, platform.answer_schema) for path in with_words - without}


def _home(path: str, line_folders: Iterable[str]) -> str:
    """Return the folder that a file belongs to: the base's, a line's, an arm's or an experiment's."""
    if not path.startswith(BASE + "/"):
        return "/".join(path.split("/")[:3]) if path.count("/") > 2 else path.rpartition("/")[0]  # noqa: PLR2004
    inside = [folder for folder in line_folders if path.startswith(folder + "/")]
    return max(inside, key=len, default=BASE)


def reachable(start: Iterable[str], following: Callable[[str], Iterable[str]]) -> set[str]:
    """Return ``start`` and all that follows from it, however far."""
    found: set[str] = set()
    waiting = list(start)
    while waiting:
        if (path := waiting.pop()) not in found:
            found.add(path)
            waiting += following(path)
    return found
