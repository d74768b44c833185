"""What templates may do, how a missing value behaves, and which file a name means."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jinja2 import TemplateSyntaxError
from jinja2.exceptions import SecurityError

from conftest import CALLER, EXPERIMENT, MakePhone
from flask_pickup import Pickup
from flask_pickup.caller import UNIDENTIFIED
from flask_pickup.catalog import Line
from flask_pickup.rendering import Environment, expression, render, split_variant

ENVIRONMENT = Environment()
NAMES: Mapping[str, Any] = {
    "caller": UNIDENTIFIED,
    "line": Line(None),
    "customer": {"name": "Jan", "tags": ["a"], "items": "six", "nothing": None},
    "now": datetime(2025, 12, 13, 12, tzinfo=UTC),
}


def say(source: str, **names: Any) -> str:
    return render(ENVIRONMENT.from_string(source), {**NAMES, **names})


# --- missing values --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "source",
    [
        *("{{ nobody }}", "{{ customer.age }}", "{{ customer.pet.name.first }}", "{{ customer['pet']['name'] }}"),
        *("{{ customer.pet.name() }}", "{{ customer.since.strftime('%d %B') }}", "{{ customer.pets[0].name }}"),
        *("{{ customer.age + 1 }}", "{{ 1 - customer.age }}", "{{ customer.age * 2 / 3 }}", "{{ 7 // customer.age }}"),
        *("{{ 7 % customer.age }}", "{{ 2 ** customer.age }}", "{{ -customer.age }}", "{{ now - customer.since }}"),
        *("{{ (now - customer.since).days }}", "{{ 'Dr ' + customer.title }}", "{{ '%d' % customer.age }}"),
        *("{{ customer.title|upper }}", "{{ caller.country|title }}", "{{ customer.age|round(1) }}", "{{ customer.age|abs }}", "{{ '%d'|format(customer.age) }}"),
        *("{{ 3.14|round(customer.age) }}", "{{ 'Jansen'|truncate(customer.age) }}", "{{ 'J'.startswith(customer.a) }}"),
        *("{{ customer.orders|map(attribute='name')|join(', ') }}", "{% for one in customer.orders %}x{% endfor %}"),
        *("{% for one in range(customer.age) %}x{% endfor %}", "{% if customer.vip %}x{% endif %}"),
        *("{{ customer.a ~ customer.b }}", "{{ customer.nothing }}", "{{ customer.orders|join(' and ') }}"),
    ],
)  # fmt: skip
def test_missing_value_prints_nothing(source: str) -> None:
    """A missing value and None print nothing; attributes, arithmetic and filters of one give one."""
    assert say(source) == ""


@given(
    st.sampled_from(
        (
            *("==", "!=", "<", "<=", ">", ">=", "in", "not in"),
            *("is in", "is not in", "is eq", "is not eq", "is equalto", "is not equalto", "is ne", "is not ne"),
            *("is gt", "is not gt", "is lessthan", "is not lessthan", "is le", "is not le", "is ge", "is not ge"),
        )
    ),
    st.recursive(st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.dates(), st.lists),
    st.sampled_from(("missing", "customer.tier", "caller.country", "line.name")).flatmap(
        lambda missing: st.permutations(("value", missing))
    ),
)
def test_comparisons_with_a_missing_value_are_false(operator: str, value: object, sides: list[str]) -> None:
    """Every comparison with a missing value is false on both sides, also those that ask for a difference."""
    assert say(f"{{{{ {sides[0]} {operator} {sides[1]} }}}}", value=value) == "False"


@pytest.mark.parametrize(
    ("source", "words"),
    [
        # comparisons in a row
        ("{{ missing == missing or missing != missing }}", "False"),
        ("{% set one = missing %}{{ one in [one] or one not in [one] or one is in([one]) }}", "False"),
        ("{{ 1 < 2 not in missing }}", "False"),
        ("{{ 1 < 2 not in [3] != 4 }}", "True"),
        ("{{ 1 in [1] < missing }}", "False"),
        ("{{ 'a' not in 'bc' and 'a' in customer.tags and 1 is in([1]) and not 1 in [2] }}", "True"),
        # the author's alternative
        ("{{ customer.title|default('friend') }}{{ line.name|d('shop') }}{{ customer.nothing|default }}", "friendshop"),
        ("{{ customer.name|default('you') }}{{ ''|default('you') }}{{ ''|default('you', true) }}", "Janyou"),
        ("{{ customer.title or 'friend' }}", "friend"),
        ("{{ customer.title|trim(chars='-') }}{{ '-Jan-'|trim(chars='-') }}", "Jan"),
        ("{{ customer.age|int }}{{ customer.age|int(18) }}", "018"),
        ("{{ customer.age|float }}", "0.0"),
        ("{{ customer.pets|length }}", "0"),
        ("{{ 'yes' if customer.vip or customer.age is defined else 'no' }}", "no"),
        ("{{ 'Jan' ~ customer.surname }}", "Jan"),
        ("{{ [customer.a, 'b', line.name, 4]|join('-') }}", "-b--4"),
        ("{{ [{'a': none}, {'a': 1}, customer, none]|join('-', attribute='a') }}", "-1--"),
        ("{{ ['a', 'b']|join(line.name) }}{{ 'ab'|join }}{{ [1, [2]]|join(d='') }}", "abab1[2]"),
        (
            "{{ 'Welcome to ' ~ line.name }}{{ line.name ~ 1 ~ customer.nothing ~ none ~ missing ~ 0.5 }}",
            "Welcome to 10.5",
        ),
        ("{{ caller.country|string }}{{ 1|string ~ 2 }}", "12"),
        # as it is spoken, or read by a model
        ("{{ {'age': customer.age}|tojson }}", '{"age": null}'),
        ("{{ {'name': \"L'été & co\"}|tojson }}", '{"name": "L\'été & co"}'),
        ("\n  Hello.\n\nHow are you?\n\n", "Hello.\n\nHow are you?"),
        ("{{ customer.items }}", "six"),
    ],
)
def test_template_says(source: str, words: str) -> None:
    """A missing value gives way; comparisons mean what they mean in Python; a record's key wins over a method's name."""
    assert say(source) == words


FILTERED = {"count": "0", "length": "0", "sum": "0", "wordcount": "0", "int": "0", "float": "0.0", "tojson": "null"}


@given(st.sampled_from(sorted(ENVIRONMENT.filters)), st.sampled_from(("missing", "nothing", "pet.name")))
def test_filter_of_a_missing_value_is_missing(name: str, missing: str) -> None:
    """A filter of a missing value or None is one, but for those that count, convert or replace it."""
    given = {"batch": "2", "groupby": "'a'", "replace": "'a', 'b'", "slice": "2", "map": "'lower'", "select": "'odd'"}
    filtered = f"customer.{missing}|{name}({given.get(name, '')})"
    assert say(f"{{{{ {filtered} }}}}") == FILTERED.get(name, "")
    if name not in {*FILTERED, "d", "default"}:
        for comparison in ("!= 'gold plan'", "not in ['gold']", "!= []", "== ''", "== []", "is not eq 'x'"):
            assert say(f"{{{{ {filtered} {comparison} }}}}") == "False"


@pytest.mark.parametrize("source", ["{{ customer.name|round }}", "{{ range(customer.name) }}"])
def test_other_mistakes_are_still_mistakes(source: str) -> None:
    """A filter that fails for another reason raises."""
    with pytest.raises(TypeError):
        say(source)


@pytest.mark.parametrize(
    ("source", "value"),
    [
        ("customer.age > 3", False),
        ("customer.age != 3", False),
        ("not customer.vip", True),
        # Only a comparison is false; what negates one is true.
        ("customer.tier not in ['gold']", False),
        ("not customer.tier in ['gold'] and not (customer.tier in ['gold'])", True),
        ("customer.tier is not in ['gold'] or not (caller.country is in ['NL']) or line.name is not eq 'Desk'", False),
        ("customer.name is not in ['Piet'] and customer.name is ne 'Piet' and customer.tier is eq none", False),
        ("customer.name is not in ['Piet'] and customer.name is ne none and line.name is eq none", True),
        ("caller.country != 'NL' or caller.country not in ['NL'] or 'a' not in line.name", False),
        ("caller.country == none and caller.country is none and not caller.country", True),
        (
            "customer.tier|lower not in ['gold'] or customer.tier|trim|upper != 'GOLD' or caller.country|lower != 'nl'",
            False,
        ),
        ("none not in customer.tier or caller.country not in [none]", False),
        ("customer.name != none and customer.name not in ['Piet'] and customer.tags != []", True),
        ("customer.name == 'Jan' and not customer.vip", True),
        ("customer.age + 1 > 0", False),
        ("customer.language or 'nl'", "nl"),
        ("customer.plan|replace('-', ' ') != 'gold plan' or 'vip' not in customer.tiers|sort|join(' ')", False),
        ("customer.nothing|length == 0 and customer.visits|int < 3 and customer.pets|list|length < 1", True),
    ],
)
def test_missing_value_in_an_expression(source: str, value: object) -> None:
    """A missing value is the same in an audience as in a template."""
    assert expression(ENVIRONMENT, source)(NAMES) == value


# --- days and times ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("source", "dutch", "english"),
    [
        ("{{ now|dateformat }}", "13 december 2025", "December 13, 2025"),
        ("{{ now|dateformat('full') }}", "zaterdag 13 december 2025", "Saturday, December 13, 2025"),
        ("{{ now|dateformat('EEEE d MMMM, HH:mm') }}", "zaterdag 13 december, 12:00", "Saturday 13 December, 12:00"),
        ("{{ now.date()|dateformat('MMM') }}", "dec", "Dec"),
        ("{{ now|timeformat }}", "12:00", "12:00\u202fPM"),
        ("{{ now.time()|timeformat('HH') }}", "12", "12"),
        ("{{ customer.since|dateformat }}{{ customer.nothing|timeformat }}{{ now|dateformat(customer.how) }}", "", ""),
        ("{{ 'next week'|dateformat }} {{ now.date()|timeformat }}", "next week 2025-12-13", "next week 2025-12-13"),
    ],
)
def test_days_and_times_in_the_calls_language(source: str, dutch: str, english: str) -> None:
    """A day is said in the language of the call, in Babel's formats; what is no day is said as it is."""
    assert [say(source, language=language) for language in ("nl", "en")] == [dutch, english]


