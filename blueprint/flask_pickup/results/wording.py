"""Findings and verdicts in words, in the reader's language. They are worked out when shown, from plain values."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from flask_pickup.results.advice import advice
from flask_pickup.results.amounts import TIMED, amount, at_least, difference, percent, size, unit_of
from flask_pickup.translation import format_day, format_number, gettext, ngettext

Values = Mapping[str, Any]

_TEN_YEARS = 520
_MOST_NAMED = 2
"""Arms that a headline names; of more it names the first, and counts the others."""
_NAMES: Mapping[str, str] = {}


def with_messages(data: Values, labels: Mapping[str, str] = _NAMES) -> dict[str, Any]:
    """Return results as plain values with their texts: a ``message`` beside each finding, and those of the verdict.

    :param data: what :meth:`~flask_pickup.results.model.Results.as_data` returned.
    :param labels: metric to what the texts call it; others go by their names.
    """
    warnings = [{**each, "message": finding_text(_timed(each, data), labels)} for each in data["warnings"]]
    verdict = data["verdict"]
    if verdict:
        what_to_do = advice(verdict, data["status"])
        is_unheard = data["status"] == "draft" and verdict["state"].startswith("cannot")
        verdict = {
            **verdict,
            "headline": gettext("A draft: no caller hears it") if is_unheard else headline(verdict),
            "message": verdict_text(
                {**verdict, "findings": [_timed(each, data) for each in verdict["findings"]]}, labels
            ),
            "detectable": _detectable(data),
            "advice": what_to_do.text,
            "action": what_to_do.action,
            "change": what_to_do.change,
        }
    return {**data, "warnings": warnings, "verdict": verdict}


def _timed(finding: Values, data: Values) -> Values:
    """Return a finding with the unit of durations, where its amounts are of such a metric."""
    values, metrics = finding["values"], {each["metric"]: each for each in data["metrics"]}
    # What names no metric is about the primary one, which is the first.
    metric = metrics.get(values.get("metric", next(iter(metrics), "")))
    return {**finding, "values": {**values, "unit": _unit(metric)}} if metric and values.get("unit") else finding


def _unit(metric: Values) -> str:
    unit = unit_of(metric["is_proportion"], metric["per"])
    return f"{TIMED}{unit}" if metric["outcome"] == "duration_seconds" and unit != "share" else unit


def _detectable(data: Values) -> str:
    """Return which difference could be found today, where the primary metric has found none."""
    has_found = not (data["verdict"]["choice"] or data["verdict"]["state"].startswith("cannot"))
    for metric in data["metrics"][:1]:
        known = [each["detectable"] for each in metric["comparisons"] if each["state"] in {"undecided", "too few"}]
        if has_found or not known or None in known:
            break
        least = size(max(known), _unit(metric))
        return gettext("A difference of %(size)s or more could be found today.", size=least)
    return ""


def headline(verdict: Values) -> str:
    """Return a verdict in at most twelve words: "warm is better (found on 3 Mar 2026)"."""
    arms = verdict["arms"]
    others = len(arms) - 1
    named = arms if others < _MOST_NAMED else [arms[0], gettext("%(count)s more", count=format_number(others))]
    text = _filled(_HEADLINES[verdict["state"]], {"arms": named})
    if not verdict["found"]:
        return text
    day = format_day(verdict["found"])
    if verdict["state"] == "choice":
        return gettext("%(verdict)s (since %(day)s)", verdict=text, day=day)
    return gettext("%(verdict)s (found on %(day)s)", verdict=text, day=day)


def verdict_text(verdict: Values, labels: Mapping[str, str] = _NAMES) -> str:
    """Return a verdict's sentences."""
    texts, choice = [finding_text(each, labels) for each in verdict["findings"]], verdict["choice"]
    if choice:
        text = _CHOICE_OF_CALLS if choice["unit"] == "call" else _CHOICE
        texts.insert(0, _filled(text, _labelled(choice, labels)))
    return " ".join(texts)


def finding_text(finding: Values, labels: Mapping[str, str] = _NAMES) -> str:
    """Return a finding's sentences: its code's, and those about a value that not every such finding has."""
    code, values = finding["code"], _labelled(finding["values"], labels)
    names = [code, *(f"{code}:{name}" for name, value in values.items() if value)]
    return " ".join(_filled(_TEXTS[name], values) for name in names if name in _TEXTS)


