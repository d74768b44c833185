"""``check`` explains Jinja's syntax errors in a sentence, at the line to look at."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from complaints import BASE, DRAFT, Fault, all_complaints, complaints_about, greeting, not_found, override

IN_TEMPLATES = [
    ("Hi.\n{% if open %}\nWe are\nopen.", 2, "{% if %} is never closed; write {% endif %} where it ends"),
    ("{% if open %}\n{% if a %}b{% endif %}\n{% else %}\n", 1, "{% if %} is never closed"),
    ("{% if open %}{% endif %}\n{%- for a in [1] -%}\nb", 2, "{% for %} is never closed; write {% endfor %}"),
    *((f"A\n{{% {tag} %}}\nb", 2, f"write {{% end{tag.split()[0]} %}} where it ends")
      for tag in ("block b", "macro m()", "filter upper", "set words", "with", "call m()", "raw")),
    ("A\n{# b", 2, "{# is never closed; write #} where it ends"),
    ("A\n{% endif %}", 2, "{% endif %} closes nothing; remove it, or write {% if %} before it"),
    ("A\n{% else %}", 2, "{% else %} is outside {% if %}"),
    ("{% if open %}\n{% endfor %}", 2, "{% endfor %} is inside {% if %}; write {% endif %} before it"),
    ("{% block b %}{% if open %}\n{% endblock %}", 2, "{% endblock %} is inside {% if %}; write {% endif %} before it"),
    *((f"{{% if open %}}a{{% {tag} open %}}b{{% endif %}}", 1, "write {% elif … %}")
      for tag in ("elseif", "elsif", "elsef", "else if")),
    ("A{% iff open %}B{% endiff %}", 1, "unknown tag 'iff'; did you mean 'if'?"),
    ("{% if open %}A{% end if %}", 1, "unknown tag 'end'; did you mean 'endif'?"),
    ("{% if open = true %}A{% endif %}", 1, "a single = compares nothing; write == to compare"),
    ("{{ 'Hi' customer.name }}", 1, "unexpected 'customer' before }}; put ~, and, or, or == between two values"),
    ("{% if open then %}A{% endif %}", 1, "unexpected 'then' before %}"),
    ("A\n{{ customer.name", 2, "}} is missing; write }}"),
    ("A\n{% include 'b.j2' ", 2, "%} is missing; write %}"),
    ("{{ (customer.name }}", 1, ") is missing before }; write )"),
    ("{{ customer.name }", 1, "close {{ with }}, and {% with %}"),
    ("{% if open }}A{% endif %}", 1, "close {{ with }}, and {% with %}"),
    ("{{ }}", 1, "a value or name is missing before }}"),
    ("{% if %}A{% endif %}", 1, "a value or name is missing before %}"),
    ("{{ customer.name| }}", 1, "a value or name is missing before }}"),
    ("{{ customer.name == }}", 1, "a value or name is missing before }}"),
    ("{% for a %}{% endfor %}", 1, "'in' is expected before %}"),
    ("{{ 'Hi }}", 1, "a quote is never closed"),
    ("{{ “Hi” }}", 1, "unexpected character “; write straight quotes"),
    *((f"{{{{ customer.a {operator} customer.b }}}}", 1, "write and, or, not, or: a if condition else b")
      for operator in ("&&", "||", "? 1 :", "and !")),
    ("{{ customer.name # b }}", 1, "unexpected character '#'"),
    ("{% block a %}{% endblock %}\n{% block a %}{% endblock %}", 2, "block 'a' defined twice"),
]  # fmt: skip
IN_EXPRESSIONS = {
    "caller.country = 'NL'": "compare with ==",
    "caller.country 'NL'": "put and, or or ~ between two values",
    "(caller.country": ") is missing; write )",
    "caller.country ==": "a value or name is missing before the end",
    "open && customer.vip": "write and, or, not",
    "{{ open }}": "write it as \"caller.country == 'NL'\"",
    "{% if open %}": "an expression has no braces of templates",
}


def faults() -> Iterator[Fault]:
    yield from (greeting(text, says, line) for text, line, says in IN_TEMPLATES)
    yield override({"assistant": {"first_message": "{% if open %}Hi"}}, "{% if %} is never closed", 3)
    for source, says in IN_EXPRESSIONS.items():
        toml = f'# {{% if %}}\naudience = "{source}"\n{DRAFT}'
        yield Fault({"experiment.toml": toml, "warm/first_message.j2": "Hi."}, "experiment.toml", 2, says)


def test_each_mistake_is_explained(tmp_path: Path) -> None:
    """Each mistake has one complaint, at its own line, that says what to write."""
    named = {f"mistake-{place}": fault for place, fault in enumerate(faults())}
    found = all_complaints(tmp_path, named)
    assert not_found(found, named) == []
    assert len(found) == len(named)


WHOLE = (
    "{% if open and customer.name %}Hi {{ customer.name|title }},{% else %}\n{# Late. #}{{ ['a', 'b'][0] }}{% endif %}"
)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60)
@given(st.integers(0, len(WHOLE)), st.integers(0, 6), st.sampled_from(["", "%", "}", "{", "'", "=", "!", "“", " end "]))
def test_every_damage_is_one_sentence(tmp_path: Path, start: int, length: int, put: str) -> None:
    """However a template is damaged, no complaint shows Jinja's own terms or runs over into a second sentence."""
    damaged = WHOLE[:start] + put + WHOLE[start + length :]
    for each in complaints_about(tmp_path, {**BASE, "greetings/first_message.j2": f"Hello. {damaged}"}):
        said = f"{each['problem']}; {each['remedy']}"
        assert not re.search(r"\.;|\.$|Jinja was|statement|expected token|chunk", said), said
