"""What an author probably meant by a country, a language or a weekday in another spelling."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from difflib import get_close_matches
from functools import cache

import phonenumbers
from babel import Locale, localedata
from babel.core import get_global

from flask_pickup.caller import languages_of, plain_language

DAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
COUNTRIES = phonenumbers.SUPPORTED_REGIONS
"""The countries that a caller's number can be of, as two capital letters."""


def country_meant(text: str, languages: Iterable[str] = ()) -> str | None:
    """Return the country's code for another code, a dialling code, or a name in English or one of ``languages``."""
    text = text.strip()
    digits = text.lstrip("+0")
    of_number = phonenumbers.region_code_for_country_code(int(digits)) if digits.isdecimal() else ""
    # A country that was divided has several codes now.
    [code, *others] = get_global("territory_aliases").get(text.upper(), [text.upper()])
    found: str | None = next((each for each in (code, of_number) if each in COUNTRIES and not others), None)
    return found or _coded(text, (locale.territories for locale in _locales(languages)), COUNTRIES)


def language_meant(text: str, languages: Collection[str]) -> str | None:
    """Return the one of ``languages`` that another code or a name, in English or one of them, stands for."""
    code = get_global("language_aliases").get(text.lower(), text)
    return plain_language(code, languages) or _coded(text, (each.languages for each in _locales(languages)), languages)


def day_meant(text: str) -> str | None:
    """Return the English weekday that ``text`` is in any country's official language, or nearly."""
    names = _days()
    close = get_close_matches(text.lower(), names, n=1, cutoff=0.8)
    return names[close[0]] if close else None


def _coded(name: str, names: Iterable[Mapping[str, str]], codes: Collection[str]) -> str | None:
    """Return the code of a name, in any of several languages' names by code."""
    return next((code for each in names for code in codes if each.get(code, "").lower() == name.lower()), None)


def _locales(languages: Iterable[str]) -> list[Locale]:
    return [Locale.parse(code) for code in sorted({"en", *languages}) if localedata.exists(code)]


@cache
def _days() -> Mapping[str, str]:
    """Return each weekday's full name and English abbreviation, with the English name."""
    official = {language for country in COUNTRIES for language in languages_of(country)}
    names = {day[:3]: day for day in DAYS}
    for locale in _locales(official):
        names = {name.lower(): DAYS[day] for day, name in locale.days["format"]["wide"].items()} | names
    return names
