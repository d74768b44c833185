"""What is wrong with several experiments together; the later one by name is complained about."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import combinations, product

from flask_pickup.catalog.experiment import Arm, Loaded
from flask_pickup.catalog.layers import WHOLE, Range, free_ranges
from flask_pickup.override import KeyPath


def check_conflicts(loaded: Sequence[Loaded]) -> None:
    """Complain about equal seeds, callers pinned twice in a layer, and fields that two running experiments can write."""
    pinned: dict[tuple[str, str], str] = {}
    for each in loaded:
        experiment = each.experiment
        if not experiment.layer or experiment.status == "concluded":
            continue
        for place, key in enumerate(experiment.pins, 1):
            owner = pinned.setdefault((experiment.layer, key), experiment.name)
            if owner != experiment.name:
                problem = f"pin {place} is also pinned in '{owner}' of the same layer"
                remedy = "keep one of the two: a layer's experiments share no caller"
                each.toml.complain(problem, remedy, "pins")
    for one, other in combinations(loaded, 2):
        first, second = one.experiment, other.experiment
        if first.seed == second.seed:
            problem = f"the seed is the same as that of '{first.name}'"
            other.toml.complain(problem, "give each experiment its own seed", "seed")
        is_apart = first.layer and first.layer == second.layer
        if first.is_running and second.is_running and not is_apart and (field := overlap(one.arms, other.arms)):
            platform, *keys = map(str, field)
            problem = f"'{first.name}' is running too and can write the same field on {platform}, {'.'.join(keys)}"
            remedy = "give both one layer, and each a layer_range of its own: [0.0, 0.5] and [0.5, 1.0]"
            other.toml.complain(problem, remedy, "layer" if second.layer else "status")


def check_ranges(loaded: Sequence[Loaded]) -> None:
    """Complain about ranges that overlap. Both experiments load: the first by name has the callers of both ranges."""
    for one, other in combinations((each for each in loaded if each.experiment.holds_range), 2):
        first, second = one.experiment, other.experiment
        if first.layer == second.layer and first.layer_range.overlaps(second.layer_range):
            problem = f"{second.layer_range} of layer '{second.layer}' overlaps {first.layer_range} of '{first.name}'"
            path = "layer" if second.layer_range == WHOLE else "layer_range"
            remedies = (
                f"give '{each.experiment.name}' a free range: {' or '.join(map(str, free))}"
                for each in (other, one)
                if (free := _free_for(each, loaded))
            )
            other.toml.complain(problem, next(remedies, "no range is free: narrow or conclude one of them"), path)


def _free_for(one: Loaded, loaded: Iterable[Loaded]) -> list[Range]:
    holding = (each.experiment for each in loaded if each.experiment.holds_range and each is not one)
    return free_ranges(each.layer_range for each in holding if each.layer == one.experiment.layer)


def overlap(one: Iterable[Arm], other: Iterable[Arm]) -> KeyPath | None:
    """Return a field that arms of two experiments can both write, if there is one: a platform and a path of keys."""
    mine, theirs = (sorted(path for arm in arms for path in arm.writes) for arms in (one, other))
    # A field is within another if the one's path begins with the other's.
    within = (pair for pair in product(mine, theirs) if all(a == b for a, b in zip(*pair, strict=False)))
    return max(next(within, ((),)), key=len) or None
