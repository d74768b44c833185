"""``experiment.toml`` and the arms' folders beside it, as one frozen object."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from hashlib import sha256
from typing import Any

from jinja2 import TemplateSyntaxError

from flask_pickup.catalog.complaints import MEND, suggest, unreadable
from flask_pickup.catalog.definition import CONTROL, DecisionRules, Experiment
from flask_pickup.catalog.metrics import Kinds, read_decision, read_metrics
from flask_pickup.catalog.reader import NAME, Table
from flask_pickup.override import leaves
from flask_pickup.rendering import Environment, Expression, expression

_WEIGHT = "a positive number: the arm's weight; what is no arm stands above [arms]"

# Of a range that is reserved for examples: nobody's pseudonym is given away.
_NOBODYS = "+12015550100"


@dataclass(frozen=True)
class Arm:
    """One of the things that a caller may hear.

    :param folder: ``experiments/<experiment>/<arm>``.
    :param writes: the fields of the answer that it can change, each a path of keys.
    """

    name: str
    folder: str
    writes: frozenset[tuple[str, ...]]


@dataclass(frozen=True)
class Parts:
    """What an arm's folder holds."""

    files: Mapping[str, str]
    writes: frozenset[tuple[str, ...]]


@dataclass(frozen=True)
class Loaded:
    """An experiment together with what is made of it once.

    :param audience: its compiled expression; None where everybody is in the audience.
    """

    experiment: Experiment
    audience: Expression | None
    arms: tuple[Arm, ...]


PinKey = Callable[[str], str | None]
"""From a number as an author writes it to the caller's key; None if it is no number."""


def read_experiment(  # noqa: PLR0913 (all that an experiment follows from)
    name: str,
    table: Table,
    folders: Mapping[str, Parts],
    environment: Environment,
    *,
    pin_key: PinKey,
    kinds: Kinds,
) -> Loaded:
    """Read one experiment; what is wrong with it is complained about through ``table``.

    :param folders: the folders beside ``experiment.toml``, by name.
    :param kinds: what the analysis plans can find.
    """
    if not NAME.fullmatch(name):
        table.complain(f"'{name}' cannot be an experiment's name", "use lower-case letters, digits, '-' and '_'")
    weights = _weights(table, folders)
    folders = {CONTROL: Parts({}, frozenset()), **folders}
    pins = _pins(table, weights, pin_key)
    values: dict[str, Any] = {
        "description": table.text("description"),
        "status": table.choice("status", "draft", "draft", "running", "paused", "concluded"),
        "winner": table.text("winner"),
        "traffic": table.number("traffic", 1, lambda share: 0 < share <= 1, "a number above 0, at most 1"),
        "layer": table.name("layer", ""),
        "unidentified": table.choice("unidentified", "exclude", "exclude", CONTROL, "per-call"),
        "seed": table.name("seed", name),
        "primary": table.text("primary"),
        "audience": table.text("audience"),
    }
    audience = _audience(table, values["audience"], environment)
    metrics = read_metrics(table, values["primary"], kinds)
    decision = DecisionRules(**read_decision(table))
    table.finish()
    _check_winner(table, values, weights)
    experiment = Experiment(
        name=name, **values, weights=weights, pins=pins, metrics=metrics, decision=decision, callers=_mark(pin_key),
        files={arm: dict(folders[arm].files) for arm in weights if arm in folders},
    )  # fmt: skip
    arms = tuple(Arm(arm, f"experiments/{name}/{arm}", folders[arm].writes) for arm in experiment.files)
    return Loaded(experiment, audience, arms)


def _mark(pin_key: PinKey) -> str:
    """Return what changes with the caller secret and says nothing of it: a hash of a pseudonym that it makes.

    Another secret draws every caller anew, so results must not mix callers of two.
    """
    return sha256(f"callers:{pin_key(_NOBODYS)}".encode()).hexdigest()[:16]


def overlap(one: Iterable[Arm], other: Iterable[Arm]) -> tuple[str, ...] | None:
    """Return a field that arms of two experiments can both write, if there is one."""
    for mine in sorted(path for arm in one for path in arm.writes):
        for theirs in (path for arm in other for path in arm.writes):
            shorter, longer = sorted((mine, theirs), key=len)
            if longer[: len(shorter)] == shorter:
                return longer
    return None


def writes(files: Mapping[str, str], override: Mapping[str, Any], used: Mapping[str, frozenset[str]]) -> frozenset[
    tuple[str, ...]
]:  # fmt: skip
    """Return the fields of the answer that an arm can change.

    :param files: the arm's files by logical name.
    :param used: for each of the answer's own templates, the files of the base that it takes in.
    """
    fields = {path for path in leaves(override) if path}
    for template, field in FIELDS.items():
        if files.keys() & used[template]:
            fields.add(field)
    return frozenset(fields)


FIELDS = {
    "first_message.j2": ("assistant", "first_message"),
    "system_prompt.j2": ("assistant", "llm_config", "messages"),
}
"""The answer's own templates, and the field that each becomes."""


def _weights(table: Table, folders: Mapping[str, Parts]) -> dict[str, float]:
    arms = table.table("arms")
    weights = {arm: arms.number(arm, 1, lambda weight: weight > 0, _WEIGHT) for arm in arms}
    arms.finish()
    if not weights:
        table.complain("there are no arms", "write [arms] with control = 1 and a line for each other arm")
    elif CONTROL not in weights:
        arms.complain("no arm is named control", "name the arm that changes nothing control")
    for arm in weights:
        if not NAME.fullmatch(arm):
            arms.complain(f"'{arm}' cannot be an arm's name", "use lower-case letters, digits, '-' and '_'", arm)
        elif arm not in folders and arm != CONTROL:
            problem = f"arm '{arm}' has no folder, or nothing in it that is read"
            arms.complain(problem, f"write '{arm}/first_message.j2', or take it out of [arms]", arm)
    for folder in folders.keys() - weights.keys() - {CONTROL}:
        arms.complain(f"the folder '{folder}/' is no arm", f"write {folder} = 1 under [arms], or remove the folder")
    return weights


def _pins(table: Table, weights: Mapping[str, float], pin_key: PinKey) -> dict[str, str]:
    pins = table.table("pins")
    keys = {}
    for place, number in enumerate(pins, 1):
        arm, key = str(pins.raw(number)), pin_key(number)
        # The number itself stays out of the complaints: they end in logs.
        if key is None:
            pins.complain(f"pin {place} is no phone number", 'write it as "+31612345678"', number)
        elif key in keys:
            pins.complain(f"pin {place} is a number that is pinned already", "keep one of the two", number)
        elif arm not in weights:
            pins.complain(f"pin {place}: no arm is called '{arm}'", suggest(arm, weights), number)
        else:
            keys[key] = arm
    return keys


def _audience(table: Table, source: str, environment: Environment) -> Expression | None:
    if not source:
        return None
    try:
        return expression(environment, source)
    except TemplateSyntaxError as error:
        problem, remedy = unreadable(error, environment, "the audience")
        example = "write a Jinja expression such as \"caller.country == 'NL'\""
        table.complain(problem, example if remedy == MEND else remedy, "audience")
        return None


def _check_winner(table: Table, values: Mapping[str, Any], weights: Mapping[str, float]) -> None:
    winner = values["winner"]
    if winner and winner not in weights:
        table.complain(f"no arm is called '{winner}'", suggest(winner, weights), "winner")
    if winner and values["status"] != "concluded":
        table.complain("a winner is heard only once the experiment is concluded", 'write status = "concluded"', "winner",
                       level="warning")  # fmt: skip
