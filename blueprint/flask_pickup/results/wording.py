"""Findings and verdicts in words, in the reader's language. They are worked out when shown, from plain values."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from math import floor, log10
from typing import Any

from flask_pickup.translation import format_number, gettext, ngettext

Values = Mapping[str, Any]

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
    return _filled(_HEADLINES[verdict["state"]], {"arms": verdict["arms"]})


def verdict_text(verdict: Values) -> str:
    """Return a verdict's sentences."""
    text = " ".join(finding_text(each) for each in verdict["findings"])
    return gettext("These results are not reliable: %(why)s", why=text) if verdict["state"] == "broken" else text


def finding_text(finding: Values) -> str:
    """Return a finding's sentences: its code's, and those about a value that not every such finding has."""
    code, values = finding["code"], finding["values"]
    names = [code, *(f"{code}:{name}" for name, value in values.items() if value)]
    return " ".join(_filled(_TEXTS[name], values) for name in names if name in _TEXTS)


def bet_text(bet: Values) -> str:
    """Return the sentences of what the data lean to."""
    return _filled(_BET, bet)


def amount(value: float, unit: str) -> str:
    """Return the size of a difference that an author wrote, as it is: "5 pp", "10 per call"."""
    return _with_unit(_number(value, unit, round, digits=6), unit)


def at_least(end: float, unit: str) -> str:
    """Return the end of an interval with its sign, rounded towards zero to two digits: "+3.5 pp"."""
    return _with_unit(_sign(end) + _number(abs(end), unit, floor, digits=2), unit)


def difference(value: float, unit: str) -> str:
    """Return an estimated difference with its sign: "+5.7 pp"."""
    return _with_unit(_signed(value, unit), unit)


def interval_text(interval: tuple[float, float] | None, unit: str) -> str:
    """Return an interval of a difference, or that there is none yet: "+2.1 to +9.3 pp"."""
    return f"{_signed(interval[0], unit)} to {difference(interval[1], unit)}" if interval else "none yet"


def percent(share: float) -> str:
    """Return a share as a percentage: "31.2 %"."""
    return gettext("%(number)s %%", number=format_number(100 * share, "0.0"))


def _signed(value: float, unit: str) -> str:
    if unit == "share":
        return format_number(100 * value, "+0.0;-0.0")
    return _sign(value) + _number(abs(value), unit, round, digits=4)


def _sign(value: float) -> str:
    return "-" if value < 0 else "+"


def _with_unit(number: str, unit: str) -> str:
    if unit == "share":
        return gettext("%(number)s pp", number=number)
    if unit == "call":
        return gettext("%(number)s per call", number=number)
    return gettext("%(number)s per caller", number=number)


def _number(value: float, unit: str, rounding: Callable[[float], int], *, digits: int) -> str:
    value = 100 * value if unit == "share" else value
    if value <= 0:
        return "0"
    step = 10.0 ** (floor(log10(value)) + 1 - digits)
    return format_number(float(f"{rounding(round(value / step, 6)) * step:.10g}"), "#,##0.##########")


# --- values in words --------------------------------------------------------------------------------------------------


def _filled(text: tuple[str, ...], values: Values) -> str:
    """Return a text with its values in words.

    :param text: a singular; or the name of a value that is a number of things or lists them, a singular and a plural.
    """
    words = {name: _FORMATS.get(name, _plain)(value, values.get("unit", "")) for name, value in values.items()}
    if len(text) == 1:
        return gettext(text[0], **words)
    name, singular, plural = text
    number = values[name] if isinstance(values[name], int) else len(values[name])
    return ngettext(singular, plural, number, **words)


def _plain(value: Any, _: str) -> str:
    return value if isinstance(value, str) else format_number(value) if isinstance(value, int | float) else ""


def _list(names: Sequence[str], word: str) -> str:
    return f" {word} ".join(filter(None, [", ".join(names[:-1]), names[-1]])) if names else ""


def _each(pairs: Sequence[tuple[str, float]], form: Callable[[float], str]) -> str:
    return ", ".join(f"{name} {form(value)}" for name, value in pairs)


