"""Whether an experiment may take longer than calls are to be kept."""

from __future__ import annotations

from collections.abc import Iterator

from flask_pickup.catalog import Catalog
from flask_pickup.catalog.complaints import Complaint, toml_line


def check_retention(catalog: Catalog, days: float | None) -> Iterator[Complaint]:
    """Yield each experiment whose callers' calls outlive ``PICKUP_RETENTION``, because it still counts them."""
    for experiment in catalog.experiments:
        longest = experiment.decision.maximum_days
        if days is not None and experiment.status != "concluded" and longest > days:
            file = f"experiments/{experiment.name}/experiment.toml"
            yield Complaint(
                file,
                toml_line(catalog.texts[file], "decision", "maximum_days"),
                f"it may run for {longest} days, and PICKUP_RETENTION is {days:g}: its callers' calls are kept until it is "
                "concluded",
                f"write maximum_days = {int(days)} or less under [decision], or keep calls longer",
                "warning",
            )
