"""Plots as data for the browser, which draws them. A table beside each has the same figures."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from flask_pickup.catalog import CONTROL, Experiment
from flask_pickup.translation import gettext

Json = Mapping[str, Any]

_MOST_INTERVALS = 12
"""Intervals in a plot; of more only those against control are drawn. The table has them all."""


def plots_of(result: Json, details: Json, experiment: Experiment) -> dict[str, Any]:
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


def _intervals(metric: Json, experiment: Experiment, arms: list[str]) -> Json | None:
    comparisons = [each for each in metric["comparisons"] if each["always_valid_interval"]]
    if len(comparisons) > _MOST_INTERVALS:
        comparisons = [each for each in comparisons if each["against"] == CONTROL]
    if not comparisons:
        return None
    return {
        "kind": "intervals",
        "arms": arms,
        "comparisons": comparisons,
        "scale": _scale(metric),
        "mark": _mark(metric, experiment),
        "label": _label(metric),
        "says": gettext("Intervals of %(metric)s; the table below has the same figures.", metric=metric["metric"]),
    }


def _mark(metric: Json, experiment: Experiment) -> Json | None:
    """Return from where a difference is relevant, or harm no longer accepted."""
    design = next((each for each in experiment.metrics if each.name == metric["metric"]), None)
    sign = 1 if metric["goal"] == "increase" else -1
    if design is None or not (design.guardrail or design.smallest):
        return None
    if design.guardrail:
        text = gettext("harm that is not accepted")
        return {"at": -sign * design.margin, "side": -sign, "kind": "removed", "text": text}
    return {"at": sign * (design.smallest or 0), "side": sign, "kind": "added", "text": gettext("relevant difference")}


def _weeks(points: list[Json], metric: Json, arms: list[str]) -> dict[str, Json]:
    label = _label(metric)
    plots: dict[str, Json] = {}
    for index, arm in enumerate(arms):
        rows = [point for point in points if (point["arm"], point["against"]) == (arm, CONTROL)]
        if rows:
            plots[arm] = {
                "kind": "weeks",
                "index": index,
                "rows": rows,
                "scale": _scale(metric),
                "label": label,
                "says": label,
            }
    return plots


def _label(metric: Json) -> str:
    return gettext("difference, pp") if metric["is_proportion"] else gettext("difference")


def _scale(metric: Json) -> int:
    return 100 if metric["is_proportion"] else 1
