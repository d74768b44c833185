"""An experiment's arms as a made-up caller would hear them, and where their words differ from the base's."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import MAXYEAR, MINYEAR, UTC, datetime, timedelta
from difflib import SequenceMatcher
from functools import lru_cache
from typing import Any, Literal

from jinja2 import TemplateSyntaxError, nodes

from flask_pickup.caller import UNIDENTIFIED, Caller
from flask_pickup.catalog import CONTROL, Catalog, Experiment, Line
from flask_pickup.decision import Decision
from flask_pickup.flireo.answer import is_rejection, prompt, spoken
from flask_pickup.previewing import SOMEBODY, imagine
from flask_pickup.rendering import Environment

Mark = Literal["same", "added", "removed"]
Pieces = tuple[tuple[Mark, str], ...]
"""A text in pieces: what it shares with the base's, what it adds, and what it leaves out."""

_FEWEST_SHARED = 3
"""Words in a row that two texts must share for it to be shown."""

_LONG = 1_000_000
"""Pairs of words; two texts of about four thousand letters."""

_TOKEN = re.compile(r"\s+|[^\s\w]|\w+")


@dataclass(frozen=True)
class Imagined:
    """A caller that somebody chose on the page.

    :param hours: ``now``, or ``open`` or ``closed``: the next moment at which it is so.
    :param at: a moment that was chosen instead; without a time zone it is the business's own.
    """

    identified: bool
    language: str
    hours: str
    customer: Mapping[str, str]
    at: datetime | None = None

    @classmethod
    def read(cls, chosen: Mapping[str, str], customer: Iterable[str]) -> Imagined:
        """Return what a form's fields say."""
        return cls(
            identified=chosen.get("who") != "withheld",
            language=chosen.get("language", ""),
            hours=chosen.get("hours", "open"),
            customer={name: value for name in customer if (value := chosen.get(f"customer.{name}", "").strip())},
            at=moment(chosen.get("at")),
        )

    def as_caller(self) -> Caller:
        """Return the caller as templates see them."""
        return replace(SOMEBODY, language=self.language or None) if self.identified else UNIDENTIFIED

    def as_customer(self) -> Mapping[str, Any] | None:
        """Return what would be known of them; None where that is nothing."""
        known = {name: _value(value) for name, value in self.customer.items()}
        if self.language:
            known["language"] = self.language
        return known if known and self.identified else None


@dataclass(frozen=True)
class Heard:
    """An arm's words.

    :param opening: ``None`` where the saved agent's own is heard.
    """

    arm: str
    language: str
    opening: str | None
    opening_pieces: Pieces
    prompt: str | None
    prompt_pieces: Pieces
    rejects: bool


def heard(catalog: Catalog, experiment: Experiment, caller: Imagined) -> list[Heard]:
    """Return each arm's words, control first."""
    decisions = _decisions(catalog, experiment, caller)
    base = next(iter(decisions.values())).answer
    return [
        Heard(
            arm=arm,
            language=decision.language,
            opening=spoken(decision.answer),
            opening_pieces=differences(spoken(base) or "", spoken(decision.answer) or ""),
            prompt=prompt(decision.answer),
            prompt_pieces=differences(prompt(base) or "", prompt(decision.answer) or ""),
            rejects=is_rejection(decision.answer),
        )
        for arm, decision in decisions.items()
    ]


def openings(catalog: Catalog, experiment: Experiment) -> list[tuple[str, str | None]]:
    """Return the opening of each arm that callers hear now, control first, as somebody hears it of whom nothing is known.

    It is ``None`` where the saved agent's own is heard. Callers hear the arms of an experiment that is running, and the
    winner of one that is concluded.
    """
    audible = {"running": tuple(experiment.weights), "concluded": (experiment.winner,)}.get(experiment.status, ())
    decisions = _decisions(catalog, experiment, Imagined.read({}, ()), audible) if audible else {}
    return [(arm, spoken(decision.answer)) for arm, decision in decisions.items()]


