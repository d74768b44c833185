"""The hash: the same arm in every process and release, in shares as weighted, and no draw that echoes another."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from itertools import combinations, product
from random import Random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flask_pickup.assignment import draw_arm, is_enrolled, place_in_layer, uniform
from flask_pickup.caller import caller_key

KEYS = 50_000
WEIGHTS = {"control": 1, "warm": 2, "brisk": 0.5}

CRITICAL = {1: 10.828, 2: 13.816, 3: 16.266, 4: 18.467, 6: 22.458}
"""Chi-square's value that chance exceeds once in a thousand, by degrees of freedom. The keys are always the same, so
that a test which passes once passes always."""

names = st.text("abz059", min_size=1, max_size=6)
keys = st.binary(min_size=16, max_size=16).map(bytes.hex)
positive = st.floats(min_value=1e-6, max_value=1e6)
weightings = st.dictionaries(names, positive, min_size=1, max_size=6)


@pytest.fixture(scope="module")
def callers() -> list[str]:
    """The keys of many callers, the same in each run."""
    random = Random("callers")
    return [random.randbytes(16).hex() for _ in range(KEYS)]


# --- pinned -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("parts", "value"),
    [
        (("arm", "warm-opening", "warm", "00112233445566778899aabbccddeeff"), 0.40051630041784725),
        (("traffic", "warm-opening", "00112233445566778899aabbccddeeff"), 0.9314922552329449),
        (("",), 0.8894159948913373),
        (("a", "b"), 0.40435237406560465),
        (("a:b",), 0.40435237406560465),
    ],
)
def test_uniform_is_pinned(parts: tuple[str, ...], value: float) -> None:
    """A release that changed these numbers would give every caller another arm in the midst of an experiment."""
    assert uniform(*parts) == value


@pytest.mark.parametrize(
    ("number", "key", "arm", "place", "enrolled_from"),
    [
        ("+31612345678", "38e7f35d617cea1800d14dbc92716798", "brisk", 0.1809754144607335, 0.4051932935938277),
        ("+12015550123", "f0487183bd16408b69a52e049f786bad", "control", 0.25187093333463284, 0.8856848999846308),
        ("+31850835037", "925eb91368517b3b3ad9d405bac46e16", "warm", 0.03205287648141131, 0.9802700005482757),
    ],
)
def test_draws_are_pinned(number: str, key: str, arm: str, place: float, enrolled_from: float) -> None:
    """From a number to its key, arm, place in a layer and traffic: worked out by hand, and never to change."""
    assert caller_key("a-caller-secret", number) == key
    assert draw_arm("warm-opening", WEIGHTS, key) == arm
    assert place_in_layer("opening", key) == place
    assert not is_enrolled("warm-opening", enrolled_from, key)
    assert is_enrolled("warm-opening", enrolled_from + 1e-12, key)


# --- shares -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "weights",
    [{"control": 1, "warm": 1}, WEIGHTS, {"control": 97, "warm": 3}, {"a": 0.1, "b": 0.2, "c": 0.3, "d": 0.4}],
    ids=str,
)
def test_shares_are_as_weighted(weights: Mapping[str, float], callers: list[str]) -> None:
    """Each arm gets its share of 50,000 callers, within what chance exceeds once in a thousand."""
    found = Counter(draw_arm("a-seed", weights, key) for key in callers)
    expected = {arm: KEYS * weight / sum(weights.values()) for arm, weight in weights.items()}
    assert chi_square(found, expected) < CRITICAL[len(weights) - 1]


@pytest.mark.parametrize("traffic", [0.01, 0.5, 0.9])
def test_traffic_is_the_share_enrolled(traffic: float, callers: list[str]) -> None:
    """``traffic`` is the share of the audience that is enrolled."""
    found = Counter(is_enrolled("a-seed", traffic, key) for key in callers)
    assert chi_square(found, {True: KEYS * traffic, False: KEYS * (1 - traffic)}) < CRITICAL[1]


def chi_square(found: Mapping[Any, int], expected: Mapping[Any, float]) -> float:
    return sum((found.get(cell, 0) - count) ** 2 / count for cell, count in expected.items())


# --- independence -----------------------------------------------------------------------------------------------------


# A layer and an experiment of one name: the case in which one draw could echo another.
DRAWS: Mapping[str, Callable[[str], object]] = {
    "arm of opening": lambda key: draw_arm("opening", WEIGHTS, key),
    "arm of opening-2": lambda key: draw_arm("opening-2", WEIGHTS, key),
    "layer opening": lambda key: int(3 * place_in_layer("opening", key)),
    "layer closing": lambda key: int(3 * place_in_layer("closing", key)),
    "traffic of opening": lambda key: is_enrolled("opening", 0.4, key),
    "traffic of closing": lambda key: is_enrolled("closing", 0.4, key),
}


@pytest.fixture(scope="module")
def drawn(callers: list[str]) -> Mapping[str, list[object]]:
    """The result of each draw for each of the callers."""
    return {name: [a_draw(key) for key in callers] for name, a_draw in DRAWS.items()}


@pytest.mark.parametrize(("one", "other"), list(combinations(DRAWS, 2)))
def test_draws_are_independent(one: str, other: str, drawn: Mapping[str, list[object]]) -> None:
    """Two draws are independent, even under one name."""
    found = Counter(zip(drawn[one], drawn[other], strict=True))
    rows, columns = Counter(drawn[one]), Counter(drawn[other])
    expected = {(row, column): rows[row] * columns[column] / KEYS for row, column in product(rows, columns)}
    assert chi_square(found, expected) < CRITICAL[(len(rows) - 1) * (len(columns) - 1)]


# --- movement ---------------------------------------------------------------------------------------------------------


@given(weightings, names, positive, names, keys)
def test_changed_weight_moves_no_caller_between_others(
    weights: dict[str, float], option: str, weight: float, seed: str, key: str
) -> None:
    """An option that is added or removed, or whose weight changes, gains or loses callers: no two others swap any."""
    before = draw_arm(seed, weights, key)
    after = draw_arm(seed, {**weights, option: weight}, key)
    assert after == before or option in {before, after}


@given(weightings, positive, names, keys)
def test_greater_weight_loses_no_caller(weights: dict[str, float], more: float, seed: str, key: str) -> None:
    """A caller still hears their arm when its weight is raised."""
    arm = draw_arm(seed, weights, key)
    assert draw_arm(seed, {**weights, arm: weights[arm] + more}, key) == arm


@given(names, keys, st.floats(0, 1), st.floats(0, 1))
def test_more_traffic_loses_no_caller(seed: str, key: str, one: float, other: float) -> None:
    """Raising ``traffic`` enrols more callers, and moves none of those who are in."""
    less, more = sorted((one, other))
    assert is_enrolled(seed, more, key) or not is_enrolled(seed, less, key)


@given(st.data(), weightings, names, keys)
def test_order_is_nothing(data: st.DataObject, weights: dict[str, float], seed: str, key: str) -> None:
    """In which order the arms stand in the file changes no caller's arm."""
    shuffled = dict(data.draw(st.permutations(list(weights.items()))))
    assert draw_arm(seed, shuffled, key) == draw_arm(seed, weights, key)


# --- what a draw is made of -------------------------------------------------------------------------------------------


@given(st.lists(st.text(st.characters(codec="utf-8")), min_size=1, max_size=5))
def test_uniform_is_never_0_or_1(parts: list[str]) -> None:
    """The ends are left out, so that a logarithm can be taken and traffic 1 enrols every caller."""
    assert 0 < uniform(*parts) < 1
    assert is_enrolled("a-seed", 1, ":".join(parts))


@given(st.lists(names, min_size=2, max_size=4), st.lists(names, min_size=2, max_size=4))
def test_no_two_draws_share_a_number(one: list[str], other: list[str]) -> None:
    """Names hold no colon, so that two draws join to one text only if they are one draw."""
    assert (uniform(*one) == uniform(*other)) == (one == other)
