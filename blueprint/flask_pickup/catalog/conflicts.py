"""What is wrong with several experiments together; the later one in an order of precedence is complained about."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
from itertools import combinations, product

from flask_pickup.catalog.experiment import Arm, Loaded
from flask_pickup.catalog.layers import WHOLE, Range, free_ranges
from flask_pickup.override import KeyPath


def check_conflicts(loaded: Iterable[Loaded], at_fault: Collection[str]) -> None:
    """Complain about equal seeds, callers pinned twice in a layer, and fields that two running experiments can write.

    Running experiments come first, those with a layer before others, then by name: a newcomer displaces none of them.

    :param at_fault: the names of experiments that are skipped for a fault of their own. They displace no other one.
    """

    def precedence(each: Loaded) -> tuple[bool, bool, bool, str]:
        found = each.experiment
        return found.name in at_fault, not found.is_running, not found.layer, found.name

    kept: list[Loaded] = []
    for each in sorted(loaded, key=precedence):
        conflicts = [conflict for other in kept for conflict in _conflicts(other, each)]
        for conflict in conflicts:
            each.toml.complain(*conflict)
        if not conflicts and each.experiment.name not in at_fault:
            kept.append(each)


def _conflicts(one: Loaded, other: Loaded) -> Iterator[tuple[str, str, str]]:
    """Yield why the second of two experiments cannot be beside the first: the problem, the remedy and the key."""
    first, second = one.experiment, other.experiment
    shares_layer = first.layer and first.layer == second.layer
    if first.seed == second.seed:
        yield f"the seed is the same as that of '{first.name}'", "give each experiment its own seed", "seed"
    if shares_layer and "concluded" not in {first.status, second.status}:
        for place, key in enumerate(second.pins, 1):
            if key in first.pins:
                problem = f"pin {place} is also pinned in '{first.name}' of the same layer"
                yield problem, "keep one of the two: a layer's experiments share no caller", "pins"
    if first.is_running and second.is_running and not shares_layer and (field := overlap(one.arms, other.arms)):
        platform, *keys = map(str, field)
        problem = f"'{first.name}' is running too and can write the same field on {platform}, {'.'.join(keys)}"
        remedy = "give both one layer, and each a layer_range of its own: [0.0, 0.5] and [0.5, 1.0]"
        yield problem, remedy, "layer" if second.layer else "status"


def check_ranges(loaded: Sequence[Loaded]) -> None:
    """Complain about ranges that overlap, of the experiment that lacks the callers of both. Both load."""
    holding = sorted(
        (each for each in loaded if each.experiment.holds_range), key=lambda each: each.experiment.precedence
    )
    for one, other in combinations(holding, 2):
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
