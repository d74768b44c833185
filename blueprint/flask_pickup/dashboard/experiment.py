"""An experiment: its verdict, what its callers hear, its numbers, and its definitions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, tzinfo
from typing import Any

from flask import Response, abort, request
from markupsafe import Markup

from flask_pickup.catalog import CONTROL, Experiment, Line
from flask_pickup.dashboard.arm_preview import preview_arms
from flask_pickup.dashboard.definitions import definition, definition_changes, definitions, setting_values
from flask_pickup.dashboard.downloads import KINDS, download
from flask_pickup.dashboard.frame import Frame, freshness
from flask_pickup.dashboard.plots import bars_by_day, over_time
from flask_pickup.dashboard.preview_form import FormReader
from flask_pickup.dashboard.scorecard import Elapsed, Scorecard, checks
from flask_pickup.results.attention import needs_attention, rehearsals_text
from flask_pickup.results.model import CSV_COLUMNS, csv_rows
from flask_pickup.results.snapshots import Latest
from flask_pickup.results.soundness import SPLIT
from flask_pickup.results.wording import with_messages
from flask_pickup.translation import gettext


def experiment_page(frame: Frame, name: str) -> Response:
    """Return the page of an experiment."""
    experiment = frame.experiment(name)
    defined = definitions(frame.webhook.engine, name)
    bodies = [row["body"] for row in defined]
    latest = _latest(frame, experiment)
    body = latest.body or {}
    details, result, numbers = body.get("details"), None, Markup()
    shown: dict[str, Any] = {"weights": experiment.weights}
    if details:
        result = with_messages(_said_once(body["results"], experiment), frame.labels(experiment))
        shown = _shown(experiment, result, frame.catalog.zone(Line(None)))
        numbers = _numbers(frame, latest, dict(shown, experiment=experiment, result=result, details=details))
    return frame.page(
        "experiment",
        experiment=experiment,
        result=result,
        **shown,
        **freshness([latest]),
        failed="failed" in body,
        rehearsals=rehearsals_text(body["results"]) if "results" in body else "",
        numbers=numbers,
        countries=frame.part("_countries", "", None, lambda: {"regions": FormReader.countries}),
        previews=preview_arms(frame, experiment, _latest_that_ran(bodies), request.args),
        definitions=zip(defined, definition_changes(bodies), strict=False),
    )


def _said_once(results: Mapping[str, Any], experiment: Experiment) -> Mapping[str, Any]:
    """Return results without the verdict's findings that the page tells elsewhere: alarms, and what is done already."""
    verdict = results["verdict"]
    findings = [
        each
        for each in verdict["findings"]
        if not needs_attention(each) and (each["code"] != "stop" or experiment.winner not in each["values"]["either"])
    ]
    return {**results, "verdict": {**verdict, "findings": findings}}


def _latest_that_ran(bodies: Sequence[Mapping[str, Any]]) -> Mapping[str, Any] | None:
    """Return the definition that callers heard last, of those that the latest comes first of."""
    # After the end somebody may have deleted an arm.
    return next((body for body in bodies if body["status"] != "concluded"), next(iter(bodies), None))


def _numbers(frame: Frame, latest: Latest, values: Mapping[str, Any]) -> Markup:
    """Return the part of the page that takes longest: of a year it has thousands of numbers."""

    def plotted() -> Mapping[str, Any]:
        details, arms = values["details"], values["arms_in_order"]
        plots = {
            "over_time_plots": list(over_time(details["narrowing"], arms)),
            "day_bars": bars_by_day(details["days"], arms),
        }
        return {**values, **plots}

    return frame.part("_numbers", values["experiment"].name, latest.at, plotted)


def _shown(experiment: Experiment, result: Mapping[str, Any], zone: tzinfo) -> dict[str, Any]:
    """Return what the page tells of results that have callers.

    :param zone: in which the list of calls has its days.
    """
    # As in the previews, so that each arm keeps its colour.
    arms = sorted((arm["arm"] for arm in result["arms"]), key=lambda arm: arm != CONTROL)
    findings = result["warnings"]
    return {
        "weights": {arm["arm"]: arm["weight"] for arm in result["arms"]},
        "scorecard": Scorecard.of(result, experiment),
        "elapsed": Elapsed.at(result, experiment),
        "period": [datetime.fromisoformat(result[end]).astimezone(zone).date() for end in ("since", "until")],
        "alarms": [each for each in findings if needs_attention(each)],
        "notes": [each for each in findings if not needs_attention(each)],
        "checks": list(checks(result)),
        "split_alarm": SPLIT,
        "primary": next((each for each in result["metrics"] if each["metric"] == experiment.primary), None),
        "arms_in_order": arms,
    }


def numbers_download(frame: Frame, name: str, kind: str) -> Response:
    """Return the numbers of an experiment as a file; 404 for an unknown kind, whether there are numbers or not."""
    if kind not in KINDS:
        abort(404)
    body = _latest(frame, frame.experiment(name)).body
    if body is None:
        return frame.problem(gettext("The results are being computed. The download begins by itself."), 503)
    if "failed" in body:
        return frame.problem(
            gettext("The results could not be computed; the log has the error. Calls are answered."), 500
        )
    result = body.get("results")
    return download(CSV_COLUMNS, [list(csv_rows(result))] if result else (), name, kind)


def definition_page(frame: Frame, fingerprint: str) -> Response:
    """Return the page of a definition that calls were answered with."""
    found = definition(frame.webhook.engine, fingerprint) or abort(404)
    return frame.page("definition", definition=found, settings=setting_values(found["body"]))


def _latest(frame: Frame, experiment: Experiment) -> Latest:
    """Return an experiment's latest results; a draft has none, which need no time."""
    if experiment.status == "draft":
        return Latest(body={})
    return frame.snapshots.latest([experiment.name])[experiment.name]
