"""``check`` renders every arm for all kinds of callers and finds the answers that fail."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from complaints import BASE, DRAFT, Fault, all_complaints, complaints_about, greeting, not_found, override, toml

LONG = "This is a rather long sentence of about ten words. " * 10

FAULTS = {
    "fails-for-strangers": greeting("A\n{% if not customer %}{{ 1 / 0 }}{% endif %}", "the answer fails for a caller without a number", 2),
    "fails-for-customers": greeting("A{% if customer.vip %}{{ 1 / 0 }}{% endif %}", "the answer fails for a customer who speaks"),
    "fails-in-dutch": greeting("A{% if language == 'nl' %}{{ 1 / 0 }}{% endif %}", "who speaks 'nl'"),
    "fails-for-the-numberless": greeting("A{% if not caller.identified %}{{ 1 / 0 }}{% endif %}", "a caller without a number"),
    "fails-at-night": greeting("A{% if not open %}{{ 1 / 0 }}{% endif %}", "outside the hours"),
    "fails-on-a-line": greeting("A{% if line.name == 'Desk' %}{{ 1 / 0 }}{% endif %}", "on line Desk"),
    "fails-in-partial": Fault({"warm/first_message.j2": "A{% include 'b.j2' %}", "warm/b.j2": "\n\n{{ 1 / 0 }}"},
                              "warm/b.j2", 3, "ZeroDivisionError"),
    "fails-in-prompt": Fault({"warm/system_prompt.j2": "A\n{{ 1 / 0 }}"}, "warm/system_prompt.j2", 2, "ZeroDivisionError"),
    "fails-in-audience": toml(f"audience = '1 / 0'\n{DRAFT}", "audience fails for a caller without a number", 1),
    "empty": greeting("{% if customer %}Hello.{% endif %}", "the greeting is empty for a caller without a number", 0),
    "empty-in-dutch": greeting("{% if language != 'nl' %}Hello.{% endif %}", "with {% else %} after a condition", 0),
    "empty-at-night": greeting("{% if now.hour < 18 %}Hello.{% endif %}", "empty for a caller on a Monday at 18:00", 0),
    "empty-on-sundays": greeting("{% if now.weekday() < 6 %}Hello.{% endif %}", "empty for a caller on a Sunday", 0),
    "empty-abroad": greeting("{% if not caller.identified or caller.country in ['US', 'NL'] %}Hello.{% endif %}",
                            "empty for a stranger from a far country", 0),
    "long": greeting(LONG, "the greeting takes 40 seconds to say, at 150 words a minute", 1, "warning"),
    "long-in-one-word": greeting("字" * 600, "the greeting takes 40 seconds to say", 1, "warning"),
    "wide-range": greeting("A\n{% for i in range(10**9) %}x{% endfor %}", "OverflowError: Range too big.", 2),
    "endless-macro": greeting("A{% macro m() %}{{ m() }}{% endmacro %}{{ m() }}", "and no macro call itself"),
}  # fmt: skip

CONTENT: dict[str, Any] = {
    **BASE,
    "greetings/first_message.nl.j2": "Goedendag.",
    "greetings/hours.toml": 'timezone = "UTC"\n[week]\nmonday = "09:00-17:00"\n',
    "greetings/settings.toml": '[lines."+31850123456"]\nname = "Desk"\n',
}


def test_each_fault_is_found(tmp_path: Path) -> None:
    """Each fault has a complaint at its file and line, with the remedy."""
    assert not_found(all_complaints(tmp_path, FAULTS, CONTENT), FAULTS) == []


def test_first_caller_stands_for_all(tmp_path: Path) -> None:
    """A fault that every caller meets has one complaint."""
    [found] = all_complaints(tmp_path, {"fails": FAULTS["fails-in-partial"]})
    assert "ZeroDivisionError" in found["problem"]


def test_arm_is_rendered_for_its_audience_only(tmp_path: Path) -> None:
    """A greeting may be empty for callers outside the audience."""
    good = toml(f"audience = 'customer.first_name'\n{DRAFT}", "", 0)
    good = Fault({**good.files, "warm/first_message.j2": "{% if customer %}Hello.{% endif %}"}, "", 0, "")
    assert all_complaints(tmp_path, {"known": good}) == []


NONE = "it says 'None' for a caller without a number, where a value is missing; give another word for it, such as {{ line.name or 'us' }}"
SPOKEN_NONE = {
    "format": greeting("Welcome to {{ '%s'|format(line.name) }}.", NONE, 0, "warning"),
    "percent": greeting("A{% set who = '%s!' % caller.country %}\n{{ who }}", NONE, 0, "warning"),
    "method": greeting("Hi, {{ '{}'.format(line.name) }}", NONE, 0, "warning"),
    "list": greeting("{{ [line.name] }}", NONE, 0, "warning"),
    "prompt": Fault({"warm/system_prompt.j2": "You are {{ '%s' % line.name }}."}, "warm/system_prompt.j2", 0, NONE, "warning"),
    "included": Fault({"warm/first_message.j2": "{% include 'a.j2' %}", "warm/a.j2": "{{ '%s' % line.name }}"},
                      "warm/first_message.j2", 0, NONE, "warning"),
    "override": override({"assistant": {"metadata": {"a": "{{ '%s' % caller.country }}"}}}, NONE, 4, "warning"),
    "tested": greeting("A {{ '%s' % line.name if line.name != None or not customer else line.name == none }}", NONE, 0, "warning"),
}  # fmt: skip


def test_none_that_is_spoken(tmp_path: Path) -> None:
    """A greeting, a prompt or a string that says "None" for a missing value has one warning."""
    found = all_complaints(tmp_path, SPOKEN_NONE)
    assert not_found(found, SPOKEN_NONE) == []
    assert len(found) == len(SPOKEN_NONE)


def test_none_in_closing_words_is_found(tmp_path: Path) -> None:
    """What callers hear outside the hours says no None either."""
    files = {**CONTENT, "greetings/closed.j2": "{{ '%s' % caller.country }} is closed."}
    [found] = complaints_about(tmp_path, files)
    assert (found["file"], found["problem"].partition(",")[0]) == (
        "greetings/closed.j2",
        "it says 'None' for a caller without a number",
    )


def test_none_that_an_author_writes(tmp_path: Path) -> None:
    """The word itself, and a missing value that prints nothing, have no warning."""
    texts = [
        *("None of us is here.", "{{ 'None' }} of us.", "{% set a = ['None of us'] %}{{ a[0] }}", "{{ 'Nonetheless' }}"),
        *("Welcome to {{ line.name }}{{ caller.country ~ '!' }}{{ [line.name, 'x']|join(' of ') }}", "A{{ caller.country|string }}"),
    ]  # fmt: skip
    faults = {f"good-{place}": greeting(text, "") for place, text in enumerate(texts)}
    faults["included"] = Fault({"warm/first_message.j2": "{% include 'a.j2' %}", "warm/a.j2": "None of us."}, "", 0, "")
    faults["override"] = override({"assistant": {"metadata": {"a": "{{ language }}: None of us"}}}, "")
    assert all_complaints(tmp_path, faults) == []


ASKS = "Hello{% if customer.first_name %} {{ customer.first_name }}{% endif %} from {{ caller.country }}."
SAME: dict[str, dict[str, Any]] = {
    "copy": {"warm/first_message.j2": f" {ASKS} \n"},
    "setting": {"warm/override.json": {"assistant": {"llm_config": {"model": "gpt-4o"}}}},
    "removes-nothing": {"warm/override.json": {"assistant": {"tts_config": None}}},
    "unused": {"warm/note.j2": "A note."},
    "comment": {"warm/first_message.j2": f"{{# as before #}}\n{ASKS}"},
    "included": {"warm/first_message.j2": "{% include 'greetings/first_message.j2' %}"},
    "extended": {
        "warm/system_prompt.j2": '{% extends "greetings/system_prompt.j2" %}\n{% block tone %}{{ super() }}{% endblock %}'
    },
    "block": {
        "warm/system_prompt.j2": '{% extends "greetings/system_prompt.j2" %}{% block tone %}Be kind.{% endblock %}'
    },
    "copied-and-shared": {
        "warm/first_message.j2": "{% include 'hello.j2' %} from {{ caller.country }}.",
        "warm/hello.j2": "{% if customer.first_name %}Hello {{ customer.first_name }}{% else %}{{ 'Hello' }}{% endif %}",
    },
    "outside-the-audience": {
        "experiment.toml": f"{DRAFT}".replace("[arms]", "audience = 'caller.identified'\n[arms]"),
        "warm/first_message.j2": f"{ASKS}{{% if not caller.identified %}} Who is there?{{% endif %}}",
    },
}
OTHER: dict[str, dict[str, Any]] = {
    "one-word": {"warm/first_message.j2": ASKS.replace("Hello", "Hi")},
    **{
        f"for-some-{place}": {"warm/first_message.j2": f"{ASKS}{{% if {asked} %}} Welcome!{{% endif %}}"}
        for place, asked in enumerate(
            (
                *("customer.tier == 'gold'", "'gold' in customer.tiers", "customer.plan.name in ['gold']"),
                *("customer.orders|length > 2 or customer.since.year < 2020", "customer.tier is ne 'gold'"),
                *("not caller.identified", "now.weekday() == 6", "caller.country == 'US'"),
            )
        )
    },
    "for-the-others": {
        "experiment.toml": f"audience = 'customer.vip is defined'\n{DRAFT}",
        "warm/first_message.j2": f"{ASKS}{{% if not customer.vip %}} Welcome!{{% endif %}}",
    },
    "extended": {
        "warm/system_prompt.j2": '{% extends "greetings/system_prompt.j2" %}{% block tone %}{{ super() }} Hi{% endblock %}'
    },
    "setting": {"warm/first_message.j2": ASKS, "warm/override.json": {"max_duration_seconds": 9}},
    "over": {"experiment.toml": f"status = 'concluded'\nwinner = 'warm'\n{DRAFT}", "warm/first_message.j2": ASKS},
}


@pytest.mark.parametrize(("arms", "expected"), [(SAME, 1), (OTHER, 0)])
def test_arm_that_is_the_same_as_the_base(tmp_path: Path, arms: dict[str, dict[str, Any]], expected: int) -> None:
    """An arm with the base's texts and settings has one warning."""
    faults = {name: Fault(files, "experiment.toml", 3, "") for name, files in arms.items()}
    found = all_complaints(tmp_path, faults, {**BASE, "greetings/first_message.j2": ASKS})
    said = [each["file"] for each in found if each["problem"].startswith("arm 'warm' changes nothing: check finds no")]
    assert said == sorted(f"experiments/{name}/experiment.toml" for name in arms) * expected
    assert len(found) == len(said)


