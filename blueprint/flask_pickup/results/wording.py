"""Findings and verdicts in words, in the reader's language. They are worked out when shown, from plain values."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from math import floor, log10
from typing import Any

from flask_pickup.translation import format_number, gettext, ngettext

Values = Mapping[str, Any]

_DIGITS = 2
_TEN_YEARS = 520
_EVEN, _LONGEST_ODDS = 1.25, 20


def with_messages(data: Values) -> dict[str, Any]:
    """Return results as plain values with a ``message`` beside each finding, and a ``headline`` of the verdict.

    :param data: what :meth:`~flask_pickup.results.model.Results.as_data` returned.
    """
    warnings = [{**each, "message": finding_text(each)} for each in data["warnings"]]
    verdict = data["verdict"]
    if verdict:
        bet = verdict["bet"] and {**verdict["bet"], "message": bet_text(verdict["bet"])}
        verdict = {**verdict, "bet": bet, "headline": headline(verdict), "message": verdict_text(verdict)}
    return {**data, "warnings": warnings, "verdict": verdict}


def headline(verdict: Values) -> str:
    """Return a verdict in a few words: "warm is better"."""
    arms = verdict["arms"]
    return _HEADLINES[verdict["state"]]({"arms": _and(arms), "n": len(arms)})


def verdict_text(verdict: Values) -> str:
    """Return a verdict's sentences."""
    text = " ".join(finding_text(each) for each in verdict["findings"])
    return gettext("These results are not reliable: %(why)s", why=text) if verdict["state"] == "broken" else text


def finding_text(finding: Values) -> str:
    """Return a finding's sentences."""
    return _TEXTS[finding["code"]](finding["values"])


def bet_text(bet: Values) -> str:
    """Return the sentences of what the data lean to."""
    return gettext(
        "If you had to bet today: %(odds)s that %(arm)s is better than %(against)s. This is a bet, not a finding: it "
        "starts from the belief that a difference of %(amount)s or more has a chance of one in twenty in either "
        "direction. The verdict does not use it.",
        odds=_odds(bet["odds"]),
        arm=bet["arm"],
        against=bet["against"],
        amount=amount(bet["smallest"], bet["unit"]),
    )


def amount(value: float, unit: str) -> str:
    """Return the size of a difference that an author wrote, as it is: "5 pp", "10 per call"."""
    return _with_unit(_number(value, unit, round, digits=6), unit)


def at_least(end: float, unit: str) -> str:
    """Return the end of an interval with its sign, rounded towards zero to two digits: "+3.5 pp"."""
    return _with_unit(("-" if end < 0 else "+") + _number(abs(end), unit, floor, digits=_DIGITS), unit)


def difference(value: float, unit: str) -> str:
    """Return an estimated difference with its sign: "+5.7 pp"."""
    if unit == "share":
        return _with_unit(format_number(100 * value, "+0.0;-0.0"), unit)
    return _with_unit(("-" if value < 0 else "+") + _number(abs(value), unit, round, digits=4), unit)


def interval(low: float, high: float, unit: str) -> str:
    """Return the ends of a difference's interval: "+2.1 to +9.3 pp"."""
    if unit == "share":
        ends = [format_number(100 * end, "+0.0;-0.0") for end in (low, high)]
    else:
        ends = [("-" if end < 0 else "+") + _number(abs(end), unit, round, digits=4) for end in (low, high)]
    return _with_unit(gettext("%(low)s to %(high)s", low=ends[0], high=ends[1]), unit)


def percent(share: float) -> str:
    """Return a share as a percentage: "31.2 %"."""
    return gettext("%(number)s %%", number=format_number(100 * share, "0.0"))


def _count(number: float) -> str:
    return format_number(number)


def _with_unit(number: str, unit: str) -> str:
    if unit == "share":
        return gettext("%(number)s pp", number=number)
    return (
        gettext("%(number)s per call", number=number)
        if unit == "call"
        else gettext("%(number)s per caller", number=number)
    )


def _number(value: float, unit: str, rounding: Callable[[float], int], *, digits: int) -> str:
    value = 100 * value if unit == "share" else value
    if value <= 0:
        return "0"
    step = 10.0 ** (floor(log10(value)) + 1 - digits)
    return format_number(float(f"{rounding(round(value / step, 6)) * step:.10g}"), "#,##0.##########")


def _and(names: Sequence[str]) -> str:
    return _listed(names, gettext("and"))


def _or(names: Sequence[str]) -> str:
    return _listed(names, gettext("or"))


def _listed(names: Sequence[str], word: str) -> str:
    return f" {word} ".join(filter(None, [", ".join(names[:-1]), names[-1]])) if names else ""


def _each(pairs: Sequence[tuple[str, float]], form: Callable[[float], str]) -> str:
    return ", ".join(f"{name} {form(value)}" for name, value in pairs)


