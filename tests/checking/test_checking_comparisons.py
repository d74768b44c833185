"""``check`` finds comparisons that are never true, and words that are for a browser or in another language."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from complaints import BASE, DRAFT, Fault, all_complaints, complaints_about, greeting, not_found, override

CONTENT: dict[str, Any] = {**BASE, "greetings/system_prompt.nl.j2": "Je neemt op."}
BRITISH = "caller.country is never 'UK'; did you mean 'GB'?"
COMPARISONS = {
    "caller.country == 'UK'": BRITISH,
    "'UK' == caller['country']": BRITISH,
    "caller.country in ['NL', 'UK']": BRITISH,
    "open and (caller.country == 'NL' or caller.country not in ('UK', 'NL'))": BRITISH,
    "caller.country != 'nl'": "caller.country is never 'nl'; did you mean 'NL'?",
    "caller.country == 'NLD'": "did you mean 'NL'?",
    "caller.country == 'Germany'": "did you mean 'DE'?",
    "caller.country == 'XX'": "write the two capital letters of a country, such as 'NL'",
    "language == 'NL'": "language is never 'NL'; did you mean 'nl'?",
    "language != 'nl-BE'": "language is never 'nl-BE'; did you mean 'nl'?",
    "line.language in ['Dutch', 'nl']": "line.language is never 'Dutch'; did you mean 'nl'?",
    "caller.language == 'fr'": "caller.language is never 'fr'; the languages here are en, nl",
}


def audience(source: str, says: str) -> Fault:
    files = {"experiment.toml": f'audience = "{source}"\n{DRAFT}', "warm/override.json": {"max_duration_seconds": 9}}
    return Fault(files, "experiment.toml", 1, says, "warning")


def test_comparison_that_is_never_true(tmp_path: Path) -> None:
    """A value that cannot be has a warning with the one that was meant: in an audience, a template and an override."""
    faults = {f"audience-{place}": audience(*pair) for place, pair in enumerate(COMPARISONS.items())}
    for place, (source, says) in enumerate(COMPARISONS.items()):
        text = f"{{% if {source} %}}A{{% endif %}}B"
        faults[f"prompt-{place}"] = Fault({"warm/p.j2": f"\n{text}"}, "warm/p.j2", 2, says, "warning")
        faults[f"override-{place}"] = override({"assistant": {"first_message": text}}, says, 3, "warning")
    assert not_found(all_complaints(tmp_path, faults, CONTENT), faults) == []


def test_comparison_that_may_be_true(tmp_path: Path) -> None:
    """A comparison that some caller meets has no warning, nor one that asks whether there is a value at all."""
    good = (
        *("caller.country in ['NL', 'GB']", "language == 'nl' and caller.language != 'en'", "caller.country != ''"),
        *(
            "caller.country == none",
            "caller.country|lower == 'uk'",
            "customer.country == 'UK'",
            "caller.country < 'UK'",
        ),
    )
    faults = {f"good-{place}": audience(source, "") for place, source in enumerate(good)}
    assert all_complaints(tmp_path, faults, CONTENT) == []


HTML = {
    name: f"'{name}' is for HTML: a listener would hear &#39; for an apostrophe; remove"
    for name in ("e", "escape", "safe", "autoescape")
}
DUTCH = 'is always in English; write {{ now|dateformat("EEEE d MMMM") }}'
SPOKEN = {
    **{f"{{{{ customer.name|{name} }}}}": HTML[name] for name in ("e", "escape", "safe")},
    "{{ [customer.name]|map('e')|join }}": HTML["e"],
    "{% autoescape true %}{{ customer.name }}{% endautoescape %}": HTML["autoescape"],
    "{% filter escape %}Hi{% endfilter %}": HTML["escape"],
    "{{ now.strftime('%A') }}": DUTCH,
    "{{ now.date().strftime('%-d %B') }}": DUTCH,
    "{% set day = now.strftime('%a') %}{{ day }}": DUTCH,
    "{{ now.strftime(format='%I %p') }}": DUTCH,
    "{{ '{:%A}'.format(now) }}": DUTCH,
    "{{ 'op {d:%d %B}'.format(d=now) }}": DUTCH,
    "{{ now.ctime() }}": DUTCH,
    "{{ now.date().ctime() }}": DUTCH,
}


def test_what_is_not_to_be_spoken(tmp_path: Path) -> None:
    """Filters for HTML, and English days in a file of another language, have a warning with what to write instead."""
    faults = {}
    for place, (text, says) in enumerate(SPOKEN.items()):
        faults[f"variant-{place}"] = Fault(
            {"warm/p.nl.j2": f"A\n{text}", "warm/p.j2": "A"}, "warm/p.nl.j2", 2, says, "warning"
        )
        faults[f"override-{place}"] = override({"assistant": {"first_message": f"A{text}"}}, says, 3, "warning")
    files = {**CONTENT, "greetings/settings.toml": 'language = "nl"\n', "greetings/p.nl.j2": "A"}
    assert not_found(all_complaints(tmp_path, faults, files), faults) == []


FRIDAY = "write now.weekday() == 4"
DAYS = {
    "now.strftime('%A') == 'vrijdag'": f"'%A' is always in English, and never 'vrijdag'; {FRIDAY}",
    "now.strftime('%A')|lower in ['vrijdag', 'zaterdag']": FRIDAY,
    "now.strftime('%a') != 'vr'": "compare now.weekday(), where 0 is Monday",
    "'{:%A}'.format(now) == 'vrijdag'": FRIDAY,
    "now.date().strftime('%B') == 'mei'": "compare now.month, where 1 is January",
    "customer.since.strftime('%A').lower() == 'vrijdag'": "write customer.since.weekday() == 4",
    "language == 'nl' and now.strftime('%A') == 'vrijdag'": FRIDAY,
    "now|dateformat('EEEE') == 'Friday'": f"in 'nl', 'EEEE' is never 'Friday'; {FRIDAY}",
    "'Friday' == now|dateformat('EEEE')|title": FRIDAY,
    "now|dateformat('EEEE') == 'Vrijdag'": FRIDAY,
    "now|timeformat('EEE') not in ['Fri', 'Sat']": FRIDAY,
    "'day' in now|dateformat('cccc')": "compare now.weekday(), where 0 is Monday",
    "now|dateformat('MMMM') in ['December', 'January']": "compare now.month, where 1 is January",
    "now|dateformat('a') == 'PM'": "write now.hour < 12, or >= 12",
}
GOOD_DAYS = (
    *("now.strftime('%A') in ['Friday', 'Saturday']", "'day' in now.strftime('%A')", "now.strftime('%H') == '09'"),
    *("now|dateformat('EEEE') == 'vrijdag'", "now|dateformat('EEEE')|upper in ['FRIDAY', 'VRIJDAG']"),
    *("now.weekday() == 4", "now|dateformat('EEEE d') == 'Friday 13'", "now|dateformat('EEEE') == customer.day"),
    *("now.strftime('%A')[:3] == 'Fri'", "now|dateformat('EEEE') == ''", "now.strftime(customer.pattern) == 'vrijdag'"),
)


def test_days_that_never_are(tmp_path: Path) -> None:
    """A day or a month that the call's language never has is a warning with the way to ask that all languages share."""
    faults = {
        f"day-{place}": Fault({"warm/p.nl.j2": f"A\n{{% if {source} %}}A{{% endif %}}", "warm/p.j2": "A"}, "warm/p.nl.j2", 2, says, "warning")
        for place, (source, says) in enumerate(DAYS.items())
    }  # fmt: skip
    faults["audience"] = audience("now.strftime('%A') == 'vrijdag'", FRIDAY)
    faults["in-both"] = greeting(
        "{% if now|dateformat('EEEE') == 'Friday' %}A{% else %}B{% endif %}", FRIDAY, 1, "warning"
    )
    assert not_found(all_complaints(tmp_path / "bad", faults, {**CONTENT, "greetings/p.nl.j2": "A"}), faults) == []
    good = {
        f"good-{place}": greeting(f"{{% if {source} %}}A{{% endif %}}B", "") for place, source in enumerate(GOOD_DAYS)
    }
    dutch = {**BASE, "greetings/settings.toml": 'language = "nl"\n'}
    assert all_complaints(tmp_path / "good", good, dutch) == []
    guarded = greeting("{% if language == 'en' and now|dateformat('EEEE') == 'Friday' %}A{% endif %}B", "")
    assert all_complaints(tmp_path / "guarded", {"guarded": guarded}, CONTENT) == []


