"""``check`` finds comparisons that are never true, and words that are for a browser or in another language."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from complaints import BASE, DRAFT, Fault, all_complaints, greeting, not_found, override

CONTENT: dict[str, Any] = {
    **BASE,
    "greetings/system_prompt.nl.j2": "Je neemt op.",
    "greetings/settings.toml": '[lines."+31850123456"]\nlanguage = "nl"\n',
}
NEVER, ALWAYS = ", so this is never true; ", ", so this is always true; "
COUNTRY = "caller.country is never "
NOT_ALL = "'; "

COMPARISONS = {
    "caller.country == 'UK'": f"{COUNTRY}'UK'{NEVER}did you mean 'GB'?",
    "'UK' == caller.country": f"{COUNTRY}'UK'{NEVER}did you mean 'GB'?",
    "caller['country'] == 'uk'": f"{COUNTRY}'uk'{NEVER}did you mean 'GB'?",
    "caller.country != 'nl'": f"{COUNTRY}'nl'{ALWAYS}did you mean 'NL'?",
    "caller.country in ['NL', 'UK']": f"{COUNTRY}'UK{NOT_ALL}did you mean 'GB'?",
    "caller.country not in ('nl', 'UK')": f"{COUNTRY}'UK'{ALWAYS}did you mean 'GB'?",
    "caller.country in 'NL, UK'": f"{COUNTRY}'UK{NOT_ALL}did you mean 'GB'?",
    "caller.country is in(['NLD'])": f"{COUNTRY}'NLD'{NEVER}did you mean 'NL'?",
    "caller.country is ne('UK')": f"{COUNTRY}'UK'{ALWAYS}",
    "caller.country == 'Netherlands'": f"{COUNTRY}'Netherlands'{NEVER}did you mean 'NL'?",
    "caller.country == ' NL'": f"{COUNTRY}' NL'{NEVER}did you mean 'NL'?",
    "caller.country == 'Duitsland'": f"{COUNTRY}'Duitsland'{NEVER}did you mean 'DE'?",
    "caller.country == 31": f"{COUNTRY}31{NEVER}did you mean 'NL'?",
    "caller.country == '+44'": f"{COUNTRY}'+44'{NEVER}did you mean 'GB'?",
    "caller.country == 'XX'": "write the two capital letters of a country, such as 'NL'",
    "caller.country == ''": f"{COUNTRY}''{NEVER}write not caller.country",
    "language == 'NL'": f"language is never 'NL'{NEVER}did you mean 'nl'?",
    "language != 'nl-BE'": f"language is never 'nl-BE'{ALWAYS}did you mean 'nl'?",
    "language in ['Dutch', 'nl']": f"language is never 'Dutch{NOT_ALL}did you mean 'nl'?",
    "language == 'nederlands'": "did you mean 'nl'?",
    "language == 'dut'": "did you mean 'nl'?",
    "'NL' in language": f"language is never 'NL'{NEVER}",
    "{'nl': 1, 'UK': 2}[language]": f"language is never 'UK{NOT_ALL}the languages here are en, nl",
    "caller.language == 'fr'": f"caller.language is never 'fr'{NEVER}the languages here are en, nl",
    "line.language == 'en'": f"line.language is never 'en'{NEVER}the languages here are nl",
    "platform == 'Flireo'": f"platform is never 'Flireo'{NEVER}did you mean 'flireo'?",
    "open == 'yes'": f"open is never 'yes'{NEVER}it is true or false",
    "caller.identified != 'true'": f"caller.identified is never 'true'{ALWAYS}",
    "caller.number == '06-12345678'": f"caller.number is never in this spelling{NEVER}write it with +",
    "open and (caller.country == 'NL' or caller.country == 'UK')": f"{COUNTRY}'UK'{NEVER}",
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
    found = all_complaints(tmp_path, faults, CONTENT)
    assert not_found(found, faults) == []
    assert not any("12345678" in f"{each['problem']}{each['remedy']}" for each in found)


def test_comparison_that_may_be_true(tmp_path: Path) -> None:
    """A comparison that some caller meets has no warning, nor one that asks whether there is a value at all."""
    good = (
        *("caller.country in ['NL', 'GB']", "language == 'nl' and caller.language != 'en'", "line.language == 'nl'"),
        *("caller.country != ''", "caller.country == none", "caller.country|lower == 'uk'", "open == true"),
        *("caller.number == '+31612345678'", "customer.country == 'UK'", "customer.language == 'NL'", "line.name == 'UK'"),
        *("platform == 'flireo'", "caller.country < 'UK'", "{'nl': 1, 'en': 2}[language]", "now.strftime('%A') == 'Friday'"),
    )  # fmt: skip
    faults = {f"good-{place}": audience(source, "") for place, source in enumerate(good)}
    assert all_complaints(tmp_path, faults, CONTENT) == []


HTML = "a listener would hear &#39; for an apostrophe; remove"
DUTCH = "is always English, and callers hear this in nl; write "

SPOKEN = {
    "{{ customer.name|e }}": f"'e' is for HTML: {HTML} 'e'",
    "{{ customer.name|escape }}": f"'escape' is for HTML: {HTML} 'escape'",
    "{{ customer.name|forceescape }}": f"'forceescape' is for HTML: {HTML} 'forceescape'",
    "{{ customer.name|safe }}": f"'safe' is for HTML: {HTML} 'safe'",
    "{{ customer.names|map('e')|join(', ') }}": f"'e' is for HTML: {HTML} 'e'",
    "{% filter escape %}Hi{% endfilter %}": f"'escape' is for HTML: {HTML} 'escape'",
    "{% autoescape true %}Hi{% endautoescape %}": f"'autoescape' is for HTML: {HTML} {{% autoescape %}}",
    "Fish &amp; chips": "'&amp;' would be spoken as it is written; write '&': text is not HTML",
    "D&#39;Arcy": "write ''': text is not HTML",
    "{{ now.strftime('%A') }}": f"'%A' {DUTCH}{{{{ now|dateformat(\"EEEE\") }}}}",
    "{{ now.strftime('%a %-d %b') }}": f"'%a' {DUTCH}{{{{ now|dateformat(\"EEE d MMM\") }}}}",
    "{{ now.strftime('%d de %B %Y') }}": f"'%B' {DUTCH}{{{{ now|dateformat(\"d 'de' MMMM y\") }}}}",
    "{{ now.strftime('%I:%M %p') }}": f"'%p' {DUTCH}{{{{ now|dateformat(\"h:mm a\") }}}}",
    "{{ now.date().strftime('%x') }}": f"'%x' {DUTCH}{{{{ now|dateformat(\"d MMMM y\") }}}}",
    "{{ now.ctime() }}": f"'%c' {DUTCH}{{{{ now|dateformat(\"EEEE d MMMM y HH:mm\") }}}}",
    "{{ customer.since.strftime('%B') }}": f"'%B' {DUTCH}{{{{ customer.since|dateformat(\"MMMM\") }}}}",
    "{{ 'On {:%A}'.format(now) }}": f"'%A' {DUTCH}{{{{ now|dateformat(\"EEEE\") }}}}",
    "{% set day = now.strftime('%A') %}{{ day }}": f"'%A' {DUTCH}",
    "{{ now|dateformat('%A') }}": "'dateformat' takes Babel's patterns, not those of strftime; write dateformat(\"EEEE\")",
}


@pytest.mark.parametrize("variant", ["first_message.nl.j2", "p.j2", "override.json"])
def test_what_is_not_to_be_spoken(tmp_path: Path, variant: str) -> None:
    """HTML, and days in English in a text that is heard in Dutch, have a warning with what to write instead."""
    faults = {}
    for place, (text, says) in enumerate(SPOKEN.items()):
        fault = override({"assistant": {"first_message": f"A{text}"}}, says, 3, "warning")
        if variant != "override.json":
            fault = Fault({f"warm/{variant}": f"A\n{text}"}, f"warm/{variant}", 2, says, "warning")
        faults[f"fault-{place}"] = fault
    assert not_found(all_complaints(tmp_path, faults, CONTENT), faults) == []


def test_what_may_be_spoken(tmp_path: Path) -> None:
    """Numbers of a time, a day that is compared or looked up, and English that is heard in English, have no warning."""
    good = (
        *("{{ now.strftime('%H:%M') }}", "{{ now|dateformat('EEEE') }}", "R&D; sales"),
        *("{% if now.strftime('%A') == 'Friday' %}A{% else %}B{% endif %}", "A{{ {'Friday': 'vrijdag'}[now.strftime('%A')] }}"),
    )  # fmt: skip
    faults = {f"good-{place}": Fault({"warm/p.j2": text}, "", 0, "") for place, text in enumerate(good)}
    faults["english"] = Fault({"warm/p.j2": "{{ now.strftime('%A') }}", "warm/p.nl.j2": "A"}, "", 0, "")
    complaints = all_complaints(tmp_path / "both", faults, CONTENT)
    assert [each for each in complaints if "changes nothing" not in each["problem"]] == []
    assert all_complaints(tmp_path / "english", {"day": greeting("{{ now.strftime('%A') }}", "")}) == []
