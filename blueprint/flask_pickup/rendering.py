"""The environment of all templates, and which file a name in one means.

The environment is Jinja's sandbox, for text that is spoken and never fails for a missing value. Every file is compiled
once, at start. A call has a :class:`Stack`, the list of its layers, and each name in a template is looked up along it.
"""

from __future__ import annotations

import json
import posixpath
import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date, datetime, time
from functools import cached_property
from operator import mod
from traceback import walk_tb
from types import CodeType, NoneType
from typing import Any, NoReturn

from babel import dates, localedata
from jinja2 import BaseLoader, Template, TemplateNotFound, TemplateSyntaxError, Undefined, nodes
from jinja2 import Environment as JinjaEnvironment
from jinja2.exceptions import SecurityError
from jinja2.filters import FILTERS
from jinja2.runtime import Context
from jinja2.sandbox import ImmutableSandboxedEnvironment
from jinja2.utils import pass_context

from flask_pickup.missing import (
    Code,
    SilentUndefined,
    default,
    filter_of,
    forgive,
    forgiving,
    join,
    passes,
    printed,
)

TEMPLATE_NAMES = frozenset(
    {"caller", "customer", "customer_raw", "line", "call", "language", "now", "open", "platform"}
)
"""The names that every template sees."""

REFUSED_FILTERS: Mapping[str, str] = {
    "random": "a caller who rings again must hear the same words: make it an experiment with an arm for each",
    "attr": "write customer.name, or customer['name']",
    **dict.fromkeys(("pprint", "striptags", "urlize", "wordwrap", "xmlattr"), "spoken text does not need it"),
}
"""Filters of Jinja that templates do not have, with what to do instead."""

USES = (nodes.Extends, nodes.Include, nodes.Import, nodes.FromImport)
"""The statements that name another file as ``template``."""

_CLOCK = frozenset({"now", "today", "utcnow"})
"""Methods that return the present time: a repeated request must get the same words."""


def _tojson(value: Any, indent: int | None = None) -> str:
    # Jinja's own writes "&" as "\\u0026", for a browser; a model reads this.
    def convert(other: Any) -> str | None:
        return None if isinstance(other, Undefined) else str(other)

    return json.dumps(value, default=convert, ensure_ascii=False, indent=indent)


def _in_language(format_named: Callable[..., str], default: str, *kinds: type[date | time]) -> Callable[..., Any]:
    @pass_context
    def format_moment(context: Context, value: Any, format: str = default) -> Any:  # noqa: A002 (as Flask-Babel has it)
        if not isinstance(value, kinds):
            return value
        format_it = format_named if format in {"short", "medium", "long", "full"} else dates.format_datetime
        return format_it(value, format, locale=context.get("language", "en"))

    return format_moment


DATE_FILTERS = {
    "dateformat": _in_language(dates.format_date, "long", date),
    "timeformat": _in_language(dates.format_time, "short", datetime, time),
}
"""Days and times in the call's language, by the names of Flask-Babel's filters; another value stays as it is."""


@contextmanager
def _readable() -> Iterator[None]:
    """Turn every error of reading a template into a syntax error of it."""
    try:
        yield
    except (RecursionError, ValueError, SyntaxError, MemoryError, OverflowError) as error:
        raise TemplateSyntaxError("it is nested too deeply, or too large", 1) from error


class Environment(ImmutableSandboxedEnvironment):
    """Jinja's sandbox for spoken text. A private attribute raises; a missing value never does."""

    code_generator_class = Code
    passes = staticmethod(passes)
    printed = staticmethod(printed)
    intercepted_binops = frozenset({"%"})

    def __init__(self) -> None:
        super().__init__(
            autoescape=False, undefined=SilentUndefined, auto_reload=False, cache_size=-1, finalize=printed
        )
        filters = {**FILTERS, **DATE_FILTERS, "tojson": _tojson, "join": join, "default": default, "d": default}
        self.filters = {name: filter_of(name, each) for name, each in filters.items() if name not in REFUSED_FILTERS}
        # Jinja's own test compares identities, which never looks at a customer whose look-up failed.
        self.tests["none"] = lambda value: isinstance(value, NoneType)
        self.tests["in"] = lambda value, values: passes(lambda one, other: one in other, value, values)
        self.binop_table["%"] = forgiving(mod)
        del self.globals["lipsum"]

    compile = _readable()(ImmutableSandboxedEnvironment.compile)
    parse = _readable()(ImmutableSandboxedEnvironment.parse)

    def _parse(self, source: str, name: str | None, filename: str | None) -> nodes.Template:
        """Parse a template. A file's name without quotes would be read as a division of names."""
        tree = super()._parse(source, name, filename)
        for used in tree.find_all(USES):
            template: nodes.Expr = used.template  # type: ignore[attr-defined]
            for part in (template, *template.find_all(nodes.Expr)):
                if isinstance(part, nodes.Div) or (isinstance(part, nodes.Getattr) and part.attr == "j2"):
                    raise TemplateSyntaxError("a file's name has no quotes", used.lineno, name, filename)
        return tree

    def getattr(self, obj: Any, attribute: str) -> Any:
        """Prefer a record's own key to a method of dictionaries that has the same name."""
        if isinstance(obj, Mapping) and attribute in obj:
            return obj[attribute]
        return super().getattr(obj, attribute)

    def is_safe_attribute(self, obj: Any, attr: str, value: Any) -> bool:
        """Return whether templates may read an attribute."""
        asks_the_clock = attr in _CLOCK and isinstance(obj, date)
        return not asks_the_clock and super().is_safe_attribute(obj, attr, value)

    def unsafe_undefined(self, obj: Any, attribute: str) -> NoReturn:  # noqa: ARG002 (Jinja's)
        """Refuse a private attribute: no template asks for one by mistake."""
        raise SecurityError(f"'{attribute}' is not available in templates")

    def call(self, context: Context, called: Any, /, *values: Any, **named: Any) -> Any:
        """Call a function; one that cannot take a missing value returns a missing one."""
        return forgive(super().call, context, called, *values, **named)


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
        # A macro that is imported sees globals alone.
        self._environment.globals = {**environment.globals, "language": language}
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


_BRACES = re.compile(r"\{[{%#]|^\s*\{[^:]*\}\s*$")

Namespace = Mapping[str, Any]
Expression = Callable[[Namespace], Any]


def render(template: Template, namespace: Namespace) -> str:
    """Return a template's text, without the blank space around it."""
    # Template.render rewrites the traceback, in which failed_at looks for the line.
    return "".join(template.root_render_func(template.new_context(dict(namespace)))).strip()


@_readable()
def expression(environment: Environment, source: str) -> Expression:
    """Compile a Jinja expression; a missing name is a :class:`.SilentUndefined`.

    :raises jinja2.TemplateSyntaxError: if it cannot be read.
    """
    if _BRACES.search(source):
        raise TemplateSyntaxError("braces in an expression", 1)
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
