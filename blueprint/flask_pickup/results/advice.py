"""What to do about a verdict, in the reader's language."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from flask_pickup.translation import format_day, gettext


@dataclass(frozen=True)
class Advice:
    """What to do.

    :param action: in a few words: "Roll out warm".
    :param text: in a sentence or two.
    :param change: the lines of ``experiment.toml`` that do it; empty where nothing there does.
    """

    action: str
    text: str
    change: str = ""


def advice(verdict: Mapping[str, Any], status: str) -> Advice:
    """Return what to do about a verdict.

    :param verdict: as plain values.
    :param status: the experiment's.
    """
    state, stops = verdict["state"], verdict["stop"]
    if status == "concluded":
        return Advice(gettext("Nothing to do"), gettext("Nothing: the experiment is concluded."))
    if status == "paused" and state.startswith("cannot"):
        text = gettext(
            'Resume or conclude it: while it is paused, callers hear the base. To resume, set status = "running" in '
            "experiment.toml."
        )
        return Advice(gettext("Resume or conclude"), text, 'status = "running"')
    if status == "draft" and state.startswith("cannot"):
        text = gettext('Set status = "running" in experiment.toml to start it.')
        return Advice(gettext("Start it"), text, 'status = "running"')
    codes = {finding["code"] for finding in verdict["findings"]}
    if state.startswith("better") and codes & {"harmed", "unsupported"}:
        text = gettext("Roll out nothing yet. Find out what changed, or conclude with control.")
        return Advice(gettext("Roll out nothing yet"), text)
    if state == "choice" or (stops and state.startswith("better")):
        return _conclude(state, verdict["arms"])
    broken = gettext(
        "Decide nothing yet. Look for calls that your app answered but that have no row, and for calls without a report. "
        "Fix what loses them, then start a new period with another seed in experiment.toml."
    )
    more = gettext("Continue: the open questions need more callers. You may decide now if they do not matter to you.")
    return {
        **dict.fromkeys(("better", "better below smallest"), Advice(gettext("Continue"), more)),
        "worse": Advice(
            _removed(verdict["arms"]), gettext("Remove the arm from experiment.toml, or conclude with control.")
        ),
        "no difference": _without_difference(stops=stops),
        "cannot tell yet": Advice(_let_run(verdict), gettext("Let it run, and change nothing meanwhile.")),
        "cannot tell at your number of calls": Advice(
            gettext("Test a larger change"), gettext("Test a larger change, or choose without data.")
        ),
        "broken": Advice(gettext("Find the lost calls"), broken),
    }[state]


def _without_difference(*, stops: bool) -> Advice:
    if stops:
        return Advice(gettext("Keep either"), gettext("Keep either, and test a larger change."))
    return Advice(gettext("Keep control"), gettext("Keep control, or continue."))


def _let_run(verdict: Mapping[str, Any]) -> str:
    days = [each["values"]["day"] for each in verdict["findings"] if "day" in each["values"]]
    return gettext("Let it run until %(day)s", day=format_day(days[0])) if days else gettext("Let it run")


def _removed(arms: list[str]) -> str:
    return gettext("Remove %(arms)s", arms=", ".join(arms))


def _conclude(state: str, arms: list[str]) -> Advice:
    if len(arms) > 1:
        text = gettext('Roll out one of them: set status = "concluded" and winner in experiment.toml.')
        return Advice(gettext("Roll out one of them"), text)
    [arm] = arms
    change = f'status = "concluded"\nwinner = "{arm}"'
    how = gettext('set status = "concluded" and winner = "%(arm)s" in experiment.toml.', arm=arm)
    if state == "choice":
        text = gettext(
            "Conclude with %(arm)s: %(how)s Or let it run: a finding may still come, slowly.", arm=arm, how=how
        )
        return Advice(gettext("Conclude with %(arm)s", arm=arm), text, change)
    action = gettext("Roll out %(arm)s", arm=arm)
    if state == "better below smallest":
        text = gettext("Roll out %(arm)s if that costs you nothing: %(how)s Or test a larger change.", arm=arm, how=how)
        return Advice(action, text, change)
    return Advice(action, gettext("Roll out %(arm)s: %(how)s", arm=arm, how=how), change)
