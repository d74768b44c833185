"""What an experiment lacks, and what changed in it while callers are in it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import zip_longest
from typing import Any

from flask_pickup.catalog import CONTROL, Arm, Catalog, Complaint, Experiment
from flask_pickup.catalog.complaints import toml_line
from flask_pickup.checking.content import Content
from flask_pickup.checking.recorded import carry_over
from flask_pickup.platforms import Platform
from flask_pickup.rendering import BASE

_NEW_PERIOD = "this begins a new period of the results: earlier callers are counted separately"
_OTHER_RULE = "a rule that is chosen after seeing the data finds false results: restore it, or start a new experiment"
_CONSEQUENCES = {
    "arms": ("weights", _NEW_PERIOD),
    "audience": ("audience", _NEW_PERIOD),
    "seed": ("seed", _NEW_PERIOD),
    "primary": ("primary metric", _OTHER_RULE),
    "decision": ("decision rule", _OTHER_RULE),
}
"""Keys of a definition whose change matters while callers are in the experiment, with their name and the consequence."""


def check_experiments(content: Content) -> Iterator[Complaint]:
    """Yield what experiments and their arms lack, and what changed in the running ones."""
    catalog = content.catalog
    for experiment in catalog.experiments:
        yield from _incomplete(catalog, experiment)
        for arm in catalog.arms[experiment.name]:
            yield from _missing_variants(catalog, arm)
        if experiment.status != "concluded":
            yield from _equal_arms(content, experiment)
        before = content.recorded.definitions.get(experiment.name)
        if experiment.is_running and experiment.layer:
            for carried in carry_over(experiment.name, experiment.layer, experiment.layer_range, content.recorded):
                yield _warning(catalog, experiment, ("layer",), *carried)
        if experiment.is_running and before and before.get("status") in {"running", "paused"}:
            yield from _changes(catalog, experiment, before)


def _warning(catalog: Catalog, experiment: Experiment, keys: tuple[str, ...], problem: str, remedy: str) -> Complaint:
    file = experiment.file
    return Complaint(file, toml_line(catalog.texts[file], *keys), problem, remedy, "warning")


def _incomplete(catalog: Catalog, experiment: Experiment) -> Iterator[Complaint]:
    if experiment.is_running and not experiment.metrics:
        problem = "the experiment is running without a metric"
        yield _warning(catalog, experiment, ("status",), problem, "add [metrics.…] and name one of them primary")
    if experiment.status == "concluded" and not experiment.winner:
        problem = "the experiment is concluded without a winner"
        yield _warning(catalog, experiment, ("status",), problem, 'write winner = "control", or an arm')


def _equal_arms(content: Content, experiment: Experiment) -> Iterator[Complaint]:
    """Yield each arm that answers like control or like an arm before it, with the platforms on which it does."""
    catalog = content.catalog
    arms = sorted(catalog.arms[experiment.name], key=lambda arm: arm.name != CONTROL)
    for place, arm in enumerate(arms):
        left = list(catalog.platforms)
        for other in arms[:place]:
            equal = [each for each in left if _answer_alike(content, experiment, each, arm, other)]
            left = [each for each in left if each not in equal]
            if equal:
                said = "changes nothing" if other.name == CONTROL else f"is the same as '{other.name}'"
                where = "" if len(equal) == len(catalog.platforms) else f" on {', '.join(each.name for each in equal)}"
                problem = f"arm '{arm.name}' {said}{where}: check finds no caller who gets another text or setting"
                remedy = "change its greeting, prompt or override"
                yield _warning(catalog, experiment, ("arms", arm.name), problem, remedy)


def _answer_alike(content: Content, experiment: Experiment, platform: Platform, *arms: Arm) -> bool:
    if not any(arm.writes_on(platform) for arm in arms):
        return True
    cases = content.cases[platform.name]
    for deciding in (*(case.deciding for case in cases.inside(experiment)), *cases.customers):
        content.at(arms[0].folder)
        try:
            one, other = (platform.answer(deciding.answer((*deciding.base, arm.folder))) for arm in arms)
        except Exception:  # noqa: BLE001 (a template may raise anything, and has a complaint of its own)
            return False
        if one != other:
            return False
    return True


def _missing_variants(catalog: Catalog, arm: Arm) -> Iterator[Complaint]:
    variants = catalog.library.variants
    layers = (BASE, *sorted({line.folder for line in catalog.settings.lines.values() if line.folder}))
    for logical, found in variants.items():
        if not logical.startswith(arm.folder + "/"):
            continue
        stem = logical.removeprefix(arm.folder + "/").removesuffix(".j2")
        for folder in layers:
            for language in sorted(variants.get(f"{folder}/{stem}.j2", {}).keys() - found.keys()):
                missing = f"{stem}.{language}.j2" if language else f"{stem}.j2"
                problem = f"the arm has no '{missing}', which {folder}/ has"
                remedy = "create it, or callers of that language hear another"
                yield Complaint(min(found.values()), 0, problem, remedy)


def _changes(catalog: Catalog, experiment: Experiment, before: Mapping[str, Any]) -> Iterator[Complaint]:
    """Yield what differs from the last definition that callers heard."""
    for key, (name, consequence) in _CONSEQUENCES.items():
        if key in before and before[key] != experiment.body[key]:
            problem = f"the {name} changed while the experiment is running"
            yield _warning(catalog, experiment, (key,), problem, consequence)
    for arm, files in experiment.files.items():
        old: Mapping[str, str] = (before.get("files") or {}).get(arm, {})
        for name in sorted(old.keys() | files.keys()):
            if old.get(name) != files.get(name):
                how = "is new" if name not in old else "was removed" if name not in files else "changed"
                problem = f"the text of arm '{arm}' {how} while the experiment is running"
                line = _first_difference(old.get(name, ""), files.get(name, ""))
                yield Complaint(f"experiments/{experiment.name}/{arm}/{name}", line, problem, _NEW_PERIOD, "warning")


def _first_difference(old: str, new: str) -> int:
    pairs = zip_longest(old.splitlines(), new.splitlines())
    return next((number for number, (was, now) in enumerate(pairs, 1) if was != now), 1)
