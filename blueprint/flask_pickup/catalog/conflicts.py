"""What is wrong with several experiments together."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import combinations

from flask_pickup.catalog.complaints import Complaint, toml_line
from flask_pickup.catalog.definition import Experiment
from flask_pickup.catalog.experiment import Loaded, overlap


def check_conflicts(loaded: Sequence[Loaded], texts: Mapping[str, str]) -> Iterator[Complaint]:
    """Yield what is wrong between experiments; the later one by name is complained about.

    :param texts: each ``experiment.toml`` by its path.
    """

    def complaint(experiment: Experiment, key: str, problem: str, remedy: str) -> Complaint:
        return Complaint(experiment.file, toml_line(texts[experiment.file], key), problem, remedy)

    seeds: dict[str, Experiment] = {}
    pinned: dict[tuple[str, str], Experiment] = {}
    for experiment in (each.experiment for each in loaded):
        first = seeds.setdefault(experiment.seed, experiment)
        if first is not experiment:
            problem = f"the seed is the same as that of '{first.name}'"
            yield complaint(experiment, "seed", problem, "give each experiment its own seed")
        if not experiment.layer or experiment.status == "concluded":
            continue
        for place, key in enumerate(experiment.pins, 1):
            first = pinned.setdefault((experiment.layer, key), experiment)
            if first is not experiment:
                problem = f"pin {place} is also pinned in '{first.name}' of the same layer"
                yield complaint(
                    experiment, "pins", problem, "keep one of the two: a layer's experiments share no caller"
                )
    for one, other in combinations([each for each in loaded if each.experiment.is_running], 2):
        shared_layer = one.experiment.layer and one.experiment.layer == other.experiment.layer
        field = None if shared_layer else overlap(one.arms, other.arms)
        if field:
            key = "layer" if other.experiment.layer else "status"
            problem = f"'{one.experiment.name}' is running too and can write the same field, {'.'.join(field)}"
            yield complaint(other.experiment, key, problem, 'give both one layer, such as layer = "opening"')
