"""What to do about a verdict, in the reader's language."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from flask_pickup.translation import gettext


def advice(verdict: Mapping[str, Any], status: str) -> str:
    """Return what to do.

    :param verdict: as plain values.
    :param status: the experiment's.
    """
    state, stops = verdict["state"], verdict["stop"]
    if status == "concluded":
        return gettext("Nothing: the experiment is concluded.")
    if status == "paused" and state.startswith("cannot"):
        return gettext(
            'Resume or conclude it: while it is paused, callers hear the base. To resume, set status = "running" in '
            "experiment.toml."
        )
    codes = {finding["code"] for finding in verdict["findings"]}
    if state.startswith("better") and codes & {"harmed", "unsupported"}:
        return gettext("Roll out nothing yet. Find out what changed, or conclude with control.")
    if state == "choice" or (stops and state.startswith("better")):
        return _conclude(state, verdict["arms"])
    return {
        **dict.fromkeys(
            ("better", "better below smallest"),
            gettext("Continue: the open questions need more callers. You may decide now if they do not matter to you."),
        ),
        "worse": gettext("Remove the arm from experiment.toml, or conclude with control."),
        "no difference": gettext("Keep either, and test a larger change.") if stops else gettext("Keep control, or continue."),
        "cannot tell yet": gettext("Let it run, and change nothing meanwhile."),
        "cannot tell at your number of calls": gettext("Test a larger change, or choose without data."),
        "broken": gettext(
            "Decide nothing yet. Find out where calls or reports of an arm are lost, fix it, and start a new period with "
            "another seed in experiment.toml."
        ),
    }[state]  # fmt: skip


def _conclude(state: str, arms: list[str]) -> str:
    if len(arms) > 1:
        return gettext('Roll out one of them: set status = "concluded" and winner in experiment.toml.')
    [arm] = arms
    how = gettext('set status = "concluded" and winner = "%(arm)s" in experiment.toml.', arm=arm)
    if state == "choice":
        return gettext(
            "Conclude with %(arm)s: %(how)s Or let it run: a finding may still come, slowly.", arm=arm, how=how
        )
    if state == "better below smallest":
        return gettext("Roll out %(arm)s if that costs you nothing: %(how)s Or test a larger change.", arm=arm, how=how)
    return gettext("Roll out %(arm)s: %(how)s", arm=arm, how=how)
