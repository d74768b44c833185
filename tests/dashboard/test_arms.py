"""What callers hear in an experiment's arms: for whom they are shown, and where their words and settings differ."""

from __future__ import annotations

import html
import re
from collections.abc import Iterator, Mapping
from typing import Any

import pytest

from authors import HOURS, TOML, WARM, page, words
from conftest import CONTENT, EXPERIMENT, LINE, OpenApp, Phone
from dashboards import Dashboards
from flask_pickup.caller import REHEARSAL

GERMAN = "+4915228817386"
GREETING = "experiments/warm-opening/warm/first_message.j2"
LINES = {
    "greetings/settings.toml": f'[lines."{LINE}"]\nname = "Desk"\n[lines."+31850835038"]\nname = "Sales"\n',
}
NOBODY = "would not be in the experiment"


def with_audience(audience: str) -> dict[str, str]:
    return {TOML: f'audience = "{audience}"\n{EXPERIMENT}'}


def shown(phone: Phone, query: str = "", *, path: str = WARM) -> str:
    """Return what the page says of the arms, in plain text."""
    text = page(phone, f"{path}?{query}").text
    section = text.partition('<section id="arms"')[2].partition('<div id="numbers"')[0]
    return words(re.sub("<option.*?</option>", "", section))


def heard(phone: Phone, query: str = "") -> dict[str, str]:
    """Return the arms with their greetings."""
    text = html.unescape(page(phone, f"{WARM}?{query}").text)
    return dict(re.findall(r'<h3 id="arm-([^"]+)".*?data-words="([^"]*)"', text, re.DOTALL))


def test_arms_of_a_concluded_experiment_are_as_they_were(open_app: OpenApp, database_url: str) -> None:
    """Control is without the winner's words, the winner is named, and an arm whose folder is gone is there."""
    short = "experiments/warm-opening/short/first_message.j2"
    ran = {TOML: EXPERIMENT.replace("warm = 1", "warm = 1\nshort = 1"), short: "Yes?", GREETING: "Hello, as it was."}
    open_app(ran, url=database_url).ring()
    concluded = EXPERIMENT.replace('"running"', '"concluded"\nwinner = "warm"')
    later = open_app({TOML: concluded}, url=database_url)
    assert heard(later) == {"control": "Good day.", "short": "Yes?", "warm": "Hello, as it was."}
    assert "warm Winner Every caller hears it." in shown(later)
    in_audience = open_app({TOML: f'audience = "caller.identified"\n{concluded}'}, url=database_url)
    assert "warm Winner Everyone in the audience hears it." in shown(in_audience)


AUDIENCES = [
    ("", "As heard by a caller, open hours."),
    ("caller.country == 'DE'", "a caller from Germany, open hours."),
    ("caller.country in ['FR', 'DE']", "a caller from France,"),
    ("caller.country != 'US'", "a caller from the Netherlands, open"),
    ("caller.language == 'en'", "a caller from the United States,"),
    ("not open", "a caller, outside the hours."),
    ("now.hour == 3", "03:00."),
    ("line.name == 'Sales'", "a caller from the United States, on line Sales,"),
    ("not caller.identified", "a caller without a number,"),
    ("customer.vip", "open hours, vip: yes."),
    ("not customer.vip", "As heard by a caller, open hours."),
    ("customer", "first name: Jan."),
    ("customer.first_name|length", "first name: Jan."),
    ("customer['tier'] == 'gold' or false", "tier: gold."),
    ("customer.vip is defined and customer.tier != 'none'", "tier: not none, vip: yes."),
    ("customer.tier in ['gold', 'silver'] and customer.visits > 4", "tier: gold, visits: 5."),
    ("customer.visits is defined and not customer.visits >= 4", "visits: 3."),
    ("18 < customer.age < 20", "age: 19."),
    ("customer.account.tier == 'gold' and caller.country == 'DE'", "Germany, open hours, account.tier: gold."),
    ("customer.city.startswith('Am')", "city: Am."),
    ("'recall' in customer.tags", "tags: recall."),
    ("caller.number.startswith('+49')", "No caller of the audience was found"),
    ("1 // 0", "No caller of the audience was found"),
]


