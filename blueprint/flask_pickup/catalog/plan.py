"""How an answer is made for one stack of folders in one language."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from flask_pickup.catalog.settings import Line
from flask_pickup.override import Filling
from flask_pickup.rendering import Namespace, SilentUndefined, Stack, render


@dataclass(frozen=True, slots=True)
class Texts:
    """What a plan's templates say to one caller; ``strings`` are the override's, in the order in which they stand."""

    greeting: str
    prompt: str
    strings: tuple[str, ...]


@dataclass(frozen=True)
class Plan:
    """How an answer is made for one stack of folders in one language."""

    stack: Stack
    filling: Filling

    def greeting(self, namespace: Namespace) -> str:
        """Return what is spoken first; empty if no layer has a greeting."""
        return self._render("first_message.j2", namespace)

    def prompt(self, namespace: Namespace) -> str:
        """Return the system prompt; empty if no layer has one."""
        return self._render("system_prompt.j2", namespace)

    def closed(self, namespace: Namespace) -> str:
        """Return what a caller hears outside the hours; empty if no layer says anything."""
        return self._render("closed.j2", namespace)

    def texts(self, namespace: Namespace) -> Texts:
        """Return what the templates say to one caller. Raises whatever they raise."""
        if self.stack.is_personal or not isinstance(namespace["customer"], SilentUndefined):
            return self.rendered(namespace)
        return _said(self, namespace["line"], namespace["open"])

    def rendered(self, namespace: Namespace) -> Texts:
        """Return what the templates say, rendered anew. Raises whatever they raise."""
        strings = self.filling.strings(lambda source: render(self.stack.string(source), namespace))
        texts = Texts(self.greeting(namespace), self.prompt(namespace), strings)
        for text in (texts.greeting, texts.prompt, *strings):
            # Half a surrogate pair, which raw data may hold and JSON cannot, fails here and not on the way out.
            text.encode()
        return texts

    def settings(self, strings: tuple[str, ...]) -> Mapping[str, Any]:
        """Return the merged override with ``strings`` in place of its templates."""
        return self.filling.filled(strings)

    def _render(self, name: str, namespace: Namespace) -> str:
        template = self.stack.find(name)
        return render(template, namespace) if template else ""


@lru_cache(maxsize=256)
def _said(plan: Plan, line: Line, is_open: bool) -> Texts:  # noqa: FBT001 (the names of templates, as values)
    """Return what a plan says to whoever nothing is known of: it follows from these alone, as the namespace shows."""
    nobody = SilentUndefined(name="customer")
    namespace = {"customer": nobody, "customer_raw": nobody, "line": line, "open": is_open}
    return plan.rendered({**namespace, "language": plan.stack.language})
