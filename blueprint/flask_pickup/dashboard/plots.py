"""From an experiment's results to what its page shows: plots as data for the browser, beside tables with the same figures."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any

from flask_pickup.catalog import CONTROL, Experiment
from flask_pickup.dashboard.speech import Speech

Json = Mapping[str, Any]


def shown(answer: Json | None, experiment: Experiment, speech: Speech) -> dict[str, Any]:
    """Return what the template needs of the board's answer, and of its not being there yet.

    :param answer: ``results`` and ``story``, or ``failed``; None while they are being computed.
    """
    result = (answer or {}).get("results")
    found: dict[str, Any] = {"computing": answer is None, "failed": "failed" in (answer or {})}
    if not result or not result["since"]:
        return {**found, "result": None}
    story = answer["story"] if answer else {}
    return {
        **found,
        "result": result,
        "story": story,
        "callers": sum(arm["callers"] for arm in result["arms"]),
        "since": speech.day(datetime.fromisoformat(result["since"])),
        "plots": _plots(result, story, experiment, speech),
    }


def _plots(result: Json, story: Json, experiment: Experiment, speech: Speech) -> dict[str, Any]:
    # As the arms above, so that each keeps its colour.
    arms = sorted((arm["arm"] for arm in result["arms"]), key=lambda arm: arm != CONTROL)
    plots: dict[str, Any] = {
        metric["metric"]: json.dumps(plot)
        for metric in result["metrics"]
        if (plot := _intervals(metric, experiment, arms, speech))
    }
    days = [
        {"day": day, "arm": arm, "callers": count}
        for day, counts in story["days"].items()
        for arm, count in counts.items()
    ]
    label = speech("new callers a day")
    plots["days"] = json.dumps(
        {"kind": "days", "arms": arms, "rows": days, "label": label, "says": label, "language": speech.language}
    )
    plots["arms"] = arms
    plots["narrowing"] = dict(_narrowing(story["narrowing"], arms, speech))
    return plots


def _intervals(metric: Json, experiment: Experiment, arms: list[str], speech: Speech) -> Json | None:
    rows = [
        {
            "arm": each["arm"] if each["against"] == CONTROL else f"{each['arm']} / {each['against']}",
            "index": arms.index(each["arm"]),
            "low": each["always_valid_interval"][0],
            "high": each["always_valid_interval"][1],
            "difference": each["difference"],
        }
        for each in metric["comparisons"]
        if each["always_valid_interval"]
    ]
    if not rows:
        return None
    return {
        "kind": "intervals",
        "rows": rows,
        "marks": list(_marks(metric, experiment, speech)),
        "marginLeft": 24 + 8 * max(len(row["arm"]) for row in rows),
        "label": speech("difference to the base"),
        "says": speech("Intervals of %(metric)s; the table below has the same figures.", metric=metric["metric"]),
        "percent": metric["is_proportion"],
        "language": speech.language,
    }


def _marks(metric: Json, experiment: Experiment, speech: Speech) -> Iterator[Json]:
    """Yield where the difference matters, and where harm is no longer accepted."""
    design = experiment.metrics[metric["metric"]]
    sign = 1 if metric["goal"] == "increase" else -1
    if metric["guardrail"]:
        yield {"at": -sign * design["margin"], "kind": "removed", "text": speech("harm that is not accepted")}
    elif design["smallest"]:
        yield {"at": sign * design["smallest"], "kind": "added", "text": speech("the difference that matters")}


def _narrowing(rows: list[Json], arms: list[str], speech: Speech) -> Iterator[tuple[str, str]]:
    for arm in arms:
        mine = [row for row in rows if row["arm"] == arm]
        if mine:
            label = speech("difference to the base")
            yield arm, json.dumps(
                {
                    "kind": "narrowing", "rows": mine, "index": arms.index(arm), "label": label,
                    "says": label, "percent": mine[0]["is_proportion"], "language": speech.language,
                }
            )  # fmt: skip
