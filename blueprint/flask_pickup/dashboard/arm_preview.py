"""An experiment's arms as a made-up caller hears them, and where their words and settings differ from control's."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from difflib import SequenceMatcher
from functools import lru_cache, reduce
from itertools import islice
from typing import Any, Literal

from flask_pickup.catalog import CONTROL, Catalog, Experiment, with_folder
from flask_pickup.dashboard.audience_values import audience_values
from flask_pickup.dashboard.frame import Frame
from flask_pickup.dashboard.preview_callers import callers_inside, would_be_in
from flask_pickup.dashboard.preview_form import CUSTOMER, FIELDS, DescribedCall, Form, FormReader
from flask_pickup.decision import FAULTS, Decision
from flask_pickup.platforms import Answer, Platform, Rejection
from flask_pickup.previewing import imagine

Mark = Literal["same", "added", "removed", "rewritten"]
Pieces = tuple[tuple[Mark, str], ...]
"""A text in pieces: what it shares with another, what it adds, and what it leaves out; or that it is all another text."""

_CUSTOMER_FIELD = re.compile(r"\bcustomer\.([a-z_]\w*(?:\.[a-z_]\w*\b(?!\())*)")

_FEWEST_SHARED = 3
"""Words in a row between two changes that count as shared; fewer would be hard to read."""

_FEWEST_KEPT = 0.5
"""The share of a text's words of which less makes another text: its differences would be hard to read."""

_LARGE = 1_000_000
"""Pairs of words above which the comparison is no longer exact: its time grows with the square of the length."""

_CONTEXT = 80
"""Characters of a shared text that are shown before and after a change."""

_MOST_TRIED = 10
"""Callers for whom the arms are rendered in search of a difference."""

_TOKEN = re.compile(r"\s+|[^\s\w]|\w+")


@dataclass(frozen=True)
class ArmPreview:
    """What a caller hears in an arm, against control.

    :param settings: those that differ, each its path, control's value and the arm's; None is a missing one.
    """

    decision: Decision
    greeting: Pieces
    prompt: Pieces
    settings: Sequence[tuple[str, str | None, str | None]]

    @property
    def has_same_greeting(self) -> bool:
        """Whether the greeting is control's."""
        return all(mark == "same" for mark, _ in self.greeting)

    @property
    def has_same_words(self) -> bool:
        """Whether greeting and system prompt are control's."""
        return self.has_same_greeting and self.has_same_prompt

    @property
    def has_marks(self) -> bool:
        """Whether words are marked as added or removed."""
        return any(mark in {"added", "removed"} for mark, _ in (*self.greeting, *self.prompt))

    @property
    def has_same_prompt(self) -> bool:
        """Whether the system prompt is control's."""
        return all(mark == "same" for mark, _ in self.prompt)

    @property
    def prompt_changes(self) -> Pieces:
        """The system prompt without what is far from every change."""
        last = len(self.prompt) - 1
        return tuple(
            (mark, _around(text, is_first=place == 0, is_last=place == last) if mark == "same" else text)
            for place, (mark, text) in enumerate(self.prompt)
        )

    @property
    def is_like_control(self) -> bool:
        """Whether nothing differs from control."""
        return self.has_same_words and not self.settings

    @property
    def is_rejected(self) -> bool:
        """Whether the call is rejected with the greeting's words."""
        return isinstance(self.decision.answer, Rejection)

    @property
    def faults(self) -> Sequence[str]:
        """What failed, so that the caller hears the base."""
        found: Sequence[str] = self.decision.reasons.get(FAULTS, ())
        return found


@dataclass(frozen=True)
class Previews:
    """The arms of an experiment, and the caller for whom they are shown.

    :param arms: by name, control first.
    :param reader: has what the form offers.
    :param form: the fields that describe the caller, also those that the page chose.
    :param was_asked: whether the page's reader described the caller.
    :param is_inside: whether the caller would be in the experiment.
    """

    arms: Mapping[str, ArmPreview]
    reader: FormReader
    form: Form
    described: DescribedCall
    customer_fields: Sequence[str]
    was_asked: bool
    is_inside: bool

    @property
    def differ(self) -> bool:
        """Whether this caller hears, or is served with, anything else in another arm than in control."""
        return not all(arm.is_like_control for arm in self.arms.values())


def preview_arms(frame: Frame, experiment: Experiment, stored: Mapping[str, Any] | None, asked: Form) -> Previews:
    """Return the arms of an experiment as a caller hears them; those of a concluded one as callers heard them.

    :param stored: the body of the latest definition that calls were answered with, if there is any.
    :param asked: the caller's fields in the address. The page chooses the others: those of a caller for whom the arms
        differ, if one of the likeliest is such.
    :raises BadParameter: if a field has a value that the page does not offer.
    """
    catalog, shown = _as_it_ran(frame.catalog, experiment, stored or {})
    values = audience_values(catalog.environment, experiment.audience)
    numbers = frozenset(path for path, found in values.items() if any(type(each) in {int, float} for each in found))
    reader = FormReader(catalog, _platforms(frame, experiment), frame.webhook.now, numbers)
    names = sorted(shown.weights, key=lambda arm: arm != CONTROL)
    was_asked = any(name in FIELDS or name.startswith(CUSTOMER) for name in asked)

    def heard_by(form: Form) -> Previews:
        platform, call, customer = described = reader.read(form)
        decisions = {arm: imagine(catalog, platform, (shown, arm), call, customer).decision for arm in names}
        return Previews(
            arms={arm: _against(decisions[CONTROL], one) for arm, one in decisions.items()},
            reader=reader,
            form=form,
            described=described,
            customer_fields=_customer_fields(catalog, experiment.name, {**values, **form}),
            was_asked=was_asked,
            is_inside=would_be_in(catalog, shown, described),
        )

    first = None
    likely = callers_inside(reader, shown, values, frame.webhook.engine, frame.webhook.options.region)
    for caller in islice(likely, _MOST_TRIED):
        found = heard_by({**caller, **asked})
        if was_asked or found.differ:
            return found
        first = first or found
    return first or heard_by(asked)