def test_what_may_be_spoken(tmp_path: Path) -> None:
    """Numbers of a time, a day that is compared or looked up, and English in an English file, have no warning."""
    good = (
        *("{{ now.strftime('%H:%M') }}", "{{ now|dateformat('EEEE') }}"),
        *(
            "{% if now.strftime('%A') == 'Friday' %}A{% else %}B{% endif %}",
            "A{{ {'Friday': 'vrijdag'}[now.strftime('%A')] }}",
        ),
    )
    dutch = {f"good-{place}": greeting(text, "") for place, text in enumerate(good)}
    assert all_complaints(tmp_path / "dutch", dutch, {**BASE, "greetings/settings.toml": 'language = "nl"\n'}) == []
    assert all_complaints(tmp_path / "english", {"day": greeting("{{ now.strftime('%A') }}", "")}) == []


DAY = "It is {{ now.strftime('%A') }}."
GREETED_IN_BOTH = {"first_message.j2": "Hi.", "first_message.nl.j2": "Hoi."}
DUTCH_LINE = '[lines."+31850123456"]\nlanguage = "nl"\n'


@pytest.mark.parametrize(
    ("files", "warned"),
    [
        # a plain file is heard in each language that it has no variant of
        ({**GREETED_IN_BOTH, "system_prompt.j2": DAY}, ["system_prompt.j2"]),
        ({**GREETED_IN_BOTH, "system_prompt.j2": "A{% include 'p/day.j2' %}", "p/day.j2": DAY}, ["p/day.j2"]),
        ({**GREETED_IN_BOTH, "closed.j2": DAY, "hours.toml": 'timezone = "UTC"\n[week]\nmonday = "09:00-17:00"\n'}, ["closed.j2"]),
        ({**GREETED_IN_BOTH, "override.json": {"assistant": {"first_message": DAY}}}, ["override.json"]),
        ({"first_message.j2": DAY, "first_message.en.j2": "Hi.", "settings.toml": 'language = "nl"\n'}, ["first_message.j2"]),
        ({"first_message.j2": "Hi.", "first_message.nl.j2": DAY}, ["first_message.nl.j2"]),
        ({"first_message.j2": f"{{% if language == 'nl' %}}Hoi.{{% endif %}} {DAY}", "system_prompt.nl.j2": "A"}, ["first_message.j2"]),
        # a file that speaks of a language is heard in it
        ({"first_message.j2": f"{{% if line.language == 'nl' %}}Hoi.{{% endif %}} {DAY}", "settings.toml": DUTCH_LINE}, ["first_message.j2"]),
        # a file that is heard in English alone
        ({"first_message.j2": DAY, "first_message.nl.j2": "Hoi."}, []),
        ({"first_message.j2": DAY, "settings.toml": DUTCH_LINE}, []),
        ({"first_message.j2": "Hoi.", "first_message.en.j2": DAY, "settings.toml": 'language = "nl"\n'}, []),
        ({**GREETED_IN_BOTH, "system_prompt.j2": "A{% include 'day.j2' %}", "day.j2": DAY, "day.nl.j2": "B"}, []),
        ({"first_message.j2": f"{{% if language == 'en' %}}{DAY}{{% endif %}} Hi."}, []),
    ],
)  # fmt: skip
def test_english_days_that_others_hear(tmp_path: Path, files: Mapping[str, Any], warned: list[str]) -> None:
    """An English day has a warning in each file that callers of another language hear too."""
    prompt = {} if "override.json" in files else {"override.json": BASE["greetings/override.json"]}
    found = complaints_about(tmp_path, {f"greetings/{path}": text for path, text in {**prompt, **files}.items()})
    said = [each["file"] for each in found if each["problem"] == "'%A' is always in English"]
    assert said == [f"greetings/{path}" for path in warned]
    assert {each["level"] for each in found} <= {"warning"}