@pytest.fixture(scope="module")
def audiences(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Phone]:
    """An app with an experiment for each audience, and without calls."""
    made = Dashboards(tmp_path_factory.mktemp("audiences"))
    files = dict(CONTENT)
    for index, (audience, _) in enumerate(AUDIENCES):
        # Of those that run, one alone may change the greeting.
        draft = with_audience(audience)[TOML].replace("running", "draft")
        folder = f"experiments/audience-{index}"
        files[f"{folder}/experiment.toml"] = f'unidentified = "per-call"\n{draft}'
        files[f"{folder}/warm/first_message.j2"] = "Hello."
    yield made("audiences", {}, {**files, **HOURS, **LINES})
    made.close()


@pytest.mark.parametrize(("audience", "says"), AUDIENCES)
def test_arms_are_shown_for_a_caller_of_the_audience(audiences: Phone, audience: str, says: str) -> None:
    """Before the first call the caller follows from the audience, and the page says who it is, or that it found none."""
    text = shown(audiences, path=f"/experiments/audience-{AUDIENCES.index((audience, says))}")
    assert (says in text, NOBODY in text) == (True, says.startswith("No caller")), text[:300]


def test_arms_are_shown_for_a_caller_like_the_others(open_app: OpenApp, database_url: str) -> None:
    """The caller is like most of the latest ones; with an audience, like most of those in it."""
    author = open_app({"greetings/first_message.de.j2": "Guten Tag."}, url=database_url)
    for index, caller in enumerate([GERMAN, GERMAN, "+31612345678", None, None, None]):
        author.ring(f"call-{index}", caller=caller)
    for index in range(9):
        author.ring(f"{REHEARSAL}{index}", caller="+447700900123")
    assert "As heard by a caller from Germany, in German." in shown(author)
    assert heard(author)["control"] == "Guten Tag."
    others = open_app({**with_audience("caller.country == 'NL'"), GREETING: "Hi."}, url=database_url)
    assert "As heard by a caller from the Netherlands." in shown(others)


def test_described_caller_is_heard(open_app: OpenApp) -> None:
    """What is entered is heard in the arms, and stays in the form, which stays open; it says who is not in the audience."""
    greeting = "Good day {{ customer.first_name }}, {{ line.name }}, {{ caller.country }}."
    author = open_app({**LINES, **with_audience("customer.vip"), "greetings/first_message.j2": greeting})
    query = f"customer.first_name=Ada&customer.vip=&country=DE&line=%2B{LINE[1:]}"
    assert heard(author, query)["control"] == "Good day Ada, Desk, DE."
    assert NOBODY in shown(author, query)
    assert NOBODY not in shown(author, "customer.vip=yes")
    text = page(author, f"{WARM}?{query}").text
    kept = ['value="Ada"', '<option value="DE" selected>', f'<option value="{LINE}" selected>', "<details open>"]
    assert [each for each in kept if each not in text] == []
    assert re.findall(r'name="customer\.(\w+)"', text) == ["first_name", "vip"]
    assert heard(author, f"{query}&who=withheld")["control"] == "Good day , Desk, ."


def test_described_moment_is_heard(open_app: OpenApp) -> None:
    """What depends on the time is heard as at the chosen moment, in the business's time zone."""
    greeting = "It is {{ now.hour }} o'clock, and we are {{ 'open' if open else 'not here' }}."
    author = open_app({**HOURS, "greetings/first_message.j2": greeting})
    query = "hours=closed&at=2025-12-15T11:30"
    assert heard(author, query)["control"] == "It is 11 o'clock, and we are open."
    assert 'value="2025-12-15T11:30"' in page(author, f"{WARM}?{query}").text
    assert "Closed. The call is rejected with this text." in shown(author, "hours=closed")


