"""Outcomes as the pages write them: a flag is yes or no, a number a number."""

from __future__ import annotations

from collections.abc import Mapping

from flask_pickup.catalog import Catalog
from flask_pickup.outcome_names import ANALYSED, REPORTED_FLAGS
from flask_pickup.translation import DASH, format_number, gettext, reader_language


class OutcomeWords:
    """Writes outcomes by what the content says of them, in the reader's language."""

    def __init__(self, catalog: Catalog) -> None:
        self._catalog = catalog
        self._metrics = {metric.outcome: metric for each in catalog.experiments for metric in each.metrics}

    def name(self, outcome: str) -> str:
        """Return the label of a metric of an outcome, or else what reports' outcomes are called; else its own name."""
        metric = self._metrics.get(outcome)
        if metric and metric.label:
            return metric.label_in(reader_language())
        return _reported_names().get(outcome, outcome.removeprefix(ANALYSED))

    def value(self, outcome: str, value: float) -> str:
        """Return a value in words: of an outcome whose kind is not known, 1 is taken for yes and 0 for no."""
        if outcome == "duration_seconds":
            metric = self._metrics.get(outcome)
            # A label may name the unit, which is seconds.
            return f"{format_number(round(value))}\u00a0s" if metric and metric.label else duration(value)
        if value in (0, 1) and self._catalog.kind_of(outcome) != "number":
            return gettext("yes") if value else gettext("no")
        return format_number(value, "#,##0" if value == int(value) else "#,##0.00")

    def is_noteworthy(self, outcome: str, value: float) -> bool:
        """Return whether a list has room for it: no report's flag that is 0, unless an experiment measures it."""
        return bool(value) or outcome not in REPORTED_FLAGS or outcome in self._metrics


def _reported_names() -> Mapping[str, str]:
    return {
        "duration_seconds": gettext("Duration"),
        "user_messages": gettext("Caller's messages"),
        "early_hang_up": gettext("Early hang-up"),
        "completed": gettext("Completed"),
        "transferred": gettext("Transferred"),
        "voicemail": gettext("Voicemail"),
        "silence": gettext("Silence"),
        "error": gettext("Error"),
        "unread.messages": gettext("Unreadable transcripts"),
        "unread.analysis": gettext("Unreadable analyses"),
        "analysis.success_evaluation": gettext("Success evaluation"),
    }


def duration(seconds: float | None) -> str:
    """Return a duration as minutes and seconds, such as ``1:42``; a dash for None."""
    if seconds is None:
        return DASH
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes}:{rest:02}"
