"""From results to what to do, in words that claim no more than the always-valid intervals do.

The verdict is about whole weeks, because a Monday's callers are others than a Saturday's: it takes the results up to
:func:`last_whole_week`. It gives the cautious end of an interval, never the point in its middle.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from math import ceil, erf, isfinite, sqrt

from flask_pickup.catalog.definition import CONTROL, Experiment, MetricDefinition
from flask_pickup.results import estimates
from flask_pickup.results.model import ArmMean, Bet, Comparison, Metric, Results, Verdict, VerdictState
from flask_pickup.results.statistics import error_share, gain
from flask_pickup.results.wording import at_least, either, listed, sentence, size
from flask_pickup.translation import format_number, gettext, ngettext

WEEK = timedelta(weeks=1)
POWERS = (0.8, 0.95, 0.99)
"""The chance that the weeks which a verdict names will do; the later ones for who has been unlucky so far."""
_ONE_IN_TWENTY = 1.645
"""A normal's standard deviations above which lies a twentieth."""
_EVEN = 1.25
_LONGEST_ODDS = 20
_TEN_YEARS = 520


def last_whole_week(since: datetime, now: datetime) -> datetime:
    """Return the end of the last whole week after ``since``; ``since`` itself in the first."""
    return since + (now - since) // WEEK * WEEK


def decide(results: Results, design: Experiment) -> Verdict:
    """Return the verdict on results up to the end of a whole week."""
    found = _Deciding(results, design).decide()
    return Verdict(found.state, found.message, found.stop, results.until, found.bet)


@dataclass(frozen=True)
class _Judged:
    """What is known of an arm against control."""

    comparison: Comparison
    harmed: tuple[tuple[Metric, Comparison], ...]
    unknown: tuple[MetricDefinition, ...]

    @property
    def arm(self) -> str:
        return self.comparison.arm

    @property
    def wins(self) -> bool:
        return self.comparison.state == "better" and not self.harmed

    @property
    def loses(self) -> bool:
        return self.comparison.state == "worse" or bool(self.harmed)

    @property
    def draws(self) -> bool:
        return self.comparison.state == "no difference" and not self.harmed