def _decisions(
    catalog: Catalog, experiment: Experiment, caller: Imagined, arms: Collection[str | None] | None = None
) -> dict[str, Decision]:
    """Return what is decided in each arm, or in those that are named; control first."""
    names = sorted(experiment.weights, key=lambda arm: arm != CONTROL)
    at = _moment(catalog, caller)
    who, customer = caller.as_caller(), caller.as_customer()
    return {
        arm: imagine(catalog, (experiment, arm), who, customer=customer, at=at).decision
        for arm in names
        if arms is None or arm in arms
    }


@lru_cache(maxsize=256)
def differences(base: str, text: str) -> Pieces:
    """Return ``text`` in pieces, with what it leaves out of ``base`` in its place."""
    if text == base:
        return (("same", text),) if text else ()
    old, new = _TOKEN.findall(base), _TOKEN.findall(text)
    pieces: list[tuple[Mark, str]] = []
    left: list[str] = []
    added: list[str] = []
    for kind, a, b, c, d in _operations(old, new):
        if kind != "equal":
            left += old[a:b]
            added += new[c:d]
            continue
        pieces += _changed(left, added)
        left, added = [], []
        pieces.append(("same", "".join(new[c:d])))
    return (*pieces, *_changed(left, added))


def _operations(old: Sequence[str], new: Sequence[str]) -> Iterator[tuple[str, int, int, int, int]]:
    """Yield difflib's operations, where a word or two between changes count as changed: so it can be read."""
    # Exact comparison takes the square of the length, and the calls beside it would wait for that.
    is_long = len(old) * len(new) > _LONG
    for kind, a, b, c, d in SequenceMatcher(None, old, new, autojunk=is_long).get_opcodes():
        inside = a > 0 and c > 0 and (b < len(old) or d < len(new))
        is_short = sum(token.isalnum() for token in new[c:d]) < _FEWEST_SHARED
        yield ("replace" if kind == "equal" and inside and is_short else kind), a, b, c, d


def _changed(left: Sequence[str], added: Sequence[str]) -> Pieces:
    pieces: Pieces = (("removed", "".join(left)), ("added", "".join(added)))
    return tuple((mark, text) for mark, text in pieces if text)


def customer_names(catalog: Catalog, experiment: str) -> list[str]:
    """Return what the base and an experiment ask of a customer: each ``customer.name`` in them, but for the language."""
    read = {
        path: text
        for path, text in catalog.texts.items()
        if path.startswith(("greetings/", f"experiments/{experiment}/"))
    }
    found = {name for path, text in read.items() for name in _asked(catalog.environment, path, text)}
    return sorted(found - {"language"})


@lru_cache(maxsize=1024)
def _asked(environment: Environment, path: str, text: str) -> frozenset[str]:
    if "customer" not in text:
        return frozenset()
    if not path.endswith(".j2"):
        return frozenset(re.findall(r"\bcustomer\.([a-z_]\w*)", text))
    try:
        read = environment.parse(text).find_all(nodes.Getattr)
    except TemplateSyntaxError:
        return frozenset()
    return frozenset(node.attr for node in read if isinstance(node.node, nodes.Name) and node.node.name == "customer")


def _value(text: str) -> Any:
    return {"true": True, "yes": True, "false": False, "no": False}.get(text.lower(), text)


def moment(written: str | None) -> datetime | None:
    """Return the moment that stands in a form's field; None if it is none, or has no day before or after it."""
    try:
        found = datetime.fromisoformat(written) if written else None
    except ValueError:
        return None
    return found if found and MINYEAR < found.year < MAXYEAR else None


def _moment(catalog: Catalog, caller: Imagined) -> datetime:
    if caller.at is not None:
        return caller.at if caller.at.tzinfo else caller.at.replace(tzinfo=catalog.zone(Line(None)))
    now, wanted = datetime.now(UTC), caller.hours
    hours = catalog.hours(Line(None))
    if hours is None or wanted not in {"open", "closed"}:
        return now
    ahead = (now + timedelta(minutes=30 * step) for step in range(2 * 24 * 14))
    return next((at for at in ahead if hours.is_open(at) is (wanted == "open")), now)
