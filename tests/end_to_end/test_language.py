"""The language of a call: chosen once, from who calls, whom they call, and what the folders have."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import phonenumbers
import pytest

from conftest import MakePhone, Phone
from flask_pickup import Pickup

STT = {
    "assistant": {
        "llm_config": {"provider": "openai", "model": "gpt-4o"},
        "stt_config": {"provider": "deepgram", "model": "nova-3", "language": "{{ language }}"},
    }
}


def speaking(*languages: str, settings: str = 'language = "en"', **files: Any) -> dict[str, Any]:
    """Return a greeting in English and in ``languages``, each of which says which it is."""
    variants = {f"greetings/first_message.{code}.j2": f"{code} {{{{ language }}}}" for code in languages}
    plain = {"greetings/first_message.j2": "plain {{ language }}", "greetings/override.json": STT}
    return {**plain, **variants, "greetings/settings.toml": settings, **files}


def knowing(customer: Any) -> Pickup:
    pickup = Pickup(clock=lambda: 1_765_627_200)
    pickup.customer(lambda _: customer)
    return pickup


def number_in(country: str) -> str:
    number = phonenumbers.example_number(country)
    assert number
    return phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164)


def heard(phone: Phone, call_id: str = "call-1", **call: Any) -> tuple[str, str]:
    """Return what a caller hears, and the language in which they are listened to."""
    assistant = phone.ring(call_id, **call).get_json()["assistant"]
    return assistant["first_message"], assistant["stt_config"]["language"]


def heard_from(phone: Phone, countries: Mapping[str, str]) -> dict[str, str]:
    return {country: heard(phone, f"from-{country}", caller=number_in(country))[1] for country in countries}


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        (
            ("nl", "fr", "de", "tr", "pl", "ar"),
            {
                "NL": "nl", "SR": "nl", "AW": "nl", "BE": "nl", "FR": "fr", "LU": "fr", "DE": "de", "AT": "de", "CH": "de",
                "GB": "en", "IE": "en", "US": "en", "CA": "en", "TR": "tr", "PL": "pl", "MA": "ar",
            },
        ),
        # The next language of a country whose first is not written, and the plain files where there is none.
        (("fr",), {"BE": "fr", "CH": "fr", "LU": "fr", "CA": "en", "IN": "en", "MT": "en", "TR": "en", "NL": "en"}),
        (("nl", "pap"), {"CW": "pap"}),
        (("nl",), {"CW": "nl"}),
    ],
)  # fmt: skip
def test_country_decides(make_phone: MakePhone, written: tuple[str, ...], expected: dict[str, str]) -> None:
    """Callers hear the language of most people in their country, of those that the folders have."""
    assert heard_from(make_phone(speaking(*written)), expected) == expected


@pytest.mark.parametrize("number", [None, "anonymous", "+80012345678"])
def test_no_country_means_the_plain_files(make_phone: MakePhone, number: Any) -> None:
    """Callers from no country hear the language of the plain files."""
    assert heard(make_phone(speaking("nl", settings='language = "en"')), caller=number) == ("plain en", "en")


def test_language_is_chosen_once(make_phone: MakePhone) -> None:
    """Opening, prompt, stt_config and the call's row have one and the same language."""
    files = speaking("nl", **{"greetings/system_prompt.j2": "Speak {{ language }} ({{ caller.language }})."})
    phone = make_phone(files)
    assistant = phone.ring().get_json()["assistant"]
    assert assistant["first_message"] == "nl nl"
    assert assistant["llm_config"]["messages"][0]["content"] == "Speak nl (nl)."
    assert assistant["stt_config"]["language"] == "nl"
    assert phone.rows("SELECT language, country FROM pickup_calls") == [("nl", "NL")]


@pytest.mark.parametrize(
    ("wanted", "spoken"),
    [
        *((known, "fr") for known in ("fr", "FR", "fr-BE", "fr_FR.UTF-8", " fr ")),
        *((other, "nl") for other in ("NL", "french", "es", "", None, 42, ["fr"], {"code": "fr"}, "{{ 1 / 0 }}", "../../etc")),
    ],
)  # fmt: skip
def test_customers_language_wins(make_phone: MakePhone, wanted: Any, spoken: str) -> None:
    """A customer's language wins over their country's; one that is not written here is as if it were not known."""
    phone = make_phone(speaking("nl", "fr"), pickup=knowing({"language": wanted}))
    assert heard(phone) == (f"{spoken} {spoken}", spoken)


