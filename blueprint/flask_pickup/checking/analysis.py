"""Whether the calls of every arm and line are analysed for an experiment's metrics.

Calls whose analysis plan lacks a metric's key count as 0 or not at all: an arm with the plan wins against one without.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product

from flask_pickup.catalog import Complaint, Experiment
from flask_pickup.catalog.complaints import toml_line
from flask_pickup.catalog.definition import MetricDefinition
from flask_pickup.catalog.metrics import analysed
from flask_pickup.checking.content import Content
from flask_pickup.outcome_names import ANALYSED
from flask_pickup.platforms import JsonObject, Platform
from flask_pickup.rendering import BASE


def check_analysis(content: Content) -> Iterator[Complaint]:
    """Yield the metrics of experiments that are not over whose outcome the analysis of some of their calls cannot find."""
    overrides = content.catalog.overrides
    for platform in overrides.platforms:
        yield from _untold(content, platform)
        yield from _at_the_vendor(content, platform)
    found = {
        each: {outcome for patch in overrides.of(each) for outcome in _outcomes(each, patch)}
        for each in overrides.platforms
    }
    # What no plan here finds has its complaint.
    known = frozenset().union(*found.values())
    for platform in overrides.platforms:
        # Where no override has a plan, the agent has one at the vendor.
        if not found[platform] <= _outcomes(platform, {}):
            for experiment, metric in _metrics(content):
                if metric.outcome in known:
                    yield from _lacking(content, platform, experiment, metric)


def _metrics(content: Content) -> Iterator[tuple[Experiment, MetricDefinition]]:
    """Yield the metrics of experiments that are not over."""
    for experiment in content.catalog.experiments:
        if experiment.status != "concluded":
            yield from ((experiment, metric) for metric in experiment.metrics)


def _untold(content: Content, platform: Platform) -> Iterator[Complaint]:
    """Yield the metrics that no report of a platform brings."""
    for experiment, metric in _metrics(content):
        if metric.outcome in platform.untold:
            line = toml_line(content.catalog.texts[experiment.file], "metrics", metric.name, "outcome")
            problem = f"{platform.name} never reports '{metric.outcome}': its calls {_counted(metric)}"
            yield Complaint(experiment.file, line, problem, "choose another outcome", "warning")


def _at_the_vendor(content: Content, platform: Platform) -> Iterator[Complaint]:
    """Yield a note of what the analysis has to find that is set at the vendor."""
    own = _outcomes(platform, {})
    wanted = {metric.outcome for _, metric in _metrics(content) if metric.outcome.startswith(ANALYSED)} - own
    if wanted and not platform.plans_analysis:
        keys = ", ".join(f"'{outcome.removeprefix(ANALYSED)}'" for outcome in sorted(wanted))
        yield Complaint(
            BASE, 0, f"{platform.name}: Let the analysis at the vendor find {keys}: metrics need it.", "", "note"
        )


def _counted(metric: MetricDefinition) -> str:
    return "count as 0" if metric.missing == "zero" else "are left out"


def _lacking(
    content: Content, platform: Platform, experiment: Experiment, metric: MetricDefinition
) -> Iterator[Complaint]:
    content.at(experiment.file)
    catalog, overrides = content.catalog, content.catalog.overrides
    below = {case.deciding.below for case in content.cases[platform.name].inside(experiment)}
    arms = catalog.arms[experiment.name]
    lacking = [
        (folders, arm.name)
        for folders, arm in product(below, arms)
        if metric.outcome not in _outcomes(platform, overrides.merged((*folders, arm.folder), platform))
    ]
    if not lacking:
        return
    places, names = {folders for folders, _ in lacking}, {arm for _, arm in lacking}
    who = "no arm has an" if len(names) == len(arms) else f"{_arms(names)} no"
    where = (
        ""
        if len(places) == len(below)
        else f" on calls answered from {', '.join(sorted(f'{each[-1]}/' for each in places))}"
    )
    on = f" on {platform.name}" if len(catalog.platforms) > 1 else ""
    problem = f"{who} analysis plan that finds '{metric.outcome}'{where}{on}: these calls {_counted(metric)}"
    file = overrides.file(BASE, platform)
    remedy = f"write it in the analysis plan of {file}, which all calls share"
    if metric.outcome in _outcomes(platform, overrides.patch(BASE, platform)):
        remedy = f"keep the analysis plan of {file} in all arms and lines"
    line = toml_line(catalog.texts[experiment.file], "metrics", metric.name, "outcome")
    yield Complaint(experiment.file, line, problem, remedy, "warning")


def _arms(names: set[str]) -> str:
    quoted = " and ".join(f"'{name}'" for name in sorted(names))
    return f"arm {quoted} has" if len(names) == 1 else f"arms {quoted} have"


def _outcomes(platform: Platform, settings: JsonObject) -> set[str]:
    """Return the outcomes that the analysis of calls with an override finds."""
    return {outcome for outcome, _ in analysed(platform.analysis_fields(settings))}
