"""Results as a table for programs: a row for each metric, arm and comparison."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

COLUMNS = (
    *("experiment", "period", "metric", "arm", "callers", "calls", "missing", "mean", "standard_error", "against"),
    *("difference", "low", "high", "fixed_low", "fixed_high", "state"),
)
_OF_THE_ARM = ("callers", "calls", "missing", "mean", "standard_error")


def rows(result: Mapping[str, Any]) -> Iterator[tuple[Any, ...]]:
    """Yield the rows of an experiment's results, a value for each column; None for what is unknown."""
    for metric in result["metrics"]:
        for arm in metric["arms"]:
            about = (result["experiment"], result["period"], metric["metric"], arm["arm"])
            own = tuple(arm[name] for name in _OF_THE_ARM)
            compared = [_compared(each) for each in metric["comparisons"] if each["arm"] == arm["arm"]]
            yield from ((*about, *own, *each) for each in compared or [(None,) * 7])


def _compared(each: Mapping[str, Any]) -> tuple[Any, ...]:
    ends = (*(each["always_valid_interval"] or (None, None)), *(each["interval"] or (None, None)))
    return (each["against"], each["difference"], *ends, each["state"])