# --- spoken text ------------------------------------------------------------------------------------------------------

SPOKEN = 'L\'été & co <b>"quoted"</b> 1 < 2'


def test_nothing_is_escaped(make_phone: MakePhone) -> None:
    """Text is spoken, so that nothing is escaped: of an author, a customer or an override."""
    pickup = Pickup(clock=lambda: 1_765_627_200)
    pickup.customer(lambda caller: {"company": SPOKEN})
    phone = make_phone(
        {
            "greetings/first_message.j2": SPOKEN + " {{ customer.company }}",
            "greetings/override.json": {"assistant": {"note": SPOKEN + " {{ customer.company }}"}},
        },
        pickup=pickup,
    )
    both = f"{SPOKEN} {SPOKEN}"
    assert phone.ring().get_json() == {"assistant": {"first_message": both, "note": both}}


@pytest.mark.parametrize(
    "source",
    [
        *("{{ ''.__class__.__mro__ }}", "{{ customer.__class__ }}", "{{ now.__reduce__() }}", "{{ ''['__class__'] }}"),
        *("{{ '{0.__class__}'.format(now) }}", "{{ self.__init__.__globals__ }}", "{{ customer.tags.append('b') }}"),
        *(
            "{{ ['x']|map(attribute='__class__')|list }}",
            "{{ '{x.__class__}'.format_map({'x': 1}) }}",
            "{{ now.now() }}",
        ),
    ],
)
def test_sandbox_gives_nothing_away(source: str) -> None:
    """A template reaches nothing private, changes no data and does not ask the clock: it fails instead."""
    with pytest.raises((SecurityError, TemplateSyntaxError)):
        say(source)


