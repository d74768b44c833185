"""From the two folders to one frozen object, and from that to the plan of an answer."""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, tzinfo
from functools import cached_property, lru_cache
from pathlib import Path
from types import CodeType
from typing import Any, NoReturn

from jinja2 import TemplateSyntaxError, meta

from flask_pickup.catalog.complaints import Complaint, toml_line, unreadable
from flask_pickup.catalog.definition import Experiment
from flask_pickup.catalog.experiment import FIELDS, Arm, Loaded, Parts, PinKey, overlap, read_experiment, writes
from flask_pickup.catalog.files import read_tree
from flask_pickup.catalog.hours import Hours, read_hours
from flask_pickup.catalog.metrics import Kinds, analysed
from flask_pickup.catalog.reader import read_toml
from flask_pickup.catalog.settings import Line, Settings, read_settings
from flask_pickup.override import Filling, merge, templates
from flask_pickup.platforms import Platform
from flask_pickup.rendering import (
    BASE,
    Environment,
    Expression,
    Library,
    Namespace,
    SilentUndefined,
    Stack,
    render,
    split_variant,
)

EXPERIMENTS = "experiments"

_MEND = (
    'mend it here or just before: names and text are in straight quotes ("…"), a comma stands between two, none after '
    "the last, each { and [ is closed, and there are no comments"
)


@dataclass(frozen=True, slots=True)
class Texts:
    """What a plan's templates say to one caller; ``strings`` are the override's, in the order in which they stand."""

    greeting: str
    prompt: str
    strings: tuple[str, ...]


@dataclass(frozen=True)
class Plan:
    """How an answer is made for one stack of folders in one language."""

    stack: Stack
    filling: Filling

    def greeting(self, namespace: Namespace) -> str:
        """Return what is spoken first; empty if no layer has a greeting."""
        return self._render("first_message.j2", namespace)

    def prompt(self, namespace: Namespace) -> str:
        """Return the system prompt; empty if no layer has one."""
        return self._render("system_prompt.j2", namespace)

    def closed(self, namespace: Namespace) -> str:
        """Return what a caller hears outside the hours; empty if no layer says anything."""
        return self._render("closed.j2", namespace)

    def texts(self, namespace: Namespace) -> Texts:
        """Return what the templates say to one caller. Raises whatever they raise."""
        if self.stack.is_personal or not isinstance(namespace["customer"], SilentUndefined):
            return self.rendered(namespace)
        return _said(self, namespace["line"], namespace["open"])

    def rendered(self, namespace: Namespace) -> Texts:
        """Return what the templates say, rendered anew. Raises whatever they raise."""
        strings = self.filling.strings(lambda source: render(self.stack.string(source), namespace))
        texts = Texts(self.greeting(namespace), self.prompt(namespace), strings)
        for text in (texts.greeting, texts.prompt, *strings):
            # Half a surrogate pair, which raw data may hold and JSON cannot, fails here and not on the way out.
            text.encode()
        return texts

    def settings(self, strings: tuple[str, ...]) -> Mapping[str, Any]:
        """Return the merged override with ``strings`` in place of its templates."""
        return self.filling.filled(strings)

    def _render(self, name: str, namespace: Namespace) -> str:
        template = self.stack.find(name)
        return render(template, namespace) if template else ""


@lru_cache(maxsize=256)
def _said(plan: Plan, line: Line, is_open: bool) -> Texts:  # noqa: FBT001 (the names of templates, as values)
    """Return what a plan says to whoever nothing is known of: it follows from these alone, as the namespace shows."""
    nobody = SilentUndefined(name="customer")
    namespace = {"customer": nobody, "customer_raw": nobody, "line": line, "open": is_open}
    return plan.rendered({**namespace, "language": plan.stack.language})