# --- values in words --------------------------------------------------------------------------------------------------


def in_words(values: Values) -> dict[str, str]:
    """Return each value of a finding as its texts have it; "" for one that no text has."""
    return {name: _FORMATS.get(name, _plain)(value, values.get("unit", "")) for name, value in values.items()}


def _filled(text: tuple[str, ...], values: Values) -> str:
    """Return a text with its values in words.

    :param text: a singular; or the name of a value that is a number of things or lists them, a singular and a plural.
    """
    words = in_words(values)
    if len(text) == 1:
        return gettext(text[0], **words)
    name, singular, plural = text
    number = values[name] if isinstance(values[name], int) else len(values[name])
    return ngettext(singular, plural, number, **words)


def _labelled(values: Values, labels: Mapping[str, str]) -> Values:
    """Return a finding's values with metrics by their labels."""
    found = {**values}
    if "metric" in values:
        found["metric"] = labels.get(values["metric"], values["metric"])
    if "metrics" in values:
        found["metrics"] = [labels.get(name, name) for name in values["metrics"]]
    return found


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


def _weeks(weeks: int | None, _: str) -> str:
    if weeks is None:
        return ""
    if weeks > _TEN_YEARS:
        return gettext("ten years or more")
    return ngettext("one more week", "%(n)s more weeks", weeks)


def _changes(changes: Sequence[tuple[str, str, str]], _: str) -> str:
    return "; ".join(
        gettext("%(rule)s from %(before)s to %(after)s", rule=rule, before=before, after=after)
        for rule, before, after in changes
    )


