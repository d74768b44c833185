"""What of an experiment's results needs a person, each in one line."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from flask_pickup.catalog import Experiment
from flask_pickup.results.wording import finding_text, in_words
from flask_pickup.translation import gettext, ngettext, reader_language

_ATTENTION = frozenset(
    {"split", "missing", "missing-values", "delivery", "unreached", "rules-changed", "effect-changed", "two-arms"}
)


def needs_attention(finding: Mapping[str, Any]) -> bool:
    """Return whether a person must look at a finding. One that comes and goes by itself, such as ``few``, needs nobody."""
    return finding["code"] in _ATTENTION


def attention(experiment: Experiment, result: Mapping[str, Any]) -> Iterator[str]:
    """Yield a line for each finding of an experiment that needs a person.

    :param result: what :meth:`~flask_pickup.results.model.Results.as_data` returned.
    """
    for finding in result["warnings"]:
        if needs_attention(finding):
            values = finding["values"]
            label = experiment.metric_label(values.get("metric", ""), reader_language())
            yield _line(finding["code"], {**values, "metric": label})


def rehearsals_text(result: Mapping[str, Any]) -> str:
    """Return that rehearsed calls are not counted, where nobody else has called; else an empty text.

    :param result: as of :func:`attention`.
    """
    return " ".join(finding_text(each) for each in result["warnings"] if each["code"] == "rehearsal-excluded")


def _line(code: str, values: Mapping[str, Any]) -> str:
    words = in_words(values)
    match code:
        case "split":
            return gettext("callers are not split as the weights say; the arms are not compared")
        case "missing" if "unreported" in words:
            return gettext("the arms differ in missing reports: %(shares)s", shares=words["unreported"])
        case "missing" if "unanalysed" in words:
            return gettext("the arms differ in missing analyses: %(shares)s", shares=words["unanalysed"])
        case "missing":
            return gettext("the arms differ in unknown early hang-ups: %(shares)s", shares=words["unjudged"])
        case "missing-values":
            return gettext("the arms differ in missing %(metric)s: %(shares)s", **words)
        case "delivery":
            return gettext("the arms differ in delivery on %(platform)s: %(shares)s", **words)
        case "unreached":
            return gettext("many later calls could not hear an arm: %(shares)s", **words)
        case "rules-changed":
            return gettext("rules of the decision changed on %(day)s", day=words["on"])
        case "effect-changed":
            return gettext("the effect of %(arms)s on %(metric)s changed over time", **words)
        case _:
            return ngettext("1 caller was assigned two arms", "%(n)s callers were assigned two arms", values["callers"])
