"""On a platform with a template engine of its own, no braces of a caller, line, call or customer reach the answer."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bells import BELL_TOKEN, bell
from complaints import BASE, complaints_about
from conftest import FLIREO, NOW, facts, write
from flask_pickup.caller import UNIDENTIFIED, Caller
from flask_pickup.calls import CallFacts
from flask_pickup.catalog import Catalog, Line, load
from flask_pickup.cleaning import clean
from flask_pickup.customer import UNKNOWN, Customer
from flask_pickup.decision import decide
from flask_pickup.override import merge

Bell: Any = bell()


class Echo(Bell):  # type: ignore[misc]
    """Bell with a template engine of its own."""

    templates_again = True


ECHO = Echo((BELL_TOKEN,), clock=lambda: NOW)
ALL = (
    "{{ customer.a }}{{ customer.b }}{{ customer.c|tojson }}{{ line.name }}{{ line.number }}{{ call.id }}"
    "{{ call.type }}{{ call.line.name }}{{ caller.number }}{{ caller.country }}{{ call.caller.language }}"
    "{% for key, value in customer.c.items() %}{{ key }}{{ value }}{% endfor %}{{ customer|tojson }}"
)
OPEN, CLOSED = datetime(2026, 3, 2, 10, tzinfo=UTC), datetime(2026, 3, 2, 20, tzinfo=UTC)
FILES = {
    "greetings/first_message.j2": ALL,
    "greetings/system_prompt.j2": "{% include 'first_message.j2' %}" + ALL,
    "greetings/override.json": {"voice": ALL},
    "greetings/hours.toml": 'timezone = "UTC"\n[week]\nmonday = "09:00-17:00"\n',
    "greetings/closed.j2": ALL,
}


@pytest.fixture(scope="module")
def catalog(tmp_path_factory: pytest.TempPathFactory) -> Catalog:
    root = write(tmp_path_factory.mktemp("content"), FILES)
    found = load(root / "experiments", root / "greetings", pin_key=lambda _: None, region="NL", platforms=[ECHO])
    assert [each for each in found.complaints if each.level == "error"] == []
    return found


texts = st.text(alphabet="{}%# a", max_size=6)
values = st.recursive(
    texts | st.integers(), lambda inner: st.lists(inner) | st.dictionaries(texts, inner), max_leaves=6
)


callers, lines = st.builds(Caller, *[texts] * 4), st.builds(Line, texts, texts)


@given(
    call=st.builds(facts, texts, callers, lines, st.sampled_from([OPEN, CLOSED])),
    customer=st.fixed_dictionaries({"a": texts, "b": texts, "c": st.dictionaries(texts, values)}),
)
def test_no_data_is_templated_again(catalog: Catalog, call: CallFacts, customer: dict[str, Any]) -> None:
    """Nothing that a caller, a line, a call or a customer brings makes a variable or tag, also where values join."""
    decision = decide(catalog, ECHO, call, Customer(clean(customer), customer))
    assert decision.kind == ("base" if call.at == OPEN else "closed")
    said = json.dumps(decision.written(ECHO))
    assert "{{" not in said
    assert "{%" not in said


def test_braces_stay_where_nothing_templates_again(tmp_path: Path) -> None:
    """A platform without a template engine of its own gets the words as they are."""
    root = write(tmp_path, {"greetings/first_message.j2": "{{ customer.a }}"})
    catalog = load(root / "experiments", root / "greetings", pin_key=lambda _: None, region="NL", platforms=[FLIREO])
    customer = {"a": "{{name}}"}
    assert decide(catalog, FLIREO, facts(), Customer(customer)).greeting == "{{name}}"
    assert decide(catalog, ECHO, facts(), Customer(customer)).greeting == "name"


def test_authors_own_variables_pass(tmp_path: Path) -> None:
    """The platform's own variables reach it, written between raw and endraw or as a text."""
    greeting = "{% raw %}{{name}}{% endraw %} {{ '{{line}}' }}"
    root = write(tmp_path, {"greetings/first_message.j2": greeting})
    catalog = load(root / "experiments", root / "greetings", pin_key=lambda _: None, region="NL", platforms=[ECHO])
    assert decide(catalog, ECHO, facts("call-1", UNIDENTIFIED), UNKNOWN).greeting == "{{name}} {{line}}"


@pytest.mark.parametrize(
    ("template", "expected"),
    [
        ("{{ customer_raw.name }}", ("error", "customer_raw is not cleaned")),
        ("{% set name = customer_raw.name %}{{ name }}", ("error", "customer_raw is not cleaned")),
        ("Hi{% if customer_raw.vip %}!{% endif %}", ("warning", "customer_raw is not cleaned")),
        ("Hi {{ '{{name}}' }}", ("warning", "bell would fill in the braces of '{{name}}'")),
        ("Hi {{ customer.name or '{% name %}' }}", ("warning", "bell would fill in the braces of '{% name %}'")),
        ("Hi {% raw %}{{name}}{% endraw %}", None),
        ("Hi {% if customer.name == '{{' %}!{% endif %}", None),
    ],
)
def test_check_finds_what_is_templated_again(tmp_path: Path, template: str, expected: tuple[str, str] | None) -> None:
    """An uncleaned value in the output is an error, and braces in an author's text a warning unless they are raw."""
    files = {"greetings/first_message.j2": template}
    found = complaints_about(tmp_path, files, platforms=[ECHO])
    said = [(each["level"], each["problem"].partition(",")[0]) for each in found]
    assert [each for each in said if "empty" not in each[1]] == ([expected] if expected else [])


def test_override_is_checked_for_its_own_platform(tmp_path: Path) -> None:
    """Braces in an override that only a platform without a template engine gets are no one's variables."""
    patch = merge(BASE["greetings/override.json"], {"assistant": {"note": "{{ '{{name}}' }}"}})
    files = {"greetings/first_message.j2": "Hi.", "greetings/override.flireo.json": patch}
    assert complaints_about(tmp_path / "own", files, platforms=[FLIREO, ECHO]) == []
    common = {"greetings/first_message.j2": "Hi.", "greetings/override.json": {"voice": "{{ '{{name}}' }}"}}
    [found] = complaints_about(tmp_path / "common", common, platforms=[ECHO])
    assert (found["file"], found["level"]) == ("greetings/override.json", "warning")
