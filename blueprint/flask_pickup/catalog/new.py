"""A new experiment to edit."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

_TOML = """\
description = "What does {name} change?"
status = "draft"              # draft | running | paused | concluded
layer = "opening"             # experiments of one layer never share a caller
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
smallest = 0.05               # the smallest relevant difference

[metrics.early_hang_up]
outcome = "early_hang_up"
goal = "decrease"
guardrail = true
margin = 0.03                 # harm up to this is accepted
"""


def write_experiment(folder: Path, name: str, arms: Sequence[str], greetings: Sequence[Path]) -> list[Path]:
    """Write a draft with a folder for each arm, which begins with the base's greetings.

    :param greetings: the base's ``first_message*.j2``.
    :returns: the files written.
    :raises FileExistsError: if the experiment exists.
    """
    texts = {path.name: path.read_text("utf-8") for path in greetings}
    texts = texts or {"first_message.j2": "Hello! How can I help you?\n"}
    files = {"experiment.toml": _TOML.format(name=name, arms="\n".join(f"{arm} = 1" for arm in arms))}
    files |= {"control/.gitkeep": ""}
    files |= {f"{arm}/{file}": text for arm in arms for file, text in texts.items()}
    (folder / name).mkdir(parents=True)
    for file, text in files.items():
        path = folder / name / file
        path.parent.mkdir(exist_ok=True)
        path.write_text(text, "utf-8")
    return [folder / name / file for file in files]