class _Deciding:
    def __init__(self, results: Results, design: Experiment) -> None:
        self.results = results
        self.design = design
        self.designs = {metric.name: metric for metric in design.metrics}
        self.metric = results.metric(design.primary)

    def decide(self) -> Verdict:
        if self._is_broken():
            return Verdict("broken", gettext("Do not read this. %(why)s", why=self._reasons()))
        if self.metric is None:
            message = gettext('No metric is the primary one: write primary = "…" in experiment.toml.')
            return Verdict("cannot tell yet", message)
        if self.results.since is None:
            return Verdict("cannot tell yet", gettext("No caller has been given an arm yet."))
        if self.results.until - self.results.since < timedelta(days=self.design.decision.minimum_days):
            return self._too_early()
        judged = [self._judge(each) for each in self.metric.comparisons if each.against == CONTROL]
        return self._combine(judged)

    def _is_broken(self) -> bool:
        states = [each.state for each in self.metric.comparisons] if self.metric else []
        return not self.results.sample_ratio.ok or "silenced" in states

    def _reasons(self) -> str:
        codes = {"split"} if not self.results.sample_ratio.ok else {"missing"}
        return " ".join(finding.message for finding in self.results.warnings if finding.code in codes)

    def _too_early(self) -> Verdict:
        message = gettext(
            "A verdict comes after whole weeks, and not before %(days)s days.", days=self.design.decision.minimum_days
        )
        return Verdict("cannot tell yet", message)

    def _judge(self, comparison: Comparison) -> _Judged:
        guards = [
            (metric, each)
            for metric in self.results.metrics
            if metric.guardrail
            for each in metric.comparisons
            if (each.arm, each.against) == (comparison.arm, CONTROL)
        ]
        harmed = tuple((metric, each) for metric, each in guards if each.state == "harmed")
        unknown = tuple(self.designs[metric.metric] for metric, each in guards if each.state == "unknown")
        return _Judged(comparison, harmed, unknown)

    def _combine(self, judged: Sequence[_Judged]) -> Verdict:
        winners = [each for each in judged if each.wins]
        losers = [each for each in judged if each.loses]
        draws = [each for each in judged if each.draws]
        if winners:
            return self._better(winners, losers)
        if losers:
            return self._worse(losers, judged)
        if draws and len(draws) == len(judged):
            return self._no_difference(draws)
        return self._cannot_tell([each for each in judged if not each.draws])

    # --- better -------------------------------------------------------------------------------------------------------

    def _better(self, winners: Sequence[_Judged], losers: Sequence[_Judged]) -> Verdict:
        parts = [self._found(winners), self._too_small(winners), *self._between(winners)]
        safe = self._stoppable(winners)
        parts += [self._not_known(each) for each in winners if each.unknown]
        parts += self._losses(losers)
        if safe:
            is_all = len(safe) == len(winners)
            parts.append(
                gettext("You can stop.") if is_all else gettext("You can stop with %(arms)s.", arms=_names(safe))
            )
        return Verdict("better", " ".join(filter(None, parts)), stop=bool(safe))

    def _stoppable(self, winners: Sequence[_Judged]) -> list[_Judged]:
        """Return the winners with which one can stop: safe, and the best where that was asked."""
        best = self._best(winners) if self.design.decision.arm_to_arm else None
        asked = self.design.decision.arm_to_arm and len(winners) > 1
        return [each for each in winners if not each.unknown and (not asked or each.arm == best)]

    def _found(self, winners: Sequence[_Judged]) -> str:
        assert self.metric is not None
        values = {"arms": _names(winners), "metric": self.metric.metric, "ends": self._ends(winners)}
        if len(winners) == 1:
            return sentence(gettext("%(arms)s does better on %(metric)s: %(ends)s.", **values))
        if len(winners) == 2:  # noqa: PLR2004
            return sentence(gettext("%(arms)s both do better than control on %(metric)s: %(ends)s.", **values))
        return sentence(gettext("%(arms)s all do better than control on %(metric)s: %(ends)s.", **values))

    def _ends(self, judged: Sequence[_Judged]) -> str:
        assert self.metric is not None
        ends = [at_least(_cautious_end(each.comparison), self.metric) for each in judged]
        return listed([gettext("at least %(amount)s", amount=end) for end in ends])

    def _too_small(self, winners: Sequence[_Judged]) -> str:
        """Say where an improvement is sure, and as sure to be less than matters."""
        design, metric = self.designs[self.design.primary], self.metric
        if design.smallest is None or metric is None:
            return ""
        tops = [max(map(abs, each.comparison.always_valid_interval or (float("inf"),))) for each in winners]
        if max(tops) >= design.smallest:
            return ""
        return gettext("It is less than the %(amount)s that matter.", amount=size(design.smallest, metric))

    def _between(self, winners: Sequence[_Judged]) -> Iterator[str]:
        if len(winners) == 1:
            return
        if not self.design.decision.arm_to_arm:
            yield gettext("Which of them is better was not asked: it takes arm_to_arm = true under [decision].")
        elif best := self._best(winners):
            yield sentence(gettext("%(arm)s is the best of them.", arm=best))
        else:
            yield gettext("Which of them is better cannot be told yet.")

    def _best(self, winners: Sequence[_Judged]) -> str | None:
        """Return the arm that beats all other winners, where arms were compared with each other."""
        assert self.metric is not None
        beaten: dict[str, set[str]] = {each.arm: set() for each in winners}
        for each in self.metric.comparisons:
            if each.arm in beaten and each.against in beaten and each.state in {"better", "worse"}:
                better, worse = (each.arm, each.against) if each.state == "better" else (each.against, each.arm)
                beaten[better].add(worse)
        return next((arm for arm, others in beaten.items() if len(others) == len(winners) - 1), None)

    # --- worse, and the same ------------------------------------------------------------------------------------------

    def _worse(self, losers: Sequence[_Judged], judged: Sequence[_Judged]) -> Verdict:
        parts = list(self._losses(losers))
        others = [each for each in judged if not each.loses]
        draws = [each for each in others if each.draws]
        if draws:
            parts.append(self._same(draws))
        if open_ones := [each for each in others if not each.draws]:
            parts.append(gettext("About %(arms)s it cannot be told yet.", arms=_names(open_ones)))
        return Verdict("worse", " ".join(parts), stop=not others)

    def _losses(self, losers: Sequence[_Judged]) -> Iterator[str]:
        for each in losers:
            if each.comparison.state == "worse":
                yield self._found_worse(each)
            for metric, comparison in each.harmed:
                harm = at_least(_cautious_end(comparison), metric)
                yield self._found_harm(each.arm, metric, harm)

    def _found_worse(self, judged: _Judged) -> str:
        assert self.metric is not None
        message = gettext(
            "%(arms)s does worse on %(metric)s: %(ends)s. Take it back.",
            arms=judged.arm,
            metric=self.metric.metric,
            ends=self._ends([judged]),
        )
        return sentence(message)

    def _found_harm(self, arm: str, metric: Metric, harm: str) -> str:
        margin = self.designs[metric.metric].margin
        values = {"arm": arm, "metric": metric.metric, "harm": harm, "margin": size(margin, metric)}
        if not margin:
            return sentence(gettext("%(arm)s harms %(metric)s: at least %(harm)s. Take it back.", **values))
        return sentence(
            gettext(
                "%(arm)s harms %(metric)s: at least %(harm)s, and %(margin)s were accepted. Take it back.", **values
            )
        )

    def _no_difference(self, draws: Sequence[_Judged]) -> Verdict:
        unknown = [each for each in draws if each.unknown]
        if unknown:
            doubts = " ".join(map(self._not_known, unknown))
            return Verdict("no difference", " ".join([self._same(draws), doubts, gettext("Keep control, or go on.")]))
        return Verdict("no difference", " ".join([self._same(draws), gettext("Keep either; you can stop.")]), stop=True)

    def _same(self, draws: Sequence[_Judged]) -> str:
        assert self.metric is not None
        least = size(self.designs[self.design.primary].smallest or 0, self.metric)
        return gettext(
            "Between %(arms)s and control no difference on %(metric)s is as large as %(amount)s.",
            arms=_names(draws),
            metric=self.metric.metric,
            amount=least,
        )

    def _not_known(self, judged: _Judged) -> str:
        clauses = [self._harm(metric) for metric in judged.unknown]
        return gettext("Whether %(arm)s %(worsens)s is not known yet.", arm=judged.arm, worsens=either(clauses))

    def _harm(self, design: MetricDefinition) -> str:
        metric = self.results.metric(design.name)
        if not design.margin or metric is None:
            return gettext("worsens %(metric)s at all", metric=design.name)
        return gettext(
            "worsens %(metric)s by more than %(margin)s", metric=design.name, margin=size(design.margin, metric)
        )

    # --- not known ----------------------------------------------------------------------------------------------------

    def _cannot_tell(self, judged: Sequence[_Judged]) -> Verdict:
        metric, design = self.metric, self.designs[self.design.primary]
        assert metric is not None
        values = {"arms": either([each.arm for each in judged]), "metric": metric.metric}
        question = gettext("Whether %(arms)s or control is better on %(metric)s cannot be told yet.", **values)
        bet = self._bet(judged)
        if design.smallest is None:
            return Verdict("cannot tell yet", f"{question} {_no_smallest()}", bet=bet)
        left = [weeks for each in judged if (weeks := self._weeks_left(each, design.smallest)) is not None]
        if not left:
            question = gettext(
                "Whether %(arms)s or control is better on %(metric)s cannot be told yet, nor how long it will take.",
                **values,
            )
            return Verdict("cannot tell yet", question, bet=bet)
        takes, state = self._takes(max(left), design.smallest)
        if state != "cannot tell yet":
            question = gettext(
                "Whether %(arms)s or control is better on %(metric)s cannot be told at your number of calls.", **values
            )
        return Verdict(state, f"{question} {takes}", bet=bet)

    def _takes(self, weeks: float, smallest: float) -> tuple[str, VerdictState]:
        assert self.metric is not None
        assert self.results.since is not None
        pace = self.results.new_callers_a_week or 0
        amount = size(smallest, self.metric)
        if not isfinite(weeks):
            message = gettext(
                "No new callers come in, and a difference of %(amount)s takes more of them.", amount=amount
            )
            return message, "cannot tell at your number of calls"
        takes = gettext(
            "Finding a difference of %(amount)s takes about %(weeks)s more, at %(pace)s new callers a week",
            amount=amount,
            weeks=_weeks(weeks),
            pace=_pace(pace),
        )
        passed = (self.results.until - self.results.since) / WEEK
        if passed + weeks <= timedelta(days=self.design.decision.maximum_days) / WEEK:
            return f"{takes}.", "cannot tell yet"
        allowed = gettext("and you allow %(days)s days in all.", days=self.design.decision.maximum_days)
        return f"{takes}, {allowed} {_few_calls()}", "cannot tell at your number of calls"

    def _weeks_left(self, judged: _Judged, smallest: float) -> float | None:
        """Return the weeks until a difference of ``smallest`` would probably be found, or its absence.

        It follows from ``smallest`` and not from what is seen so far, which would promise most where luck was best.
        """
        arm, control = (self._arm(name) for name in (judged.arm, CONTROL))
        error, pace = judged.comparison.standard_error, self.results.new_callers_a_week
        if error is None or pace is None:
            return None
        weights = self.design.weights
        share = (weights[judged.arm] + weights[CONTROL]) / sum(weights.values())
        callers = (arm.callers or 0) + (control.callers or 0)
        needed = self._needed(error**2 * callers, smallest, callers)
        least = self._least_callers(judged.arm)
        if least is None:
            return None
        return max(1, ceil((max(needed, least) - callers) / (pace * share))) if pace else float("inf")

    def _needed(self, spread: float, smallest: float, callers: int) -> float:
        """Return the callers of both arms at whom ``smallest`` is probably found; more than there are already."""
        alpha, expected = error_share(self.design), self.design.decision.expected_callers
        for power in POWERS:
            needed = estimates.callers_needed(spread, smallest, alpha, expected, power=power)
            if needed > callers:
                return needed
        # By then an interval has no room for both: it excludes zero, or it lies within the smallest difference.
        return estimates.callers_needed(spread, smallest / 2, alpha, expected, power=0.5)

    def _least_callers(self, arm: str) -> float | None:
        """Return the callers of both arms at which the always-valid interval begins to speak.

        None where nobody has done it yet, or everybody: then there is no telling.
        """
        assert self.metric is not None
        weights = self.design.weights
        smaller = min(weights[arm], weights[CONTROL]) / (weights[arm] + weights[CONTROL])
        least = float(estimates.FEWEST_CALLERS)
        rates = [rate for name in (arm, CONTROL) if (rate := self._arm(name).mean) is not None]
        if self.metric.is_proportion and rates:
            rarer = min(sum(rates), len(rates) - sum(rates)) / len(rates)
            if rarer <= 0:
                return None
            least = max(least, estimates.FEWEST_EVENTS / rarer)
        return least / smaller

    def _arm(self, name: str) -> ArmMean:
        assert self.metric is not None
        return self.metric.arm(name)

    def _bet(self, judged: Sequence[_Judged]) -> Bet | None:
        """Return what the data lean to: the odds of the arm of which they say most."""
        design, metric = self.designs[self.design.primary], self.metric
        if design.smallest is None or metric is None:
            return None
        prior = design.smallest / _ONE_IN_TWENTY
        chances = [(chance, each.arm) for each in judged if (chance := _chance(each.comparison, design, prior))]
        if not chances:
            return None
        chance, arm = max(chances, key=lambda each: abs(each[0] - 1 / 2))
        favourite, other = (arm, CONTROL) if chance >= 1 / 2 else (CONTROL, arm)
        odds = max(chance, 1 - chance) / max(min(chance, 1 - chance), 1e-9)
        message = gettext(
            "If you had to bet today: %(odds)s that %(arm)s is better than %(other)s. It starts from the belief that a "
            "difference of %(amount)s or more has one chance in twenty to either side. This is a bet and no finding; the "
            "verdict does not use it.",
            odds=_odds(odds),
            arm=favourite,
            other=other,
            amount=size(design.smallest, metric),
        )
        return Bet(favourite, odds, prior, message)


