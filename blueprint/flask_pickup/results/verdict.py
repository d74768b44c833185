"""What to do, decided from the results of a weekly look: a state and findings as plain values, worded in ``wording``.

A verdict is about whole weeks, because Monday's callers are not Saturday's. It claims no more than the intervals do, and
gives their end nearest to zero, never the estimate. Once given it stays, unless the rows turn out not to be reliable.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from math import isfinite

from flask_pickup.catalog.definition import CONTROL, Experiment
from flask_pickup.results.choice import choose
from flask_pickup.results.looks import FINAL, PastLooks
from flask_pickup.results.model import Comparison, Finding, Metric, Results, Verdict, VerdictState
from flask_pickup.results.outlook import Outlook
from flask_pickup.results.statistics import state_of

WINS = ("better", "better below smallest")
KEPT = FINAL | {"choice"}


def decide_verdict(
    results: Results, design: Experiment, history: PastLooks, changes: Sequence[datetime] = ()
) -> Verdict:
    """Return the verdict on results up to the end of a whole week.

    :param history: the looks before it.
    :param changes: when rules were changed.
    """
    if broken := revoked(results, design, history):
        return broken
    decided = _verdict(results, design, history)
    if decided.found and any(each < datetime.fromisoformat(decided.found) for each in changes):
        decided = replace(decided, findings=(*decided.findings, Finding("error-rate", {})))
    return replace(decided, until=results.until)


def revoked(results: Results, design: Experiment, history: PastLooks) -> Verdict | None:
    """Return the verdict on results that are not reliable, on any day; None where they are."""
    metric = results.metric(design.primary)
    if not results.sample_ratio.ok:
        code = "split"
    elif metric and any(each.state == "suppressed" for each in metric.comparisons):
        code = "missing"
    else:
        return None
    findings = [finding for finding in results.warnings if finding.code == code]
    if said := _last_said(history):
        findings.append(Finding("revoked", {"said": {"state": said.state, "arms": said.arms, "found": said.found}}))
    return Verdict("broken", (), tuple(findings), until=results.until)


def _last_said(history: PastLooks) -> Verdict | None:
    """Return the last verdict that is kept."""
    return next((look.verdict for look in reversed(history.looks) if look.verdict.state in KEPT), None)


def _verdict(results: Results, design: Experiment, history: PastLooks) -> Verdict:
    metric = results.metric(design.primary)
    if metric is None:
        return Verdict("cannot tell yet", (), (Finding("no-primary"),))
    if results.since is None:
        return Verdict("cannot tell yet", (), (Finding("no-caller"),))
    if history.week is None or results.until - results.since < timedelta(days=design.decision.minimum_days):
        return Verdict("cannot tell yet", (), (Finding("minimum-days", {"days": design.decision.minimum_days}),))
    return _Deciding(results, design, metric, history).verdict()


@dataclass(frozen=True)
class _Judged:
    """An arm compared with control.

    :param harmed: a finding for each guardrail that it harms.
    :param unknown: a finding for each guardrail that it may harm.
    :param found: when its state was first found.
    """

    comparison: Comparison
    harmed: tuple[Finding, ...]
    unknown: tuple[Finding, ...]
    found: str | None

    @property
    def arm(self) -> str:
        return self.comparison.arm

    @property
    def state(self) -> str:
        """Return the primary metric's state; an arm that harms a guardrail is worse whatever that is."""
        return "worse" if self.harmed else self.comparison.state