def _expected(arms: Sequence[tuple[str, int, float]], _: str) -> str:
    return ", ".join(
        gettext(
            "%(arm)s %(found)s instead of %(all)s", arm=arm, found=format_number(found), all=format_number(expected)
        )
        for arm, found, expected in arms
    )


def _weeks(weeks: int, _: str) -> str:
    if weeks > _TEN_YEARS:
        return gettext("ten years or more")
    return ngettext("one more week", "%(n)s more weeks", weeks)


def _odds(odds: float, _: str) -> str:
    if odds < _EVEN:
        return gettext("about even odds")
    if odds < 2:  # noqa: PLR2004
        return gettext("3 to 2")
    if odds < _LONGEST_ODDS:
        return gettext("%(odds)s to 1", odds=format_number(odds))
    return gettext("more than %(odds)s to 1", odds=_LONGEST_ODDS)


_FORMATS: Mapping[str, Callable[[Any, str], str]] = {
    "arms": lambda arms, _: _list(arms, gettext("and")),
    "either": lambda arms, _: _list(arms, gettext("or")),
    "at_least": lambda ends, unit: _list([at_least(each, unit) for each in ends], gettext("and")),
    "smallest": amount,
    "margin": amount,
    "differences": lambda pairs, unit: _each(pairs, lambda each: difference(each, unit)),
    "shares": lambda pairs, _: _each(pairs, percent),
    "counts": lambda pairs, _: _each(pairs, format_number),
    "expected": _expected,
    "metrics": lambda names, _: ", ".join(names),
    "direction": lambda word, _: gettext("more") if word == "more" else gettext("less"),
    "since": lambda day, _: day or gettext("now"),
    "weeks": _weeks,
    "pace": lambda pace, _: format_number(pace) if pace >= 1 else gettext("less than one"),
    "odds": _odds,
}


# --- texts ------------------------------------------------------------------------------------------------------------


def _one(text: str) -> tuple[str]:
    return (text,)


def _plural(name: str, singular: str, plural: str) -> tuple[str, str, str]:
    return name, singular, plural


