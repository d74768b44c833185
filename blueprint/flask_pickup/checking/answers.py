"""Every arm's answer for a range of callers: which one fails, is empty, or speaks too long."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from jinja2.exceptions import SecurityError, TemplateNotFound

from flask_pickup.catalog import AnswerPlan, Complaint
from flask_pickup.catalog.complaints import toml_line
from flask_pickup.checking.callers import Case
from flask_pickup.checking.content import Content
from flask_pickup.checking.keys import walk
from flask_pickup.checking.none import none_in_settings, none_in_texts
from flask_pickup.checking.overrides import check_answer, written_at
from flask_pickup.platforms import Answer, Platform, Rejection
from flask_pickup.rendering import BASE, failed_at

WORDS_A_MINUTE = 150
"""The pace of a voice."""
LONGEST_GREETING = 20
"""Seconds. A caller wants to speak after that."""
_LETTERS_A_WORD = 6


def check_answers(content: Content) -> Iterator[Complaint]:
    """Yield what is wrong with the base's answers for every case, and with each arm's for a sample of them.

    Notes say what the answers need at the vendor.
    """
    seen: set[tuple[str, int, str]] = set()
    for platform in content.catalog.platforms:
        for complaint in _all(content, platform):
            # One caller is enough of those with the same problem, and one platform.
            problem = complaint.problem if complaint.level == "note" else complaint.problem.partition(" for ")[0]
            key = (complaint.file, complaint.line, problem)
            if key not in seen:
                seen.add(key)
                yield complaint


def _all(content: Content, platform: Platform) -> Iterator[Complaint]:
    catalog, at = content.catalog, content.at
    cases = content.cases[platform.name]
    for case in cases.all:
        at(BASE)
        yield from _base(content, case)
    for experiment in catalog.experiments:
        at(experiment.file)
        tried = cases.inside(experiment)[: len(cases.sample)] if experiment.audience else cases.sample
        yield from _faults(content, cases.all)
        for arm in catalog.arms[experiment.name]:
            for case in tried if arm.writes_on(platform) else ():
                at(arm.folder)
                yield from _answer(content, case, (*case.deciding.base, arm.folder))


def _base(content: Content, case: Case) -> Iterator[Complaint]:
    deciding = case.deciding
    yield from _faults(content, [case])
    if not deciding.open:
        try:
            # It may be empty for some callers, who are answered then.
            if words := deciding.closing_words():
                yield from _notes(deciding.platform, Rejection(words))
                plan = content.catalog.plan(deciding.base, deciding.language, deciding.platform)
                yield from none_in_texts(content, case, plan, {"closed.j2": words})
        except Exception as error:  # noqa: BLE001 (a template may raise anything)
            yield from _failure(content, case, deciding.base, error)
    yield from _answer(content, case, deciding.base)


def _faults(content: Content, cases: Iterable[Case]) -> Iterator[Complaint]:
    """Yield the expressions that failed: ``file: key: error``."""
    for case in cases:
        for fault in case.deciding.faults:
            file, key, error = fault.split(": ")
            line = toml_line(content.catalog.texts.get(file, ""), key)
            problem = f"{key} fails for {case.words}: {error}"
            yield Complaint(file, line, problem, "make it shorter and simpler")


def _answer(content: Content, case: Case, folders: tuple[str, ...]) -> Iterator[Complaint]:
    try:
        answer = case.deciding.answer(folders)
    except Exception as error:  # noqa: BLE001
        yield from _failure(content, case, folders, error)
        return
    yield from check_answer(content, case.deciding.platform, folders, answer)
    yield from _notes(case.deciding.platform, answer)
    if isinstance(answer, Answer):
        plan = content.catalog.plan(folders, case.deciding.language, case.deciding.platform)
        yield from _greeting(content, case, folders, plan, answer)
        texts = {"first_message.j2": answer.words.greeting, "system_prompt.j2": answer.words.prompt}
        yield from none_in_texts(content, case, plan, texts)
        yield from none_in_settings(content, case, folders, plan, answer.settings)


def _notes(platform: Platform, answer: Answer | Rejection) -> Iterator[Complaint]:
    for note in platform.notes(answer):
        yield Complaint(BASE, 0, f"{platform.name}: {note}", "", "note")


def _failure(content: Content, case: Case, folders: tuple[str, ...], error: Exception) -> Iterator[Complaint]:
    file, line = failed_at(error)
    if isinstance(error, TemplateNotFound) and str(error.name) in content.catalog.texts.get(file, ""):
        # A missing file that is written by name has its complaint already.
        return
    if ".json:" in file:
        file, _, number = file.rpartition(":")
        line = int(number)
    problem = f"the answer fails for {case.words}: {type(error).__name__}: {error}"
    remedy = "see what it says with: flask pickup preview"
    if isinstance(error, RecursionError):
        problem = f"the answer has no end for {case.words}"
        remedy = "let no file include itself, nor a file that includes it, and no macro call itself"
    elif isinstance(error, MemoryError | OverflowError):
        remedy = "an answer is a few sentences: make it shorter and simpler"
    elif isinstance(error, SecurityError):
        remedy = "use the names that templates see"
    yield Complaint(file or folders[-1], line, problem, remedy)


def _greeting(
    content: Content, case: Case, folders: tuple[str, ...], plan: AnswerPlan, answer: Answer
) -> Iterator[Complaint]:
    words = answer.words.greeting or ""
    template = plan.stack.find("first_message.j2")
    if template and not words.strip():
        problem = f"the greeting is empty for {case.words}"
        remedy = "write words for every caller, with {% else %} after a condition"
        yield Complaint(template.name or "", 0, problem, remedy)
    # Not every language puts spaces between its words.
    seconds = max(len(words.split()), len(words) / _LETTERS_A_WORD) * 60 / WORDS_A_MINUTE
    if seconds > LONGEST_GREETING:
        keys = next((keys for keys, value in walk(answer.settings) if value == words), ())
        place = (
            (template.name or "", 1) if template else written_at(content.catalog, case.deciding.platform, folders, keys)
        )
        problem = f"the greeting takes {seconds:.0f} seconds to say, at {WORDS_A_MINUTE} words a minute"
        yield Complaint(*place, problem, f"keep it under {LONGEST_GREETING} seconds", "warning")
