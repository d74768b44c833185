"""What to do, decided from the results of a weekly look: a state and findings as plain values, worded in ``wording``.

A verdict is about whole weeks, because Monday's callers are not Saturday's. It claims no more than the intervals do, and
gives their end nearest to zero, never the estimate. Once given it stays, unless the rows turn out not to be reliable.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from math import ceil

from flask_pickup.catalog.definition import CONTROL, Experiment
from flask_pickup.results.choice import choose
from flask_pickup.results.estimates import finite
from flask_pickup.results.looks import FINAL, WEEK, PastLooks
from flask_pickup.results.model import Claim, Comparison, Finding, Metric, Results, Verdict, VerdictState
from flask_pickup.results.outlook import Outlook
from flask_pickup.results.statistics import state_of

WINS = ("better", "better below smallest")
KEPT = FINAL | {"choice"}
CLAIMED = FINAL | {"harmed"}
_OF_CHOICES = frozenset({"horizon", "guardrail-unknown"})


def decide_verdict(
    results: Results, design: Experiment, history: PastLooks, changes: Sequence[datetime] = ()
) -> Verdict:
    """Return the verdict on results up to the end of a whole week.

    :param history: the looks before it.
    :param changes: when rules were changed that a finding may follow from.
    """
    if broken := revoked(results, design, history):
        return broken
    decided = _verdict(results, design, history)
    if any(change < datetime.fromisoformat(claim.found) for change in changes for claim in decided.claims):
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


def with_harm(verdict: Verdict, today: Results, design: Experiment) -> Verdict:
    """Return a verdict that does not roll out an arm of which today's results show harm."""
    known = {(each.arm, each.metric) for each in verdict.claims}
    harms = [
        _harm(each.arm, metric, min(each.interval, key=abs), design)
        for metric in today.metrics
        for each in metric.comparisons
        if each.state == "harmed" and each.interval
        if each.arm in verdict.arms and (each.arm, metric.metric) not in known
    ]
    if not harms or verdict.state not in {*WINS, "choice"}:
        return verdict
    findings = [each for each in verdict.findings if each.code != "stop"]
    return replace(verdict, findings=(*findings, *harms), stop=False)


def _harm(arm: str, metric: Metric, at_least: float, design: Experiment) -> Finding:
    margins = {each.name: each.margin for each in design.metrics}
    values = {"arm": arm, "metric": metric.metric, "unit": metric.unit, "margin": margins.get(metric.metric, 0.0)}
    return Finding("harmed", {**values, "at_least": [at_least]})


def _last_said(history: PastLooks) -> Verdict | None:
    """Return the last verdict that is kept."""
    return next((look.verdict for look in reversed(history.looks) if look.verdict.state in KEPT), None)


def _verdict(results: Results, design: Experiment, history: PastLooks) -> Verdict:
    metric, said = results.metric(design.primary), _last_said(history)
    if metric is None:
        return Verdict("cannot tell yet", (), (Finding("no-primary"),))
    if results.since is None:
        # The rows may have been purged since.
        return said or Verdict("cannot tell yet", (), (Finding("no-caller"),))
    if history.week is None or history.week * WEEK < timedelta(days=design.decision.minimum_days):
        days = design.decision.minimum_days
        first = results.since + ceil(timedelta(days=days) / WEEK) * WEEK
        return Verdict("cannot tell yet", (), (Finding("minimum-days", {"days": days, "day": f"{first:%Y-%m-%d}"}),))
    return _Deciding(results, design, metric, history, said).verdict()


@dataclass(frozen=True)
class _Judged:
    """An arm compared with control.

    :param claim: what is said of it in the primary metric; None while nothing is.
    :param harmed: what is said of each guardrail that it harms.
    :param unknown: a finding for each guardrail that it may harm.
    :param is_supported: whether the intervals of all weeks together say what is claimed.
    :param is_today: whether this look's own interval does.
    """

    arm: str
    claim: Claim | None
    harmed: tuple[Claim, ...]
    unknown: tuple[Finding, ...]
    is_supported: bool = True
    is_today: bool = True

    @property
    def state(self) -> str:
        """Return what is said of the arm; one that harms a guardrail is worse whatever else it is."""
        return "worse" if self.harmed else self.claim.state if self.claim else "undecided"