# --- the verdict ------------------------------------------------------------------------------------------------------

_HEADLINES: Mapping[str, Callable[[Values], str]] = {
    "better": lambda v: ngettext("%(arms)s is better", "%(arms)s are better", v["n"], arms=v["arms"]),
    "worse": lambda v: ngettext("%(arms)s is worse", "%(arms)s are worse", v["n"], arms=v["arms"]),
    "no difference": lambda _: gettext("No relevant difference"),
    "cannot tell yet": lambda _: gettext("Too early to call"),
    "cannot tell at your number of calls": lambda _: gettext("Too few calls to tell"),
    "broken": lambda _: gettext("These results are not reliable"),
}


def _compared(v: Values) -> dict[str, str]:
    amounts = [at_least(each, v["unit"]) for each in v["at_least"]]
    return {"arms": _and(v["arms"]), "metric": v["metric"], "amounts": _and(amounts)}


def _smallest(v: Values) -> str:
    return amount(v["smallest"], v["unit"])


def _harmed(v: Values) -> str:
    values = {"arm": v["arm"], "metric": v["metric"], "amount": at_least(v["at_least"], v["unit"])}
    if not v["margin"]:
        return gettext("%(arm)s harms %(metric)s: at least %(amount)s. Remove it.", **values)
    return gettext(
        "%(arm)s harms %(metric)s: at least %(amount)s, where %(margin)s is accepted. Remove it.",
        margin=amount(v["margin"], v["unit"]),
        **values,
    )


def _guardrails_unknown(v: Values) -> str:
    clauses = [
        gettext("%(metric)s by more than %(margin)s", metric=metric, margin=amount(margin, unit))
        if margin
        else gettext("%(metric)s at all", metric=metric)
        for metric, margin, unit in v["metrics"]
    ]
    return gettext("It is not known yet whether %(arm)s worsens %(metrics)s.", arm=v["arm"], metrics=_or(clauses))


def _weeks(v: Values) -> str:
    return gettext(
        "Finding a difference of %(amount)s takes about %(weeks)s, at %(pace)s new callers a week.",
        amount=_smallest(v),
        weeks=_how_long(v["weeks"]),
        pace=_count(v["pace"]) if v["pace"] >= 1 else gettext("less than one"),
    )


def _how_long(weeks: int) -> str:
    if weeks > _TEN_YEARS:
        return gettext("ten years or more")
    return ngettext("one more week", "%(n)s more weeks", weeks)


def _odds(odds: float) -> str:
    if odds < _EVEN:
        return gettext("about even odds")
    if odds < 2:  # noqa: PLR2004
        return gettext("3 to 2")
    if odds < _LONGEST_ODDS:
        return gettext("%(odds)s to 1", odds=_count(odds))
    return gettext("more than %(odds)s to 1", odds=_LONGEST_ODDS)


# --- warnings ---------------------------------------------------------------------------------------------------------


def _split(v: Values) -> str:
    counts = [
        gettext("%(arm)s %(found)s instead of %(all)s", arm=arm, found=_count(callers), all=_count(expected))
        for arm, callers, expected in v["arms"]
    ]
    return gettext(
        "The weights do not explain how callers, or those with a report, are split over the arms (%(counts)s). "
        "Something loses callers of an arm, so the arms cannot be compared.",
        counts=", ".join(counts),
    )


def _missing(v: Values) -> str:
    if "metric" in v:
        return gettext(
            "The arms differ in how many values of %(metric)s are missing. It is not compared.", metric=v["metric"]
        )
    return gettext(
        "The arms differ in how many of their calls have no report: %(shares)s. What comes from reports is not "
        "compared.",
        shares=_each(v["shares"], percent),
    )


def _changed(v: Values) -> str:
    if "pooled" in v:
        return ngettext(
            "The earlier period is pooled with this one, as requested. Its templates are different, its weights equal.",
            "%(n)s earlier periods are pooled with this one, as requested. Their templates are different, their "
            "weights equal.",
            v["pooled"],
        )
    return gettext(
        "The arms, their templates or weights, the audience or the caller secret changed. These results are about "
        "callers since %(since)s; %(callers)s from before are in earlier periods.",
        since=v["since"] or gettext("now"),
        callers=_count(v["callers"]),
    )


def _two_arms(v: Values) -> str:
    found = ngettext(
        "1 caller was assigned two arms, and counts in the first.",
        "%(n)s callers were assigned two arms, and count in the first.",
        v["callers"],
    )
    if not v["differences"]:
        return found
    without = gettext(
        "Without them the difference on %(metric)s is %(differences)s.",
        metric=v["metric"],
        differences=_each(v["differences"], lambda each: difference(each, v["unit"])),
    )
    return f"{found} {without}"


