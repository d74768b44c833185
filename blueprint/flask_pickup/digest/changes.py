"""What changed between two states, in the reader's language: the result, the number, and what to do."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from operator import itemgetter
from typing import Any

from flask_pickup.catalog import CONTROL, Catalog, Experiment
from flask_pickup.digest.silence import WEEKS
from flask_pickup.digest.state import NOTHING, OPEN, Plain
from flask_pickup.platforms import title_of
from flask_pickup.results.advice import Advice, advice
from flask_pickup.results.amounts import level, unit_of
from flask_pickup.results.attention import attention
from flask_pickup.results.wording import headline, verdict_text
from flask_pickup.translation import PageFormat, format_day, format_number, gettext, ngettext, reader_language

_EARLY = "cannot tell yet"
_OF_VERDICT = frozenset({"split", "missing"})
"""Findings that a verdict tells, if it is ``broken``."""
_verdict_key = itemgetter("state", "arms", "stop", "warned")


@dataclass(frozen=True)
class News:
    """One thing that changed, as plain text.

    :param what: the result, in at most twelve words.
    :param number: what it rests on; may be empty.
    :param action: what to do.
    :param experiment: the name of the one that it is about; None of a line.
    """

    what: str
    number: str
    action: str
    experiment: str | None = None


def changes(told: Plain | None, now: Plain, catalog: Catalog, results: Mapping[str, Plain]) -> Iterator[News]:
    """Yield what changed, the silent lines first.

    :param told: the state of the last digest; None before the first, which tells how each open experiment does.
    :param results: the latest results, by experiment.
    """
    before = told or NOTHING
    yield from _lines(before["silent"], now["silent"], catalog)
    for name, each in sorted(now["experiments"].items()):
        if each["lost"] and not before["experiments"].get(name, {}).get("lost"):
            what = gettext("does not load")
            action = gettext("Its callers hear the base. Unless you removed it, run flask pickup check.")
            yield News(f"{name}: {what}", "", action)
    for each in catalog.experiments:
        if each.name in now["experiments"]:
            known = now["experiments"][each.name]
            about = _Experiment(each, results.get(each.name), before["experiments"].get(each.name), known)
            yield from about.first() if told is None else about.changes()


def _lines(before: Plain, now: Plain, catalog: Catalog) -> Iterator[News]:
    for key in sorted({*before, *now}):
        each, told = now.get(key), before.get(key)
        called: Plain = each or told or {}
        if each == told:
            continue
        line = catalog.line(called["line"], None)
        name = line.name or line.number or title_of(called["platform"])
        since = PageFormat(reader_language(), catalog.zone(line)).moment(called["since"], "d MMM y HH:mm")
        if each is None:
            what = gettext("Calls come in on %(line)s again", line=name)
            yield News(what, gettext("There were none from %(since)s on.", since=since), gettext("Nothing to do"))
            continue
        what = gettext("No calls on %(line)s since %(since)s", line=name, since=since)
        number = gettext(
            "The same hours had %(calls)s calls or more in %(most)s of the %(weeks)s weeks before.",
            calls=format_number(each["usual"]), most=WEEKS - 1, weeks=WEEKS,
        )  # fmt: skip
        action = gettext(
            "Call the line. If it does not answer as usual, check the webhook at %(platform)s, and run flask pickup status.",
            platform=title_of(each["platform"]),
        )
        yield News(what, number, action)


@dataclass(frozen=True)
class _Experiment:
    """An experiment, its latest results if there are any, and what was told and is known of it."""

    experiment: Experiment
    result: Plain | None
    told: Plain | None
    known: Plain

    def first(self) -> Iterator[News]:
        """Yield how it does."""
        if self.experiment.status in OPEN:
            if self.result is None:
                action = gettext("Run flask pickup results %(name)s.", name=self.experiment.name)
                yield self._change(gettext("results are not computed yet"), "", action)
            else:
                yield from [self._verdict(self.result)] if self._has_callers else self._status("draft")
            yield from self._alarms({})

    def changes(self) -> Iterator[News]:
        """Yield what changed."""
        told = self.told or {"status": "draft", "verdict": None, "alarms": {}, "period": None}
        yield from self._status(told["status"])
        if self.experiment.status not in OPEN:
            return
        is_other = self._is_other(told["verdict"])
        if is_other:
            yield self._verdict(self.result, told)
        yield from self._alarms(told["alarms"], _OF_VERDICT if is_other else frozenset())

    def _change(self, what: str, number: str, action: str) -> News:
        return News(f"{self.experiment.name}: {what}", number, action, self.experiment.name)

    # --- status -------------------------------------------------------------------------------------------------------

    def _status(self, before: str) -> Iterator[News]:
        status = self.experiment.status
        if status == before:
            return
        if status == "running" and before == "draft":
            yield self._started()
        elif status == "running":
            yield self._change(gettext("resumed"), self._callers, self._advice.text)
        elif status == "paused":
            action = gettext(
                'Resume or conclude it: while it is paused, callers hear the base. To resume, set status = "running" in '
                "experiment.toml."
            )
            yield self._change(gettext("paused"), self._callers, action)
        elif status == "concluded":
            winner = self.experiment.winner
            what = gettext("concluded without a winner")
            if winner:
                is_kept = winner == CONTROL
                what = gettext("control kept") if is_kept else gettext("%(arm)s rolled out", arm=winner)
            yield self._change(what, self._callers, gettext("Nothing to do"))

    def _started(self) -> News:
        arms = gettext(
            "Arms: %(arms)s.", arms=", ".join(sorted(self.experiment.weights, key=lambda arm: arm != CONTROL))
        )
        return self._change(gettext("started"), arms, gettext("Let it run, and change nothing meanwhile."))

    # --- verdict ------------------------------------------------------------------------------------------------------

    def _is_other(self, told: Plain | None) -> bool:
        """Return whether the verdict says something else than was told; that it is early is no news by itself."""
        verdict = self.known["verdict"]
        if not self._has_callers:
            return False
        if told is None:
            return bool(verdict["state"] != _EARLY)
        if verdict["state"] == told["state"] == _EARLY:
            return False
        return bool(_verdict_key(verdict) != _verdict_key(told))

    @property
    def _has_callers(self) -> bool:
        return bool(self.result and self.result["since"])

    def _verdict(self, result: Any, told: Plain | None = None) -> News:
        verdict, labels = (
            result["verdict"],
            {each.name: each.label_in(reader_language()) for each in self.experiment.metrics},
        )
        texts = [self._means(result), self._callers, verdict_text(verdict, labels)]
        if told and told["period"] not in {None, result["period"]}:
            texts.append(gettext("A new period began on %(day)s.", day=format_day(result["since"])))
        said = told["verdict"] if told else None
        if said and said["state"] != _EARLY and verdict["state"] != "broken":
            texts.append(gettext("Before, it was: %(said)s.", said=headline(said)))
        return self._change(headline(verdict), " ".join(filter(None, texts)), self._advice.text)

    @property
    def _advice(self) -> Advice:
        verdict = (
            self.result["verdict"] if self.result else {"state": _EARLY, "arms": [], "stop": False, "findings": ()}
        )
        return advice(verdict, self.experiment.status)

    @property
    def _callers(self) -> str:
        callers = sum(arm["callers"] for arm in self.result["arms"]) if self.result else 0
        return f"{ngettext('1 caller', '%(n)s callers', callers)}."

    def _means(self, result: Plain) -> str:
        """Return the primary metric of control and of the arms that the verdict is about; empty of a broken one."""
        wanted = {CONTROL, *result["verdict"]["arms"]}
        for metric in result["metrics"] if result["verdict"]["state"] != "broken" else ():
            unit = unit_of(metric["is_proportion"], metric["per"])
            means = [
                f"{each['arm']} {level(each['mean'], unit)}"
                for each in sorted(metric["arms"], key=lambda each: each["arm"] != CONTROL)
                if each["arm"] in wanted and each["mean"] is not None
            ]
            if metric["metric"] == self.experiment.primary and len(means) > 1:
                label = self.experiment.metric_label(metric["metric"], reader_language())
                return f"{label}: {', '.join(means)}."
        return ""

    # --- alarms -------------------------------------------------------------------------------------------------------

    def _alarms(self, told: Plain, without: frozenset[str] = frozenset()) -> Iterator[News]:
        known = self.known["alarms"]
        for key, finding in known.items():
            is_of_verdict = (self.known["verdict"] or {}).get("state") == "broken" and finding["code"] in _OF_VERDICT
            if key not in told and not is_of_verdict:
                yield self._change(self._alarm(finding), "", gettext("Find out why before you decide."))
        for key, finding in told.items():
            if key not in known and finding["code"] not in without | {"rules-changed"}:
                what = gettext("an alarm is over")
                number = gettext("It was: %(alarm)s.", alarm=self._alarm(finding))
                yield self._change(what, number, gettext("Nothing to do"))

    def _alarm(self, finding: Plain) -> str:
        return next(attention(self.experiment, {"warnings": [finding]}))
