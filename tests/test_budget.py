"""No template can hold a call: what has no end is cut short, and the caller hears the base."""

from __future__ import annotations

import json
from collections.abc import Iterator
from time import monotonic

import pytest
from flask import Flask
from hypothesis import given
from hypothesis import strategies as st

from conftest import CALLER_SECRET, CONTENT, EXPERIMENT, NOW, WEBHOOK_SECRET, MakePhone, Phone, write
from flask_pickup import Pickup, migrating
from flask_pickup.rendering import Environment, TooMuch, allow, render
from flask_pickup.rendering.budget import HEAVIEST, LONGEST

BASE = "Good day."
DOUBLING = (
    "{% set ns = namespace(x='ab' * 99) %}{% for i in range(99) %}{% set ns.x = EXPRESSION %}{% endfor %}{{ ns.x }}"
)
NESTING = (
    "{% set ns = namespace(x=[1]) %}{% for i in range(99) %}{% set ns.x = EXPRESSION %}{% endfor %}{{ ns.x ~ '' }}"
)

ATTACKS = {
    "long-range": "{% for i in range(10**9) %}x{% endfor %}",
    "long-text": "{% for i in 'x' * 10**9 %}x{% endfor %}",
    "huge-text": "{{ 'x' * 10**10 }}",
    "huge-list": "{{ [0] * 10**10 }}",
    "reversed-product": "{{ 10**10 * 'x' }}",
    "nested-loops": "{% for a in range(999) %}{% for b in range(999) %}{% for c in range(999) %}x{% endfor %}{% endfor %}{% endfor %}",
    "empty-loops": "{% for a in range(9999) %}{% for b in range(9999) %}{% endfor %}{% endfor %}",
    "count-in-range": "{% for i in range(20) %}{{ range(9999).count('a') }}{% endfor %}",
    "sorted-out": "{% set l = range(9999)|list %}{% for a in l %}{% for b in l if false %}x{% endfor %}{% endfor %}",
    "loop-over-data": "{% for a in range(9999) %}{% for b in customer.list %}{{ b }}{% endfor %}{% endfor %}",
    "long-body": "{% for a in range(9999) %}" + "{{ a }}{{ loop.index }}" * 999 + "{% endfor %}",
    "recursive-loop": "{% for a in [1, 2] recursive %}{{ loop([1, 2]) }}{% endfor %}",
    "recursive-macro": "{% macro m() %}{{ m() }}{{ m() }}{% endmacro %}{{ m() }}",
    "wide-macros": "{% macro m(n) %}{% if n %}{{ m(n - 1) }}{{ m(n - 1) }}{% endif %}{% endmacro %}{{ m(60) }}",
    "recursive-block": "{% block b %}{{ self.b() }}{% endblock %}",
    "wide-arguments": "{% macro m(n) %}{% if n %}{{ m(n - 1, varargs, varargs) }}{% endif %}{{ varargs ~ '' }}{% endmacro %}{{ m(60, 1) }}",
    "wide-keywords": "{% macro m(n) %}{% if n %}{{ m(n - 1, a=kwargs, b=kwargs) }}{% endif %}{{ kwargs ~ '' }}{% endmacro %}{{ m(60) }}",
    "recursive-include": "{% include 'first_message.j2' %}" * 9,
    "wide-includes": "{% include '0.j2' %}",
    "center": "{{ 'x'|center(10**9) }}",
    "center-constant": "{{ 'x'|center(1000000000) }}",
    "center-by-name": "{{ 'x'|center(width=10**9) }}",
    "indent": "{{ ('x\n' * 9999)|indent('x' * 9999) }}",
    "join": "{{ range(9999)|join('x' * 9999) }}",
    "join-by-name": "{{ range(9999)|join(d='x' * 9999) }}",
    "replace": "{{ ('x' * 9999)|replace('x', 'x' * 9999) }}",
    "batch": "{{ [1]|batch(10**9, 'x') }}",
    "slice": "{{ [1]|slice(10**9)|list }}",
    "round": "{{ 1.5|round(10**9, 'ceil') }}",
    "tojson": "{{ [[[1]]]|tojson(10**9) }}",
    "format": '{{ "%1000000000d"|format(1) }}',
    "format-star": '{{ "%*d"|format(10**9, 1) }}',
    "format-precision": '{{ "%.1000000000f" % 1 }}',
    "format-often": '{{ ("%(a)s" * 79999) % {"a": "x" * 99999} }}',
    "str-format": "{{ '{:1000000000}'.format(1) }}",
    "str-ljust": "{{ 'x'.ljust(10**9) }}",
    "str-zfill": "{{ 'x'.zfill(10**9) }}",
    "str-join": "{{ ('x' * 399999).join(range(9999)|map('string')) }}",
    "str-replace": "{{ ('x' * 39999).replace('x', 'x' * 399999) }}",
    "str-translate": "{{ ('x' * 9999).translate({120: 'x' * 9999}) }}",
    "to-bytes": "{{ (1).to_bytes(10**9) }}",
    "power": "{{ 9**9**9**9 }}",
    "product": "{% set ns = namespace(x=9) %}{% for i in range(99) %}{% set ns.x = ns.x * ns.x %}{% endfor %}{{ ns.x }}",
    "added": DOUBLING.replace("EXPRESSION", "ns.x + ns.x"),
    "concatenated": DOUBLING.replace("EXPRESSION", "ns.x ~ ns.x"),
    "formatted": DOUBLING.replace("EXPRESSION", "'%s%s' % (ns.x, ns.x)"),
    "captured": DOUBLING.replace("{% set ns.x = EXPRESSION %}", "{% set ns.x %}{{ ns.x }}{{ ns.x }}{% endset %}"),
    "list-of-lists": NESTING.replace("EXPRESSION", "[ns.x, ns.x]"),
    "tuple-of-tuples": NESTING.replace("EXPRESSION", "(ns.x, ns.x)"),
    "dict-of-dicts": NESTING.replace("EXPRESSION", "{'a': ns.x, 'b': ns.x}"),
    "dict-by-call": NESTING.replace("EXPRESSION", "dict(a=ns.x, b=ns.x)"),
    "batch-filled": NESTING.replace("EXPRESSION", "[1]|batch(3, ns.x)"),
    "lists-added": NESTING.replace("EXPRESSION", "ns.x + ns.x"),
    "print-lists": "{% set l = range(9999)|list %}{% for i in l %}{{ l }}{% endfor %}",
    "search": "{% set t = 'x' * 399999 %}{% for i in range(9999) if 'y' in t %}x{% endfor %}",
    "compare": "{% set a, b = 'x' * 399999, 'x' * 399999 %}{% for i in range(9999) if a == b %}{% endfor %}",
    "cut": "{% set t = 'x' * 399999 %}{% for i in range(9999) %}{% set u = t[1:] %}{% endfor %}",
    "test": "{% set t = 'x' * 399999 %}{% for i in range(9999) if t is lower %}{% endfor %}",
    "methods": "{% set t = 'x' * 399999 %}{% for i in range(9999) %}{% set u = t.upper() %}{% endfor %}",
    "sums": "{% set l = range(9999)|list %}{% for i in range(9999) %}{{ l|sum }}{% endfor %}",
    "long-answer": "{% set t = 'x' * 99999 %}{{ t }}{{ t }}{{ t }}{{ t }}{{ t }}",
    "mapped": "{% set l = range(9999)|list %}{% for i in l %}{% set m = l|map('abs') %}{% endfor %}",
    "cycler": "{% set c = cycler(*range(10**9)) %}{{ c.next() }}",
    "class": "{{ ''.__class__ }}",
    "class-by-item": "{{ ''['__class__'] }}",
    "mro": "{{ dict.mro() }}",
    "map-attribute": "{{ ['x']|map(attribute='__class__')|list }}",
    "format-map": "{{ '{x.__class__}'.format_map({'x': 1}) }}",
    "globals": "{{ cycler.__init__.__globals__ }}",
    "change-data": "{{ customer.list.append(1) }}",
    "clock": "{{ now.now() }}",
}  # fmt: skip


