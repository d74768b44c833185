"""An experiment as data: what ``experiment.toml`` says, defaults filled in, and the arms' files beside it."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields, replace
from functools import cached_property
from hashlib import sha256
from typing import Any, Literal

from marshmallow.fields import Nested

from flask_pickup.catalog.layers import WHOLE, Range
from flask_pickup.catalog.toml import (
    TableOf,
    TextByLanguage,
    Value,
    choice,
    flag,
    is_finite_number,
    key,
    must_be,
    number,
    schema_of,
    slug,
    string,
    whole,
)

CONTROL = "control"

Status = Literal["draft", "running", "paused", "concluded"]
Goal = Literal["increase", "decrease"]
Per = Literal["caller", "call"]
Kind = Literal["flag", "number"]
"""A flag is 0 or 1: it happened, or it did not."""

_WITHIN = re.compile(r"([1-9][0-9]{0,3})([hdw])")
_DAYS = {"h": 1 / 24, "d": 1, "w": 7}
_CONFIDENCE = "a share of at least 0.5 and below 1, such as 0.95"
_RANGE = "two numbers from 0 to 1, the smaller one first, such as [0.0, 0.5]"
_WEIGHT = 'weight of "{key}" must be a positive number, not {value}; write keys that are not arms above [arms]'


def _days(value: object) -> float | None:
    match = _WITHIN.fullmatch(str(value))
    return int(match[1]) * _DAYS[match[2]] if match else None


def _weight(value: Any) -> float | None:
    return value if is_finite_number(value) and value > 0 else None


@dataclass(frozen=True)
class MetricDefinition:
    """A metric: a table ``[metrics.<name>]``.

    :param label: what pages call it: a text, or language to text; empty for its name.
    :param margin: harm up to this is accepted, in the metric's own unit; of guardrails.
    :param smallest: the smallest relevant difference; None where the author has not said.
    :param missing: ``zero`` or ``leave out``.
    :param within: days after a caller's first assignment; None for all.
    :param cap: the percentile at which values are cut; None for none.
    :param kind: what an analysis plan or the reports make of the outcome; None where that is not known, as of the host's
        own. It is no key of the file.
    """

    name: str
    outcome: str = key(string())
    label: str | Mapping[str, str] = key(TextByLanguage(), default="")
    goal: Goal = key(choice("increase", "decrease"), default="increase")
    guardrail: bool = key(flag(), default=False)
    margin: float = key(number("a number, 0 or more", lambda margin: margin >= 0), default=0.0)
    smallest: float | None = key(number("a positive number", lambda smallest: smallest > 0), default=None)
    per: Per = key(choice("caller", "call"), default="caller")
    missing: Literal["zero", "leave out"] = key(choice("zero", "leave out"), default="zero")
    within: float | None = key(Value(must_be('a time such as "7d"'), _days), default=None)
    cap: float | None = key(number("a percentile such as 0.99", lambda share: 1 / 2 <= share < 1), default=None)
    kind: Kind | None = None

    def label_in(self, language: str) -> str:
        """Return what pages in a language call it."""
        if isinstance(self.label, str):
            return self.label or self.name
        return self.label.get(language) or self.label.get("en") or next(iter(self.label.values()))


@dataclass(frozen=True)
class DecisionRules:
    """The table ``[decision]``: how sure to be, and when.

    :param expected_callers: the size at which a decision is expected: where the always-valid interval is narrowest.
    :param maximum_weeks: the horizon. The weekly looks until then share out the error that a verdict may make; it is
        counted from a period's first assignment, pauses included.
    :param arm_to_arm: whether arms are compared with each other too, and not only with control.
    """

    confidence: float = key(number(_CONFIDENCE, lambda share: 1 / 2 <= share < 1), default=0.95)
    expected_callers: int = key(whole(100), default=2000)
    minimum_days: int = key(whole(1), default=14)
    maximum_weeks: int = key(whole(1), default=12)
    arm_to_arm: bool = key(flag(), default=False)


@dataclass(frozen=True)
class Experiment:
    """An experiment. Attributes are the keys of ``experiment.toml``; ``weights`` is its table ``[arms]``.

    :param weights: arm to weight, in the order of the definition; ``control`` among them.
    :param primary: the metric that the verdict is about; empty where the author has not said.
    :param audience: the source of a Jinja expression; empty for everybody.
    :param layer_range: the layer's callers that it may have.
    :param pins: a caller's key to the arm that they always hear.
    :param files: arm to the text of each of its files.
    :param callers: a hash that changes with the caller secret.
    """

    name: str
    status: Status = key(choice("draft", "running", "paused", "concluded"), default="draft")
    weights: Mapping[str, float] = key(TableOf(values=Value(_WEIGHT, _weight), data_key="arms"), default_factory=dict)
    metrics: tuple[MetricDefinition, ...] = key(TableOf(values=Nested(schema_of(MetricDefinition))), default=())
    primary: str = key(string(), default="")
    decision: DecisionRules = key(Nested(schema_of(DecisionRules)), default=DecisionRules())
    description: str = key(string(), default="")
    winner: str = key(string(), default="")
    traffic: float = key(number("a number above 0, at most 1", lambda share: 0 < share <= 1), default=1)
    audience: str = key(string(), default="")
    layer: str = key(slug(), default="")
    layer_range: Range = key(Value(must_be(_RANGE), Range.of), default=WHOLE)
    unidentified: Literal["exclude", "control", "per-call"] = key(
        choice("exclude", CONTROL, "per-call"), default="exclude"
    )
    seed: str = key(slug(), default="")
    pins: Mapping[str, str] = key(TableOf(values=string()), default_factory=dict)
    files: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    callers: str = ""

    @classmethod
    def of(cls, body: Mapping[str, Any]) -> Experiment:
        """Return the experiment that a ``body`` was made of, such as that of a row of ``pickup_definitions``."""
        rules = [each.name for each in fields(DecisionRules)]
        known = {each.name: body[each.name] for each in fields(cls) if each.name in body and each.name != "pins"}
        return cls(
            **known
            | {
                "name": body["experiment"],
                "weights": body["arms"],
                "layer_range": Range.of(body.get("layer_range")) or WHOLE,
                "metrics": tuple(MetricDefinition(name, **metric) for name, metric in body["metrics"].items()),
                "decision": DecisionRules(
                    **{name: body["decision"][name] for name in rules if name in body["decision"]}
                ),
            }
        )

    @cached_property
    def body(self) -> Mapping[str, Any]:
        """The experiment as JSON, as ``pickup_definitions`` keeps it: of pins, how many each arm has, and nobody's key."""
        body = asdict(self)
        body["pins"] = dict(Counter(self.pins.values()))
        body["layer_range"] = list(self.layer_range)
        body["experiment"], body["arms"] = body.pop("name"), body.pop("weights")
        body["metrics"] = {metric.pop("name"): metric for metric in body["metrics"]}
        return body

    @cached_property
    def fingerprint(self) -> str:
        """32 hexadecimal digits that change whenever ``body`` does."""
        canonical = json.dumps(self.body, sort_keys=True, ensure_ascii=False, separators=(",", ":"))
        return sha256(canonical.encode()).hexdigest()[:32]

    @property
    def file(self) -> str:
        """The path of its ``experiment.toml``."""
        return f"experiments/{self.name}/experiment.toml"

    @property
    def is_running(self) -> bool:
        """Whether callers are being enrolled."""
        return self.status == "running"

    @property
    def holds_range(self) -> bool:
        """Whether callers of a layer are kept for it."""
        return bool(self.layer) and self.status in {"running", "paused"}

    @property
    def precedence(self) -> tuple[bool, str]:
        """Orders experiments whose ranges overlap: the first keeps the callers of both. A range of its own comes first."""
        return self.layer_range == WHOLE, self.name

    @property
    def pairs(self) -> tuple[tuple[str, str], ...]:
        """The comparisons that are made: each an arm, and the arm that it is compared with."""
        others = [arm for arm in self.weights if arm != CONTROL]
        against_control = tuple((arm, CONTROL) for arm in others)
        if not self.decision.arm_to_arm:
            return against_control
        return against_control + tuple((b, a) for i, a in enumerate(others) for b in others[i + 1 :])

    @property
    def primary_first(self) -> Experiment:
        """The same experiment with its primary metric before the others, in whatever order a database keeps them."""
        metrics = sorted(self.metrics, key=lambda metric: metric.name != self.primary)
        return replace(self, metrics=tuple(metrics))

    def metric(self, name: str) -> MetricDefinition | None:
        """Return a metric by its name."""
        return next((metric for metric in self.metrics if metric.name == name), None)

    def metric_label(self, name: str, language: str) -> str:
        """Return what pages in a language call a metric; its name if the experiment no longer has it."""
        metric = self.metric(name)
        return metric.label_in(language) if metric else name