@pytest.mark.parametrize(
    ("files", "says"),
    [
        (
            {"override.json": {"assistant": {"llm_config": {"model": "gpt-4.1"}}, "max_duration_seconds": 300}},
            "Settings that differ control warm assistant.llm_config.model gpt-4o gpt-4.1 max_duration_seconds – 300",
        ),
        (
            {"override.json": {"assistant": {"llm_config": {"model": "gpt-4.1"}}}},
            "The words are the same; settings differ. System prompt as control's You are a receptionist. Settings that differ",
        ),
        (
            {"system_prompt.j2": "{% extends 'greetings/system_prompt.j2' %}{% block role %}a friend{% endblock %}"},
            "The greeting is the same; the system prompt differs. You are a receptionist friend . System prompt",
        ),
        ({"first_message.j2": "Hello."}, "warm Hello. Read aloud (browser's voice) System prompt as control's"),
        ({"first_message.j2": "Good evening."}, "warm Good day evening . Read aloud (browser's voice)"),
        (
            {"first_message.j2": "{{ 1 // 0 }}"},
            "A part of this arm fails for this caller experiments/warm-opening/warm",
        ),
        ({"first_message.j2": "Good day."}, "The arms are alike for this caller on Flireo."),
    ],
)
def test_differences_from_control_are_shown(open_app: OpenApp, files: Mapping[str, Any], says: str) -> None:
    """Words and settings that differ from control's can be seen without opening anything, or that none do."""
    folder = {f"experiments/warm-opening/warm/{name}": file for name, file in files.items()}
    author = open_app({GREETING: "Good day.", **folder})
    assert says in shown(author)
    assert ("Same settings as control." in shown(author)) == ("greeting" in says or "Read aloud" in says)


def test_arms_are_shown_for_a_caller_for_whom_they_differ(open_app: OpenApp) -> None:
    """Where only some of the audience hear a difference, the page shows one of them."""
    toml = EXPERIMENT.replace("[arms]", 'audience = "customer.vip is defined"\n[arms]')
    greeting = "{{ 'Good day.' if customer.vip else 'Hello.' }}"
    author = open_app({TOML: toml, GREETING: "Good day.", "experiments/warm-opening/warm/first_message.j2": greeting})
    assert "vip: no." in shown(author)
    assert "The arms are alike for this caller" in shown(author, "customer.vip=yes")


def test_named_agent_is_one_setting_that_differs(open_app: OpenApp) -> None:
    """An arm that names a saved agent differs in that, wherever the platform then wants the other settings."""
    named = {"assistant_id": "00000000-0000-0000-0000-000000000000"}
    files = {GREETING: "Good day.", "experiments/warm-opening/warm/override.json": named}
    text = shown(open_app({**files, "experiments/warm-opening/warm/first_message.j2": "Good day."}))
    assert text.partition("Settings that differ control warm ")[2].startswith("assistant_id – 00000000")
    assert "assistant_override" not in text


def test_alike_arm_beside_another(open_app: OpenApp) -> None:
    """Of several arms the page says which is as control."""
    toml = EXPERIMENT.replace("warm = 1", "warm = 1\nother = 1")
    author = open_app({TOML: toml, "experiments/warm-opening/other/first_message.j2": "Good day."})
    assert re.search("other Good day. Read aloud .browser's voice. The same as control.", shown(author))


def test_long_prompt_is_shortened_around_a_change(open_app: OpenApp) -> None:
    """Of a long system prompt what changed is shown with a few words around it; the whole is folded."""
    filling = "Ask for the name and the date. " * 30
    author = open_app(
        {
            "greetings/system_prompt.j2": f"{filling}Be brief. {filling}",
            GREETING: "Good day.",
            "experiments/warm-opening/warm/system_prompt.j2": f"{filling}Take your time. {filling}",
        }
    )
    part = shown(author).partition("the system prompt differs.")[2].partition("System prompt")[0]
    assert re.search(r"^ … .*the date. Be brief Take your time . Ask.* … $", part)
    assert len(part) < 300


def test_platform_can_be_chosen(open_app: OpenApp) -> None:
    """Where several platforms are enabled, the page begins with one on which an arm can differ, and offers the others."""
    files = {
        "experiments/tone/experiment.toml": "[arms]\ncontrol = 1\nwarm = 1\n",
        "experiments/tone/warm/override.retell.json": {"call_inbound": {"dynamic_variables": {"tone": "warm"}}},
    }
    author, path = open_app(files, PICKUP_RETELL_API_KEY="key_of-an-example"), "/experiments/tone"
    text = shown(author, path=path)
    assert ("on Retell." in text, "call_inbound.dynamic_variables.tone – warm" in text) == (True, True)
    assert "The arms are alike for this caller on Flireo." in shown(author, "platform=flireo", path=path)
    assert page(author, f"{path}?platform=vapi").status_code == 400
