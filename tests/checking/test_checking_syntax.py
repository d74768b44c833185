"""``check`` explains Jinja's syntax errors in a sentence, at the line to look at."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from complaints import BASE, DRAFT, Fault, all_complaints, complaints_about, greeting, not_found, override, toml

IN_TEMPLATES = [
    ("Hi.\n{% if open %}\nWe are\nopen.", 2, "{% if %} is never closed; write {% endif %} where it ends"),
    ("{% if open %}\n{% if a %}b{% endif %}\n{% else %}\n", 1, "{% if %} is never closed"),
    ("{% if open %}{% endif %}\n{%- for a in [1] -%}\nb", 2, "{% for %} is never closed; write {% endfor %}"),
    ("A\n{# b", 2, "{# is never closed; write #} where it ends"),
    ("{% block b %}{% if open %}\n{% endblock %}", 2, "misplaced tag 'endblock'; close the block before it, or remove it"),
    ("{% if open %}a{% elseif open %}b{% endif %}", 1, "unknown tag 'elseif'; did you mean 'elif'?"),
    ("A{% iff open %}B{% endiff %}", 1, "unknown tag 'iff'; did you mean 'if'?"),
    ("{% if open = true %}A{% endif %}", 1, "a single = compares nothing; write == to compare"),
    ("{{ 'Hi' customer.name }}", 1, "it goes on after its end; compare with ==, and put and, or or ~"),
    *((text, 1, "a bracket is never closed; close {{ with }}, {% with %} and ( with )")
      for text in ("{{ a", "{% include 'b.j2' ", "{{ (a }}", "{{ a }", "{% if open }}A{% endif %}")),
    *((text, 1, "a value or name is missing")
      for text in ("{{ }}", "{% if %}A{% endif %}", "{{ customer.name| }}", "{{ customer.name == }}")),
    ("{{ 'Hi }}", 1, "a quote is never closed"),
    *((text, 1, "a quote is curly; write straight quotes: '…' or \"…\"")
      for text in ("{{ customer.name or “you” }}", "{% if caller.country == ‘NL’ %}A{% endif %}", "{{ „you” }}", "{{ «you» }}")),
    *((text, 2, 'a file\'s name has no quotes; write {% include "greetings/…" %}')
      for text in ("A\n{% include greetings/x.j2 %}", "A\n{% include x.j2 %}", "\n{% extends greetings/system_prompt.j2 %}",
                   "A\n{% import greetings/partials/m-a.nl.j2 as m %}", "A\n{% from greetings/m.j2 import a %}",
                   "A\n{% include [greetings/x.j2, 'b.j2'] %}", "A\n{% include greetings/address %}")),
    ("{{ a && b }}", 1, "unexpected char '&' at 5"),
    ("{% block a %}{% endblock %}\n{% block a %}{% endblock %}", 2, "block 'a' defined twice"),
]  # fmt: skip
IN_EXPRESSIONS = {
    "caller.country = 'NL'": "compare with ==",
    "(caller.country": "a bracket is never closed",
    "caller.country ==": "a value or name is missing",
    "customer.name|uper": "did you mean 'upper'?",
    "caller.country == ‘NL’": "a quote is curly; write straight quotes",
    **dict.fromkeys(
        (
            "{{ customer.vip }}",
            "{% if customer.vip %}true{% endif %}",
            "open and {{ customer.vip }}",
            "{{customer.vip}}",
            "{ customer.vip }",
        ),
        "an expression has no braces; write the expression without braces",
    ),
}


def faults() -> Iterator[Fault]:
    yield from (greeting(text, says, line) for text, line, says in IN_TEMPLATES)
    yield override({"assistant": {"first_message": "{% if open %}Hi"}}, "{% if %} is never closed", 3)
    for source, says in IN_EXPRESSIONS.items():
        toml = f'# {{% if %}}\naudience = "{source}"\n{DRAFT}'
        yield Fault({"experiment.toml": toml, "warm/first_message.j2": "Hi."}, "experiment.toml", 2, says)


def test_expression_of_the_settings_is_explained(tmp_path: Path) -> None:
    """Braces around ``speaks`` are explained too."""
    settings = {"greetings/settings.toml": 'language = "nl"\nspeaks = "{{ customer.language }}"\n'}
    [found] = complaints_about(tmp_path, {**BASE, **settings})
    assert (found["line"], found["problem"]) == (2, "an expression has no braces")


CURLY = {
    "status": 'description = "It is “so”"  # “so”\nstatus = “draft”\n[arms]\ncontrol = 1\n',
    "one-side": 'description = "It’s"\nstatus = "draft”\n[arms]\ncontrol = 1\n',
    "single": "# ‘so’\nstatus = ‘draft’\n[arms]\ncontrol = 1\n",
    "never-closed": "\nstatus = 'draft’\n[arms]\ncontrol = 1\n",
    "german": "\nstatus = „draft“\n[arms]\ncontrol = 1\n",
    "french": "\nstatus = «draft»\n[arms]\ncontrol = 1\n",
    "key": f"{DRAFT}[pins]\n“+12015550123” = 'warm'\n",
}


def test_curly_quotes_in_toml_are_explained(tmp_path: Path) -> None:
    """A quote that a word processor turned has one complaint at its line; in a text or a comment it may stand."""
    lines = {name: 5 if name == "key" else 2 for name in CURLY}
    named = {
        name: toml(text, "a quote is curly; write straight quotes: '…' or \"…\"", lines[name])
        for name, text in CURLY.items()
    }
    found = all_complaints(tmp_path, named)
    assert not_found(found, named) == []
    assert len(found) == len(named)


def test_each_mistake_is_explained(tmp_path: Path) -> None:
    """Each mistake has one complaint of one sentence, at its own line, that says what to write."""
    named = {f"mistake-{place}": fault for place, fault in enumerate(faults())}
    found = all_complaints(tmp_path, named)
    assert not_found(found, named) == []
    assert len(found) == len(named)
    assert not any("." in each["problem"].rstrip("'") for each in found)