class _Deciding:
    def __init__(
        self, results: Results, design: Experiment, metric: Metric, history: PastLooks, said: Verdict | None
    ) -> None:
        self.results = results
        self.design = design
        self.metric = metric
        self.history = history
        self.said = said
        self.designs = {each.name: each for each in design.metrics}
        self.primary = self.designs[design.primary]

    def verdict(self) -> Verdict:
        judged = [self._judge(each) for each in self.metric.comparisons if each.against == CONTROL]
        winners, losers, draws = (
            [each for each in judged if each.state in states] for states in (WINS, ("worse",), ("no difference",))
        )
        undecided = [each for each in judged if each not in (*winners, *losers, *draws)]
        if winners:
            decided = self._better(winners, losers)
        elif losers:
            decided = self._worse(losers, draws, undecided)
        elif draws and not undecided:
            decided = self._no_difference(draws)
        else:
            decided = self._cannot_tell(undecided)
        claims = [claim for each in judged for claim in (each.claim, *each.harmed) if claim]
        return replace(decided, claims=tuple(claims))

    def _judge(self, comparison: Comparison) -> _Judged:
        found = self._claim(self.metric, comparison)
        family = WINS if found and found.state in WINS else (found.state,) if found else ()
        own = state_of(comparison.own_interval, self.primary, self.design)
        harmed, unknown = [], []
        for metric in self.results.metrics:
            for each in metric.comparisons if metric.guardrail else ():
                if (each.arm, each.against) != (comparison.arm, CONTROL):
                    continue
                if claim := self._claim(metric, each):
                    harmed.append(claim)
                elif each.state != "safe":
                    unknown.append(self._unknown(metric, each))
        is_supported = comparison.state in family
        return _Judged(
            comparison.arm, found, tuple(harmed), tuple(unknown), is_supported or not found, own in family or not found
        )

    def _claim(self, metric: Metric, comparison: Comparison) -> Claim | None:
        """Return what is claimed: what was said before, at the last look that supports it; else what this look finds."""
        state, of = comparison.state, (comparison.arm, metric.metric)
        before = next((each for each in (self.said.claims if self.said else ()) if (each.arm, each.metric) == of), None)
        is_said = before is None or before.state == state or (before.state in WINS and state in WINS)
        if state not in CLAIMED or not is_said or not comparison.interval:
            return before
        found = before.found if before else self.results.until.isoformat()
        return Claim(*of, state=state, at_least=min(comparison.interval, key=abs), found=found)

    def _unknown(self, metric: Metric, comparison: Comparison) -> Finding:
        outlook, margin = self._outlook(metric, comparison), self.designs[metric.metric].margin
        weeks = outlook.weeks_left(margin) if outlook and margin else None
        values = {"arm": comparison.arm, "metric": metric.metric, "unit": metric.unit, "margin": margin}
        return Finding("guardrail-unknown", {**values, "weeks": weeks})

    def _about(self, code: str, judged: Sequence[_Judged]) -> Finding:
        ends = [each.claim.at_least for each in judged if each.claim]
        values = {"arms": _names(judged), "metric": self.metric.metric, "unit": self.metric.unit, "at_least": ends}
        return Finding(code, values)

    def _smallest(self, code: str, **values: object) -> Finding:
        return Finding(code, {"smallest": self.primary.smallest, "unit": self.metric.unit, **values})

    def _better(self, winners: Sequence[_Judged], losers: Sequence[_Judged]) -> Verdict:
        best = self._best(winners) if self.design.decision.arm_to_arm else None
        safe = [
            each
            for each in winners
            if each.is_supported
            and not each.unknown
            and (not self.design.decision.arm_to_arm or len(winners) == 1 or each.arm == best)
        ]
        findings = [self._about("better", winners)]
        is_small = all(each.state == "better below smallest" for each in winners)
        if is_small:
            findings.append(self._smallest("below-smallest"))
        if len(winners) > 1 and not self.design.decision.arm_to_arm:
            findings.append(Finding("not-compared"))
        elif len(winners) > 1:
            findings.append(Finding("best", {"arm": best}) if best else Finding("best-unknown"))
        findings += [*self._since(winners), *(finding for each in winners for finding in each.unknown)]
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
        findings = [*self._losses(losers), *self._since(losers)]
        if draws:
            findings.append(self._same(draws))
        if undecided and self.is_past_horizon and (chosen := self._chosen(undecided)):
            return replace(chosen, findings=(*chosen.findings, *findings))
        if undecided:
            findings.append(Finding("open", {"arms": _names(undecided)}))
        is_done = not (draws or undecided)
        return Verdict("worse", _names(losers), tuple(findings), stop=is_done, found=_found(losers))

    def _losses(self, losers: Sequence[_Judged]) -> Iterator[Finding]:
        for each in losers:
            if each.claim and each.claim.state == "worse":
                yield self._about("worse", [each])
            for claim in each.harmed:
                if metric := self.results.metric(claim.metric):
                    yield _harm(claim.arm, metric, claim.at_least, self.design)
            if each.claim and each.claim.state in WINS:
                yield self._about("better", [each])

    def _no_difference(self, draws: Sequence[_Judged]) -> Verdict:
        unknown = [finding for each in draws for finding in each.unknown]
        is_done = not unknown and all(each.is_supported for each in draws)
        advice = Finding("keep-either" if is_done else "keep-control")
        findings = (self._same(draws), *self._since(draws), *unknown, advice)
        return Verdict("no difference", _names(draws), findings, stop=is_done, found=_found(draws))

    def _same(self, draws: Sequence[_Judged]) -> Finding:
        return self._smallest("same", arms=_names(draws), metric=self.metric.metric)

    def _since(self, judged: Sequence[_Judged]) -> Iterator[Finding]:
        """Yield what the weeks since then say otherwise."""
        if unsupported := [each for each in judged if not each.is_supported]:
            yield Finding("unsupported", {"arms": _names(unsupported)})
        if others := [each for each in judged if each.is_supported and not each.is_today]:
            yield Finding("not-today", {"arms": _names(others)})

    # --- without a finding --------------------------------------------------------------------------------------------

    def _cannot_tell(self, judged: Sequence[_Judged]) -> Verdict:
        question = {"either": _names(judged), "metric": self.metric.metric}
        if not self.is_past_horizon:
            takes = tuple(self._takes(judged))
            return Verdict("cannot tell yet", _names(judged), (Finding("too-early", question), *takes))
        if chosen := self._chosen(judged):
            return chosen
        findings = (Finding("too-few-calls", question), *(finding for each in judged for finding in each.unknown))
        if self.primary.smallest is None:
            findings += (Finding("no-smallest"),)
        return Verdict("cannot tell at your number of calls", _names(judged), findings)

    @property
    def is_past_horizon(self) -> bool:
        """Whether the look is the horizon's last, or after it."""
        return self.history.weeks >= self.design.decision.maximum_weeks

    def _chosen(self, judged: Sequence[_Judged]) -> Verdict | None:
        """Return the choice among control and arms of which nothing is found; one that was made at this horizon stays."""
        horizon = Finding("horizon", {"weeks": self.design.decision.maximum_weeks})
        if self.said and self.said.state == "choice" and horizon in self.said.findings:
            return replace(self.said, findings=tuple(each for each in self.said.findings if each.code in _OF_CHOICES))
        choice = choose(self.metric, self.primary, [CONTROL, *_names(judged)])
        if choice is None:
            return None
        findings = (horizon, *(finding for each in judged for finding in each.unknown))
        found = self.results.until.isoformat()
        return Verdict("choice", (choice.arm,), findings, stop=True, found=found, choice=choice)

    def _takes(self, judged: Sequence[_Judged]) -> Iterator[Finding]:
        """Yield how long it takes to find a difference of ``smallest``."""
        smallest, pace = self.primary.smallest, self.results.new_callers_a_week
        if smallest is None:
            yield Finding("no-smallest")
            return
        names = _names(judged)
        compared = [each for each in self.metric.comparisons if each.arm in names and each.against == CONTROL]
        outlooks = [self._outlook(self.metric, each) for each in compared]
        known = [each for each in outlooks if each]
        if len(known) < len(outlooks):
            yield Finding("weeks-unknown")
        elif not pace:
            yield self._smallest("no-new-callers")
        elif all(each.is_overdue(smallest) for each in known):
            yield self._smallest("overdue", weeks=self.design.decision.maximum_weeks - self.history.weeks)
        elif None not in (weeks := [each.weeks_left(smallest) for each in known]):
            yield self._smallest("weeks", weeks=max(each or 0 for each in weeks), pace=pace)
        else:
            yield self._smallest(
                "beyond-horizon",
                detectable=finite(max(each.detectable for each in known)),
                planned=self.design.decision.maximum_weeks,
                extra_arms=len(self.design.weights) - 2,
            )

    def _outlook(self, metric: Metric, comparison: Comparison) -> Outlook | None:
        return Outlook.of(self.design, self.results, metric, comparison, self.history)


def _names(judged: Sequence[_Judged]) -> tuple[str, ...]:
    return tuple(each.arm for each in judged)


def _found(judged: Sequence[_Judged]) -> str | None:
    """Return when all that is said of them had been found."""
    said = [each.harmed or (each.claim,) for each in judged]
    return max((min(claim.found for claim in claims if claim) for claims in said if any(claims)), default=None)
