"""``check`` finds unknown names and filters, broken references, and what templates must not do."""

from __future__ import annotations

from pathlib import Path

from complaints import DRAFT, Fault, all_complaints, greeting, not_found, override

FAULTS = {
    # names
    "name": greeting("Hello.\n{{ custmer.name }}", "unknown name 'custmer'; did you mean 'customer'?", 2),
    "name-in-if": greeting("{% if custmer.vip %}A{% else %}B{% endif %}", "did you mean 'customer'?"),
    "name-in-for": greeting("A{% for one in custmer.pets %}{{ one }}{% endfor %}", "did you mean 'customer'?"),
    "name-after-for": greeting("A{% for pet in customer.pets %}{% endfor %}\n{{ pet }}", "unknown name 'pet'", 2),
    "name-in-set": greeting("A{% set who = custmer.name %}{{ who }}", "did you mean 'customer'?"),
    "name-in-macro": greeting("A{% macro m(a) %}{{ a }}{{ langage }}{% endmacro %}{{ m(1) }}", "did you mean 'language'?"),
    "name-of-macro": greeting("A{% macro greet() %}{% endmacro %}{{ gret() }}", "did you mean 'greet'?"),
    "name-in-filter": greeting("{{ 'A'|default(custmer.name) }}", "did you mean 'customer'?"),
    "name-in-block": greeting("{% block b %}A{{ opn }}{% endblock %}", "did you mean 'open'?"),
    "name-in-override": override({"assistant": {"metadata": {"a": "{{ custmer.id }}"}}}, "did you mean 'customer'?", 4),
    "name-in-audience": Fault({"experiment.toml": f"audience = 'custmer.vip'\n{DRAFT}", "warm/first_message.j2": "Hi."},
                              "experiment.toml", 1, "did you mean 'customer'?"),
    "function": greeting("A{{ uppercase('x') }}", "unknown name 'uppercase'"),
    "lipsum": greeting("A{{ lipsum.__globals__ }}", "unknown name 'lipsum'"),
    "loop": greeting("A{{ loop.index }}", "unknown name 'loop'"),
    "super": greeting("A{{ super() }}", "unknown name 'super'"),
    "attribute": greeting("A{{ caller.contry }}", "caller has no attribute 'contry'; did you mean 'country'?"),
    "attribute-as-item": greeting("A{{ caller['contry'] }}", "did you mean 'country'?"),
    "attribute-of-line": greeting("A{{ line.nmae }}", "line has no attribute 'nmae'; did you mean 'name'?"),
    "attribute-of-now": greeting("A{{ now.strftme('%H') }}", "did you mean 'strftime'?"),
    "attribute-of-language": greeting("A{{ language.code }}", "language has no attribute 'code'; write {{ language }}"),
    "attribute-in-audience": Fault({"experiment.toml": f"audience = \"caller.contry == 'NL'\"\n{DRAFT}", "warm/first_message.j2": "Hi."},
                                   "experiment.toml", 1, "did you mean 'country'?"),
    # filters and tests
    "filter": greeting("Hello.\n{{ customer.name|uper }}", "unknown filter 'uper'; did you mean 'upper'?", 2),
    "filter-within-if": greeting("A{% if open %}{{ customer.name|uper }}{% endif %}", "did you mean 'upper'?"),
    "filter-in-override": override({"assistant": {"first_message": "{{ 'a'|uper }}"}}, "did you mean 'upper'?", 3),
    "filter-in-audience": Fault({"experiment.toml": f"audience = 'customer.name|uper'\n{DRAFT}"},
                                "experiment.toml", 1, "did you mean 'upper'?"),
    "test": greeting("A{% if customer is defind %}{% endif %}", "unknown test 'defind'; did you mean 'defined'?"),
    "random": greeting("{{ ['A', 'B']|random }}", "a caller who rings again must hear the same words"),
    "attr": greeting("A{{ customer|attr('name') }}", "write customer.name"),
    "too-deep": greeting("{{ " + "(" * 5000 + "1" + ")" * 5000 + " }}", "nested too deeply"),
    "deep-audience": Fault({"experiment.toml": f"audience = '{'(' * 5000}1{')' * 5000}'\n{DRAFT}"},
                           "experiment.toml", 1, "nested too deeply"),
    # unused, or spoken as written
    "block": Fault({"warm/first_message.j2": "A", "warm/system_prompt.j2":
                    "{% extends 'greetings/system_prompt.j2' %}\n\n{% block tune %}Hum.{% endblock %}"},
                   "warm/system_prompt.j2", 3, "unused block 'tune': the extended file has no block of that name; did you "
                   "mean 'tone'?", "warning"),
    "outside-blocks": Fault({"warm/first_message.j2": "A", "warm/system_prompt.j2":
                             "{% extends 'greetings/system_prompt.j2' %}\n\nHum."},
                            "warm/system_prompt.j2", 3, "move it into a block", "warning"),
    "one-brace": greeting("A\nHello {customer.first_name}.", "'{customer.first_name}' would be spoken as it is written", 2, "warning"),
    "brace-left-out": greeting("Hello { customer.first_name }}.", "write {{ … }} for a value", 1, "warning"),
    "space-in-brace": greeting("A{ % if open % }B{ % endif % }", "{% … %} for a condition", 1, "warning"),
    "brace-in-override": override({"assistant": {"first_message": "Hi {language}"}}, "'{language}' would be spoken", 3, "warning"),
    # files
    "missing": greeting("A\n{% include 'asid.j2' %}", "missing file 'asid.j2'", 2),
    "missing-base": greeting("{% extends 'greetings/first_mesage.j2' %}", "did you mean 'greetings/first_message.j2'?"),
    "missing-import": greeting("A{% import 'tools.j2' as tools %}", "missing file 'tools.j2'"),
    "missing-all": greeting("A{% include ['a.j2', 'b.j2'] %}", "missing file 'a.j2'"),
    "missing-dynamic": greeting("A\n{% include language ~ '.j2' %}", "TemplateNotFound", 2),
    "itself": greeting("A{% include 'first_message.j2' %}", "let no file include itself"),
    "circle": Fault({"warm/first_message.j2": "{% include 'b.j2' %}", "warm/b.j2": "\n{% include 'b.j2' %}"},
                    "warm/b.j2", 2, "the answer has no end for a caller without a number"),
    "outside": greeting("A{% include '../../../../../../etc/passwd' %}", "leads out of the folder"),
    "absolute": greeting("A{% include '/etc/passwd' %}", "leads out of the folder"),
    "outside-dynamic": greeting("A{% include '../../../../../etc/pass' ~ 'wd' %}", "TemplateNotFound"),
    # the sandbox
    "class": greeting("A\n{{ ''.__class__ }}", "'__class__' is not available in templates", 2),
    "class-as-item": greeting("A{{ ''['__class__'] }}", "'__class__' is not available in templates"),
    "class-in-pieces": greeting("A\n{{ ''['__cl' ~ 'ass__'] }}", "SecurityError", 2),
    "class-by-map": greeting("A{{ ['']|map(attribute='__class__')|list }}", "SecurityError"),
    "format-map": greeting("A{{ '{a.__class__}'.format_map({'a': 1}) }}", "'__class__' is not available in templates"),
    "globals": greeting("A{{ cycler.__init__.__globals__ }}", "is not available in templates"),
    "clock": greeting("A{{ now.now() }}", "SecurityError"),
    "changing": greeting("A{% set l = [1] %}{{ l.append(1) }}", "SecurityError"),
    # what must not be spoken
    "raw": greeting("A{{ customer_raw.name }}", "use customer", level="warning"),
    "record": greeting("A\n{{ customer }}", "the whole record 'customer' would be spoken", 2),
    "record-as-json": greeting("A{{ customer|tojson }}", "name a field, such as customer.first_name"),
    "record-joined": greeting("A{% set all = 'We know: ' ~ customer %}{{ all }}", "the whole record 'customer'"),
    "record-of-caller": greeting("A{{ caller }}", "the whole record 'caller' would be spoken"),
    "record-in-override": override({"assistant": {"metadata": {"who": "{{ customer }}"}}}, "the whole record", 4),
    "number": greeting("A{{ caller.number }}", "the caller's number would be in the text", level="warning"),
    "literal-number": greeting("Hello.\nCall +31 6 12345678.", "the text contains a phone number", 2, "warning"),
    "national-number": greeting("Call 06-12345678.", "the text contains a phone number", 1, "warning"),
}  # fmt: skip


