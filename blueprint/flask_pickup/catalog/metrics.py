"""``[metrics]`` and ``[decision]`` of ``experiment.toml``, defaults filled in: what is measured, and what decides."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any, Literal

from flask_pickup.catalog.complaints import suggest
from flask_pickup.catalog.definition import MetricDefinition
from flask_pickup.catalog.reader import Table, is_number
from flask_pickup.outcome_names import ANALYSED, REPORTED_FLAGS, REPORTED_NUMBERS

Kind = Literal["flag", "number"]
"""A flag is 0 or 1: it happened, or it did not."""

Kinds = Mapping[str, Kind]
"""Outcome to its kind, of those that an analysis plan can find."""

_OF_TYPES: Mapping[str, Kind] = {"boolean": "flag", "number": "number", "integer": "number"}
_WITHIN = re.compile(r"([1-9][0-9]{0,3})([hdw])")
_DAYS = {"h": 1 / 24, "d": 1, "w": 7}


def analysed(analysis_fields: Mapping[str, Mapping[str, Any]]) -> Iterator[tuple[str, Kind]]:
    """Yield the outcomes that a platform's analysis can find, with their kinds.

    :param analysis_fields: key to JSON Schema.
    """
    for key, schema in analysis_fields.items():
        types = schema.get("type")
        for name in types if isinstance(types, list) else [types]:
            if kind := _OF_TYPES.get(str(name)):
                yield f"{ANALYSED}{key}", kind
        words = schema.get("enum")
        yield from ((f"{ANALYSED}{key}.{word}", "flag") for word in (words if isinstance(words, list) else ()))


def read_metrics(table: Table, primary: str, kinds: Kinds) -> tuple[MetricDefinition, ...]:
    """Read ``[metrics]``.

    :param kinds: what the analysis plans can find; with none of them, nobody knows what the saved agent's finds.
    """
    metrics = table.table("metrics")
    found = {name: _metric(metrics.table(name), name, kinds) for name in metrics}
    metrics.finish()
    if primary:
        _check_primary(table, metrics, primary, found)
    elif found:
        table.complain("no metric is primary", f'write primary = "{next(iter(found))}"', level="warning")
    return tuple(MetricDefinition(name, **metric) for name, metric in found.items())


def read_decision(table: Table) -> dict[str, Any]:
    """Read ``[decision]``: how sure to be, and when."""
    decision = table.table("decision")
    found = {
        "confidence": decision.number(
            "confidence", 0.95, lambda share: 1 / 2 <= share < 1, "a share of at least 0.5 and below 1, such as 0.95"
        ),
        "expected_callers": _whole(decision, "expected_callers", 2000, 100),
        "minimum_days": _whole(decision, "minimum_days", 14, 1),
        "maximum_days": _whole(decision, "maximum_days", 180, 1),
        "arm_to_arm": _boolean(decision, "arm_to_arm"),
    }
    if found["maximum_days"] < found["minimum_days"]:
        decision.complain(
            "maximum_days is less than minimum_days", "write the longer time as maximum_days", "maximum_days"
        )
    decision.finish()
    return found


def _metric(table: Table, name: str, kinds: Kinds) -> dict[str, Any]:
    outcome = table.text("outcome", name)
    kind = _kind(table, outcome, kinds)
    numeric = kind == "number"
    found = {
        "outcome": outcome,
        "goal": table.choice("goal", "increase", "increase", "decrease"),
        "guardrail": _boolean(table, "guardrail"),
        "margin": table.number("margin", 0, lambda margin: margin >= 0, "a number, 0 or more"),
        "smallest": table.number("smallest", 0, lambda least: least > 0, "a positive number") or None,
        "per": table.choice("per", "call" if numeric else "caller", "caller", "call"),
        "missing": table.choice("missing", "leave out" if numeric else "zero", "zero", "leave out"),
        "within": _within(table),
        "cap": table.number("cap", 0, lambda share: 1 / 2 <= share < 1, "a percentile such as 0.99") or None,
    }
    table.finish()
    _check_sense(table, found, kind)
    return found


def _kind(table: Table, outcome: str, kinds: Kinds) -> Kind:
    """Return the kind of an outcome; the host's own are taken for flags until the author says otherwise."""
    if outcome in REPORTED_NUMBERS:
        return "number"
    if outcome.startswith(ANALYSED) and outcome not in kinds and kinds:
        remedy = suggest(outcome, kinds)
        table.complain(f"no analysis plan here finds '{outcome}'", remedy, "outcome", level="warning")
    return kinds.get(outcome, "flag")


def _check_sense(table: Table, metric: Mapping[str, Any], kind: Kind) -> None:
    if metric["guardrail"] and not metric["margin"]:
        remedy = "write margin = 0.03, or what harm you accept: no data can exclude every harm"
        table.complain("the guardrail has no margin", remedy, level="warning")
    is_share = kind == "flag" and (metric["outcome"] in REPORTED_FLAGS or metric["outcome"].startswith(ANALYSED))
    for key in ("smallest", "margin"):
        if is_share and (metric[key] or 0) >= 1:
            table.complain(f"{key} is a share here, and cannot be {metric[key]}", "write 0.05 for 5 in a hundred", key)
    if is_share and metric["cap"]:
        table.complain("cap cuts large values, and there are none but 0 and 1", "take it out", "cap", level="warning")


def _check_primary(table: Table, metrics: Table, primary: str, found: Mapping[str, Mapping[str, Any]]) -> None:
    if primary not in found:
        table.complain(f"no metric is called '{primary}'", suggest(primary, found), "primary")
        return
    if found[primary]["guardrail"]:
        table.complain("the primary metric cannot be a guardrail", "take out guardrail, or name another", "primary")
    elif found[primary]["smallest"] is None:
        problem = f"the primary metric '{primary}' does not say which difference would matter to you"
        remedy = "write smallest = 0.05, in the metric's own unit: without it no end can be foreseen"
        metrics.complain(problem, remedy, primary, level="warning")


def _within(table: Table) -> float | None:
    """Return the days of ``within``."""
    text = table.get(
        "within", "", lambda value: isinstance(value, str) and bool(_WITHIN.fullmatch(value)), 'a time such as "7d"'
    )
    match = _WITHIN.fullmatch(text)
    return int(match[1]) * _DAYS[match[2]] if match else None


def _whole(table: Table, key: str, default: int, least: int) -> int:
    def fits(value: Any) -> bool:
        return is_number(value) and isinstance(value, int) and value >= least

    return table.get(key, default, fits, f"a whole number of at least {least}")


def _boolean(table: Table, key: str) -> bool:
    return table.get(key, default=False, fits=lambda value: isinstance(value, bool), right="true or false")