def _as_it_ran(catalog: Catalog, experiment: Experiment, stored: Mapping[str, Any]) -> tuple[Catalog, Experiment]:
    """Return a concluded experiment and the content as they were while it ran, as far as its definition has them."""
    if experiment.status != "concluded":
        return catalog, experiment
    files = {arm: texts for arm, texts in stored.get("files", {}).items() if texts != experiment.files.get(arm, {})}
    folders = ((f"experiments/{experiment.name}/{arm}", texts) for arm, texts in files.items())
    catalog = reduce(lambda content, folder: with_folder(content, *folder), folders, catalog)
    weights = {**stored.get("arms", {}), **experiment.weights}
    experiment = replace(experiment, status="running", weights=weights)
    return catalog.with_experiment(experiment), experiment


def _platforms(frame: Frame, experiment: Experiment) -> dict[str, Platform]:
    """Return the platforms, first the default one, unless only on another an arm can differ."""
    arms, default = frame.catalog.arms[experiment.name], frame.webhook.default_platform

    def place(platform: Platform) -> tuple[bool, bool]:
        return not any(arm.writes_on(platform) for arm in arms), platform is not default

    return {platform.name: platform for platform in sorted(frame.webhook.platforms.values(), key=place)}


def _customer_fields(catalog: Catalog, experiment: str, known: Iterable[str]) -> list[str]:
    """Return the fields of a customer record that the base and an experiment read, but for the language.

    :param known: names of other fields, each after "customer.", among other names.
    """
    folders = ("greetings/", f"experiments/{experiment}/")
    texts = [text for path, text in catalog.texts.items() if path.startswith(folders)]
    others = {name.removeprefix(CUSTOMER) for name in known if name.startswith(CUSTOMER)}
    return sorted(others.union(*(_CUSTOMER_FIELD.findall(text) for text in texts)) - {"language"})


# --- differences ------------------------------------------------------------------------------------------------------


def _against(control: Decision, arm: Decision) -> ArmPreview:
    greeting = word_diff(control.greeting or "", arm.greeting or "")
    prompt = word_diff(control.prompt or "", arm.prompt or "")
    if any(isinstance(each.answer, Rejection) for each in (control, arm)):
        return ArmPreview(arm, greeting, prompt, ())
    differing = _differing(_settings(control), _settings(arm))
    return ArmPreview(arm, greeting, prompt, [(path, _shown(one), _shown(other)) for path, one, other in differing])


def _settings(decision: Decision) -> Mapping[str, Any]:
    return decision.answer.settings if isinstance(decision.answer, Answer) else {}


_MISSING = object()


def _differing(control: Any, arm: Any, path: str = "") -> Iterator[tuple[str, Any, Any]]:
    """Yield each field that differs: its path, control's value and the arm's."""
    one, other = ({} if each is _MISSING else each for each in (control, arm))
    if isinstance(one, list) and isinstance(other, list) and len(one) == len(other):
        one, other = dict(enumerate(one)), dict(enumerate(other))
    if isinstance(one, Mapping) and isinstance(other, Mapping):
        for key in {**one, **other}:
            below = f"{path}.{key}" if path else str(key)
            yield from _differing(one.get(key, _MISSING), other.get(key, _MISSING), below)
    elif control != arm:
        yield path, control, arm


def _shown(value: Any) -> str | None:
    if value is _MISSING:
        return None
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


@lru_cache(maxsize=256)
def word_diff(base: str, text: str) -> Pieces:
    """Return ``text`` in pieces, with what it leaves out of ``base`` in its place; in one if it has little of ``base``."""
    old, new = _TOKEN.findall(base), _TOKEN.findall(text)
    matcher = SequenceMatcher(None, old, new, autojunk=len(old) * len(new) > _LARGE)
    pieces: list[tuple[Mark, str]] = []
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
    kept = sum(_words(piece) for mark, piece in pieces if mark == "same")
    if text and kept < _FEWEST_KEPT * _words(base):
        return (("rewritten", text),)
    return tuple((mark, piece) for mark, piece in pieces if piece)


def _words(text: str) -> int:
    return sum(token.isalnum() for token in _TOKEN.findall(text))


def _around(text: str, *, is_first: bool, is_last: bool) -> str:
    before = "" if is_first else text[:_CONTEXT].rpartition(" ")[0] + " "
    after = "" if is_last else " " + text[-_CONTEXT:].partition(" ")[2]
    return text if len(before) + len(after) + _CONTEXT > len(text) else f"{before}…{after}"
