"""Missing values that are said as "None", which Python writes for them in a text."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

from jinja2 import nodes

from flask_pickup.catalog import AnswerPlan, Complaint
from flask_pickup.catalog.loading import reachable
from flask_pickup.checking.callers import Case
from flask_pickup.checking.content import Content
from flask_pickup.checking.overrides import value_at, written_at
from flask_pickup.checking.source import constants
from flask_pickup.override import templates
from flask_pickup.platforms import JsonObject

_NONE = re.compile(r"\bNone\b")


def none_in_texts(
    content: Content, case: Case, plan: AnswerPlan, texts: Mapping[str, str | None]
) -> Iterator[Complaint]:
    """Yield the templates that say "None" to a caller, unless their author has written the word.

    :param texts: the name of each template to what it says.
    """
    for name, text in texts.items():
        template = plan.stack.find(name)
        if template and template.name and _NONE.search(text or ""):
            files = reachable([template.name], lambda file: content.targets.get(file, ()))
            if not any(_is_written(content.trees[file]) for file in files):
                yield _complaint(case, template.name, 0)


def none_in_settings(
    content: Content, case: Case, folders: tuple[str, ...], plan: AnswerPlan, settings: JsonObject
) -> Iterator[Complaint]:
    """Yield the strings of overrides that say "None" to a caller."""
    for keys, source in templates(plan.override, plan.untemplated):
        if _NONE.search(value_at(settings, keys) or "") and not _is_written(content.catalog.environment.parse(source)):
            yield _complaint(case, *written_at(content.catalog, case.deciding.platform, folders, keys))


def _is_written(tree: nodes.Template) -> bool:
    """Return whether the word itself is in a template, as at the beginning of a sentence."""
    data = (each.data for each in tree.find_all(nodes.TemplateData))
    words = (each for each in constants(*tree.find_all(nodes.Const)) if isinstance(each, str))
    return any(map(_NONE.search, (*data, *words)))


def _complaint(case: Case, file: str, line: int) -> Complaint:
    problem = f"it says 'None' for {case.words}, where a value is missing"
    return Complaint(file, line, problem, "give another word for it, such as {{ line.name or 'us' }}", "warning")
