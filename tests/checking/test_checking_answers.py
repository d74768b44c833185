"""What ``check`` says of answers: every arm is rendered for all kinds of callers."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from complaints import BASE, DRAFT, Fault, all_complaints, assert_said, complaints_about, opening, override, toml

LONG = "This is a rather long sentence of about ten words. " * 10

FAULTS = {
    "fails-for-strangers": opening("A\n{% if not customer %}{{ 1 / 0 }}{% endif %}", "the answer fails for a caller without a number", 2),
    "fails-for-customers": opening("A{% if customer.vip %}{{ 1 / 0 }}{% endif %}", "the answer fails for a customer who speaks"),
    "fails-in-dutch": opening("A{% if language == 'nl' %}{{ 1 / 0 }}{% endif %}", "who speaks 'nl'"),
    "fails-for-the-numberless": opening("A{% if not caller.identified %}{{ 1 / 0 }}{% endif %}", "a caller without a number"),
    "fails-at-night": opening("A{% if not open %}{{ 1 / 0 }}{% endif %}", "outside the hours"),
    "fails-by-day": opening("A{% if open %}{{ 1 / 0 }}{% endif %}", "ZeroDivisionError: division by zero"),
    "fails-on-a-line": opening("A{% if line.name == 'Desk' %}{{ 1 / 0 }}{% endif %}", "on line Desk"),
    "fails-from-abroad": opening("A{% if caller.country == 'NL' %}{{ 1 / 0 }}{% endif %}", "who speaks 'nl'"),
    "fails-in-partial": Fault({"warm/first_message.j2": "A{% include 'b.j2' %}", "warm/b.j2": "\n\n{{ 1 / 0 }}"},
                              "warm/b.j2", 3, "ZeroDivisionError"),
    "fails-in-prompt": Fault({"warm/system_prompt.j2": "A\n{{ 1 / 0 }}"}, "warm/system_prompt.j2", 2, "ZeroDivisionError"),
    "fails-in-audience": toml(f"audience = '1 / 0'\n{DRAFT}", "audience fails for a caller without a number", 1),
    "empty": opening("{% if customer %}Hello.{% endif %}", "the greeting is empty for a caller without a number", 0),
    "empty-in-dutch": opening("{% if language != 'nl' %}Hello.{% endif %}", "with {% else %} after a condition", 0),
    "empty-at-night": opening("{% if now.hour < 18 %}Hello.{% endif %}", "empty for a caller on a Monday at 18:00", 0),
    "empty-on-sundays": opening("{% if now.weekday() < 6 %}Hello.{% endif %}", "empty for a caller on a Sunday", 0),
    "empty-abroad": opening("{% if not caller.identified or caller.country in ['US', 'NL'] %}Hello.{% endif %}",
                            "empty for a stranger from a far country", 0),
    "blank": opening(" \n ", "the greeting is empty", 0),
    "long": opening(LONG, "the greeting takes 40 seconds to say, at 150 words a minute", 1, "warning"),
    "long-in-one-word": opening("字" * 600, "the greeting takes 40 seconds to say", 1, "warning"),
    "long-by-loop": opening("{% for i in range(100) %}word {% endfor %}", "keep it under 20", 1, "warning"),
    "wide-range": opening("A\n{% for i in range(10**9) %}x{% endfor %}", "OverflowError: Range too big.", 2),
    "huge-text": opening("A\n{{ ('x' * 300000000)|length }}", "MemoryError", 2),
    "endless-macro": opening("A{% macro m() %}{{ m() }}{% endmacro %}{{ m() }}", "make it shorter and simpler"),
    "huge-override": override({"assistant": {"metadata": {"a": "{{ 'x' * 10**10 }}"}}}, "MemoryError", 4),
}  # fmt: skip

CONTENT: dict[str, Any] = {
    **BASE,
    "greetings/first_message.nl.j2": "Goedendag.",
    "greetings/hours.toml": 'timezone = "UTC"\n[week]\nmonday = "09:00-17:00"\n',
    "greetings/settings.toml": '[lines."+31850123456"]\nname = "Desk"\n',
}


@pytest.fixture(scope="module")
def complaints(tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, Any]]:
    """What is said of all faults, each in an experiment of its own."""
    return all_complaints(tmp_path_factory.mktemp("answers"), FAULTS, CONTENT)


@pytest.mark.parametrize("name", FAULTS)
def test_fault_is_found(complaints: list[dict[str, Any]], name: str) -> None:
    """Each fault is complained about in its file, at its line, with the caller who meets it or what would be right."""
    assert_said(complaints, name, FAULTS[name])


def test_first_caller_stands_for_all(complaints: list[dict[str, Any]]) -> None:
    """What fails for everybody is said once."""
    about = [each for each in complaints if each["file"].startswith("experiments/fails-in-partial/")]
    assert len([each for each in about if "ZeroDivisionError" in each["problem"]]) == 1


def test_only_the_audience_hears_an_arm(tmp_path: Path) -> None:
    """An opening that says nothing to those who never hear it is no fault."""
    good = toml(f"audience = 'customer.first_name'\n{DRAFT}", "", 0)
    good = Fault({**good.files, "warm/first_message.j2": "{% if customer %}Hello.{% endif %}"}, "", 0, "")
    assert all_complaints(tmp_path, {"known": good}) == []


def test_opening_may_come_from_the_override(tmp_path: Path) -> None:
    """Where the override has the opening, its length counts, and it is complained about there."""
    patch = {"assistant": {"first_message": LONG}}
    files = {"greetings/override.json": patch, "experiments/.keep/x.j2": ""}
    [found] = complaints_about(tmp_path, files)
    assert (found["file"], found["level"]) == ("greetings/override.json", "warning")
    assert "the greeting takes 40 seconds" in found["problem"]


def test_no_opening_at_all_is_the_agents(tmp_path: Path) -> None:
    """Without any opening the saved agent has its own."""
    assert complaints_about(tmp_path, {"greetings/override.json": {"max_duration_seconds": 300}}) == []


def test_every_language_of_every_line(tmp_path: Path) -> None:
    """A language that only one line has is tried on that line."""
    files = {
        **CONTENT,
        "greetings/settings.toml": '[lines."+31850123456"]\nname = "Desk"\ngreetings = "desk"\n',
        "greetings/desk/first_message.fr.j2": "Bonjour.\n{{ 1 / 0 }}",
    }
    [found] = complaints_about(tmp_path, files)
    assert (found["file"], found["line"]) == ("greetings/desk/first_message.fr.j2", 2)
    assert "on line Desk" in found["problem"]