def test_each_fault_is_found(tmp_path: Path) -> None:
    """Each fault has a complaint at its file and line, with the remedy; none repeats a number, as it ends up in logs."""
    complaints = all_complaints(tmp_path, FAULTS)
    assert not_found(complaints, FAULTS) == []
    assert not any("12345678" in each["problem"] + each["remedy"] for each in complaints)


GOOD = {
    "scopes": "{% set who = customer.name %}{% for a in [1] %}{{ who }}{{ a }}{{ loop.index }}{% else %}b{% endfor %}",
    "macros": "{% macro m(a, b=1) %}{{ a }}{{ b }}{{ varargs }}{{ kwargs }}{% endmacro %}{{ m(1) }}",
    "call-block": "{% macro m() %}{{ caller('x') }}{% endmacro %}{% call(a) m() %}{{ a }}{% endcall %}",
    "blocks": "{% set who = 'x' %}{% block b %}{{ who }}{% block c scoped %}A{% endblock %}{{ self.c() }}{% endblock %}",
    "with": "{% with a = 1 %}{{ a }}{% endwith %}{% filter upper %}a{% endfilter %}",
    "namespace": "{% set n = namespace(x=1) %}{% set n.x = 2 %}{{ n.x }}{{ cycler('a').next() }}{{ joiner()() }}A",
    "time": "{{ now.strftime('%H') }}{{ now.hour }}{{ now.date().isoformat() }}",
    "partial": "{% for slot in [1, 2] %}{% include 'slot.j2' %}{% endfor %}",
    "optional": "{% set slot = 1 %}A{% include 'nowhere.j2' ignore missing %}{% include ['nowhere.j2', 'slot.j2'] %}",
    "super": "{% extends 'greetings/system_prompt.j2' %}{% block tone %}{{ super() }}{% endblock %}",
    "decides": "{% if customer and platform == 'flireo' %}A{% elif caller.number and customer.new is not defined %}B{% else %}C{% endif %}",
}


def test_correct_templates_have_no_complaints(tmp_path: Path) -> None:
    """A template knows the names that it defines, and those of the template that includes it."""
    faults = {name: greeting(text, "") for name, text in GOOD.items()}
    for name in ("partial", "optional"):
        faults[name] = Fault({**faults[name].files, "warm/slot.j2": "{{ slot }}"}, "", 0, "")
    assert all_complaints(tmp_path, faults) == []
