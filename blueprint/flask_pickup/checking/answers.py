"""Every arm's answer for a spread of callers: which one fails, says nothing, or speaks too long."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from itertools import product

from babel.core import get_global
from jinja2.exceptions import SecurityError, TemplateNotFound

from flask_pickup.caller import UNIDENTIFIED, Caller
from flask_pickup.catalog import Catalog, Complaint, Experiment, Line
from flask_pickup.catalog.complaints import toml_line
from flask_pickup.checking.overrides import check_answer, written_at
from flask_pickup.customer import UNKNOWN, Customer
from flask_pickup.decision import CallFacts, Deciding, Incoming
from flask_pickup.flireo.answer import is_rejection, spoken
from flask_pickup.rendering import BASE, failed_at

WORDS_A_MINUTE = 150
"""How fast a voice speaks."""
LONGEST_OPENING = 20
"""Seconds, after which a caller has something to say."""
_LETTERS_A_WORD = 6

_NOBODYS = "+12015550100"
_HOURS_TRIED = 24 * 14
_MONDAY = datetime(2026, 3, 2, 11, tzinfo=UTC)


@dataclass(frozen=True)
class Case:
    """A caller for whom an answer is tried, in words and as a call."""

    catalog: Catalog
    words: str
    incoming: Incoming


def check_answers(catalog: Catalog, at: Callable[[str], None]) -> Iterator[Complaint]:
    """Yield what is wrong with answers: with the base's for every kind of caller, with each arm's for a choice of them.

    :param at: is told which folder comes next.
    """
    seen: set[tuple[str, int, str]] = set()
    for complaint in _all(catalog, at):
        # The first caller who meets it stands for all.
        key = (complaint.file, complaint.line, complaint.problem.partition(" for ")[0])
        if key not in seen:
            seen.add(key)
            yield complaint


def _all(catalog: Catalog, at: Callable[[str], None]) -> Iterator[Complaint]:
    everybody = list(_everybody(catalog))
    at_other_times = list(_at_other_times(catalog))
    for case in (*everybody, *at_other_times):
        at(BASE)
        yield from _base(case)
    chosen = [*_chosen(catalog, everybody), *at_other_times]
    for experiment in catalog.experiments:
        at(f"experiments/{experiment.name}/experiment.toml")
        found = list(_audience(experiment, [*everybody, *at_other_times], chosen))
        yield from (one for one in found if isinstance(one, Complaint))
        cases = [one for one in found if isinstance(one, Case)]
        for arm, case in product((arm for arm in catalog.arms[experiment.name] if arm.writes), cases):
            at(arm.folder)
            yield from _answer(case, (*catalog.base(case.incoming.line), arm.folder))


def _everybody(catalog: Catalog) -> Iterator[Case]:
    for line in [Line(None), *catalog.settings.lines.values()]:
        languages = sorted(catalog.languages_on(line))
        for is_open, now in _times(catalog, line):
            ending = ("" if is_open else ", outside the hours") + (f", on line {line.name}" if line.name else "")
            call = partial(Incoming, CallFacts("check", "inbound_phone_call"), line=line, now=now)
            yield Case(catalog, f"a caller without a number{ending}", call(UNIDENTIFIED, customer=UNKNOWN))
            yield Case(catalog, f"a stranger from a far country{ending}", call(_FOREIGNER, customer=UNKNOWN))
            for language in languages:
                words = f"speaks '{language}'{ending}"
                known = Customer({**_KNOWN, "language": language})
                yield Case(catalog, f"a customer who {words}", call(_caller(language), customer=known))
                yield Case(catalog, f"a stranger who {words}", call(_caller(language), customer=UNKNOWN))


def _at_other_times(catalog: Catalog) -> Iterator[Case]:
    """Yield a caller at hours and on days of all kinds, where any template asks for the time."""
    if not catalog.library.reads("now"):
        return
    line = Line(None)
    days = (_MONDAY.replace(hour=12, tzinfo=catalog.zone(line)) + timedelta(days=day) for day in range(7))
    hours = (_MONDAY.replace(hour=hour, tzinfo=catalog.zone(line)) for hour in range(0, 24, 3))
    for now in (*hours, *days):
        incoming = Incoming(CallFacts("check", "inbound_phone_call"), UNIDENTIFIED, line, UNKNOWN, now)
        yield Case(catalog, f"a caller on a {now:%A} at {now:%H:%M}", incoming)


def _caller(language: str) -> Caller:
    country = get_global("likely_subtags").get(language, "").rpartition("_")[2] or None
    return Caller(number=_NOBODYS, country=country, language=language, key="0" * 32)


_FOREIGNER = Caller(number=_NOBODYS, country="ZZ", language=None, key="0" * 32)
_KNOWN = {"first_name": "Jan", "name": "Jan Jansen", "vip": True}


def _times(catalog: Catalog, line: Line) -> Iterator[tuple[bool, datetime]]:
    """Yield a time at which ``line`` is open and one at which it is not, if there is such within two weeks."""
    hours = catalog.hours(line)
    if hours is None:
        yield True, _MONDAY
        return
    found: dict[bool, datetime] = {}
    for hour in range(_HOURS_TRIED):
        now = _MONDAY + timedelta(hours=hour)
        found.setdefault(hours.is_open(now), now)
        if len(found) == 2:  # noqa: PLR2004 (open and closed)
            break
    yield from found.items()


def _chosen(catalog: Catalog, everybody: list[Case]) -> list[Case]:
    """Return a choice of callers, all kinds among them: arms are many.

    All on the first line when it is open, of the others every fifth: no number of languages or lines divides that.
    """
    first = 2 + 2 * len(catalog.languages)
    return everybody[:first] + everybody[first::5]


def _audience(experiment: Experiment, everybody: list[Case], chosen: list[Case]) -> Iterator[Case | Complaint]:
    """Yield those who may hear an arm; if nobody here may, all of them, of whom some may be like them.

    What fails in asking is a complaint.
    """
    if not experiment.audience:
        yield from chosen
        return
    inside = []
    for case in everybody:
        deciding = Deciding(case.catalog, case.incoming)
        if not deciding.outside(experiment):
            inside.append(case)
        for fault in deciding.faults:
            yield _fault(fault, case)
    yield from inside[: len(chosen)] or chosen


def _base(case: Case) -> Iterator[Complaint]:
    deciding = Deciding(case.catalog, case.incoming)
    yield from (_fault(fault, case) for fault in deciding.faults)
    if not deciding.open:
        yield from _closed(deciding, case)
    yield from _answer(case, case.catalog.base(case.incoming.line))


def _fault(fault: str, case: Case) -> Complaint:
    """Return the complaint about an expression: ``file: key: error``."""
    file, key, error = fault.split(": ")
    line = toml_line(case.catalog.texts.get(file, ""), key)
    return Complaint(file, line, f"{key} fails for {case.words}: {error}", "write it shorter and simpler")


def _closed(deciding: Deciding, case: Case) -> Iterator[Complaint]:
    try:
        # It may say nothing to some, who are answered then.
        deciding.closing_words()
    except Exception as error:  # noqa: BLE001 (a template may raise anything)
        if not _is_missing(case.catalog, error):
            yield _failure(deciding.base, case, error)


def _answer(case: Case, folders: tuple[str, ...]) -> Iterator[Complaint]:
    deciding = Deciding(case.catalog, case.incoming)
    try:
        answer = deciding.answer(folders)
    except Exception as error:  # noqa: BLE001
        if not _is_missing(case.catalog, error):
            yield _failure(folders, case, error)
        return
    yield from check_answer(case.catalog, folders, answer)
    if not is_rejection(answer):
        yield from _opening(deciding, case, folders, spoken(answer) or "")


def _is_missing(catalog: Catalog, error: Exception) -> bool:
    """Return whether a file is not there that is taken in by its name, which was looked for already."""
    file, _ = failed_at(error)
    return isinstance(error, TemplateNotFound) and str(error.name) in catalog.texts.get(file, "")


def _failure(folders: tuple[str, ...], case: Case, error: Exception) -> Complaint:
    file, line = failed_at(error)
    if ".json:" in file:
        file, _, number = file.rpartition(":")
        line = int(number)
    problem = f"the answer fails for {case.words}: {type(error).__name__}: {error}"
    remedy = "see what it says with: flask pickup preview"
    if isinstance(error, RecursionError | MemoryError | OverflowError):
        remedy = "an answer is a few sentences: make it shorter and simpler"
    elif isinstance(error, SecurityError):
        remedy = "use the names that templates see"
    return Complaint(file or folders[-1], line, problem, remedy)


def _file(deciding: Deciding, folders: tuple[str, ...], name: str) -> str:
    template = deciding.catalog.plan(folders, deciding.language).stack.find(name)
    return template.name or "" if template else ""


def _opening(deciding: Deciding, case: Case, folders: tuple[str, ...], words: str) -> Iterator[Complaint]:
    file, line = _file(deciding, folders, "first_message.j2"), 1
    if file and not words.strip():
        problem = f"the opening says nothing for {case.words}"
        yield Complaint(file, 0, problem, "write words for every caller, with {% else %} where it chooses")
    if not file:
        file, line = written_at(case.catalog, folders, ("assistant", "first_message"))
    if (seconds := _seconds(words)) > LONGEST_OPENING:
        problem = f"the opening takes {seconds:.0f} seconds to say, at {WORDS_A_MINUTE} words a minute"
        yield Complaint(file, line, problem, f"stay under {LONGEST_OPENING}, then let the caller speak", "warning")


def _seconds(words: str) -> float:
    # Not every language puts spaces between its words.
    return max(len(words.split()), len(words) / _LETTERS_A_WORD) * 60 / WORDS_A_MINUTE
