"""Which file a name in a template means: layers of folders, in one language.

Every file is compiled once, at start. A call has a :class:`Stack`, the list of its layers, and each name in a template
is looked up along that stack.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from traceback import walk_tb
from types import CodeType
from typing import Any

from babel import localedata
from jinja2 import BaseLoader, Template, TemplateNotFound
from jinja2 import Environment as JinjaEnvironment

from flask_pickup.rendering.environment import Environment, readable

BASE = "greetings"
_PERSONAL = frozenset({"caller", "call", "now", "platform"})
_VARIANT = re.compile(r"(?P<stem>.+)\.(?P<language>[a-z]{2,3})(?P<suffix>\.j2)")


@dataclass(frozen=True)
class Library:
    """All template files, compiled.

    :param codes: file to its code.
    :param variants: logical path (``greetings/first_message.j2``) to language to file; the plain file's is ``""``.
    :param homes: file to its layer's folder and its logical name in there.
    :param strings: the overrides' strings that are templates, to their code.
    """

    codes: Mapping[str, CodeType]
    variants: Mapping[str, Mapping[str, str]]
    homes: Mapping[str, tuple[str, str]]
    strings: Mapping[str, CodeType]

    @cached_property
    def is_personal(self) -> bool:
        """Whether any template reads the caller, the call, the time or the platform; if not, many calls share a text."""
        return self.reads(*_PERSONAL)

    def reads(self, *names: str) -> bool:
        """Return whether any template reads one of these names."""
        return any(_mentions(code, frozenset(names)) for code in (*self.codes.values(), *self.strings.values()))

    def pick(self, logical_path: str, language: str) -> str | None:
        """Return the file for a language: its variant, else the plain one."""
        found = self.variants.get(logical_path, {})
        return found.get(language) or found.get("")


def _mentions(code: CodeType, names: frozenset[str]) -> bool:
    # The code holds each name that it reads as a constant. An equal text only makes the answer less sure.
    return any(_mentions(each, names) if isinstance(each, CodeType) else each in names for each in code.co_consts)


def split_variant(name: str) -> tuple[str, str]:
    """Split ``first_message.nl.j2`` into ``first_message.j2`` and ``nl``; a plain file's language is ``""``."""
    match = _VARIANT.fullmatch(name)
    if match and localedata.exists(match["language"]):
        return match["stem"] + match["suffix"], match["language"]
    return name, ""


class Stack(BaseLoader):
    """The layers of a call, lowest first, in one language. Rendering reads no file and compiles nothing."""

    def __init__(self, library: Library, folders: tuple[str, ...], language: str, environment: Environment) -> None:
        self.folders = folders
        self.language = language
        self.is_personal = library.is_personal
        self._library = library
        self._environment: Environment = environment.overlay(loader=self)
        self._environment.join_path = self.resolve  # type: ignore[method-assign, assignment]
        self._strings: dict[str, Template] = {}

    def load(self, environment: JinjaEnvironment, name: str, globals: Any = None) -> Template:  # noqa: A002, ARG002 (Jinja's)
        """Instantiate a file that was compiled at start."""
        code = self._library.codes.get(name)
        if code is None:
            raise TemplateNotFound(name)
        # Not get_template's chain of maps: reading it takes longer than rendering most templates.
        return environment.template_class.from_code(environment, code, environment.globals)

    def find(self, logical: str) -> Template | None:
        """Return the template that supplies a file of the answer, such as ``first_message.j2``."""
        path = self._search(self.folders, logical)
        return self._environment.get_template(path) if path else None

    def string(self, source: str) -> Template:
        """Return the template of a string in an override."""
        found = self._strings.get(source)
        if found is None:
            code = self._library.strings[source]
            found = Template.from_code(self._environment, code, self._environment.globals)
            self._strings[source] = found
        return found

    def resolve(self, name: str, parent: str) -> str:
        """Return the file that ``name`` means inside the file ``parent``; an unknown name comes back as it is."""
        folder, logical = self._library.homes.get(parent, (BASE, ""))
        wanted = posixpath.normpath(name)
        if wanted.startswith("experiments/"):
            return self._library.pick(wanted, self.language) or name
        within = wanted.removeprefix(BASE + "/")
        if within == wanted:
            within = posixpath.normpath(posixpath.join(posixpath.dirname(logical), wanted))
            if not folder.startswith(BASE):
                return self._library.pick(f"{folder}/{within}", self.language) or name
        return self._search(self._visible(folder, logical, within), within) or name

    def _visible(self, folder: str, logical: str, wanted: str) -> tuple[str, ...]:
        """Return the layers that a file sees: an arm those below it, a file that names itself those below its own, else all."""
        if folder.startswith(BASE) and wanted != logical:
            return self.folders
        return self.folders[: self.folders.index(folder)] if folder in self.folders else self.folders[:1]

    def _search(self, folders: tuple[str, ...], logical: str) -> str | None:
        for folder in reversed(folders):
            if path := self._library.pick(f"{folder}/{logical}", self.language):
                return path
        return None


Namespace = Mapping[str, Any]
Expression = Callable[[Namespace], Any]


def render(template: Template, namespace: Namespace) -> str:
    """Return a template's text, without the blank space around it."""
    # Template.render rewrites the traceback, in which failed_at looks for the line.
    return "".join(template.root_render_func(template.new_context(dict(namespace)))).strip()


@readable()
def expression(environment: Environment, source: str) -> Expression:
    """Compile a Jinja expression; a missing name is a :class:`.SilentUndefined`.

    :raises jinja2.TemplateSyntaxError: if it cannot be read.
    """
    return environment.compile_expression(source, undefined_to_none=False)


def failed_at(error: BaseException) -> tuple[str, int]:
    """Return the file and line of the template that raised ``error``; an empty name if none did.

    In a string of an override, the name is that of the file with the string's line: ``override.json:12``.
    """
    found = ("", 0)
    for frame, line in walk_tb(error.__traceback__):
        template = frame.f_globals.get("__jinja_template__")
        if isinstance(template, Template) and template.name:
            found = template.name, template.get_corresponding_lineno(line)
    return found