@dataclass(frozen=True)
class Catalog:
    """All content, read once and never changed.

    :param experiments: those that load, by name.
    :param arms: experiment to its arms.
    :param audiences: experiment to its compiled audience, of those that have one.
    :param left_out: the names of those that do not.
    :param broken: the folders in ``greetings/`` that do not load; calls that need one get the saved agent.
    :param complaints: what is wrong, in the order of files and lines.
    """

    settings: Settings
    experiments: tuple[Experiment, ...]
    arms: Mapping[str, tuple[Arm, ...]]
    audiences: Mapping[str, Expression]
    left_out: tuple[str, ...]
    broken: frozenset[str]
    complaints: tuple[Complaint, ...]
    texts: Mapping[str, str] = field(repr=False)
    library: Library = field(repr=False)
    environment: Environment = field(repr=False)
    _overrides: Mapping[str, Mapping[str, Any]] = field(repr=False)
    _hours: Mapping[str, Hours] = field(repr=False)
    _languages: Mapping[str, frozenset[str]] = field(repr=False)

    def __post_init__(self) -> None:
        # With many experiments there are more stacks than memory; those in use are few.
        object.__setattr__(self, "plan", lru_cache(maxsize=4096)(self._plan))

    def plan(self, folders: tuple[str, ...], language: str, untemplated: frozenset[str]) -> Plan:
        """Return how to answer with ``folders`` laid over one another, lowest first.

        :param untemplated: keys of the override that belong to the platform's own template engine.
        """
        raise NotImplementedError  # replaced per instance by its cached form

    def _plan(self, folders: tuple[str, ...], language: str, untemplated: frozenset[str]) -> Plan:
        merged: dict[str, Any] = {}
        for folder in folders:
            merged = merge(merged, self._overrides.get(folder, {}))
        return Plan(Stack(self.library, folders, language, self.environment), Filling(merged, untemplated))

    @cached_property
    def layers(self) -> Mapping[str, Mapping[str, Experiment]]:
        """The experiments that share a layer's callers: those that are running or paused, by layer and name."""
        found: dict[str, dict[str, Experiment]] = {}
        for experiment in self.experiments:
            if experiment.layer and experiment.status in {"running", "paused"}:
                found.setdefault(experiment.layer, {})[experiment.name] = experiment
        return found

    def overrides(self) -> Iterator[tuple[str, Mapping[str, Any]]]:
        """Yield each ``override.json`` with its patch."""
        yield from ((f"{folder}/override.json", patch) for folder, patch in self._overrides.items())

    def is_broken(self, line: Line) -> bool:
        """Return whether what a call to ``line`` needs does not load."""
        return not self.broken.isdisjoint(self.base(line))

    def line(self, number: str | None, name: str | None) -> Line:
        """Return the line called, under the name that the settings or else the platform gives it."""
        known = self.settings.lines.get(number or "")
        return known or Line(number, name)

    def base(self, line: Line) -> tuple[str, ...]:
        """Return the folders below all arms for calls to ``line``."""
        return (BASE, line.folder) if line.folder else (BASE,)

    def languages_on(self, line: Line) -> frozenset[str]:
        """Return the languages that ``line`` can speak: that of the plain files, and each in which greeting or prompt is.

        An arm adds none. Who is not in it would be listened to in a language that nobody answers them in.
        """
        return self._languages[line.folder or BASE]

    @cached_property
    def languages(self) -> frozenset[str]:
        """The languages that any line can speak."""
        return frozenset().union(*self._languages.values())

    def hours(self, line: Line) -> Hours | None:
        """Return the opening hours of ``line``; None means always open."""
        return self._hours.get(line.folder or BASE) or self._hours.get(BASE)

    def zone(self, line: Line) -> tzinfo:
        """Return the time zone in which ``line`` tells the time."""
        hours = self.hours(line)
        return hours.zone if hours else UTC


At = Callable[[str], None]
"""Is told which file comes next."""