LINES = """
language = "en"
[lines."+31850835037"]
language = "fr"
[lines."0850123456"]
name = "desk"
greetings = "lines/desk"
[lines."+31850987654"]
language = "es"
"""


def test_line_wins_over_country_and_customer_over_line(make_phone: MakePhone) -> None:
    """The number called has a language that wins over the caller's country; the customer's own wins over both."""
    files = speaking("nl", "fr", settings=LINES, **{"greetings/lines/desk/closed.j2": "Closed."})
    assert heard(make_phone(files))[1] == "fr"
    assert heard(make_phone(files), line="+31850123456")[1] == "nl"
    assert heard(make_phone(files, pickup=knowing({"language": "nl"})))[1] == "nl"
    assert heard(make_phone(files, pickup=knowing({"language": "xx"})))[1] == "fr"


def test_line_in_a_language_that_nothing_is_written_in(make_phone: MakePhone) -> None:
    """A line's language without files is a complaint, and its callers hear the plain files."""
    phone = make_phone(speaking("nl", "fr", settings=LINES, **{"greetings/lines/desk/closed.j2": "Closed."}))
    assert heard(phone, line="+31850987654") == ("plain en", "en")
    assert [str(complaint) for complaint in phone.app.extensions["pickup"].catalog.complaints][-1] == (
        "greetings/settings.toml:8: language 'es' of a line has neither greeting nor prompt; "
        "write first_message.es.j2, or one of: en, fr, nl"
    )


def test_expression_wins(make_phone: MakePhone) -> None:
    """The expression in settings.toml decides where there is one, over the same names as a template."""
    settings = "language = \"en\"\nspeaks = \"customer.language or ('fr' if caller.country == 'BE' else 'nl')\""
    phone = make_phone(speaking("nl", "fr", settings=settings), pickup=knowing({"language": "klingon"}))
    assert heard_from(phone, {"BE": "", "US": ""}) == {"BE": "fr", "US": "nl"}


@pytest.mark.parametrize("speaks", ["1 / 0", "customer.language.code.x", "[]", "'../x'", "'es'", "caller"])
def test_broken_expression_means_the_plain_files(make_phone: MakePhone, speaks: str) -> None:
    """An expression that fails or gives nonsense never breaks a call."""
    settings = f'language = "en"\nspeaks = "{speaks}"'
    assert heard(make_phone(speaking("nl", "fr", settings=settings))) == ("plain en", "en")


def test_languages_of_a_line_are_its_own(make_phone: MakePhone) -> None:
    """A language in one line's folder is spoken on that line alone: other lines have no texts in it."""
    files = speaking("nl", settings=LINES.replace('language = "fr"', 'name = "shop"'))
    phone = make_phone({**files, "greetings/lines/desk/first_message.fr.j2": "fr {{ language }}"})
    assert heard(phone, "call-1", caller=number_in("FR"), line="+31850123456") == ("fr fr", "fr")
    assert heard(phone, "call-2", caller=number_in("FR")) == ("plain en", "en")


ARM = "[arms]\ncontrol = 1\nwarm = 1\n[metrics.score]\n"


@pytest.mark.parametrize("status", ["draft", "paused", "running"])
def test_an_arm_adds_no_language(make_phone: MakePhone, status: str) -> None:
    """An experiment's folder adds no language: callers outside the experiment would be misheard."""
    files = speaking("nl", **{
        "experiments/bonjour/experiment.toml": f'status = "{status}"\naudience = "false"\n{ARM}',
        "experiments/bonjour/warm/first_message.fr.j2": "Bonjour",
        "greetings/partials/bye.fr.j2": "Au revoir",
    })  # fmt: skip
    assert heard(make_phone(files), caller=number_in("FR")) == ("plain en", "en")
