"""What a digest compares with the one before: verdicts, alarms and silent lines, as plain values of no language."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any

from flask_pickup.blueprint import State
from flask_pickup.catalog import Experiment
from flask_pickup.digest.silence import recent_calls, silent_lines
from flask_pickup.ledger.spool import Spool
from flask_pickup.results.attention import needs_attention

Plain = Mapping[str, Any]

NOTHING: Plain = {"experiments": {}, "silent": {}}
OPEN = ("running", "paused")
"""The statuses of experiments whose results a digest is about."""
_WARNINGS = frozenset({"harmed", "unsupported"})
"""Findings that change what to do about a verdict."""


def latest_results(state: State) -> Mapping[str, Plain]:
    """Return the latest results of each open or concluded experiment, of those that have any, computed where they are due."""
    names = [each.name for each in state.catalog.experiments if each.status != "draft"]
    bodies = {name: latest.body or {} for name, latest in state.snapshots.renewed(names).items()}
    return {name: body["results"] for name, body in bodies.items() if "results" in body}


def known_now(state: State, results: Mapping[str, Plain], told: Plain | None) -> Plain:
    """Return what is known now. What cannot be said now is as it was told.

    :raises sqlalchemy.exc.SQLAlchemyError: if the database does not answer.
    :raises SpoolUnavailable: if the spool cannot be read.
    """
    before = told or NOTHING
    experiments = {**before["experiments"]}
    for each in state.catalog.experiments:
        if each.status != "draft" or each.name in experiments:
            experiments[each.name] = _of(each, results.get(each.name), experiments.get(each.name, {}))
    for name in experiments.keys() - {each.name for each in state.catalog.experiments}:
        experiments[name] = {**experiments[name], "lost": experiments[name]["status"] in OPEN}
    return {
        "at": state.now.isoformat(),
        "experiments": experiments,
        "silent": dict(_silent(state, before["silent"])),
    }


def _of(experiment: Experiment, result: Plain | None, before: Plain) -> Plain:
    found = {"verdict": None, "alarms": {}, "period": None, **before}
    found |= {"status": experiment.status, "winner": experiment.winner, "lost": False}
    if result and experiment.status in OPEN:
        verdict = result["verdict"]
        kept = {name: verdict[name] for name in ("state", "arms", "found", "stop")}
        warned = any(each["code"] in _WARNINGS for each in verdict["findings"])
        found |= {"verdict": {**kept, "warned": warned} if result["since"] else None, "period": result["period"]}
        found["alarms"] = {_key(each): each for each in result["warnings"] if needs_attention(each)}
    return found


def _key(finding: Plain) -> str:
    """Return what stays the same of an alarm while its numbers change."""
    values = finding["values"]
    about = [values[name] for name in ("metric", "platform") if values.get(name)]
    parts = [name for name in ("unreported", "unanalysed", "unjudged") if values.get(name)]
    # Each change of the rules is one of its own.
    days = [values["on"]] if finding["code"] == "rules-changed" else []
    return " ".join([finding["code"], *about, *parts, *days])


def _silent(state: State, before: Mapping[str, Plain]) -> Iterator[tuple[str, Plain]]:
    # Calls that wait for the database are not missing.
    if Spool(state.options.spool).count()[0]:
        yield from before.items()
        return
    calls, now = recent_calls(state.engine, state.now), state.now
    last = {each.key: each.last for each in calls}
    for key, told in before.items():
        if key not in last or last[key] <= datetime.fromisoformat(told["since"]):
            yield key, told
    for each, usual in silent_lines(calls, state.catalog, now):
        since = each.last.isoformat()
        if before.get(each.key, {}).get("since") != since:
            yield each.key, {"platform": each.platform, "line": each.line, "since": since, "usual": usual}