TWO = "[arms]\nkind = 1\nwarm = 1\ncontrol = 1\n"
"""Control comes last."""


@pytest.mark.parametrize(
    ("kind", "warm", "says"),
    [
        ({"first_message.j2": "Hi."}, {"first_message.j2": "{{ 'Hi.' }}"}, ["arm 'warm' is the same as 'kind'"]),
        ({"override.json": {"max_duration_seconds": 9}}, {"override.json": {"max_duration_seconds": 9}},
         ["arm 'warm' is the same as 'kind'"]),
        ({"first_message.j2": ASKS}, {"first_message.j2": ASKS}, ["arm 'kind' changes nothing", "arm 'warm' changes nothing"]),
        ({"first_message.j2": "Hi."}, {"first_message.j2": "Hi."} | {"override.json": {"max_duration_seconds": 9}}, []),
        ({"first_message.j2": "Hi."}, {"first_message.j2": "Hi{% if customer.tier in ['gold'] %}!{% endif %}."}, []),
    ],
)  # fmt: skip
def test_arms_that_are_the_same(tmp_path: Path, kind: dict[str, Any], warm: dict[str, Any], says: list[str]) -> None:
    """Of two arms with the same texts and settings one has a warning."""
    arms = {f"{name}/{path}": text for name, arm in {"kind": kind, "warm": warm}.items() for path, text in arm.items()}
    fault = Fault({"experiment.toml": TWO, **arms}, "", 0, "")
    found = all_complaints(tmp_path, {"e": fault}, {**BASE, "greetings/first_message.j2": ASKS})
    assert [(each["line"], each["problem"].partition(":")[0]) for each in found] == [
        (2 if "'kind' changes" in words else 3, words) for words in says
    ]


def test_arm_that_differs_on_one_line(tmp_path: Path) -> None:
    """An arm changes something if a caller of any line gets another text."""
    numbers = [f'[lines."+3185012345{place}"]\nname = "Desk {place}"\n' for place in range(8)]
    files = {**BASE, "greetings/settings.toml": "".join(numbers)}
    text = "Good day{% if line.name == 'Desk 7' and not caller.identified %}!{% endif %}."
    assert all_complaints(tmp_path, {"e": greeting(text, "")}, files) == []


def test_greeting_may_come_from_the_override(tmp_path: Path) -> None:
    """The length of a greeting in an override counts too."""
    patch = {"assistant": {"first_message": LONG}}
    files = {"greetings/override.json": patch, "experiments/.keep/x.j2": ""}
    [found] = complaints_about(tmp_path, files)
    assert (found["file"], found["level"]) == ("greetings/override.json", "warning")
    assert "the greeting takes 40 seconds" in found["problem"]


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