class _Deciding:
    def __init__(self, results: Results, design: Experiment, metric: Metric, history: PastLooks) -> None:
        self.results = results
        self.design = design
        self.metric = metric
        self.history = history
        self.designs = {each.name: each for each in design.metrics}
        self.primary = self.designs[design.primary]

    def verdict(self) -> Verdict:
        judged = [self._judge(each) for each in self.metric.comparisons if each.against == CONTROL]
        winners, losers, draws = (
            [each for each in judged if each.state in states] for states in (WINS, ("worse",), ("no difference",))
        )
        undecided = [each for each in judged if each not in (*winners, *losers, *draws)]
        if winners:
            return self._better(winners, losers)
        if losers:
            return self._worse(losers, draws, undecided)
        if draws and not undecided:
            return self._no_difference(draws)
        return self._cannot_tell(undecided)

    def _judge(self, comparison: Comparison) -> _Judged:
        harmed, unknown, found = [], [], comparison.found
        for metric in self.results.metrics:
            margin = self.designs[metric.metric].margin
            for each in metric.comparisons if metric.guardrail else ():
                if (each.arm, each.against) != (comparison.arm, CONTROL):
                    continue
                values = {"arm": each.arm, "metric": metric.metric, "unit": metric.unit, "margin": margin}
                if each.state == "harmed":
                    harmed.append(Finding("harmed", {**values, "at_least": [_nearest_end(each)]}))
                    found = each.found
                elif each.state in {"unknown", "suppressed"}:
                    outlook = self._outlook(metric, each)
                    weeks = outlook.weeks_left(margin) if outlook and margin else None
                    unknown.append(Finding("guardrail-unknown", {**values, "weeks": weeks}))
        return _Judged(comparison, tuple(harmed), tuple(unknown), found)

    def _about(self, code: str, judged: Sequence[_Judged]) -> Finding:
        ends = [_nearest_end(each.comparison) for each in judged]
        values = {"arms": _names(judged), "metric": self.metric.metric, "unit": self.metric.unit, "at_least": ends}
        return Finding(code, values)

    def _smallest(self, code: str, **values: object) -> Finding:
        return Finding(code, {"smallest": self.primary.smallest, "unit": self.metric.unit, **values})

    def _better(self, winners: Sequence[_Judged], losers: Sequence[_Judged]) -> Verdict:
        best = self._best(winners) if self.design.decision.arm_to_arm else None
        safe = [
            each
            for each in winners
            if not each.unknown and (not self.design.decision.arm_to_arm or len(winners) == 1 or each.arm == best)
        ]
        findings = [self._about("better", winners)]
        is_small = all(each.state == "better below smallest" for each in winners)
        if is_small:
            findings.append(self._smallest("below-smallest"))
        if len(winners) > 1 and not self.design.decision.arm_to_arm:
            findings.append(Finding("not-compared"))
        elif len(winners) > 1:
            findings.append(Finding("best", {"arm": best}) if best else Finding("best-unknown"))
        findings += [*self._not_today(winners), *(finding for each in winners for finding in each.unknown)]
        findings += self._losses(losers)
        if safe:
            findings.append(Finding("stop", {"either": _names(safe)}))
        state: VerdictState = "better below smallest" if is_small else "better"
        return Verdict(state, _names(winners), tuple(findings), stop=bool(safe), found=_found(winners))

    def _best(self, winners: Sequence[_Judged]) -> str | None:
        """Return the arm that beats all other winners; None if none does."""
        beaten: dict[str, set[str]] = {each.arm: set() for each in winners}
        for each in self.metric.comparisons:
            if each.arm in beaten and each.against in beaten and each.state in {*WINS, "worse"}:
                better, worse = (each.arm, each.against) if each.state != "worse" else (each.against, each.arm)
                beaten[better].add(worse)
        return next((arm for arm, others in beaten.items() if len(others) == len(winners) - 1), None)

    def _worse(self, losers: Sequence[_Judged], draws: Sequence[_Judged], undecided: Sequence[_Judged]) -> Verdict:
        findings = [*self._losses(losers), *self._not_today(losers)]
        if draws:
            findings.append(self._same(draws))
        if undecided:
            findings.append(Finding("open", {"arms": _names(undecided)}))
        is_done = not (draws or undecided)
        return Verdict("worse", _names(losers), tuple(findings), stop=is_done, found=_found(losers))

    def _losses(self, losers: Sequence[_Judged]) -> Iterator[Finding]:
        for each in losers:
            if each.comparison.state == "worse":
                yield self._about("worse", [each])
            yield from each.harmed
            if each.comparison.state in WINS:
                yield self._about("better", [each])

    def _no_difference(self, draws: Sequence[_Judged]) -> Verdict:
        unknown = [finding for each in draws for finding in each.unknown]
        advice = Finding("keep-control" if unknown else "keep-either")
        findings = (self._same(draws), *self._not_today(draws), *unknown, advice)
        return Verdict("no difference", _names(draws), findings, stop=not unknown, found=_found(draws))

    def _same(self, draws: Sequence[_Judged]) -> Finding:
        return self._smallest("same", arms=_names(draws), metric=self.metric.metric)

    def _not_today(self, judged: Sequence[_Judged]) -> Iterator[Finding]:
        """Yield that the interval of this look alone would not say so, of arms whose state is from an earlier one."""
        compared = [each.comparison for each in judged if each.comparison.found != self.results.until.isoformat()]
        arms = [each.arm for each in compared if state_of(each.own_interval, self.primary, self.design) != each.state]
        if arms:
            yield Finding("not-today", {"arms": arms})

    # --- without a finding --------------------------------------------------------------------------------------------

    def _cannot_tell(self, judged: Sequence[_Judged]) -> Verdict:
        is_past = self.history.week is not None and self.history.week >= self.design.decision.maximum_weeks
        question = {"either": _names(judged), "metric": self.metric.metric}
        if not is_past:
            takes = tuple(self._takes(judged))
            return Verdict("cannot tell yet", _names(judged), (Finding("too-early", question), *takes))
        said = _last_said(self.history)
        if said and said.state == "choice":
            return said
        unknown = tuple(finding for each in judged for finding in each.unknown)
        if choice := choose(self.metric, self.primary, [CONTROL, *_names(judged)]):
            findings = (Finding("horizon", {"weeks": self.design.decision.maximum_weeks}), *unknown)
            found = self.results.until.isoformat()
            return Verdict("choice", (choice.arm,), findings, stop=True, found=found, choice=choice)
        findings = (Finding("too-few-calls", question), *unknown)
        if self.primary.smallest is None:
            findings += (Finding("no-smallest"),)
        return Verdict("cannot tell at your number of calls", _names(judged), findings)

    def _takes(self, judged: Sequence[_Judged]) -> Iterator[Finding]:
        """Yield how long it takes to find a difference of ``smallest``."""
        smallest, week, pace = self.primary.smallest, self.history.week, self.results.new_callers_a_week
        if smallest is None or week is None:
            yield Finding("no-smallest")
            return
        outlooks = [self._outlook(self.metric, each.comparison) for each in judged]
        known = [each for each in outlooks if each]
        if len(known) < len(outlooks):
            yield Finding("weeks-unknown")
        elif not pace:
            yield self._smallest("no-new-callers")
        elif all(each.is_overdue(smallest) for each in known):
            yield self._smallest("overdue", weeks=self.design.decision.maximum_weeks - week)
        elif None not in (weeks := [each.weeks_left(smallest) for each in known]):
            yield self._smallest("weeks", weeks=max(each or 0 for each in weeks), pace=pace)
        else:
            least = max(each.detectable for each in known)
            yield self._smallest("beyond-horizon", detectable=least if isfinite(least) else None)

    def _outlook(self, metric: Metric, comparison: Comparison) -> Outlook | None:
        return Outlook.of(self.design, self.results, metric, comparison, self.history)


def _names(judged: Sequence[_Judged]) -> tuple[str, ...]:
    return tuple(each.arm for each in judged)


def _found(judged: Sequence[_Judged]) -> str | None:
    """Return when all of them had been found."""
    return max((each.found for each in judged if each.found), default=None)


def _nearest_end(comparison: Comparison) -> float:
    """Return the end of the interval that is nearest to zero."""
    assert comparison.interval is not None
    return min(comparison.interval, key=abs)
