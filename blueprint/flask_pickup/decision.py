"""One call in, one :class:`Decision` out: the order of the steps, without any I/O of its own."""

from __future__ import annotations

import logging
from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from functools import cached_property, lru_cache, partial
from itertools import chain
from typing import Any

from flask_pickup.assignment import Assigned, Recorded, draw_arm, is_enrolled, place_in_layer
from flask_pickup.caller import plain_language
from flask_pickup.calls import CallFacts
from flask_pickup.catalog import CONTROL, AnswerPlan, Catalog, Experiment
from flask_pickup.cleaning import without_braces
from flask_pickup.customer import Customer, CustomerFailed, UnavailableCustomer
from flask_pickup.metadata import Metadata, digest
from flask_pickup.missing import SilentUndefined
from flask_pickup.platforms import Answer, JsonObject, Platform, Rejection, Words
from flask_pickup.rendering import failed_at

log = logging.getLogger("flask_pickup")

FAULTS = "_faults"
"""The key among the reasons under which stands what failed; no experiment can have this name."""


@dataclass(frozen=True, slots=True)
class Decision:
    """What a caller hears, and why.

    :param kind: ``arm``, ``base``, ``closed`` or ``fallback``.
    :param answer: ``None`` stands for the platform's default.
    :param reasons: experiment to why the caller is or is not in it; under ``_faults`` what failed.
    """

    kind: str
    answer: Answer | Rejection | None
    assignments: tuple[Assigned, ...]
    reasons: Mapping[str, Any]
    language: str
    open: bool

    @property
    def greeting(self) -> str | None:
        """The words that the caller hears first; ``None`` where they are the saved agent's."""
        if isinstance(self.answer, Rejection):
            return self.answer.words
        return self.answer.words.greeting if self.answer else None

    @property
    def prompt(self) -> str | None:
        """The system prompt; ``None`` where it is the saved agent's."""
        return self.answer.words.prompt if isinstance(self.answer, Answer) else None

    def written(self, platform: Platform) -> dict[str, Any]:
        """Return the answer in the platform's JSON."""
        return platform.default() if self.answer is None else platform.answer(self.answer)


def decide(
    catalog: Catalog, platform: Platform, call: CallFacts, customer: Customer, recorded: Recorded | None = None
) -> Decision:
    """Return what the caller hears. Never raises: it steps down from the arm to the base to the platform's default.

    :param recorded: the call's earlier decision, whose arms are then rendered again; of a ``fallback``, the base.
    """
    return Deciding(catalog, platform, call, customer).decide(recorded)


