"""The Jinja sandbox: what a template may do, what it sees, and where the names in it lead.

Every file is compiled once, at start. A call only chooses: its :class:`Stack` is the list of folders that are laid
over one another for it, in one language, and each name in a template is resolved along that stack.
"""

from __future__ import annotations

import json
import posixpath
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial, wraps
from types import CodeType
from typing import Any, NoReturn

from babel import localedata
from jinja2 import BaseLoader, ChainableUndefined, Template, TemplateNotFound
from jinja2 import Environment as JinjaEnvironment
from jinja2.runtime import Context
from jinja2.sandbox import SandboxedEnvironment

NAMES = frozenset({"caller", "customer", "customer_raw", "line", "call", "language", "now", "open"})
"""What every template can see."""

BASE = "greetings"
_VARIANT = re.compile(r"(?P<stem>.+)\.(?P<language>[a-z]{2,3})(?P<suffix>\.j2)")


class Silent(ChainableUndefined):
    """What a name stands for that is not there: it prints nothing and decides nothing.

    Its attributes are undefined too, each comparison with it is false, arithmetic with it stays undefined. A caller is
    on the line: no missing value may raise.
    """

    __slots__ = ()

    def _false(self, _other: object) -> bool:
        return False

    def _undefined(self, *_: object, **__: object) -> Silent:
        return self

    def _no_number(self) -> NoReturn:
        # TypeError is what Jinja's int and float filters catch to give their default.
        raise TypeError(self._undefined_message)

    __eq__ = __ne__ = __lt__ = __le__ = __gt__ = __ge__ = __contains__ = _false  # type: ignore[assignment]
    __add__ = __radd__ = __sub__ = __rsub__ = __mul__ = __rmul__ = _undefined  # type: ignore[assignment]
    __truediv__ = __rtruediv__ = __floordiv__ = __rfloordiv__ = __mod__ = __rmod__ = _undefined  # type: ignore[assignment]
    __pow__ = __rpow__ = __neg__ = __pos__ = __abs__ = __round__ = __call__ = _undefined  # type: ignore[assignment]
    __int__ = __float__ = __complex__ = __index__ = _no_number

    def __hash__(self) -> int:
        return id(type(self))


def _forgive(function: Callable[..., Any], *arguments: Any, **options: Any) -> Any:
    """Call ``function``; what it cannot do with a missing value among its arguments is missing too."""
    try:
        return function(*arguments, **options)
    except (TypeError, ValueError, AssertionError):
        missing = next((value for value in (*arguments, *options.values()) if isinstance(value, Silent)), None)
        if missing is None:
            raise
        return missing


def _forgiving(function: Callable[..., Any]) -> Callable[..., Any]:
    return wraps(function)(partial(_forgive, function))


def _tojson(value: Any, indent: int | None = None) -> str:
    return json.dumps(value, default=lambda _: None, ensure_ascii=False, indent=indent)


def _printed(value: Any) -> Any:
    return "" if value is None else value


class Environment(SandboxedEnvironment):
    """Jinja's sandbox for text that is spoken: nothing is escaped, nothing missing raises or is said aloud."""

    intercepted_binops = frozenset({"%"})

    def __init__(self, loader: BaseLoader | None = None) -> None:
        super().__init__(
            autoescape=False, undefined=Silent, finalize=_printed, loader=loader, auto_reload=False, cache_size=-1
        )
        # Jinja's own writes "&" as "\u0026", for pages that a browser reads.
        self.filters["tojson"] = _tojson
        self.filters = {name: _forgiving(function) for name, function in self.filters.items()}

    def call(self, context: Context, called: Any, /, *arguments: Any, **options: Any) -> Any:
        """Call what a template calls; what cannot take a missing value gives a missing one."""
        return _forgive(super().call, context, called, *arguments, **options)

    def call_binop(self, context: Context, operator: str, left: Any, right: Any) -> Any:
        """Let a text with a missing value in its place (``"%d" % customer.visits``) be missing as a whole."""
        return _forgive(super().call_binop, context, operator, left, right)

    def getattr(self, obj: Any, attribute: str) -> Any:
        """Prefer a record's own key over a method of dictionaries that has the same name."""
        if isinstance(obj, Mapping) and attribute in obj:
            return obj[attribute]
        return super().getattr(obj, attribute)

    def join_path(self, template: str, parent: str) -> str:
        """Resolve ``template`` as the file ``parent`` means it."""
        return self.loader.resolve(template, parent) if isinstance(self.loader, Stack) else template


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

    def pick(self, logical_path: str, language: str) -> str | None:
        """Return the file for a language: its variant, else the plain one."""
        found = self.variants.get(logical_path, {})
        return found.get(language) or found.get("")