def number_of(attack: str) -> str:
    """Each attack has a caller of its own, pinned to its arm."""
    return f"+316123456{list(ATTACKS).index(attack):02}"


def experiment(attack: str) -> dict[str, str]:
    folder = f"experiments/{attack}"
    toml = f'status = "running"\nlayer = "one"\n[arms]\ncontrol = 1\nwarm = 1\n[pins]\n"{number_of(attack)}" = "warm"\n'
    return {f"{folder}/experiment.toml": toml, f"{folder}/warm/first_message.j2": ATTACKS[attack]}


@pytest.fixture(scope="module")
def attacked(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Phone]:
    """An app whose experiments are attacks."""
    root = tmp_path_factory.mktemp("attacked")
    files = {path: text for attack in ATTACKS for path, text in experiment(attack).items()}
    doubling = {f"experiments/wide-includes/warm/{i}.j2": f"{{% include '{i + 1}.j2' %}}" * 2 for i in range(60)}
    write(root, {"greetings/first_message.j2": BASE, **files, **doubling, "experiments/wide-includes/warm/60.j2": "x"})
    pickup = Pickup(clock=lambda: NOW)
    pickup.customer(lambda _: {"list": list(range(200))})
    app = Flask(__name__, instance_path=str(root / "instance"))
    app.config.update(
        PICKUP_WEBHOOK_SECRET=WEBHOOK_SECRET,
        PICKUP_CALLER_SECRET=CALLER_SECRET,
        PICKUP_EXPERIMENTS=str(root / "experiments"),
        PICKUP_GREETINGS=str(root / "greetings"),
    )
    app.register_blueprint(pickup, url_prefix="/pickup")
    migrating.upgrade(app.extensions["pickup"].engine)
    yield Phone(app)
    app.extensions["pickup"].close()


