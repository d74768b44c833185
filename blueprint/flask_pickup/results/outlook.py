"""What the weekly looks to come can find of one comparison."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass

from flask_pickup.catalog.definition import Experiment
from flask_pickup.results import estimates
from flask_pickup.results.horizon import POWER, Horizon, minimum_detectable
from flask_pickup.results.looks import PastLooks
from flask_pickup.results.model import Comparison, Metric, Results
from flask_pickup.results.spending import BoundedLook, crossing_probabilities


@dataclass(frozen=True)
class Outlook:
    """The looks of a comparison. Its chances are the whole design's: what was seen at past looks does not change them.

    :param week: the last week that is over.
    :param past: the looks that were made.
    :param to_come: week to look, at the callers a week of the last four weeks.
    """

    week: int
    past: tuple[BoundedLook, ...]
    to_come: Mapping[int, BoundedLook]

    @classmethod
    def of(
        cls, design: Experiment, results: Results, metric: Metric, compared: Comparison, history: PastLooks
    ) -> Outlook | None:
        """Return the looks of a comparison as it stands at a look; None where it is not known how its values vary."""
        definition = next(each for each in design.metrics if each.name == metric.metric)
        pace, error = results.new_callers_a_week, compared.standard_error
        if not error or pace is None:
            return None
        arms = [metric.arm(name) for name in (compared.arm, compared.against)]
        callers, both = sum(arm.callers or 0 for arm in arms), sum(design.weights[arm.arm] for arm in arms)
        rate = sum(arm.mean or 0 for arm in arms) / 2 if metric.is_proportion else None
        earlier = [each["spending"] for each in history.of(metric.metric, compared.arm, compared.against)]
        spent = [each for each in (*earlier, compared.spending and asdict(compared.spending)) if each]
        # A guardrail is safe by the end of its interval that is on the side of harm.
        end = 1 if definition.guardrail and definition.goal == "decrease" else 0
        past = [(each["information"], each["boundaries"][end]) for each in spent if each["boundaries"][end] is not None]
        to_come = Horizon.of(design, definition).looks(
            pace=pace * both / sum(design.weights.values()) / (error * error * callers),
            spread=error * error * callers,
            least=estimates.least_callers(rate, min(design.weights[arm.arm] for arm in arms) / both),
            past=past,
            week=history.weeks,
            information=1 / (error * error),
        )
        return cls(history.weeks, tuple(past), to_come)

    def is_overdue(self, difference: float) -> bool:
        """Return whether ``difference`` would have been found by now with a chance of 80 %."""
        return bool(self.past) and crossing_probabilities(self.past, difference)[-1] >= POWER

    def weeks_left(self, difference: float) -> int | None:
        """Return the weeks until ``difference`` is found with a chance of 80 %; None if not by the horizon."""
        chances = crossing_probabilities([*self.past, *self.to_come.values()], difference)[len(self.past) :]
        weeks = (week for week, chance in zip(self.to_come, chances, strict=True) if chance >= POWER)
        return next((week - self.week for week in weeks), None)

    @property
    def detectable(self) -> float:
        """The least difference that is found by the horizon with a chance of 80 %; infinite without a look."""
        return minimum_detectable([*self.past, *self.to_come.values()])
