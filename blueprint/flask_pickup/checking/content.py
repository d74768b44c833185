"""The content that is checked, with what the checks know besides it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property

from jinja2 import nodes

from flask_pickup.catalog import Catalog
from flask_pickup.checking.recorded import LastDefinitions
from flask_pickup.platforms import Platform


@dataclass(frozen=True)
class Content:
    """All that the checks follow from.

    :param at: is told, before each step, the next file or folder.
    :param recorded: the last definition that was served of each experiment.
    :param retention: the days that calls are kept.
    """

    catalog: Catalog
    platform: Platform
    region: str
    at: Callable[[str], None]
    recorded: LastDefinitions = field(default_factory=dict)
    retention: float | None = None

    @cached_property
    def trees(self) -> Mapping[str, nodes.Template]:
        """The parsed templates, by file. A file that does not compile has its complaint already."""
        found = {}
        for path in self.catalog.library.codes:
            self.at(path)
            found[path] = self.catalog.environment.parse(self.catalog.texts[path], path)
        return found
