"""Plots as data for the browser, which draws them. A table beside each has the same figures."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from flask_pickup.catalog import CONTROL, Experiment
from flask_pickup.translation import gettext

_Json = Mapping[str, Any]

_MOST_INTERVALS = 12
"""Intervals in a plot; of more only those against control are drawn. The table has them all."""


def plots_of(result: _Json, details: _Json, experiment: Experiment) -> dict[str, Any]:
    """Return the plots of an experiment's page: of its callers by day, of each metric, and of the primary one by week."""
    # As in the previews, so that each arm keeps its colour.
    arms = sorted((arm["arm"] for arm in result["arms"]), key=lambda arm: arm != CONTROL)
    callers = gettext("new callers a day")
    primary = next((metric for metric in result["metrics"] if metric["metric"] == experiment.primary), None)
    return {
        "arms": arms,
        "days": {"kind": "days", "arms": arms, "days": details["days"], "label": callers, "says": callers},
        "metrics": {metric["metric"]: _intervals(metric, experiment, arms) for metric in result["metrics"]},
        "weeks": _weeks(details["narrowing"], primary, arms) if primary else {},
    }


def _intervals(metric: _Json, experiment: Experiment, arms: list[str]) -> _Json | None:
    comparisons = [each for each in metric["comparisons"] if each["interval"]]
    if len(comparisons) > _MOST_INTERVALS:
        comparisons = [each for each in comparisons if each["against"] == CONTROL]
    says = gettext("Intervals of %(metric)s; the table below has the same figures.", metric=metric["metric"])
    plot = {"kind": "intervals", "arms": arms, "comparisons": comparisons, "mark": _mark(metric, experiment)}
    return {**plot, **_unit(metric), "says": says} if comparisons else None


def _mark(metric: _Json, experiment: Experiment) -> _Json | None:
    """Return from where a difference is relevant, or harm no longer accepted."""
    design = next((each for each in experiment.metrics if each.name == metric["metric"]), None)
    sign = 1 if metric["goal"] == "increase" else -1
    if design and design.guardrail:
        text = gettext("harm that is not accepted")
        return {"at": -sign * design.margin, "side": -sign, "kind": "removed", "text": text}
    if design and design.smallest:
        return {"at": sign * design.smallest, "side": sign, "kind": "added", "text": gettext("relevant difference")}
    return None


def _weeks(points: list[_Json], metric: _Json, arms: list[str]) -> Mapping[str, _Json]:
    unit = _unit(metric)
    plots: dict[str, _Json] = {}
    for index, arm in enumerate(arms):
        if rows := [point for point in points if (point["arm"], point["against"]) == (arm, CONTROL)]:
            plots[arm] = {"kind": "weeks", "index": index, "rows": rows, **unit, "says": unit["label"]}
    return plots


def _unit(metric: _Json) -> _Json:
    """Return the label of a metric's differences, and by what they are multiplied."""
    if metric["is_proportion"]:
        return {"scale": 100, "label": gettext("difference, pp")}
    return {"scale": 1, "label": gettext("difference")}
