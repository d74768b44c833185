"""Reading ``experiment.toml`` and the arms' folders beside it."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from hashlib import sha256
from typing import Any

from jinja2 import TemplateSyntaxError

from flask_pickup.catalog.complaints import suggest
from flask_pickup.catalog.definition import CONTROL, Experiment
from flask_pickup.catalog.metrics import Kinds, define_decision, define_metrics
from flask_pickup.catalog.syntax import unreadable
from flask_pickup.catalog.toml import NAME, NAME_RULE, TomlFile, schema_of
from flask_pickup.override import KeyPath
from flask_pickup.platforms import Platform
from flask_pickup.rendering import Environment, Expression, expression

_SCHEMA = schema_of(Experiment)

# Of a range that is reserved for examples: nobody's pseudonym is given away.
_EXAMPLE = "+12015550100"


@dataclass(frozen=True)
class Arm:
    """What an arm's folder holds.

    :param folder: ``experiments/<experiment>/<arm>``.
    :param files: the text of each file by its path in the folder.
    :param writes: the fields of the answer that it can change, each the name of a platform and a path of keys.
    """

    name: str
    folder: str
    files: Mapping[str, str]
    writes: frozenset[KeyPath]

    def writes_on(self, platform: Platform) -> bool:
        """Return whether it can change any field of a platform's answer."""
        return any(path[0] == platform.name for path in self.writes)


@dataclass(frozen=True)
class Loaded:
    """An experiment together with what is made of it once, and its file, for complaints.

    :param audience: its compiled expression; None where everybody is in the audience.
    """

    toml: TomlFile
    experiment: Experiment
    audience: Expression | None
    arms: tuple[Arm, ...]


PinKey = Callable[[str], str | None]
"""From a number as an author writes it to the caller's key; None if it is not a number."""


def read_experiment(  # noqa: PLR0913 (all that an experiment follows from)
    toml: TomlFile,
    experiment: str,
    folders: Mapping[str, Arm],
    environment: Environment,
    *,
    pin_key: PinKey,
    kinds: Kinds | None,
) -> Loaded:
    """Read one experiment; what is wrong with it is complained about through ``toml``.

    :param experiment: its name.
    :param folders: the folders beside ``experiment.toml``, by name.
    :param kinds: what the analysis plans can find; None where there are none.
    """
    if not NAME.fullmatch(experiment):
        toml.complain(f"invalid experiment name '{experiment}'", f"use {NAME_RULE}")
    values = toml.load(_SCHEMA())
    weights = values.pop("weights", {})
    named = toml.keys("arms")
    _check_arms(toml, experiment, named, folders)
    _check_winner(toml, values, named)
    if "layer_range" in values and "layer" not in values:
        toml.complain('"layer_range" needs a layer', 'write layer = "opening" above it', "layer_range")
    folders = {CONTROL: Arm(CONTROL, f"experiments/{experiment}/{CONTROL}", {}, frozenset()), **folders}
    arms = tuple(folders[arm] for arm in weights if arm in folders)
    found = Experiment(
        name=experiment,
        weights=weights,
        metrics=define_metrics(toml, values.pop("metrics", {}), values.get("primary", ""), kinds),
        decision=define_decision(toml, values.pop("decision", {})),
        pins=_pins(toml, values.pop("pins", {}), named, pin_key),
        files={arm.name: arm.files for arm in arms},
        callers=_mark(pin_key),
        **{"seed": experiment, **values},
    )
    return Loaded(toml, found, _audience(toml, found.audience, environment), arms)


def _check_arms(toml: TomlFile, experiment: str, arms: Collection[str], folders: Mapping[str, Arm]) -> None:
    if not arms:
        toml.complain("[arms] is missing", "write [arms] with control = 1 and a line for each other arm")
    elif CONTROL not in arms:
        toml.complain(f'[arms] has no "{CONTROL}"', "add control = 1, the arm that changes nothing", "arms")
    for arm in arms:
        if not NAME.fullmatch(arm):
            toml.complain(f"invalid arm name '{arm}'", f"use {NAME_RULE}", "arms", arm)
        elif arm not in folders and arm != CONTROL:
            remedy = f"create experiments/{experiment}/{arm}/first_message.j2 or remove it from [arms]"
            toml.complain(f'arm "{arm}" has no files', remedy, "arms", arm)
    for folder in folders.keys() - set(arms) - {CONTROL}:
        remedy = f"add {folder} = 1 to [arms] or remove the folder"
        toml.complain(f'folder "{folder}/" is not an arm', remedy, "arms")


def _check_winner(toml: TomlFile, values: Mapping[str, Any], arms: Collection[str]) -> None:
    winner = values.get("winner")
    if winner and winner not in arms:
        toml.complain(f"unknown arm '{winner}'", suggest(winner, arms), "winner")
    if winner and values.get("status") != "concluded":
        problem = '"winner" has no effect until the experiment is concluded'
        toml.complain(problem, 'write status = "concluded"', "winner", level="warning")


def _pins(toml: TomlFile, pins: Mapping[str, str], arms: Collection[str], pin_key: PinKey) -> dict[str, str]:
    keys: dict[str, str] = {}
    for place, (pinned, arm) in enumerate(pins.items(), 1):
        # The number itself stays out of the complaints: they end in logs.
        key = pin_key(pinned)
        if key is None:
            toml.complain(f"pin {place} is not a phone number", 'write it as "+31612345678"', "pins", pinned)
        elif key in keys:
            toml.complain(f"pin {place} is a duplicate", "keep one of the two", "pins", pinned)
        elif arm not in arms:
            toml.complain(f"pin {place}: unknown arm '{arm}'", suggest(arm, arms), "pins", pinned)
        else:
            keys[key] = arm
    return keys


def _audience(toml: TomlFile, source: str, environment: Environment) -> Expression | None:
    if not source:
        return None
    try:
        return expression(environment, source)
    except TemplateSyntaxError as error:
        toml.complain(*unreadable(error, environment), "audience")
        return None


def _mark(pin_key: PinKey) -> str:
    """Return what changes with the caller secret and says nothing of it: a hash of a pseudonym that it makes.

    Another secret draws every caller anew, so results must not mix callers of two.
    """
    return sha256(f"callers:{pin_key(_EXAMPLE)}".encode()).hexdigest()[:16]
