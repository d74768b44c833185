"""The plan: how long an experiment takes, from numbers as people write them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from flask import Response, request

from flask_pickup.catalog.definition import Experiment, MetricDefinition
from flask_pickup.dashboard.frame import Frame
from flask_pickup.dashboard.parameters import chosen
from flask_pickup.dashboard.rows import STATEMENT_TIMEOUT
from flask_pickup.enrolment import Enrolment, enrolment
from flask_pickup.results import planning
from flask_pickup.results.baselines import stated
from flask_pickup.translation import gettext

_FIELDS = ("baseline", "lift", "callers_a_week")
_LEAST = 0.0001
_FEWEST_CALLERS, _MOST_CALLERS = 0.1, 1e9
_THOUSANDS = re.compile(r"[1-9]\d{0,2}([.,]\d{3})+")


def plan_page(frame: Frame) -> Response:
    """Return the page that says how long an experiment takes."""
    experiments = {each.name: each for each in frame.catalog.experiments if each.status != "concluded"}
    name, found = chosen(request.args, "experiment", experiments), _planned(request.args)
    counted = _enrolment(frame, experiments[name]) if name else None
    form = {"callers_a_week": f"{counted.enrolled:.6g}" if counted else "", **request.args}
    status = 400 if "problem" in found else 200
    return frame.page("plan", status, form=form, experiments=experiments, counted=counted, **found)


def _enrolment(frame: Frame, experiment: Experiment) -> Enrolment | None:
    state = frame.webhook
    return enrolment(state.engine, frame.catalog, experiment, now=state.now, seconds=STATEMENT_TIMEOUT)


def _planned(form: Mapping[str, str]) -> dict[str, Any]:
    """Return the ``plan`` that a form asks for, or the ``problem`` with the form; neither of an empty one."""
    if not any(form.get(name) for name in _FIELDS):
        return {}
    try:
        baseline, lift, callers = (_number(form.get(name, ""), name) for name in _FIELDS)
    except ValueError:
        return {"problem": gettext("Enter three numbers.")}
    if not (_LEAST <= baseline <= 1 - _LEAST and _LEAST <= lift < 1):
        return {"problem": gettext("The rate and the difference must be between 0.01 and 99.99.")}
    if not _FEWEST_CALLERS <= callers <= _MOST_CALLERS:
        return {"problem": gettext("The callers must be between 0.1 and a billion.")}
    return {"plan": _plan(baseline, lift, callers)}


def _plan(baseline: float, lift: float, callers_a_week: float) -> Mapping[str, Any]:
    metric = MetricDefinition("rate", "rate")
    design = Experiment("", "draft", weights={"control": 1, "other": 1}, metrics=(metric,), primary="rate")
    return planning.plan(design, metric, stated(baseline), lift=lift, new_callers_a_week=callers_a_week).as_json()


def _number(written: str, name: str) -> float:
    """Return a field's number; "1,000" or "1.000" callers are a thousand.

    :raises ValueError: if it is not a number.
    """
    written = written.strip().removesuffix("%")
    if name != "callers_a_week":
        return float(written.replace(",", ".")) / 100
    return float(re.sub(r"[.,]", "", written) if _THOUSANDS.fullmatch(written) else written.replace(",", "."))
