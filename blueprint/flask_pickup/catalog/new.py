"""A new experiment to edit."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

_TOML = """\
description = "What does {name} change?"
status = "draft"              # draft | running | paused | concluded
layer = "opening"             # experiments of one layer never share a caller: two openings cannot both be heard
traffic = 1.0                 # share of the audience that is enrolled
# audience = "caller.country == 'NL'"
unidentified = "exclude"      # callers without a number: exclude | control | per-call
primary = "appointment_booked"

[arms]                        # weights; control is the base, unchanged
control = 1
{arms}

[metrics.appointment_booked]
outcome = "analysis.appointment_booked"
goal = "increase"
smallest = 0.05               # the least difference that matters to you

[metrics.early_hang_up]
outcome = "early_hang_up"
goal = "decrease"
guardrail = true
margin = 0.03                 # harm up to this is accepted
"""


def write_experiment(folder: Path, name: str, arms: Sequence[str], openings: Sequence[Path]) -> list[Path]:
    """Write a draft with a folder for each arm, which begins with the openings that callers hear now.

    :param openings: the base's ``first_message*.j2``.
    :returns: the files written.
    :raises FileExistsError: if there is an experiment of that name.
    """
    place = folder / name
    place.mkdir(parents=True)
    written = [place / "experiment.toml", place / "control" / ".gitkeep"]
    (place / "control").mkdir()
    written[0].write_text(_TOML.format(name=name, arms="\n".join(f"{arm} = 1" for arm in arms)), "utf-8")
    written[1].touch()
    for arm in arms:
        (place / arm).mkdir()
        written += [_opening(place / arm / path.name, path.read_text("utf-8")) for path in openings]
        if not openings:
            written.append(_opening(place / arm / "first_message.j2", "Hello! How can I help you?\n"))
    return written


def _opening(path: Path, text: str) -> Path:
    path.write_text(text, "utf-8")
    return path