# --- names ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "split"),
    [
        ("first_message.j2", ("first_message.j2", "")),
        ("first_message.nl.j2", ("first_message.j2", "nl")),
        ("partials/bye.gsw.j2", ("partials/bye.j2", "gsw")),
        ("v.1.j2", ("v.1.j2", "")),
        ("first_message.zz.j2", ("first_message.zz.j2", "")),
        ("nl.j2", ("nl.j2", "")),
    ],
)
def test_language_of_a_file_is_in_its_name(name: str, split: tuple[str, str]) -> None:
    """A variant's language is before the last dot; other words there are part of the name."""
    assert split_variant(name) == split


Hear = Callable[..., str]


@pytest.fixture
def hear(make_phone: MakePhone) -> Hear:
    """What a caller who is pinned to the arm "warm" hears, with the files of greetings/ and of that arm."""

    def hear(
        base: Mapping[str, str],
        arm: Mapping[str, str] | None = None,
        *,
        caller: str | None = CALLER,
        more: Mapping[str, str] | None = None,
    ) -> str:
        files = {
            **{f"greetings/{path}": text for path, text in base.items()},
            **{f"experiments/warm-opening/warm/{path}": text for path, text in (arm or {"empty.j2": ""}).items()},
            "experiments/warm-opening/experiment.toml": f'{EXPERIMENT}[pins]\n"{CALLER}" = "warm"\n',
            **(more or {}),
        }
        answer = make_phone(files).ring(caller=caller).get_json()
        return str(answer["assistant"]["first_message"])

    return hear