def _moved(v: Values) -> str:
    values = {"arm": v["arm"], "against": v["against"]}
    often = (
        gettext("Callers of %(arm)s call more often than those of %(against)s.", **values)
        if v["direction"] == "more"
        else gettext("Callers of %(arm)s call less often than those of %(against)s.", **values)
    )
    if not v["metrics"]:
        return often
    tail = gettext("%(metrics)s: averages of other calls in each arm.", metrics=", ".join(v["metrics"]))
    return f"{often} {tail}"


def _few(v: Values) -> str:
    if "metrics" in v:
        return gettext(
            "%(metrics)s: not compared until each arm expects %(least)s callers or calls with it, and %(least)s "
            "without.",
            metrics=", ".join(v["metrics"]),
            least=v["least"],
        )
    return gettext(
        "Arms are not compared below %(least)s callers each: so far %(counts)s.",
        least=v["least"],
        counts=_each(v["callers"], _count),
    )


_TEXTS: Mapping[str, Callable[[Values], str]] = {
    "better": lambda v: ngettext(
        "%(arms)s is better on %(metric)s: at least %(amounts)s.",
        "%(arms)s are better on %(metric)s: at least %(amounts)s.",
        len(v["arms"]),
        **_compared(v),
    ),
    "below-smallest": lambda v: gettext(
        "That is less than the smallest relevant difference, %(amount)s.", amount=_smallest(v)
    ),
    "not-compared": lambda _: gettext("arm_to_arm = true under [decision] would compare them with each other."),
    "best": lambda v: gettext("%(arm)s is the best of them.", arm=v["arm"]),
    "best-unknown": lambda _: gettext("It is too early to say which of them is better."),
    "guardrails-unknown": _guardrails_unknown,
    "stop": lambda v: gettext("You can stop: roll out %(arms)s.", arms=_or(v["arms"])),
    "worse": lambda v: gettext("%(arms)s is worse on %(metric)s: at least %(amounts)s. Remove it.", **_compared(v)),
    "harmed": _harmed,
    "open": lambda v: gettext("Too early to call for %(arms)s.", arms=_and(v["arms"])),
    "same": lambda v: ngettext(
        "%(arms)s differs from control by less than %(amount)s on %(metric)s.",
        "%(arms)s differ from control by less than %(amount)s on %(metric)s.",
        len(v["arms"]),
        arms=_and(v["arms"]),
        amount=_smallest(v),
        metric=v["metric"],
    ),
    "keep-either": lambda _: gettext("You can stop: keep either."),
    "keep-control": lambda _: gettext("Keep control, or continue."),
    "no-primary": lambda _: gettext('There is no primary metric: set primary = "…" in experiment.toml.'),
    "no-caller": lambda _: gettext("No caller has been assigned an arm yet."),
    "minimum-days": lambda v: gettext(
        "The first verdict comes at the end of a week, after at least %(days)s days.", **v
    ),
    "too-early": lambda v: gettext(
        "It is too early to say whether %(arms)s or control is better on %(metric)s.",
        arms=_or(v["arms"]),
        metric=v["metric"],
    ),
    "too-few-calls": lambda v: gettext(
        "There are too few calls to tell whether %(arms)s or control is better on %(metric)s.",
        arms=_or(v["arms"]),
        metric=v["metric"],
    ),
    "weeks": _weeks,
    "weeks-unknown": lambda _: gettext("How long it takes is not known yet."),
    "no-smallest": lambda _: gettext(
        "Set smallest in experiment.toml, the smallest relevant difference, to see how long it takes."
    ),
    "no-new-callers": lambda v: gettext(
        "No new callers come in, and a difference of %(amount)s needs more of them.", amount=_smallest(v)
    ),
    "maximum-days": lambda v: gettext(
        "maximum_days allows %(days)s days in all. Larger differences, fewer arms, all traffic and a more frequent "
        "outcome need fewer callers.",
        **v,
    ),
    "split": _split,
    "missing": _missing,
    "delivery": lambda v: gettext(
        "The arms differ in how often they were delivered: %(shares)s.", shares=_each(v["shares"], percent)
    ),
    "changed": _changed,
    "two-arms": _two_arms,
    "one-caller": lambda v: gettext(
        "One caller made %(most)s of the %(calls)s calls. Perhaps a line is forwarded, or a switchboard shows one "
        "number for everybody.",
        most=_count(v["most"]),
        calls=_count(v["calls"]),
    ),
    "few": _few,
    "hook-failed": lambda v: ngettext(
        "1 call has no arm because the customer hook failed, and the audience needs the customer.",
        "%(n)s calls have no arm because the customer hook failed, and the audience needs the customer.",
        v["calls"],
    ),
    "rehearsal": lambda v: ngettext(
        "1 call of a rehearsal is included, as requested.",
        "%(n)s calls of a rehearsal are included, as requested.",
        v["calls"],
    ),
    "purged": lambda v: gettext("Calls before %(day)s are purged: some callers may have begun earlier.", **v),
    "calls-moved": _moved,
}