class Deciding:
    """The steps of one decision. :func:`decide` takes them all and never raises; ``check`` takes them one by one.

    :param language: the call's, where it is known already.
    """

    def __init__(
        self, catalog: Catalog, platform: Platform, call: CallFacts, customer: Customer, language: str | None = None
    ) -> None:
        self.catalog = catalog
        self.platform = platform
        self.call = call
        self.customer = customer
        self.faults: list[str] = [f"customer: {customer.failed}"] if customer.failed else []
        self.reasons: dict[str, Any] = {}
        self._layers: dict[str, str] = {}
        self.base = catalog.base(call.line)
        hours = catalog.hours(call.line)
        self.open = hours is None or hours.is_open(call.at)
        self.names = self._names()
        self.language = language or self._language()
        self.names["language"] = self.language

    def decide(self, recorded: Recorded | None) -> Decision:
        """Take the steps in their order."""
        if self.catalog.is_broken(self.call.line):
            self.faults.append("greetings: the base does not load")
            return self._decision("fallback", None, ())
        known = recorded is not None and bool(recorded.assignments)
        if not known and (words := self._turned_away()):
            return self._decision("closed", self._closed(words), ())
        assignments = self._assign() if recorded is None else self._still_there(recorded)
        if recorded is not None and recorded.kind == "fallback":
            return self._decision("fallback", self._answer(self.base, ()), assignments)
        folders = (*self.below, *(f"experiments/{each.experiment}/{each.arm}" for each in assignments))
        answer = self._answer(folders, assignments)
        if answer is None:
            return self._decision("fallback", self._answer(self.base, ()), assignments)
        return self._decision("arm" if assignments else "base", answer, assignments)

    @cached_property
    def below(self) -> tuple[str, ...]:
        """The folders below all arms: the base's, and those of winners of concluded experiments."""
        winners = (
            f"experiments/{experiment.name}/{experiment.winner}"
            for experiment in self.catalog.experiments
            if experiment.status == "concluded" and experiment.winner and not self.outside(experiment)
        )
        return (*self.base, *winners)

    def _decision(self, kind: str, answer: Answer | Rejection | None, assignments: tuple[Assigned, ...]) -> Decision:
        reasons = {**self.reasons, FAULTS: self.faults} if self.faults else self.reasons
        return Decision(kind, answer, assignments, reasons, self.language, self.open)

    def _names(self) -> dict[str, Any]:
        missing = partial(SilentUndefined, name="customer")
        cleaned, raw, call = self.customer.cleaned, self.customer.raw, self.call
        if self.platform.templates_again:
            cleaned, call = without_braces(cleaned), without_braces(call)
        return {
            "caller": call.caller,
            "customer": missing() if cleaned is None else cleaned,
            "customer_raw": missing() if raw is None else raw,
            "line": call.line,
            "call": call,
            "platform": call.platform,
            "now": self.call.at.astimezone(self.catalog.zone(self.call.line)),
            "open": self.open,
        }

    def _language(self) -> str:
        settings = self.catalog.settings
        spoken = self.catalog.languages_on(self.call.line)
        try:
            wanted = settings.speaks({**self.names, "customer": self._customer_speaking(spoken)})
        except Exception as error:  # noqa: BLE001 (an author's expression may raise anything)
            self._fault("greetings/settings.toml: speaks", error)
            return settings.language
        return plain_language(wanted, spoken) or settings.language

    def _customer_speaking(self, languages: Collection[str]) -> Any:
        """Return the customer; a language of theirs that is not spoken here is left out, so that the next one counts."""
        customer = self.names["customer"]
        if not isinstance(customer, Mapping) or "language" not in customer:
            return customer
        spoken = plain_language(customer["language"], languages)
        others = {key: value for key, value in customer.items() if key != "language"}
        return {**others, "language": spoken} if spoken else others

    def closing_words(self) -> str:
        """Return what ``closed.j2`` says; empty if there is none. Raises whatever it raises."""
        return self._plan(self.base).closed(self.names)

    def _turned_away(self) -> str:
        if self.open:
            return ""
        try:
            return self.closing_words()
        except Exception as error:  # noqa: BLE001
            self._fault("greetings/closed.j2", error)
            return ""

    def _assign(self) -> tuple[Assigned, ...]:
        found = []
        for experiment in self.catalog.experiments:
            if experiment.status in {"running", "paused"}:
                assigned, reason = self.place(experiment)
                self.reasons[experiment.name] = reason
                if assigned:
                    found.append(assigned)
        return tuple(found)

    def place(self, experiment: Experiment) -> tuple[Assigned | None, str]:
        """Return the arm of the caller in a running or paused experiment, if they have one, and the reason."""
        key = self.call.caller.key
        if not experiment.is_running:
            return None, "paused"
        if key and key in experiment.pins:
            return self._assigned(experiment, experiment.pins[key], "pin"), "pin"
        if key is None and experiment.unidentified == "exclude":
            return None, "unidentified"
        draws_by = key or self.call.id
        if experiment.layer and self._layer_owner(experiment.layer, draws_by) != experiment.name:
            return None, "layer"
        if not is_enrolled(experiment.seed, experiment.traffic, draws_by):
            return None, "traffic"
        if reason := self.outside(experiment):
            return None, reason
        if key is None and experiment.unidentified == CONTROL:
            return self._assigned(experiment, CONTROL, "unidentified"), "enrolled"
        arm = draw_arm(experiment.seed, experiment.weights, draws_by)
        return self._assigned(experiment, arm, "hash" if key else "unidentified"), "enrolled"

    def _assigned(self, experiment: Experiment, arm: str, source: str) -> Assigned:
        return Assigned(experiment.name, arm, source, experiment.fingerprint)

    def _layer_owner(self, layer: str, key: str) -> str:
        """Return the one experiment of a layer that may have the caller, or none: a pin comes before the ranges."""
        # Each experiment of a layer asks.
        if layer not in self._layers:
            sharing, place = self.catalog.layers[layer], place_in_layer(layer, key)
            pinned = (name for name, each in sharing.items() if each.is_running and key in each.pins)
            within = (name for name, each in sharing.items() if each.layer_range.start <= place < each.layer_range.end)
            self._layers[layer] = next(chain(pinned, within), "")
        return self._layers[layer]

    def outside(self, experiment: Experiment) -> str:
        """Return why the caller is not in the audience; empty if they are."""
        audience = self.catalog.audiences.get(experiment.name)
        if audience is None:
            return ""
        names = {**self.names, "customer": UnavailableCustomer(), "customer_raw": UnavailableCustomer()}
        try:
            looked = bool(audience(names if self.customer.failed else self.names))
        except CustomerFailed:
            return "customer_failed"
        except Exception as error:  # noqa: BLE001
            self._fault(f"{experiment.file}: audience", error)
            return "audience"
        return "" if looked else "audience"

    def _still_there(self, recorded: Recorded) -> tuple[Assigned, ...]:
        arms = {(experiment.name, arm) for experiment in self.catalog.experiments for arm in experiment.weights}
        return tuple(assigned for assigned in recorded.assignments if (assigned.experiment, assigned.arm) in arms)

    def _answer(self, folders: tuple[str, ...], assignments: tuple[Assigned, ...]) -> Answer | Rejection | None:
        """Return the answer of a stack of folders; ``None`` if it fails or the platform would refuse it."""
        plan = self._plan(folders)
        try:
            answer, strings = self._rendered(plan)
        except Exception as error:  # noqa: BLE001 (a template may raise anything)
            self._fault(folders[-1], error)
            return None
        if isinstance(answer, Rejection):
            return self._rejection(answer.words, assignments)
        said = answer.words
        has = {"has_greeting": said.greeting is not None, "has_prompt": said.prompt is not None}
        if path := _invalid(self.platform, plan, strings, **has):
            self.faults.append(f"{folders[-1]}: the platform would not understand {path}")
            log.error("%s: the platform would not understand %s.", folders[-1], path)
            return None
        return replace(answer, metadata=self._metadata(said, assignments))

    def _closed(self, words: str) -> Rejection:
        rejection = self._rejection(words, ())
        if self.platform.rejection(self.platform.answer(rejection)) is not None:
            return rejection
        # There the agent answers and says the words, in the voice and the language of the base.
        base = self._answer(self.base, ())
        return replace(rejection, settings=base.settings) if isinstance(base, Answer) else rejection

    def _rejection(self, words: str, assignments: tuple[Assigned, ...]) -> Rejection:
        return Rejection(words, self._metadata(Words(words), assignments))

    def _metadata(self, said: Words, assignments: tuple[Assigned, ...]) -> JsonObject | None:
        """Return what the report has to bring back: the arms, and the id of a call that has none of the platform's."""
        if not (assignments or self.call.is_named_here or self.platform.needs_metadata):
            return None
        return Metadata(self.call.id, self.call.caller.key, self.language, assignments, digest(said)).as_json()

    def answer(self, folders: tuple[str, ...]) -> Answer | Rejection:
        """Return the answer of a stack of folders, valid or not. Raises whatever its templates raise."""
        return self._rendered(self._plan(folders))[0]

    def _plan(self, folders: tuple[str, ...]) -> AnswerPlan:
        return self.catalog.plan(folders, self.language, self.platform)

    def _rendered(self, plan: AnswerPlan) -> tuple[Answer | Rejection, tuple[str, ...]]:
        texts = plan.texts(self.names)
        settings = plan.settings(texts.strings)
        if (words := self.platform.rejection(settings)) is not None:
            return Rejection(words), texts.strings
        own = self.platform.words(settings)
        said = Words(texts.greeting or own.greeting, texts.prompt or own.prompt)
        return Answer(said, self.language, settings), texts.strings

    def _fault(self, where: str, error: Exception) -> None:
        # The error's text may quote the customer's data; its kind and place say enough.
        file, line = failed_at(error)
        place = f"{file}:{line}" if file else where
        self.faults.append(f"{place}: {type(error).__name__}")
        log.error("%s failed: %s.", place, type(error).__name__)


@lru_cache(maxsize=4096)
def _invalid(
    platform: Platform, plan: AnswerPlan, strings: tuple[str, ...], *, has_greeting: bool, has_prompt: bool
) -> str:
    """Return the path of what the platform would not understand in a plan's answer; empty if it understands all.

    Any text is a valid greeting or prompt, so callers for whom the override's own strings are alike share one validation.
    """
    settings = plan.settings(strings)
    words = Words("…" if has_greeting else None, "…" if has_prompt else None)
    problems = platform.answer_schema.validate(platform.answer(Answer(words, "", settings)))
    return _first_path(problems) if problems else ""


def _first_path(problems: Mapping[Any, Any]) -> str:
    key, below = next(iter(problems.items()))
    return f"{key}.{_first_path(below)}" if isinstance(below, Mapping) and below else str(key)