_HEADLINES: Mapping[str, tuple[str, ...]] = {
    "better": _plural("arms", "%(arms)s is better", "%(arms)s are better"),
    "worse": _plural("arms", "%(arms)s is worse", "%(arms)s are worse"),
    "no difference": _one("No relevant difference"),
    "cannot tell yet": _one("Too early to call"),
    "cannot tell at your number of calls": _one("Too few calls to tell"),
    "broken": _one("These results are not reliable"),
}
_BET = _one(
    "If you had to bet today: %(odds)s that %(arm)s is better than %(against)s. This is a bet, not a finding: it starts "
    "from the belief that a difference of %(smallest)s or more has a chance of one in twenty in either direction. The "
    "verdict does not use it."
)
_TEXTS: Mapping[str, tuple[str, ...]] = {
    "better": _plural(
        "arms",
        "%(arms)s is better on %(metric)s: at least %(at_least)s.",
        "%(arms)s are better on %(metric)s: at least %(at_least)s.",
    ),
    "below-smallest": _one("That is less than the smallest relevant difference, %(smallest)s."),
    "not-compared": _one("arm_to_arm = true under [decision] would compare them with each other."),
    "best": _one("%(arm)s is the best of them."),
    "best-unknown": _one("It is too early to say which of them is better."),
    "guardrail-unknown": _one("It is not known yet whether %(arm)s worsens %(metric)s by more than %(margin)s."),
    "stop": _one("You can stop: roll out %(either)s."),
    "worse": _one("%(arms)s is worse on %(metric)s: at least %(at_least)s. Remove it."),
    "harmed": _one("%(arm)s harms %(metric)s: at least %(at_least)s. Remove it."),
    "harmed:margin": _one("The accepted margin is %(margin)s."),
    "open": _one("Too early to call for %(arms)s."),
    "same": _plural(
        "arms",
        "%(arms)s differs from control by less than %(smallest)s on %(metric)s.",
        "%(arms)s differ from control by less than %(smallest)s on %(metric)s.",
    ),
    "keep-either": _one("You can stop: keep either."),
    "keep-control": _one("Keep control, or continue."),
    "no-primary": _one('There is no primary metric: set primary = "…" in experiment.toml.'),
    "no-caller": _one("No caller has been assigned an arm yet."),
    "minimum-days": _one("The first verdict comes at the end of a week, after at least %(days)s days."),
    "too-early": _one("It is too early to say whether %(either)s or control is better on %(metric)s."),
    "too-few-calls": _one("There are too few calls to tell whether %(either)s or control is better on %(metric)s."),
    "weeks": _one("Finding a difference of %(smallest)s takes about %(weeks)s, at %(pace)s new callers a week."),
    "weeks-unknown": _one("How long it takes is not known yet."),
    "no-smallest": _one("Set smallest in experiment.toml, the smallest relevant difference, to see how long it takes."),
    "no-new-callers": _one("No new callers come in, and a difference of %(smallest)s needs more of them."),
    "maximum-days": _one(
        "maximum_weeks allows %(days)s days in all. Larger differences, fewer arms, all traffic and a more frequent "
        "outcome need fewer callers."
    ),
    "split": _one(
        "The weights do not explain how callers, or those with a report, are split over the arms (%(expected)s). "
        "Something loses callers of an arm, so the arms cannot be compared."
    ),
    "missing:metric": _one("The arms differ in how many values of %(metric)s are missing. It is not compared."),
    "missing:shares": _one(
        "The arms differ in how many of their calls have no report: %(shares)s. What comes from reports is not compared."
    ),
    "delivery": _one("The arms differ in how often they were delivered on %(platform)s: %(shares)s."),
    "changed:pooled": _plural(
        "pooled",
        "The earlier period is pooled with this one, as requested. Its templates are different, its weights equal.",
        "%(n)s earlier periods are pooled with this one, as requested. Their templates are different, their weights "
        "equal.",
    ),
    "changed:callers": _one(
        "The arms, their templates or weights, the audience or the caller secret changed. These results are about "
        "callers since %(since)s; %(callers)s from before are in earlier periods."
    ),
    "two-arms": _plural(
        "callers",
        "1 caller was assigned two arms, and counts in the first.",
        "%(n)s callers were assigned two arms, and count in the first.",
    ),
    "two-arms:differences": _one("Without them the difference on %(metric)s is %(differences)s."),
    "one-caller": _one(
        "One caller made %(most)s of the %(calls)s calls. Perhaps a line is forwarded, or a switchboard shows one "
        "number for everybody."
    ),
    "few:counts": _one("Arms are not compared below %(least)s callers each: so far %(counts)s."),
    "few:metrics": _one(
        "%(metrics)s: not compared until each arm expects %(least)s callers or calls with it, and %(least)s without."
    ),
    "hook-failed": _plural(
        "calls",
        "1 call has no arm because the customer hook failed, and the audience needs the customer.",
        "%(n)s calls have no arm because the customer hook failed, and the audience needs the customer.",
    ),
    "unread:transcripts": _plural(
        "transcripts",
        "1 call has a transcript that could not be read: how often that caller spoke is unknown.",
        "%(n)s calls have transcripts that could not be read: how often those callers spoke is unknown.",
    ),
    "unread:analyses": _plural(
        "analyses",
        "1 call has an analysis with values that could not be read: they count as missing.",
        "%(n)s calls have analyses with values that could not be read: they count as missing.",
    ),
    "rehearsal": _plural(
        "calls",
        "1 call of a rehearsal is included, as requested.",
        "%(n)s calls of a rehearsal are included, as requested.",
    ),
    "purged": _one("Calls before %(day)s are purged: some callers may have begun earlier."),
    "calls-moved": _one("Callers of %(arm)s call %(direction)s often than those of %(against)s."),
    "calls-moved:metrics": _one("%(metrics)s: averages of other calls in each arm."),
}