def _no_smallest() -> str:
    return gettext("Write in experiment.toml what difference matters (smallest); then this says how long it takes.")


def _few_calls() -> str:
    return gettext("Bolder differences, fewer arms, all traffic and a more frequent outcome need fewer callers.")


def _names(judged: Sequence[_Judged]) -> str:
    return listed([each.arm for each in judged])


def _cautious_end(comparison: Comparison) -> float:
    """Return the end of the interval that is nearest to nothing."""
    assert comparison.always_valid_interval is not None
    return min(comparison.always_valid_interval, key=abs)


def _chance(comparison: Comparison, design: MetricDefinition, prior: float) -> float | None:
    """Return the posterior probability that the arm is better, under a normal prior about 0."""
    if comparison.always_valid_interval is None or not comparison.standard_error:
        return None
    low, high = gain(comparison.always_valid_interval, design)
    error = comparison.standard_error
    z = (low + high) / 2 * prior / (error * sqrt(prior**2 + error**2))
    return (1 + erf(z / sqrt(2))) / 2


def _odds(odds: float) -> str:
    if odds < _EVEN:
        return gettext("about even odds")
    if odds < 2:  # noqa: PLR2004
        return gettext("3 to 2")
    if odds < _LONGEST_ODDS:
        return gettext("%(odds)s to 1", odds=format_number(odds))
    return gettext("more than %(odds)s to 1", odds=_LONGEST_ODDS)


def _weeks(number: float) -> str:
    if number > _TEN_YEARS:
        return gettext("ten years or")
    return ngettext("a week", "%(n)s weeks", round(number))


def _pace(pace: float) -> str:
    return format_number(pace) if pace >= 1 else gettext("less than one")