def load(  # noqa: PLR0913 (all that the content follows from)
    experiments: Path,
    greetings: Path,
    *,
    pin_key: PinKey,
    region: str,
    platforms: Collection[Platform],
    at: At = lambda _: None,
) -> Catalog:
    """Read both folders. Never raises: what is wrong with them is in ``complaints``, and left out.

    :param platforms: those whose overrides are read.
    """
    return _Loader(experiments, greetings, pin_key, region, platforms, at).load()


class _Loader:
    def __init__(  # noqa: PLR0913, PLR0917 (as load)
        self,
        experiments: Path,
        greetings: Path,
        pin_key: PinKey,
        region: str,
        platforms: Collection[Platform],
        at: At,
    ) -> None:
        self.platforms = platforms
        # A string is compiled unless no platform renders it.
        self.untemplated = frozenset.intersection(*(each.untemplated for each in platforms))
        self.at = at
        self.environment = Environment()
        self.complaints: list[Complaint] = []
        self.texts: dict[str, str] = {}
        self.codes: dict[str, CodeType] = {}
        self.strings: dict[str, CodeType] = {}
        self.overrides: dict[str, Mapping[str, Any]] = {}
        self.pin_key = pin_key
        self.region = region
        for folder, name in ((greetings, BASE), (experiments, EXPERIMENTS)):
            self.at(name)
            texts, complaints = read_tree(folder, name)
            self.texts |= texts
            self.complaints += complaints
            if not folder.is_dir():
                self.complaints.append(
                    Complaint(name, 0, f"there is no folder '{folder.name}'", "make it, or set where it is", "warning")
                )

    def load(self) -> Catalog:
        for path, text in self.texts.items():
            self.at(path)
            if path.endswith(".j2"):
                self._compile(path, text)
            elif path.endswith("/override.json"):
                self._override(path, text)
        settings = self._settings()
        hours = {
            path.rpartition("/")[0]: read_hours(path, text, self.complaints)
            for path, text in self.texts.items()
            if path.endswith("/hours.toml")
        }
        line_folders = {line.folder for line in settings.lines.values() if line.folder}
        library = self._library(line_folders)
        languages = {folder: _languages(settings, library, folder) for folder in (BASE, *line_folders)}
        self._check_lines(settings, languages)
        experiments = {name: self._experiment(name) for name in self._names()}
        self._check_seeds_and_fields([e for e in experiments.values() if e])
        self._check_pins([e.experiment for e in experiments.values() if e])
        left_out = self._left_out(experiments)
        loaded = [each for name, each in sorted(experiments.items()) if each and name not in left_out]
        return Catalog(
            settings=settings,
            experiments=tuple(each.experiment for each in loaded),
            arms={each.experiment.name: each.arms for each in loaded},
            audiences={each.experiment.name: each.audience for each in loaded if each.audience},
            left_out=tuple(sorted(left_out)),
            broken=frozenset(_home(file, line_folders) for file in self._wrong_files() if file.startswith(BASE)),
            complaints=tuple(sorted(set(self.complaints))),
            texts=self.texts,
            library=library,
            environment=self.environment,
            _overrides=self.overrides,
            _hours=hours,
            _languages=languages,
        )

    def _compile(self, path: str, text: str) -> None:
        try:
            self.codes[path] = self.environment.compile(text, path, path)
        except TemplateSyntaxError as error:
            self._complain(path, error.lineno, *unreadable(error, self.environment))

    def _override(self, path: str, text: str) -> None:
        try:
            patch = json.loads(text, parse_constant=_no_constant)
        except json.JSONDecodeError as error:
            self._complain(path, error.lineno, f"this is no JSON: {error.msg}", _MEND)
            return
        except ValueError as error:
            self._complain(path, 1, f"this is no JSON: {error}", "write a number, or leave the key out")
            return
        except RecursionError:
            self._complain(path, 1, "this is nested too deeply", "make it flatter")
            return
        if not isinstance(patch, dict):
            self._complain(path, 1, "this is no JSON object", 'write {"assistant": {…}}')
            return
        self.overrides[path.rpartition("/")[0]] = patch
        for _, source in templates(patch, self.untemplated):
            self._compile_string(path, text, source)

    def _compile_string(self, path: str, text: str, source: str) -> None:
        found = text.find(json.dumps(source, ensure_ascii=False)[1:-1])
        line = text.count("\n", 0, max(found, 0)) + 1
        try:
            # The name says where it stands, should it fail on a call.
            self.strings.setdefault(source, self.environment.compile(source, f"{path}:{line}", path))
        except TemplateSyntaxError as error:
            self._complain(path, line, *unreadable(error, self.environment))

    def _settings(self) -> Settings:
        path = f"{BASE}/settings.toml"
        return read_settings(
            path, self.texts.get(path, ""), self.complaints, environment=self.environment, region=self.region
        )

    def _check_lines(self, settings: Settings, languages: Mapping[str, frozenset[str]]) -> None:
        path = f"{BASE}/settings.toml"
        for number, line in settings.lines.items():
            place = toml_line(self.texts[path], "lines", number)
            if line.folder and not any(text.startswith(line.folder + "/") for text in self.texts):
                self._complain(path, place, f"there is no folder '{line.folder}'", "make it, or take out 'greetings'")
            spoken = languages[line.folder or BASE]
            if line.language and line.language not in spoken:
                problem = f"a line's language is '{line.language}', in which nothing is written"
                remedy = f"write first_message.{line.language}.j2, or one of: {', '.join(sorted(spoken))}"
                self.complaints.append(Complaint(path, place, problem, remedy, "warning"))

    def _library(self, line_folders: set[str]) -> Library:
        variants: dict[str, dict[str, str]] = {}
        homes: dict[str, tuple[str, str]] = {}
        for path in self.codes:
            directory, _, name = path.rpartition("/")
            logical, language = split_variant(name)
            variants.setdefault(f"{directory}/{logical}", {})[language] = path
            folder = _home(path, line_folders)
            homes[path] = (folder, f"{directory}/{logical}".removeprefix(folder + "/"))
        return Library(self.codes, variants, homes, self.strings)

    def _names(self) -> list[str]:
        return sorted({path.split("/")[1] for path in self.texts if path.startswith(EXPERIMENTS + "/")})

    def _experiment(self, name: str) -> Loaded | None:
        file = f"{EXPERIMENTS}/{name}/experiment.toml"
        if file not in self.texts:
            if "." not in name:
                self._complain(file, 0, "the file is missing", f"write it, or start with: flask pickup new {name}")
            return None
        self.at(file)
        table = read_toml(file, self.texts[file], self.complaints)
        if not table.is_readable:
            return None
        return read_experiment(
            name, table, self._parts(name), self.environment, pin_key=self.pin_key, kinds=self._kinds()
        )

    def _kinds(self) -> Kinds:
        fields = (platform.analysis_fields(patch) for platform in self.platforms for patch in self.overrides.values())
        return dict(pair for found in fields for pair in analysed(found))

    def _parts(self, name: str) -> dict[str, Parts]:
        prefix = f"{EXPERIMENTS}/{name}/"
        files: dict[str, dict[str, str]] = {}
        for path, text in self.texts.items():
            if path.startswith(prefix) and path.count("/") > prefix.count("/"):
                arm, _, inside = path.removeprefix(prefix).partition("/")
                files.setdefault(arm, {})[inside] = text
        return {arm: self._part(prefix + arm, inside) for arm, inside in files.items()}

    def _part(self, folder: str, files: Mapping[str, str]) -> Parts:
        for path in files:
            forbidden = split_variant(path.rpartition("/")[2])[0]
            if forbidden in {"hours.toml", "settings.toml", "closed.j2"}:
                self._complain(f"{folder}/{path}", 0, f"an arm cannot change {forbidden}", "keep it in greetings/")
        override = self.overrides.get(folder, {})
        logical = {split_variant(path)[0]: text for path, text in files.items()}
        return Parts(files, writes(logical, override, self.taken_in))

    @cached_property
    def taken_in(self) -> Mapping[str, frozenset[str]]:
        """The base's files that each of the answer's templates takes in."""
        return {name: self._taken_in(name) for name in FIELDS}

    def _taken_in(self, name: str) -> frozenset[str]:
        """Return the base's files that one of the answer's templates takes in, itself included, by logical name."""
        found: set[str] = set()
        waiting = [name]
        while waiting:
            logical = waiting.pop()
            if logical in found:
                continue
            found.add(logical)
            for path, text in self.texts.items():
                if path.startswith(BASE + "/") and split_variant(path.removeprefix(BASE + "/"))[0] == logical:
                    waiting += [used.removeprefix(BASE + "/") for used in self._references(text)]
        return frozenset(found)

    def _references(self, text: str) -> Iterator[str]:
        try:
            yield from (name for name in meta.find_referenced_templates(self.environment.parse(text)) if name)
        except TemplateSyntaxError:
            return

    def _check_seeds_and_fields(self, loaded: list[Loaded]) -> None:
        seeds: dict[str, Experiment] = {}
        for experiment in (each.experiment for each in loaded):
            file = f"{EXPERIMENTS}/{experiment.name}/experiment.toml"
            twin = seeds.setdefault(experiment.seed, experiment)
            if twin is not experiment:
                line = toml_line(self.texts[file], "seed")
                self._complain(file, line, f"the seed is that of '{twin.name}' too", "give each its own seed")
        running = [(each.experiment, each.arms) for each in loaded if each.experiment.is_running]
        for index, (one, arms) in enumerate(running):
            for other, others in running[index + 1 :]:
                shared = None if one.layer and one.layer == other.layer else overlap(arms, others)
                if shared:
                    file = f"{EXPERIMENTS}/{other.name}/experiment.toml"
                    self._complain(
                        file, toml_line(self.texts[file], "layer" if other.layer else "status"),
                        f"'{one.name}' is running too and can write the same field, {'.'.join(shared)}",
                        'give both one layer, such as layer = "opening"',
                    )  # fmt: skip

    def _check_pins(self, experiments: list[Experiment]) -> None:
        """A layer's experiments never share a caller, so nobody can be pinned in two of them."""
        pinned: dict[tuple[str, str], Experiment] = {}
        for experiment in (each for each in experiments if each.layer and each.status != "concluded"):
            file = f"{EXPERIMENTS}/{experiment.name}/experiment.toml"
            for place, key in enumerate(experiment.pins, 1):
                other = pinned.setdefault((experiment.layer, key), experiment)
                if other is not experiment:
                    problem = f"pin {place} is pinned in '{other.name}' of the same layer too"
                    line = toml_line(self.texts[file], "pins")
                    self._complain(file, line, problem, "keep one of the two: experiments of a layer share no caller")

    def _wrong_files(self) -> set[str]:
        return {complaint.file for complaint in self.complaints if complaint.level == "error"}

    def _left_out(self, experiments: Mapping[str, Loaded | None]) -> set[str]:
        wrong = {file.split("/")[1] for file in self._wrong_files() if file.startswith(EXPERIMENTS + "/")}
        return wrong | {name for name, experiment in experiments.items() if experiment is None and "." not in name}

    def _complain(self, file: str, line: int, problem: str, remedy: str) -> None:
        self.complaints.append(Complaint(file, line, problem, remedy))


def _languages(settings: Settings, library: Library, folder: str) -> frozenset[str]:
    names = [f"{place}/{name}" for place in {BASE, folder} for name in FIELDS]
    return frozenset({settings.language, *(code for name in names for code in library.variants.get(name, ()) if code)})


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is no number")


def _home(path: str, line_folders: set[str]) -> str:
    if not path.startswith(BASE + "/"):
        return "/".join(path.split("/")[:3]) if path.count("/") > 2 else path.rpartition("/")[0]  # noqa: PLR2004
    inside = [folder for folder in line_folders if path.startswith(folder + "/")]
    return max(inside, key=len, default=BASE)
