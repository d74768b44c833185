"""The overview: whether the line works, what needs attention, and each experiment in a row."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from flask import Response, abort

from flask_pickup.catalog import CONTROL, Experiment
from flask_pickup.dashboard.downloads import KINDS, download
from flask_pickup.dashboard.frame import Frame, freshness
from flask_pickup.dashboard.scorecard import Elapsed, Scorecard, ScorecardRow
from flask_pickup.platform_status import platform_statuses
from flask_pickup.platforms import endpoint_of
from flask_pickup.results.advice import advice
from flask_pickup.results.attention import attention, rehearsals_text
from flask_pickup.results.model import CSV_COLUMNS, csv_rows
from flask_pickup.results.snapshots import Latest
from flask_pickup.results.wording import headline
from flask_pickup.translation import gettext

_Json = Mapping[str, Any]

_ORDER = ("broken", "better", "better below smallest", "worse", "choice", "no difference")
"""States of verdicts after which there is something to do."""
OVERVIEW_COLUMNS = (
    *("experiment", "status", "verdict", "action", "metric", "unit", "arm", "callers", "rate"),
    *("difference", "low", "high", "since", "as_of"),
)


@dataclass(frozen=True)
class ExperimentRow:
    """An experiment as the overview shows it.

    :param result: its latest results; None while there are none, or no caller.
    :param is_computing: whether there are none yet.
    :param has_failed: whether they could not be computed.
    :param rehearsals: that rehearsed calls are not counted, where there are no others.
    """

    experiment: Experiment
    result: _Json | None = None
    is_computing: bool = False
    has_failed: bool = False
    rehearsals: str = ""

    @property
    def urgency(self) -> tuple[int, str]:
        """Orders experiments: those with something to do come first."""
        state = self.result["verdict"]["state"] if self.result else ""
        return _ORDER.index(state) if state in _ORDER else len(_ORDER), self.experiment.name

    @property
    def headline(self) -> str:
        """The verdict in a few words; empty without results."""
        return headline(self.result["verdict"]) if self.result else ""

    @property
    def action(self) -> str:
        """What to do, in a few words; empty without results."""
        return advice(self.result["verdict"], self.result["status"]).action if self.result else ""

    @property
    def is_reliable(self) -> bool:
        """Whether numbers may be shown."""
        return self.result is not None and self.result["verdict"]["state"] != "broken"

    @cached_property
    def compared(self) -> Sequence[ScorecardRow]:
        """The comparisons that the verdict is about; none of unreliable results."""
        if self.result is None or not self.is_reliable:
            return []
        told = Scorecard.of(self.result, self.experiment).told(self.result["verdict"])
        return [row for row in told if row.comparison["interval"]]

    @property
    def elapsed(self) -> Elapsed | None:
        """Where it is on the way to its horizon."""
        return Elapsed.at(self.result, self.experiment) if self.result else None

    @property
    def callers(self) -> int:
        """Those who count."""
        return sum(arm["callers"] for arm in self.result["arms"]) if self.result else 0


def overview(frame: Frame) -> Response:
    """Return the overview."""
    latest = _latest(frame)
    rows = sorted(_rows(frame, latest), key=lambda row: row.urgency)
    return frame.page(
        "overview",
        running=[row for row in rows if row.experiment.status in {"running", "paused"}],
        concluded=[row for row in rows if row.experiment.status == "concluded"],
        drafts=[row.experiment for row in rows if row.experiment.status == "draft"],
        alarms={row.experiment.name: list(attention(row.experiment, row.result)) for row in rows if row.result},
        failed=[row.experiment.name for row in rows if row.has_failed],
        **freshness(latest.values()),
        layers=frame.catalog.layers,
        free_ranges=frame.catalog.free_ranges,
        health=frame.webhook.facts(),
        platforms=platform_statuses(frame.webhook),
        endpoint_of=endpoint_of,
    )


def overview_download(frame: Frame, kind: str) -> Response:
    """Return the overview as a file; 404 for an unknown kind."""
    if kind not in KINDS:
        abort(404)
    latest = _latest(frame)
    if any(one.body is None for one in latest.values()):
        return frame.problem(gettext("The results are being computed. The download begins by itself."), 503)
    lines = [list(_csv_rows(row)) for row in _rows(frame, latest)]
    return download(OVERVIEW_COLUMNS, lines, "pickup_overview", kind)


def _latest(frame: Frame) -> Mapping[str, Latest]:
    return frame.snapshots.latest([one.name for one in frame.catalog.experiments if one.status != "draft"])


def _rows(frame: Frame, latest: Mapping[str, Latest]) -> Iterator[ExperimentRow]:
    for experiment in frame.catalog.experiments:
        body = latest.get(experiment.name, Latest()).body or {}
        result = body.get("results") or {}
        shown = result if result.get("since") else None
        rehearsals = rehearsals_text(result) if result else ""
        yield ExperimentRow(experiment, shown, experiment.name in latest and not body, "failed" in body, rehearsals)


def _csv_rows(row: ExperimentRow) -> Iterator[tuple[Any, ...]]:
    experiment, result = row.experiment, row.result
    verdict = result["verdict"] if result else {}
    known = {arm["arm"]: {"callers": arm["callers"]} for arm in result["arms"]} if result else {}
    if result and row.is_reliable:
        for numbers in (dict(zip(CSV_COLUMNS, each, strict=True)) for each in csv_rows(result)):
            if numbers["metric"] == experiment.primary and numbers["against"] in {CONTROL, None}:
                known[numbers["arm"]] |= numbers
    for arm in sorted(experiment.weights, key=lambda arm: arm != CONTROL):
        numbers = known.get(arm, {})
        yield (
            *(experiment.name, experiment.status, verdict.get("state"), row.action or None, experiment.primary),
            *(numbers.get("unit"), arm, numbers.get("callers")),
            *(numbers.get(name) for name in ("mean", "difference", "low", "high")),
            *((result["since"], result["until"]) if result else (None, None)),
        )
