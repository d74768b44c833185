"""From an experiment's results to what its page shows: plots as data for the browser, beside tables with the same figures."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

from flask_pickup.catalog import CONTROL, Experiment
from flask_pickup.dashboard.speech import Speech
from flask_pickup.results.wording import with_messages
from flask_pickup.translation import gettext

Json = Mapping[str, Any]

_MOST_ROWS = 12
"""Intervals in a picture; of more only those against control are drawn. The table has them all."""


def shown(latest: Json | None, experiment: Experiment, speech: Speech) -> dict[str, Any]:
    """Return what the template needs of an experiment's latest results.

    :param latest: ``results`` and ``story``, or ``failed``; None while there are none yet.
    """
    body = latest or {}
    found = {"computing": latest is None, "failed": "failed" in body}
    result, story = body.get("results"), body.get("story")
    if not (result and story):
        return {**found, "result": None}
    return {
        **found,
        "result": with_messages(result),
        "story": story,
        "callers": sum(arm["callers"] for arm in result["arms"]),
        "since": speech.iso(result["since"]),
        "plots": _plots(result, story, experiment, speech),
    }


def winner(result: Json, experiment: Experiment) -> str | None:
    """Return the arm that is better than control on the primary metric; None if there is not exactly one."""
    better = [
        each["arm"]
        for metric in result["metrics"]
        if metric["metric"] == experiment.primary
        for each in metric["comparisons"]
        if (each["against"], each["state"]) == (CONTROL, "better")
    ]
    return better[0] if len(better) == 1 else None


def difference_in(metric: Json) -> str:
    """Return what a difference is counted in: of shares it is no percentage, for that would be taken for a relative one."""
    if not metric["is_proportion"]:
        return gettext("difference")
    if metric["per"] == "call":
        return gettext("difference, in a hundred calls")
    return gettext("difference, in a hundred callers")


def _plots(result: Json, story: Json, experiment: Experiment, speech: Speech) -> dict[str, Any]:
    # As the arms above, so that each keeps its colour.
    arms = sorted((arm["arm"] for arm in result["arms"]), key=lambda arm: arm != CONTROL)
    plots: dict[str, Any] = {
        metric["metric"]: json.dumps(plot)
        for metric in result["metrics"]
        if (plot := _intervals(metric, experiment, arms, speech))
    }
    plots["arms"] = arms
    plots["days"] = json.dumps(_days(story["days"], arms, speech))
    primary = next((metric for metric in result["metrics"] if metric["metric"] == experiment.primary), None)
    plots["narrowing"] = dict(_narrowing(story["narrowing"], primary, arms, speech)) if primary else {}
    return plots


def _days(days: Json, arms: list[str], speech: Speech) -> Json:
    label = gettext("new callers a day")
    return {
        "kind": "days",
        "arms": arms,
        "rows": [
            {"day": day, "arm": arm, "callers": counts[arm]}
            for day, counts in days.items()
            for arm in arms
            if arm in counts
        ],
        "label": label,
        "says": label,
        "language": speech.language,
    }


def _intervals(metric: Json, experiment: Experiment, arms: list[str], speech: Speech) -> Json | None:
    times = _times(metric)
    rows = [
        {
            "arm": each["arm"] if each["against"] == CONTROL else f"{each['arm']} / {each['against']}",
            "against": each["against"],
            "index": arms.index(each["arm"]),
            "low": times * each["always_valid_interval"][0],
            "high": times * each["always_valid_interval"][1],
            "difference": times * each["difference"],
        }
        for each in metric["comparisons"]
        if each["always_valid_interval"]
    ]
    if not rows:
        return None
    if len(rows) > _MOST_ROWS:
        rows = [row for row in rows if row["against"] == CONTROL]
    return {
        "kind": "intervals",
        "rows": rows,
        "marks": [{**mark, "at": times * mark["at"]} for mark in _marks(metric, experiment)],
        "label": difference_in(metric),
        "says": gettext("Intervals of %(metric)s; the table below has the same figures.", metric=metric["metric"]),
        "language": speech.language,
    }


def _times(metric: Json) -> int:
    return 100 if metric["is_proportion"] else 1


def _marks(metric: Json, experiment: Experiment) -> Iterator[Json]:
    """Yield where the difference matters, and where harm is no longer accepted."""
    definition = experiment.metric(metric["metric"])
    if definition is None:
        return
    sign = 1 if metric["goal"] == "increase" else -1
    if definition.guardrail:
        yield {"at": -sign * definition.margin, "kind": "removed", "text": gettext("harm that is not accepted")}
    elif definition.smallest:
        yield {"at": sign * definition.smallest, "kind": "added", "text": gettext("the difference that matters")}


def _narrowing(points: list[Json], metric: Json, arms: list[str], speech: Speech) -> Iterator[tuple[str, str]]:
    times, label = _times(metric), difference_in(metric)
    for arm in arms:
        mine = [
            {"until": point["until"], "low": times * point["low"], "high": times * point["high"]}
            for point in points
            if (point["arm"], point["against"]) == (arm, CONTROL)
        ]
        if mine:
            plot = {"kind": "narrowing", "rows": mine, "index": arms.index(arm), "label": label, "says": label}
            yield arm, json.dumps({**plot, "language": speech.language, "zone": str(speech.zone)})
