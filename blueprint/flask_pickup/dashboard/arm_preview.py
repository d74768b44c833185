"""An experiment's arms as a made-up caller hears them, and where their words differ from control's."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from difflib import SequenceMatcher
from functools import lru_cache
from typing import Any, Literal

from flask_pickup.caller import UNIDENTIFIED
from flask_pickup.catalog import CONTROL, Catalog, Experiment, Line
from flask_pickup.dashboard.parameters import chosen, entered_moment
from flask_pickup.decision import Decision
from flask_pickup.platforms import Platform
from flask_pickup.previewing import SOMEBODY, imagine

Pieces = tuple[tuple[Literal["same", "added", "removed"], str], ...]
"""A text in pieces: what it shares with another, what it adds, and what it leaves out."""

_CUSTOMER_FIELD = re.compile(r"\bcustomer\.([a-z_]\w*)")
_BOOLEANS: Mapping[str, Any] = {"true": True, "yes": True, "false": False, "no": False}

_FEWEST_SHARED = 3
"""Words in a row between two changes that count as shared; fewer would be hard to read."""

_LARGE = 1_000_000
"""Pairs of words above which the comparison is no longer exact: its time grows with the square of the length."""

_TOKEN = re.compile(r"\s+|[^\s\w]|\w+")


def arm_decisions(
    catalog: Catalog, platform: Platform, experiment: Experiment, form: Mapping[str, str]
) -> dict[str, Decision]:
    """Return what is decided in each arm, control first, for the caller that a page's form describes.

    An empty form is a caller during opening hours of whom nothing is known.

    :raises BadParameter: if the form has a value that the page does not offer.
    """
    who, customer = UNIDENTIFIED, None
    language = chosen(form, "language", catalog.languages)
    if chosen(form, "who", ("withheld",)) is None:
        who, customer = replace(SOMEBODY, language=language), _customer(form)
    at, arms = _moment(catalog, form), sorted(experiment.weights, key=lambda arm: arm != CONTROL)
    return {arm: imagine(catalog, platform, (experiment, arm), who, customer=customer, at=at).decision for arm in arms}


def customer_fields(catalog: Catalog, experiment: str) -> list[str]:
    """Return the fields of a customer record that the base and an experiment read, but for the language."""
    folders = ("greetings/", f"experiments/{experiment}/")
    texts = [text for path, text in catalog.texts.items() if path.startswith(folders)]
    return sorted({name for text in texts for name in _CUSTOMER_FIELD.findall(text)} - {"language"})


def _customer(form: Mapping[str, str]) -> dict[str, Any] | None:
    entered = {
        name.removeprefix("customer."): text.strip() for name, text in form.items() if name.startswith("customer.")
    }
    record = {name: _BOOLEANS.get(text.lower(), text) for name, text in entered.items() if text}
    if language := form.get("language"):
        record["language"] = language
    return record or None


def _moment(catalog: Catalog, form: Mapping[str, str]) -> datetime:
    """Return the chosen moment, or the next one at which it is open or closed."""
    wanted = chosen(form, "hours", ("open", "closed", "now")) or "open"
    if at := entered_moment(form, "at"):
        return at if at.tzinfo else at.replace(tzinfo=catalog.zone(Line(None)))
    now, hours = datetime.now(UTC), catalog.hours(Line(None))
    if hours is None or wanted == "now":
        return now
    next_two_weeks = (now + timedelta(minutes=30 * step) for step in range(2 * 24 * 14))
    return next((at for at in next_two_weeks if hours.is_open(at) is (wanted == "open")), now)


@lru_cache(maxsize=256)
def word_diff(base: str, text: str) -> Pieces:
    """Return ``text`` in pieces, with what it leaves out of ``base`` in its place."""
    old, new = _TOKEN.findall(base), _TOKEN.findall(text)
    matcher = SequenceMatcher(None, old, new, autojunk=len(old) * len(new) > _LARGE)
    pieces: list[tuple[Literal["same", "added", "removed"], str]] = []
    removed = added = ""
    for kind, a, b, c, d in matcher.get_opcodes():
        is_at_an_end = a == 0 or c == 0 or (b == len(old) and d == len(new))
        is_long = sum(token.isalnum() for token in new[c:d]) >= _FEWEST_SHARED
        if kind == "equal" and (is_at_an_end or is_long):
            pieces += [("removed", removed), ("added", added), ("same", "".join(new[c:d]))]
            removed = added = ""
        else:
            removed += "".join(old[a:b])
            added += "".join(new[c:d])
    pieces += [("removed", removed), ("added", added)]
    return tuple((mark, piece) for mark, piece in pieces if piece)
