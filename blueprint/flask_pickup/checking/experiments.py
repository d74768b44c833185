"""What an experiment lacks that its answers do not show."""

from __future__ import annotations

from collections.abc import Iterator

from flask_pickup.catalog import CONTROL, Arm, Catalog, Complaint, Experiment
from flask_pickup.catalog.complaints import toml_line
from flask_pickup.rendering import BASE


def check_experiments(catalog: Catalog) -> Iterator[Complaint]:
    """Yield what experiments and their arms lack."""
    for experiment in catalog.experiments:
        file = f"experiments/{experiment.name}/experiment.toml"
        yield from _thin(catalog, experiment, file)
        for arm in catalog.arms[experiment.name]:
            yield from _missing_variants(catalog, arm)


def _thin(catalog: Catalog, experiment: Experiment, file: str) -> Iterator[Complaint]:
    source = catalog.texts[file]
    if experiment.is_running and not experiment.metrics:
        problem = "the experiment is running without a metric"
        remedy = "write [metrics.…] and name one of them primary"
        yield Complaint(file, toml_line(source, "status"), problem, remedy, "warning")
    if experiment.status == "concluded" and not experiment.winner:
        problem = "the experiment is concluded without a winner"
        remedy = 'write winner = "control", or an arm'
        yield Complaint(file, toml_line(source, "status"), problem, remedy, "warning")
    for arm in catalog.arms[experiment.name]:
        if not arm.writes and arm.name != CONTROL:
            line = toml_line(source, "arms", arm.name)
            problem = f"arm '{arm.name}' changes nothing"
            yield Complaint(file, line, problem, "write its opening, prompt or override", "warning")


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
                remedy = "write it, or callers of that language hear another"
                yield Complaint(min(found.values()), 0, problem, remedy)
