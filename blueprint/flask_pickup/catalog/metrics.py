"""``[metrics]`` and ``[decision]`` of ``experiment.toml``: what is wrong although each value is valid."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from difflib import get_close_matches
from math import ceil
from typing import Any

from flask_pickup.catalog.complaints import did_you_mean, suggest
from flask_pickup.catalog.definition import DecisionRules, Kind, MetricDefinition
from flask_pickup.catalog.overrides import Overrides
from flask_pickup.catalog.toml import TomlFile
from flask_pickup.outcome_names import ANALYSED, REPORTED_FLAGS, REPORTED_NUMBERS, schema_values
from flask_pickup.platforms.reading import words_of

Kinds = Mapping[str, Kind]
"""Outcome to its kind, of those that an analysis plan can find."""

_REPORTED = (*REPORTED_NUMBERS, *REPORTED_FLAGS)

_BESIDE = frozenset(
    {"average", "call", "calls", "in", "is", "mean", "minutes", "ms", "s", "sec", "secs", "total", "was"}
)
"""Words that an author may write beside the name of a report's outcome."""
_FEWEST_LETTERS = 5

_OF_TYPES: Mapping[str, Kind] = {"boolean": "flag", "number": "number", "integer": "number"}


def analysed(analysis_fields: Mapping[str, Mapping[str, Any]]) -> Iterator[tuple[str, Kind]]:
    """Yield the outcomes that a platform's analysis can find, with their kinds.

    :param analysis_fields: key to JSON Schema.
    """
    for key, schema in analysis_fields.items():
        types, words = schema_values(schema)
        yield from ((f"{ANALYSED}{key}", _OF_TYPES[name]) for name in types if name in _OF_TYPES)
        yield from ((f"{ANALYSED}{key}.{word}", "flag") for word in words)


def planned_kinds(overrides: Overrides) -> Kinds | None:
    """Return what the analysis plans of all folders can find; None where that is set at the vendor."""
    if not any(platform.plans_analysis for platform in overrides.platforms):
        return None
    found = (each.analysis_fields(patch) for each in overrides.platforms for patch in overrides.of(each))
    pairs = [pair for fields in found for pair in analysed(fields)]
    # What one plan calls a number and another a flag may be any number.
    return dict(pairs) | {name: kind for name, kind in pairs if kind == "number"}


def kind_of(outcome: str, kinds: Kinds) -> Kind | None:
    """Return an outcome's kind; None of one that neither reports nor analysis plans bring."""
    if outcome in REPORTED_NUMBERS:
        return "number"
    return "flag" if outcome in REPORTED_FLAGS else kinds.get(outcome)


def define_metrics(
    toml: TomlFile, tables: Mapping[str, Mapping[str, Any]], primary: str, kinds: Kinds | None
) -> tuple[MetricDefinition, ...]:
    """Return the metrics, defaults filled in.

    :param tables: what :class:`MetricSchema` made of each.
    :param kinds: what the analysis plans can find; None where there are none.
    """
    metrics = tuple(_define(toml, name, table, kinds) for name, table in tables.items())
    if primary:
        _check_primary(toml, primary, {metric.name: metric for metric in metrics})
    elif metrics:
        toml.complain("no metric is primary", f'write primary = "{metrics[0].name}"', level="warning")
    return metrics


def define_decision(toml: TomlFile, table: Mapping[str, Any]) -> DecisionRules:
    """Return the rules of decision, defaults filled in."""
    rules = DecisionRules(**table)
    if rules.maximum_weeks * 7 < rules.minimum_days:
        problem = f'"maximum_weeks" ends before "minimum_days": {rules.maximum_weeks} weeks, {rules.minimum_days} days'
        remedy = f"write maximum_weeks = {ceil(rules.minimum_days / 7)} or more"
        toml.complain(problem, remedy, "decision", "maximum_weeks")
    return rules


def _define(toml: TomlFile, name: str, table: Mapping[str, Any], kinds: Kinds | None) -> MetricDefinition:
    outcome = table.get("outcome", name)
    kind = kind_of(outcome, kinds or {})
    # An outcome of which nothing is known is taken for a flag until the author says otherwise.
    defaults = {"per": "call", "missing": "leave out"} if kind == "number" else {}
    metric = MetricDefinition(**{"name": name, "outcome": name, "kind": kind, **defaults, **table})
    is_of_vendor = kinds is None and outcome.startswith(ANALYSED)
    for problem, remedy in () if is_of_vendor else _doubtful_outcome(outcome, kinds or {}):
        toml.complain(problem, remedy, "metrics", name, "outcome", level="warning")
    if metric.guardrail and not metric.margin:
        remedy = "write margin = 0.03, or the harm that you accept: no data can exclude every harm"
        toml.complain("the guardrail has no margin", remedy, "metrics", name, level="warning")
    if kind == "flag" or (kind is None and outcome.startswith(ANALYSED)):
        _check_rate(toml, metric)
    return metric


def _doubtful_outcome(outcome: str, kinds: Kinds) -> Iterator[tuple[str, str]]:
    """Yield problem and remedy for an outcome that no report is likely to bring; other names are the host's own."""
    if outcome in kinds or outcome in _REPORTED:
        return
    known = {name.removeprefix(ANALYSED): name for name in kinds} | {name: name for name in _REPORTED}
    # Of an enum each value is an outcome: an author may write its key, or the value.
    of_enums = {part: name for name in reversed([*kinds]) for part in name.removeprefix(ANALYSED).rsplit(".", 1)}
    plain = outcome.removeprefix(ANALYSED)
    close = get_close_matches(plain, known, n=1, cutoff=0.8)
    meant = {**of_enums, **known}.get(plain) or (known[close[0]] if close else _of_report(plain))
    if outcome.startswith(ANALYSED):
        found = (
            f"known are {', '.join(sorted(kinds))}; the analysis of a saved agent may find others"
            if kinds
            else "add it to the analysis plan, here or of the saved agent"
        )
        yield f"unknown outcome '{outcome}': no analysis plan here finds it", did_you_mean(meant, found)
    elif meant:
        yield f"no report brings '{outcome}', unless you record it yourself", f"did you mean '{meant}'?"


def _of_report(outcome: str) -> str | None:
    """Return a report's outcome that is named with other words beside it, such as ``call_duration``."""
    core = _core(outcome)
    begins_so = (name for name in _REPORTED if len(core) >= _FEWEST_LETTERS and _core(name).startswith(core))
    return next(begins_so, None)


def _core(outcome: str) -> str:
    return "".join(word for word in words_of(outcome) if word not in _BESIDE)


def _check_rate(toml: TomlFile, metric: MetricDefinition) -> None:
    for key, value in (("smallest", metric.smallest or 0), ("margin", metric.margin)):
        if value >= 1:
            problem = f'"{key}" of a rate must be below 1, not {value}'
            toml.complain(problem, "write 0.05 for 5 %", "metrics", metric.name, key)


def _check_primary(toml: TomlFile, primary: str, metrics: Mapping[str, MetricDefinition]) -> None:
    if primary not in metrics:
        toml.complain(f"unknown metric '{primary}'", suggest(primary, metrics), "primary")
    elif metrics[primary].guardrail:
        remedy = "remove guardrail, or name another metric"
        toml.complain("the primary metric cannot be a guardrail", remedy, "primary")
    elif metrics[primary].smallest is None:
        problem = f"the primary metric '{primary}' has no smallest relevant difference"
        remedy = "write smallest = 0.05, in the metric's own unit: without it no end can be foreseen"
        toml.complain(problem, remedy, "metrics", primary, level="warning")
