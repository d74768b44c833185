"""What needs attention: the alarms at the top of the overview."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from flask_pickup.translation import format_number, gettext
from flask_pickup.webhook import Webhook

_CODES = frozenset({"split", "delivery", "missing", "changed", "two-arms"})
"""The findings about an experiment that are alarms."""


def failed_text() -> str:
    """Return the text in place of results that could not be computed."""
    return gettext("The results could not be computed; the log has the error. Calls are answered.")


def alarms(webhook: Webhook, results: Mapping[str, Any], *, failed: bool) -> Iterator[Mapping[str, str]]:
    """Yield the text of each alarm, with the experiment that it is about.

    :param results: experiment to results.
    :param failed: whether results of an experiment could not be computed.
    """
    if failed:
        yield {"text": failed_text()}
    if webhook.catalog.broken:
        yield {"text": gettext("The greetings do not load: callers hear the saved agent. Run flask pickup check.")}
    facts = webhook.facts()
    if waiting := facts["waiting"]["memory"] + facts["waiting"]["spool"]:
        yield {"text": gettext("Rows waiting for the database: %(count)s.", count=format_number(waiting))}
    if facts["dead_letters"]:
        count = format_number(facts["dead_letters"])
        yield {"text": gettext("Rows in quarantine, because they cannot be written: %(count)s.", count=count)}
    for name, result in results.items():
        for warning in result["warnings"]:
            if warning["code"] in _CODES:
                yield {"experiment": name, "text": warning["message"]}
    if names := ", ".join(webhook.catalog.left_out):
        text = gettext("Experiments that do not load are skipped; run flask pickup check: %(names)s.", names=names)
        yield {"text": text}
