"""All content as one frozen object."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, tzinfo
from functools import cached_property, lru_cache
from itertools import combinations
from operator import attrgetter

from flask_pickup.catalog.complaints import Complaint
from flask_pickup.catalog.definition import Experiment, Kind
from flask_pickup.catalog.experiment import Arm
from flask_pickup.catalog.hours import Hours
from flask_pickup.catalog.layers import Range, free_ranges
from flask_pickup.catalog.metrics import Kinds, kind_of, planned_kinds
from flask_pickup.catalog.overrides import Overrides
from flask_pickup.catalog.plan import AnswerPlan
from flask_pickup.catalog.settings import Line, Settings
from flask_pickup.platforms import Platform
from flask_pickup.rendering import BASE, Environment, Expression, Library, Stack


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
    overrides: Overrides = field(repr=False)
    _hours: Mapping[str, Hours] = field(repr=False)
    _languages: Mapping[str, frozenset[str]] = field(repr=False)

    @property
    def platforms(self) -> tuple[Platform, ...]:
        """The platforms for which it was read."""
        return self.overrides.platforms

    @cached_property
    def plan(self) -> Callable[[tuple[str, ...], str, Platform], AnswerPlan]:
        """Returns how to answer with folders laid over one another, lowest first, in a language, on a platform."""
        # With many experiments there are more stacks than memory; those in use are few.
        return lru_cache(maxsize=4096)(self._plan)

    def _plan(self, folders: tuple[str, ...], language: str, platform: Platform) -> AnswerPlan:
        merged = self.overrides.merged(folders, platform)
        return AnswerPlan(self.stack(folders, language), merged, platform.untemplated)

    def stack(self, folders: tuple[str, ...], language: str) -> Stack:
        """Return the templates of folders laid over one another, lowest first, in a language."""
        return Stack(self.library, folders, language, self.environment)

    @cached_property
    def layers(self) -> Mapping[str, Mapping[str, Experiment]]:
        """The experiments that share a layer's callers: those that are running or paused, by layer and name.

        Where two ranges overlap, the first has the callers of both.
        """
        found: dict[str, dict[str, Experiment]] = {}
        for experiment in sorted(self.experiments, key=attrgetter("precedence")):
            if experiment.holds_range:
                found.setdefault(experiment.layer, {})[experiment.name] = experiment
        return found

    @cached_property
    def overlapping(self) -> tuple[str, ...]:
        """The names of the experiments that lack callers of their range, because another one has them."""
        pairs = (pair for sharing in self.layers.values() for pair in combinations(sharing.values(), 2))
        return tuple(sorted({two.name for one, two in pairs if one.layer_range.overlaps(two.layer_range)}))

    @property
    def problems(self) -> dict[str, list[str]]:
        """What callers do not hear: broken greetings, experiments that do not load, and those that lack callers."""
        return {
            "broken": sorted(self.broken),
            "left_out": list(self.left_out),
            "overlapping": list(self.overlapping),
        }

    def free_ranges(self, layer: str) -> list[Range]:
        """Return the ranges of a layer that no experiment has."""
        return free_ranges(each.layer_range for each in self.layers.get(layer, {}).values())

    def is_broken(self, line: Line) -> bool:
        """Return whether what a call to ``line`` needs does not load."""
        return not self.broken.isdisjoint(self.base(line))

    @cached_property
    def _kinds(self) -> Kinds:
        return planned_kinds(self.overrides) or {}

    def kind_of(self, outcome: str) -> Kind | None:
        """Return whether an outcome is a flag or a number; None of one that neither reports nor analysis plans bring."""
        return kind_of(outcome, self._kinds)

    def with_experiment(self, experiment: Experiment) -> Catalog:
        """Return the same content with another experiment of that name."""
        experiments = (experiment if each.name == experiment.name else each for each in self.experiments)
        return replace(self, experiments=tuple(experiments))

    def line(self, number: str | None, name: str | None) -> Line:
        """Return the line called, under the name that the settings or else the platform gives it."""
        known = self.settings.lines.get(number or "")
        return known or Line(number, name)

    def base(self, line: Line) -> tuple[str, ...]:
        """Return the folders below all arms for calls to ``line``."""
        return (BASE, line.folder) if line.folder else (BASE,)

    def languages_on(self, line: Line) -> frozenset[str]:
        """Return the languages that ``line`` can speak: that of the plain files, and each in which greeting or prompt is.

        An arm adds none: other callers would be listened to in a language in which nobody answers them.
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