def split_variant(name: str) -> tuple[str, str]:
    """Split ``first_message.nl.j2`` into ``first_message.j2`` and ``nl``; a plain file's language is ``""``."""
    match = _VARIANT.fullmatch(name)
    if match and localedata.exists(match["language"]):
        return match["stem"] + match["suffix"], match["language"]
    return name, ""


class Stack(BaseLoader):
    """The folders that are laid over one another for a call, lowest first, in one language.

    Rendering through it reads no file and compiles nothing.
    """

    def __init__(self, library: Library, folders: tuple[str, ...], language: str, environment: Environment) -> None:
        self.folders = folders
        self._library = library
        self._language = language
        self._environment: Environment = environment.overlay(loader=self)
        self._strings: dict[str, Template] = {}

    def load(self, environment: JinjaEnvironment, name: str, globals: Any = None) -> Template:  # noqa: A002 (Jinja's)
        """Instantiate a file that was compiled at start."""
        code = self._library.codes.get(name)
        if code is None:
            raise TemplateNotFound(name)
        return environment.template_class.from_code(environment, code, environment.make_globals(globals))

    def find(self, logical: str) -> Template | None:
        """Return the template that supplies a file of the answer, such as ``first_message.j2``."""
        path = self._search(self.folders, logical)
        return self._environment.get_template(path) if path else None

    def string(self, source: str) -> Template:
        """Return the template of a string in an override."""
        found = self._strings.get(source)
        if found is None:
            code = self._library.strings[source]
            found = Template.from_code(self._environment, code, self._environment.make_globals(None))
            self._strings[source] = found
        return found

    def resolve(self, name: str, parent: str) -> str:
        """Return the file that ``name`` means inside the file ``parent``; an unknown name comes back as it is."""
        folder, logical = self._library.homes.get(parent, (BASE, ""))
        wanted = posixpath.normpath(name)
        if wanted.startswith("experiments/"):
            return self._library.pick(wanted, self._language) or name
        within = wanted.removeprefix(BASE + "/")
        if within == wanted:
            within = posixpath.normpath(posixpath.join(posixpath.dirname(logical), wanted))
            if not folder.startswith(BASE):
                return self._library.pick(f"{folder}/{within}", self._language) or name
        return self._search(self._visible(folder, logical, within), within) or name

    def _visible(self, folder: str, logical: str, wanted: str) -> tuple[str, ...]:
        """An arm sees what lies below it; a file that names itself means the one below; else all layers count."""
        if folder.startswith(BASE) and wanted != logical:
            return self.folders
        return self.folders[: self.folders.index(folder)] if folder in self.folders else self.folders[:1]

    def _search(self, folders: tuple[str, ...], logical: str) -> str | None:
        for folder in reversed(folders):
            if path := self._library.pick(f"{folder}/{logical}", self._language):
                return path
        return None


Namespace = Mapping[str, Any]
Expression = Callable[[Namespace], Any]


def render(template: Template, namespace: Namespace) -> str:
    """Return what ``template`` says, without the blank space around it."""
    context = template.new_context(dict(namespace))
    return "".join(template.root_render_func(context)).strip()


def expression(environment: Environment, source: str) -> Expression:
    """Compile a Jinja expression; what it cannot find is :class:`Silent`.

    :raises jinja2.TemplateSyntaxError: if it is none.
    """
    compiled = environment.compile_expression(source, undefined_to_none=False)
    return lambda namespace: compiled(**namespace)
