"""How an answer is made for one stack of folders in one language."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import Any

from flask_pickup.catalog.settings import Line
from flask_pickup.missing import SilentUndefined
from flask_pickup.override import KeyPath, fill, templates
from flask_pickup.rendering import Namespace, Stack, render


@dataclass(frozen=True, slots=True)
class Texts:
    """What a plan's templates say to one caller; ``strings`` are the override's, in the order in which they stand."""

    greeting: str
    prompt: str
    strings: tuple[str, ...]


@dataclass(frozen=True, eq=False)
class AnswerPlan:
    """How an answer is made for one stack of folders in one language.

    :param override: the merged patches.
    :param untemplated: keys of the override that belong to the platform's own template engine.
    """

    stack: Stack
    override: Mapping[str, Any]
    untemplated: frozenset[str]

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
        strings = tuple(render(self.stack.string(source), namespace) for _, source in self._templates)
        texts = Texts(self._render("first_message.j2", namespace), self._render("system_prompt.j2", namespace), strings)
        for text in (texts.greeting, texts.prompt, *strings):
            # Half a surrogate pair, which raw data may hold and JSON cannot, fails here and not on the way out.
            text.encode()
        return texts

    @cached_property
    def settings(self) -> Callable[[tuple[str, ...]], Mapping[str, Any]]:
        """Returns the merged override with these strings in place of its templates; read-only, as it is shared."""
        paths = [path for path, _ in self._templates]
        # Most answers of a plan have the same few strings: a language, a model.
        return lru_cache(maxsize=64)(lambda strings: fill(self.override, zip(paths, strings, strict=True)))

    @cached_property
    def _templates(self) -> tuple[tuple[KeyPath, str], ...]:
        return tuple(templates(self.override, self.untemplated))

    def _render(self, name: str, namespace: Namespace) -> str:
        template = self.stack.find(name)
        return render(template, namespace) if template else ""


@lru_cache(maxsize=256)
def _said(plan: AnswerPlan, line: Line, is_open: bool) -> Texts:  # noqa: FBT001 (the names of templates, as values)
    """Return what a plan says to a caller of whom nothing is known: it follows from the arguments alone."""
    nobody = SilentUndefined(name="customer")
    namespace = {"customer": nobody, "customer_raw": nobody, "line": line, "open": is_open}
    return plan.rendered({**namespace, "language": plan.stack.language})
