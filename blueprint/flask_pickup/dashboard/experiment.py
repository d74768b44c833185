"""An experiment: its verdict, what its callers hear, its numbers, and its definitions."""

from __future__ import annotations

from flask import Response, abort, request

from flask_pickup.catalog import Experiment
from flask_pickup.dashboard.arm_preview import arm_decisions, customer_fields, word_diff
from flask_pickup.dashboard.definitions import definition, definition_changes, definitions, setting_values
from flask_pickup.dashboard.downloads import KINDS, download
from flask_pickup.dashboard.frame import Frame, freshness
from flask_pickup.dashboard.plots import plots_of
from flask_pickup.results.model import CSV_COLUMNS, csv_rows
from flask_pickup.results.snapshots import Latest
from flask_pickup.results.wording import with_messages
from flask_pickup.translation import gettext


def experiment_page(frame: Frame, name: str) -> Response:
    """Return the page of an experiment."""
    experiment = frame.experiment(name)
    defined = definitions(frame.webhook.engine, name)
    latest = _latest(frame, experiment)
    body = latest.body or {}
    result, details = body.get("results"), body.get("details")
    return frame.page(
        "experiment",
        experiment=experiment,
        **freshness([latest]),
        failed="failed" in body,
        result=with_messages(result) if result and details else None,
        details=details,
        plots=plots_of(result, details, experiment) if result and details else {},
        form=request.args,
        customer_fields=customer_fields(frame.catalog, name),
        languages=sorted(frame.catalog.languages),
        arms=arm_decisions(frame.catalog, frame.webhook.default_platform, experiment, request.args),
        word_diff=word_diff,
        definitions=zip(defined, definition_changes([row["body"] for row in defined]), strict=False),
    )


def numbers(frame: Frame, name: str, kind: str) -> Response:
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