DUTCH, AMERICAN = CALLER, "+12015550123"
BOTH = {"first_message.j2": "Hello.", "first_message.nl.j2": "Hallo."}


def test_variant_is_chosen_by_language(hear: Hear) -> None:
    """A caller hears the variant of their language, and the plain file where there is none."""
    assert hear(BOTH, caller=None) == "Hello."
    assert hear({**BOTH, "settings.toml": "speaks = \"'nl'\""}, caller=None) == "Hallo."
    assert hear({**BOTH, "settings.toml": "speaks = \"'fr'\""}, caller=None) == "Hello."


def test_imported_macro_knows_the_language(hear: Hear) -> None:
    """A macro in another file says a day in the call's language too, though it sees no names of the call."""
    tools = "{% macro day(at) %}{{ at|dateformat('EEEE') }}{% endmacro %}"
    opening = "{% from 'greetings/partials/tools.j2' import day %}{{ day(now) }}"
    base = {"first_message.j2": opening, "first_message.nl.j2": opening, "partials/tools.j2": tools}
    assert (hear(base, caller=DUTCH), hear(base, caller=AMERICAN)) == ("zaterdag", "Saturday")


def test_last_layer_with_any_variant_supplies_the_file(hear: Hear) -> None:
    """An arm that has an opening at all supplies it; in the arm the language's variant wins over the plain file."""
    assert hear(BOTH, {"first_message.j2": "Hi!"}) == "Hi!"
    assert hear(BOTH, {"first_message.j2": "Hi!", "first_message.nl.j2": "Hoi!"}) == "Hoi!"
    assert hear(BOTH, {"system_prompt.fr.j2": "Non."}) == "Hallo."


FRAME = "{% block greeting %}Hello{% endblock %}, {% block ending %}how can I help?{% endblock %}"


@pytest.mark.parametrize(
    ("arm", "words"),
    [
        ('{% extends "greetings/first_message.j2" %}{% block greeting %}Hi{% endblock %}', "Hi, how can I help?"),
        (
            '{% extends "greetings/first_message.j2" %}{% block greeting %}{{ super() }} there{% endblock %}',
            "Hello there, how can I help?",
        ),
        ('{% include "greetings/first_message.j2" %} Welcome.', "Hello, how can I help? Welcome."),
        ('{% include "greetings/partials/bye.j2" %}', "Goodbye."),
        ('{% import "greetings/partials/tools.j2" as tools %}{{ tools.loud("hi") }}', "HI!"),
        ('{% from "greetings/partials/tools.j2" import loud %}{{ loud("hi") }}', "HI!"),
        ('{% from "greetings/partials/tools.j2" import who with context %}{{ who() }}', "call-1"),
        ('{% include "aside.j2" %}', "An aside."),
        ('{% include "experiments/warm-opening/warm/aside.j2" %}', "An aside."),
        ('{% include "./deep/one.j2" %}', "One and two, up to An aside."),
        ('{% include "nowhere.j2" ignore missing %}Hi.', "Hi."),
        ('{% include ["nowhere.j2", "aside.j2"] %}', "An aside."),
    ],
)
def test_arm_uses_the_base(hear: Hear, arm: str, words: str) -> None:
    """An arm extends, includes and imports the base's files, and its own beside the one that asks."""
    base = {
        "first_message.j2": FRAME,
        "partials/bye.j2": "Goodbye.",
        "partials/tools.j2": (
            "{% macro loud(words) %}{{ words|upper }}!{% endmacro %}{% macro who() %}{{ call.id }}{% endmacro %}"
        ),
        # An arm's plain names are its own files; these must not answer for them.
        "aside.j2": "The base's aside.",
    }
    own = {
        "aside.j2": "An aside.",
        "partials/bye.j2": "What greetings/partials/bye.j2 does not mean here.",
        "deep/one.j2": 'One and {% include "two.j2" %}',
        "deep/two.j2": 'two, up to {% include "../aside.j2" %}',
    }
    assert hear(base, {**own, "first_message.j2": arm}) == words