_FORMATS: Mapping[str, Callable[[Any, str], str]] = {
    "arms": lambda arms, _: _list(arms, gettext("and")),
    "either": lambda arms, _: _list(arms, gettext("or")),
    "at_least": lambda ends, unit: _list([at_least(each, unit) for each in ends], gettext("and")),
    "smallest": amount,
    "margin": amount,
    "detectable": lambda value, unit: size(value, unit) if value else "",
    "differences": lambda pairs, unit: _each(pairs, lambda each: difference(each, unit)),
    **dict.fromkeys(("shares", "unreported", "unanalysed", "unjudged"), lambda pairs, _: _each(pairs, percent)),
    "counts": lambda pairs, _: _each(pairs, format_number),
    "expected": _expected,
    "metrics": lambda names, _: ", ".join(names),
    "direction": lambda word, _: gettext("more") if word == "more" else gettext("less"),
    **dict.fromkeys(("since", "on", "day"), lambda day, _: format_day(day) if day else gettext("now")),
    "weeks": _weeks,
    "planned": lambda weeks, _: ngettext("the planned week", "the planned %(n)s weeks", weeks),
    "pace": lambda pace, _: format_number(pace) if pace >= 1 else gettext("less than one"),
    "cost": lambda value, _: format_number(100 * value, "#,##0.0#"),
    "said": lambda verdict, _: headline(verdict),
    "changes": _changes,
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
    "better below smallest": _plural(
        "arms",
        "%(arms)s is slightly better",
        "%(arms)s are slightly better",
    ),
    "choice": _one("Choose %(arms)s"),
    "cannot tell yet": _one("Too early to call"),
    "cannot tell at your number of calls": _one("Too few calls to tell"),
    "broken": _one("These results are not reliable"),
}
_CHOICE = _one("Expected cost if mistaken, weighted by its chance: %(cost)s %(metric)s per 100 callers.")
_CHOICE_OF_CALLS = _one("Expected cost if mistaken, weighted by its chance: %(cost)s %(metric)s per 100 calls.")
_TEXTS: Mapping[str, tuple[str, ...]] = {
    "better": _plural(
        "arms",
        "%(arms)s is better on %(metric)s: at least %(at_least)s.",
        "%(arms)s are better on %(metric)s: at least %(at_least)s.",
    ),
    "below-smallest": _one("That is less than the smallest relevant difference, %(smallest)s."),
    "not-today": _plural(
        "arms",
        "Today's interval of %(arms)s alone would not say so.",
        "Today's intervals of %(arms)s alone would not say so.",
    ),
    "unsupported": _one("The weeks since then do not support it for %(arms)s: find out what changed."),
    "revoked": _one("Before, it was: %(said)s. That no longer holds."),
    "error-rate": _one("A rule was changed before this was found: its error rate no longer holds."),
    "horizon": _plural(
        "weeks",
        "This is a choice, not a finding: the planned week is over without one.",
        "This is a choice, not a finding: the planned %(n)s weeks are over without one.",
    ),
    "not-compared": _one("arm_to_arm = true under [decision] would compare them with each other."),
    "best": _one("%(arm)s is the best of them."),
    "best-unknown": _one("It is too early to say which of them is better."),
    "guardrail-unknown": _one("It is not known yet whether %(arm)s worsens %(metric)s by more than %(margin)s."),
    "guardrail-unknown:weeks": _one("If it does not, that is probably known in %(weeks)s."),
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
    "minimum-days:day": _one("That is not before %(day)s."),
    "too-early": _one("It is too early to say whether %(either)s or control is better on %(metric)s."),
    "too-few-calls": _one("There are too few calls to tell whether %(either)s or control is better on %(metric)s."),
    "weeks": _one("Finding a difference of %(smallest)s takes about %(weeks)s, at %(pace)s new callers a week."),
    "overdue": _one(
        "A difference of %(smallest)s would probably have been found by now. The planned time ends in %(weeks)s."
    ),
    "beyond-horizon": _one("A difference of %(smallest)s is probably not found within %(planned)s."),
    "beyond-horizon:detectable": _one("One of %(detectable)s is."),
    "beyond-horizon:planned": _one("More weeks, all traffic and a more frequent outcome find smaller differences."),
    "beyond-horizon:extra_arms": _one("So do fewer arms."),
    "weeks-unknown": _one("How long it takes is not known yet."),
    "no-smallest": _one("Set smallest in experiment.toml, the smallest relevant difference, to see how long it takes."),
    "no-new-callers": _one("No new callers come in, and a difference of %(smallest)s needs more of them."),
    "split": _one(
        "On %(on)s the numbers of callers did not match the weights: %(expected)s. Something loses calls of an arm, so the "
        "arms cannot be compared until a new period begins."
    ),
    "split:of_reports": _one("These are the callers with a report: reports are lost."),
    "missing:unreported": _one(
        "The arms differ in how many of their calls have no report: %(unreported)s. What comes from reports is not compared."
    ),
    "missing:unanalysed": _one(
        "The arms differ in how many of their reported calls have no analysis: %(unanalysed)s. What comes from the analysis "
        "is not compared."
    ),
    "missing:unjudged": _one(
        "The arms differ in how many of their reported calls do not tell whether the caller hung up early: %(unjudged)s. "
        "early_hang_up is not compared."
    ),
    "missing-values": _one("The arms differ in how often the value of %(metric)s is missing: %(shares)s."),
    "unreached": _one(
        "Many later calls could not hear an arm, and do not count: %(shares)s. The layer's range, the traffic or the status "
        "excluded them."
    ),
    "effect-changed": _one(
        "The effect of %(arms)s on %(metric)s changed over time: a later interval is outside those of the weeks before it."
    ),
    "rules-changed": _one("Rules of the decision changed on %(on)s: %(changes)s."),
    "delivery": _one("The arms differ in how often they were delivered on %(platform)s: %(shares)s."),
    "changed:pooled": _plural(
        "pooled",
        "The earlier period is pooled with this one, as requested. Its templates are different, its weights equal.",
        "%(n)s earlier periods are pooled with this one, as requested. Their templates are different, their weights "
        "equal.",
    ),
    "changed:callers": _one(
        "The arms, their templates or weights, the audience or the caller secret changed. These results are about "
        "callers since %(since)s; %(callers)s others are in earlier periods. Period %(period)s has an error rate of "
        "its own."
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
    "rehearsal-excluded": _plural(
        "calls",
        "1 rehearsed call is not counted.",
        "%(n)s rehearsed calls are not counted.",
    ),
    "purged": _one("Calls before %(day)s are purged: some callers may have begun earlier."),
    "calls-moved": _one("Callers of %(arm)s call %(direction)s often than those of %(against)s."),
    "calls-moved:metrics": _one("%(metrics)s: averages of other calls in each arm."),
}
