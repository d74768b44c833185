"""The plan's form: three numbers as people write them, in hundreds of callers."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from flask_pickup.catalog.definition import Experiment, MetricDefinition
from flask_pickup.translation import gettext

_GROUPED = re.compile(r"[1-9]\d{0,2}([.,]\d{3})+")

FIELDS = ("baseline", "lift", "callers_a_week")


@dataclass(frozen=True)
class Asked:
    """What somebody wrote into the form.

    :param numbers: baseline, lift and callers a week; None while the form is empty or says something impossible.
    :param problem: what is wrong with it; empty if nothing is.
    """

    numbers: tuple[float, float, float] | None = None
    problem: str = ""

    def plan(self) -> Mapping[str, Any] | None:
        """Return the plan of a rate with two arms, as plain values; None while nothing is asked."""
        from flask_pickup.results import planning  # noqa: PLC0415 (only who plans pays for numpy)

        if self.numbers is None:
            return None
        baseline, lift, callers_a_week = self.numbers
        metric = MetricDefinition("rate", "rate")
        design = Experiment("", "draft", weights={"control": 1, "other": 1}, metrics=(metric,), primary="rate")
        start = planning.said(baseline, deviation=None, callers_a_week=callers_a_week)
        return planning.plan(design, metric, start, lift).as_json()


def read(form: Mapping[str, str]) -> Asked:
    """Return what a form asks."""
    if not any(form.get(name) for name in FIELDS):
        return Asked()
    baseline, lift = (_number(form.get(name, "")) for name in FIELDS[:2])
    callers = _number(_ungrouped(form.get("callers_a_week", "")))
    if baseline is None or lift is None or callers is None:
        return Asked(problem=gettext("Write three numbers."))
    if not 0 < baseline < 100:  # noqa: PLR2004 (in a hundred)
        return Asked(problem=gettext("What happens to none or to all of a hundred callers cannot be planned with."))
    if not 0 < lift < 100 or callers <= 0:  # noqa: PLR2004
        return Asked(problem=gettext("The difference and the callers have to be more than nothing."))
    return Asked((baseline / 100, lift / 100, callers))


def _ungrouped(written: str) -> str:
    """Return "1,000" or "1.000" as 1000: callers are not counted in thousandths."""
    return re.sub(r"[.,]", "", written) if _GROUPED.fullmatch(written.strip()) else written


def _number(written: str) -> float | None:
    try:
        number = float(written.strip().removesuffix("%").replace(",", "."))
    except ValueError:
        return None
    return number if number < float("inf") else None