@pytest.mark.parametrize("attack", ATTACKS)
def test_attack_costs_neither_greeting_nor_time(attacked: Phone, attack: str) -> None:
    """The caller hears the base at once, and the call's row says ``fallback`` and which file failed."""
    began = monotonic()
    answer = attacked.ring(attack, caller=number_of(attack)).get_json()
    assert monotonic() - began < 4
    assert answer == {"assistant": {"first_message": BASE}}
    [(decision, reasons)] = attacked.rows(f"SELECT decision, reasons FROM pickup_calls WHERE call_id = '{attack}'")
    assert decision == "fallback"
    [fault] = json.loads(reasons)["_faults"]
    place, error = fault.split(": ")
    assert place.startswith(f"experiments/{attack}/warm")
    assert error in {"TooMuch", "SecurityError", "RecursionError"}


def test_failing_base_is_answered_with_the_saved_agent(attacked: Phone) -> None:
    """Those who are in no attack are not harmed by the others'."""
    assert attacked.ring("calm", caller=None).get_json() == {"assistant": {"first_message": BASE}}
    assert attacked.rows("SELECT decision FROM pickup_calls WHERE call_id = 'calm'") == [("base",)]


def test_endless_audience_holds_nobody_up(make_phone: MakePhone) -> None:
    """An audience has far fewer steps, because there may be many; who it would hold up is not in it."""
    audience = 'audience = "range(9999)|sum"\n' + EXPERIMENT
    phone = make_phone({**CONTENT, "experiments/warm-opening/experiment.toml": audience})
    assert phone.ring().get_json()["assistant"]["first_message"] == BASE
    [(decision, reasons)] = phone.rows("SELECT decision, reasons FROM pickup_calls")
    assert decision == "base"
    assert json.loads(reasons) == {
        "warm-opening": "audience",
        "_faults": ["experiments/warm-opening/experiment.toml: audience: TooMuch"],
    }


ENVIRONMENT = Environment()


def say(source: str) -> str:
    allow()
    return render(ENVIRONMENT.from_string(source), {"customer": {"list": list(range(200)), "name": "Jan"}})


@pytest.mark.parametrize(
    ("source", "words"),
    [
        ("{% for i in range(500) %}{{ loop.index }}{% endfor %}", "".join(map(str, range(1, 501)))),
        ("{% for i in customer.list|sort|reverse if i % 2 %}{% if loop.last %}{{ i }}{% endif %}{% endfor %}", "1"),
        ("{{ customer.list|map('string')|join(', ')|length }}", "888"),
        ("{% for row in range(7)|batch(3, '-') %}{{ row|join }} {% endfor %}", "012 345 6--"),
        ("{% for row in [1, 2, 3]|slice(2) %}{{ row }}{% endfor %}", "[1, 2][3]"),
        ("{{ '%-5s|%05.1f' % ('a', 2) }}", "a    |002.0"),
        ("{{ '%s and %s'|format('a', 'b') }}", "a and b"),
        ("{{ 2**10 }}{{ 2**-1 }}{{ 1.5 * 2 }}{{ [1] * 2 + [2] }}{{ 'ab' * 2 }}", "10240.53.0[1, 1, 2]abab"),
        ("{{ 'a\nb'|indent(2) }}{{ 'x'|center(3) }}|", "a\n  b x |"),
        ("{{ customer.name.replace('a', 'aa') }}{{ '-'.join(['a', 'b']) }}{{ 'a b'.split() }}", "Jaana-b['a', 'b']"),
        ("{% set c = cycler('a', 'b') %}{{ c.next() }}{{ c.next() }}{% set j = joiner() %}{{ j() }}{{ j() }}", "ab,"),
        ("{% for a in [1, [2, [3]]] recursive %}{{ loop(a) if a is iterable else a }}{% endfor %}", "123"),
        ("{{ namespace(x=1) }}{{ 'b' in 'abc' }}{{ (1, 2) == (1, 2) }}{{ 'abc'[1:] }}", "TrueTruebc"),
        ("{% filter upper %}abc{% endfilter %}", "ABC"),
    ],
)
def test_what_people_write_is_not_in_the_way(source: str, words: str) -> None:
    """Loops, filters and operators of a size that is spoken work as in any Jinja."""
    assert say(source) == words


@given(
    st.recursive(
        st.integers(0, 10**9) | st.text("abc é", max_size=9), lambda child: st.lists(child, max_size=4), max_leaves=30
    )
)
def test_literals_print_as_in_python(value: object) -> None:
    """Weighing what is written down does not change it."""
    assert say("{{ " + repr([value]) + " }}") == str([value])


def test_largest_prompt_is_spoken() -> None:
    """A file of the largest size that is read renders whole."""
    assert len(say("{% block all %}" + "x" * 256 * 1024 + "{% endblock %}")) == 256 * 1024


@pytest.mark.parametrize(
    "source", [f"{{{{ 'x' * {LONGEST + 1} }}}}", f"{{{{ [0] * {HEAVIEST + 1} }}}}", "{{ range(10001) }}"]
)
def test_limits_say_what_of(source: str) -> None:
    """What takes too much says of what there is too much."""
    with pytest.raises(TooMuch, match="more than"):
        say(source)