WRAPPED = '{% include "greetings/partials/bye.j2" %}'


@pytest.mark.parametrize(
    ("line", "arm", "words"),
    [
        (None, None, "Goodbye."),
        (None, "See you!", "See you!"),
        (None, f"{WRAPPED} Truly.", "Goodbye. Truly."),
        (f"{WRAPPED} From the desk.", None, "Goodbye. From the desk."),
        (f"{WRAPPED} From the desk.", f"{WRAPPED} Truly.", "Goodbye. From the desk. Truly."),
    ],
)
def test_layers_share_a_partial(hear: Hear, line: str | None, arm: str | None, words: str) -> None:
    """A partial is the top layer's, wherever the base includes it; ``greetings/…`` is that of the layers below."""
    base = {
        "settings.toml": '[lines."+31850835037"]\ngreetings = "lines/desk"\n',
        "first_message.j2": 'Hello. {% include "partials/bye.j2" %}',
        "partials/bye.j2": "Goodbye.",
        "lines/desk/partials/other.j2": "",
        **({"lines/desk/partials/bye.j2": line} if line else {}),
    }
    own = {"partials/bye.j2": arm} if arm else None
    assert hear(base, own) == f"Hello. {words}"


def test_names_follow_the_language(hear: Hear) -> None:
    """A name without a language leads to the variant of the call's language, in every folder."""
    base = {
        "first_message.j2": 'Hello. {% include "partials/bye.j2" %}',
        "first_message.nl.j2": 'Hallo. {% include "partials/bye.j2" %}',
        "partials/bye.j2": "Goodbye.",
        "partials/bye.nl.j2": "Tot ziens.",
    }
    arm = {"first_message.j2": '{% include "greetings/first_message.j2" %} {% include "aside.j2" %}'}
    assert hear(base, {**arm, "aside.j2": "Bye.", "aside.nl.j2": "Doei."}) == "Hallo. Tot ziens. Doei."


def test_override_includes_files(make_phone: MakePhone) -> None:
    """A string of an override is a template like any other, and its names start at the folders too."""
    include = {"note": '{% include "partials/bye.j2" %}', "other": '{% include "greetings/partials/bye.j2" %}'}
    phone = make_phone({"greetings/partials/bye.j2": "Goodbye.", "greetings/override.json": {"assistant": include}})
    assert phone.ring().get_json() == {"assistant": {"note": "Goodbye.", "other": "Goodbye."}}


@pytest.mark.parametrize(
    "arm",
    [
        *('{% include "nowhere.j2" %}', '{% include "../../../../../etc/hostname.j2" %}', '{% include "first_message.j2" %}'),
        *("{{ customer.name|no_such_filter }}", "{{ 1 / 0 }}", "{% for i in range(10 ** 9) %}x{% endfor %}"),
        "{% macro m() %}{{ m() }}{% endmacro %}{{ m() }}",
    ],
)  # fmt: skip
def test_failing_arm_is_answered_with_the_base(hear: Hear, arm: str) -> None:
    """If an arm's template fails, the caller hears the base."""
    assert hear({"first_message.j2": "Good day."}, {"first_message.j2": arm}) == "Good day."
