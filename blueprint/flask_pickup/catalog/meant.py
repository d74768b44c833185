"""What an author probably meant by a country, a language or a weekday in another spelling."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from difflib import get_close_matches
from functools import cache

import phonenumbers
from babel import Locale, localedata
from babel.core import get_global

from flask_pickup.caller import languages_of, plain_language

DAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
COUNTRIES = phonenumbers.SUPPORTED_REGIONS
"""The countries that a caller's number can be of, as two capital letters."""


def country_meant(text: str) -> str | None:
    """Return the country's code for another code, or for its name in English."""
    code = text.strip().upper()
    names = {name.upper(): code for code, name in Locale("en").territories.items()}
    found = names.get(code) or get_global("territory_aliases").get(code, [code])[0]
    return found if found in COUNTRIES else None


def language_meant(text: str, languages: Collection[str]) -> str | None:
    """Return the one of ``languages`` that another spelling of its code, or its name in English, stands for."""
    names = {name.lower(): code for code, name in Locale("en").languages.items()}
    return plain_language(names.get(text.lower(), text), languages)


def day_meant(text: str) -> str | None:
    """Return the English weekday that ``text`` is in any country's official language, or nearly."""
    names = _days()
    close = get_close_matches(text.lower(), names, n=1, cutoff=0.8)
    return names[close[0]] if close else None


@cache
def _days() -> Mapping[str, str]:
    official = {language for country in COUNTRIES for language in languages_of(country)}
    locales = [Locale(code) for code in sorted(official) if localedata.exists(code)]
    return {name.lower(): DAYS[day] for each in locales for day, name in each.days["format"]["wide"].items()}
