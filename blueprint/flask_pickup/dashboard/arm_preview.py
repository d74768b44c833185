"""An experiment's arms as a made-up caller hears them, with their differences to control marked."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import MAXYEAR, MINYEAR, UTC, datetime, timedelta
from typing import Any

from flask_pickup.caller import UNIDENTIFIED, Caller
from flask_pickup.catalog import CONTROL, Catalog, Experiment, Line
from flask_pickup.dashboard.word_diff import Pieces, word_diff
from flask_pickup.decision import Decision
from flask_pickup.platforms import Platform, Rejection
from flask_pickup.previewing import SOMEBODY, imagine

_CUSTOMER_FIELD = re.compile(r"\bcustomer\.([a-z_]\w*)")
_BOOLEANS: Mapping[str, Any] = {"true": True, "yes": True, "false": False, "no": False}


@dataclass(frozen=True)
class MadeUpCaller:
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
    def from_form(cls, form: Mapping[str, str], customer_fields: Iterable[str]) -> MadeUpCaller:
        """Return the caller that a form's fields describe."""
        return cls(
            identified=form.get("who") != "withheld",
            language=form.get("language", ""),
            hours=form.get("hours", "open"),
            customer={name: value for name in customer_fields if (value := form.get(f"customer.{name}", "").strip())},
            at=parse_moment(form.get("at")),
        )

    def as_caller(self) -> Caller:
        """Return the caller as templates see them."""
        return replace(SOMEBODY, language=self.language or None) if self.identified else UNIDENTIFIED

    def as_customer(self) -> Mapping[str, Any] | None:
        """Return the customer record; None where nothing is known."""
        record = {name: _BOOLEANS.get(value.lower(), value) for name, value in self.customer.items()}
        if self.language:
            record["language"] = self.language
        return record if record and self.identified else None

    def moment(self, catalog: Catalog) -> datetime:
        """Return when they call."""
        if self.at is not None:
            return self.at if self.at.tzinfo else self.at.replace(tzinfo=catalog.zone(Line(None)))
        now, hours = datetime.now(UTC), catalog.hours(Line(None))
        if hours is None or self.hours not in {"open", "closed"}:
            return now
        next_two_weeks = (now + timedelta(minutes=30 * step) for step in range(2 * 24 * 14))
        return next((at for at in next_two_weeks if hours.is_open(at) is (self.hours == "open")), now)


@dataclass(frozen=True)
class ArmPreview:
    """What is decided in an arm, and the differences of its texts to control's."""

    arm: str
    decision: Decision
    greeting_diff: Pieces
    prompt_diff: Pieces

    @property
    def rejects(self) -> bool:
        """Whether the call is rejected."""
        return isinstance(self.decision.answer, Rejection)


def arm_previews(
    catalog: Catalog, platform: Platform, experiment: Experiment, caller: MadeUpCaller
) -> list[ArmPreview]:
    """Return a preview of each arm, control first."""
    decisions = _decisions(catalog, platform, experiment, caller, experiment.weights)
    control = decisions[CONTROL]
    return [
        ArmPreview(
            arm,
            decision,
            greeting_diff=word_diff(control.greeting or "", decision.greeting or ""),
            prompt_diff=word_diff(control.prompt or "", decision.prompt or ""),
        )
        for arm, decision in decisions.items()
    ]


def current_greetings(catalog: Catalog, platform: Platform, experiment: Experiment) -> dict[str, str | None]:
    """Return the greeting of each arm that callers hear now, control first, for a caller of whom nothing is known.

    These are the arms of a running experiment and the winner of a concluded one. A greeting is ``None`` where the saved
    agent's own is heard.
    """
    arms = {"running": tuple(experiment.weights), "concluded": (experiment.winner,)}.get(experiment.status, ())
    decisions = _decisions(catalog, platform, experiment, MadeUpCaller.from_form({}, ()), arms)
    return {arm: decision.greeting for arm, decision in decisions.items()}


def _decisions(
    catalog: Catalog,
    platform: Platform,
    experiment: Experiment,
    caller: MadeUpCaller,
    arms: Collection[str | None],
) -> dict[str, Decision]:
    at, who, customer = caller.moment(catalog), caller.as_caller(), caller.as_customer()
    return {
        arm: imagine(catalog, platform, (experiment, arm), who, customer=customer, at=at).decision
        for arm in sorted(experiment.weights, key=lambda arm: arm != CONTROL)
        if arm in arms
    }


def customer_fields(catalog: Catalog, experiment: str) -> list[str]:
    """Return the fields of a customer record that the base and an experiment read, but for the language."""
    folders = ("greetings/", f"experiments/{experiment}/")
    texts = [text for path, text in catalog.texts.items() if path.startswith(folders)]
    return sorted({name for text in texts for name in _CUSTOMER_FIELD.findall(text)} - {"language"})


def parse_moment(written: str | None) -> datetime | None:
    """Return the moment in a form's field; None if it is invalid, or at an end of the calendar."""
    try:
        found = datetime.fromisoformat(written or "")
    except ValueError:
        return None
    return found if MINYEAR < found.year < MAXYEAR else None
