"""Phone numbers as carriers and people write them, read into E.164.

A number with its country's code is that number if it is possible. Digits without a code are read as a valid number: of the
region, with or without its own code, else of another country. A text that could be several numbers is none.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable
from functools import lru_cache
from typing import NamedTuple
from urllib.parse import unquote

import phonenumbers
from phonenumbers import (
    CountryCodeSource,
    NumberParseException,
    PhoneMetadata,
    PhoneNumber,
    PhoneNumberFormat,
    ValidationResult,
)

_LONGEST = 256
_CACHED = 32_768  # each of some 600 bytes

# Carriers write the same words as digits where a number is expected: 266696687 is ANONYMOUS on a keypad.
_WORDS = ("anonymous", "restricted", "unavailable", "private", "unknown", "withheld", "blocked", "unidentified")
_KEYS = str.maketrans("abcdefghijklmnopqrstuvwxyz", "22233344455566677778889999")
_KEYPAD = frozenset(word.translate(_KEYS) for word in _WORDS)

# A name beside a number. "Unknown" or "unavailable" mean the name there, and the number is good.
_WITHHELD = re.compile(
    r'[\s"]*(?:anonymous|private|restricted|withheld|blocked)(?: (?:caller|number))?[\s"]*', re.IGNORECASE
)

_ADDRESS = re.compile(
    r"\s*'?(?:(?P<scheme>sips?|tel|callto|sms|whatsapp):)?(?P<user>[^@;:]*)(?::[^@]*(?=@))?"
    r"(?P<parameters>(?:;\s*(?:[a-z][^;@]*)?)*)?(?:@(?P<host>.*))?",
    re.IGNORECASE | re.DOTALL,
)
_NOWHERE = re.compile(r"[^;:]*\.invalid\.?(?![\w.-])", re.IGNORECASE)
_CONTEXT = re.compile(r";\s*phone-context=\+([0-9]+)", re.IGNORECASE)
_EXTENSION = re.compile(r"\s*(?:x|ext\.?|extension|#|,,+)\s*[0-9]{1,7}\s*$", re.IGNORECASE)
_QUOTED = re.compile(r"^\s*=?(?P<quote>[\"'])(?P<text>.*)(?P=quote)\s*$", re.DOTALL)
_LABEL = re.compile(r"\((?P<label>[^()0-9]*)\)\s*$")
_AROUND = re.compile(r"^[\s(\[~]+|[\s)\]~\-/.]+$")
_SEPARATORS = re.compile(r"[\s\-./()\[\]~]+")
_DIALLED = re.compile(r"(?:(?:00)?\++)?[0-9]{1,25}")

# The zero of +31 (0)6 12345678 is not dialled from abroad; that of +39 (0)6 12345678 is.
_BRACKETED_ZERO = re.compile(r"([0-9][\s\-./]*)[(\[]\s*0\s*[)\]]")

# What spreadsheets make of numbers: 31612345678.0, 31.612.345.678, and -12345653 of 31-6-12345678. A comma separates nothing.
_CALCULATED = re.compile(r"[^.]*\.(?:0+|[0-9]{1,2})|.*\.0|[1-9][0-9]{0,2}(?:\.[0-9]{3})+|-.*")

# An IPv4 address: some trunks send a host where the number should be. Danes write 20.12.34.56.
_HOST = re.compile(r"\s*(?!(?:[0-9]{2}\.){3}[0-9]{2}\s*$)(?:(?:[1-9]?|1[0-9]|2[0-5])[0-9](?:\.(?=[0-9])|\s*$)){4}")

# Ranges reserved for examples and films that are not valid: British, French and Irish; and Flireo's own sample.
_EXAMPLES = re.compile(r"\+(?:44(?:1632960|7700900)[0-9]{3}|3363998[0-9]{4}|3532091[0-9]{5}|31601234567)")

# Since 2019 Mexican mobiles have no 1 after the country's code, and some carriers still send it.
_OLD_MEXICAN = re.compile(r"\+521(?=[0-9]{10}$)")

# Shorter numbers are complete only in small countries; without the country's code they are extensions.
_FEWEST_NATIONAL = 7
_FEWEST_INTERNATIONAL = 8


class WrittenNumber(NamedTuple):
    """What is read in a text.

    :param e164: such as ``+31850835037``; ``None`` if the text identifies no caller.
    :param country: ISO 3166-1 alpha-2; ``None`` also for numbers without a country, such as +800.
    :param digits: those by which another text gives the number away: without the country's code, and as it is dialled in
        the country if that differs, as Argentina's 15; empty if they are few.
    """

    e164: str | None = None
    country: str | None = None
    digits: tuple[str, ...] = ()


def read_number(text: str | None, region: str) -> WrittenNumber:
    """Return the number in a text, as a carrier or a person wrote it.

    National or international, ``tel:``, ``sip:`` or ``whatsapp:``, in any script's digits; an extension is ignored.

    :param region: the country of numbers that are written without one.
    """
    # The cache keeps no long texts of strangers.
    return WrittenNumber() if text is None or len(text) > _LONGEST else _read(text, region)


def e164(text: str | None, region: str) -> str | None:
    """Return the number in a text in E.164; see :func:`read_number`."""
    return read_number(text, region).e164


def is_withheld(text: str) -> bool:
    """Return whether a text is one of the words that carriers write for a withheld number, or empty."""
    word = plain(text).strip().lower()
    return not word or word in _WORDS or word in _KEYPAD


def plain(text: str) -> str:
    """Return a text with its digits and dashes in ASCII, and without invisible characters."""
    return text if text.isascii() else "".join(map(_plain_character, text))


@lru_cache(maxsize=_CACHED)
def _read(text: str, region: str) -> WrittenNumber:
    text = plain(unquote(text))
    dialled, place = _dialled(text, region)
    digits = dialled.lstrip("+0")
    number = _meant(dialled, place) if dialled else None
    if _BRACKETED_ZERO.search(text):
        without_zero, _ = _dialled(_BRACKETED_ZERO.sub(r"\1", text), region)
        valid = _valid_ones([number, _meant(without_zero, place) if without_zero else None])
        number = valid[0] if len(valid) == 1 else None
    national = _national(number) if number else ""
    if number is None or not _KEYPAD.isdisjoint({national, digits}) or len(set(national)) == 1:
        return WrittenNumber(digits=(digits,) if len(digits) >= _FEWEST_NATIONAL else ())
    found = _e164(number)
    given = national if len(national) >= _FEWEST_NATIONAL else found[1:]
    return WrittenNumber(found, _country(number), (given, *_dialled_within(number)))


def _dialled(text: str, region: str) -> tuple[str, str]:
    """Return the digits in a text, after a plus if there is one, and the country they are dialled in; empty if none."""
    name, _, address = text.rpartition("<")
    parts = _ADDRESS.fullmatch(_QUOTED.sub(r"\g<text>", address.partition(">")[0]))
    if parts is None or _NOWHERE.match(parts["host"] or ""):
        return "", region
    label = _LABEL.search(parts["user"])
    if _WITHHELD.fullmatch(name) or (label and _WITHHELD.fullmatch(label["label"])):
        return "", region
    user = _EXTENSION.sub("", _LABEL.sub("", parts["user"]))
    # What the number is in says nothing of what became of it: (+31612345678.0)
    bare = _AROUND.sub("", user)
    dialled = _SEPARATORS.sub("", user)
    if context := _CONTEXT.search(parts["parameters"] or ""):
        region = phonenumbers.region_code_for_country_code(int(context[1]))
    # sip:20.12.34.56 has only a host.
    is_host = (parts["scheme"] or "").lower().startswith("sip") and parts["host"] is None and "." in bare
    if is_host or _HOST.fullmatch(bare) or _CALCULATED.fullmatch(bare) or not _DIALLED.fullmatch(dialled):
        return "", region
    _, plus, digits = dialled.rpartition("+")
    # No country's code begins with 0: such a plus stands before what is dialled.
    return f"+{digits}" if plus and not digits.startswith("0") else digits, region


def _plain_character(character: str) -> str:
    if character.isdecimal():
        return str(unicodedata.decimal(character))
    # Normalisation would turn raised and circled digits into digits of a number.
    if character.isnumeric():
        return character
    category = unicodedata.category(character)
    if category == "Cf":
        return ""
    return "-" if category == "Pd" or character == "\N{MINUS SIGN}" else unicodedata.normalize("NFKC", character)


def _meant(dialled: str, region: str) -> PhoneNumber | None:
    """Return the number that is meant; ``None`` if that is not clear."""
    if dialled.startswith("+"):
        return _with_code(dialled)
    local = _parsed(dialled, region)
    is_prefixed = local is not None and local.country_code_source == CountryCodeSource.FROM_NUMBER_WITH_IDD
    home = None if is_prefixed or not _is_whole(local, dialled, region) else _valid(local)
    with_code = _with_code(f"+{dialled.removeprefix('00')}") if len(dialled) >= _FEWEST_INTERNATIONAL else None
    if home:
        abroad = _valid(with_code)
        if abroad and abroad.country_code == home.country_code:
            return abroad
        # Where lengths vary, as in Germany, most foreign numbers are valid at home too, but for the 0 that is missing.
        at_home = phonenumbers.format_number(home, PhoneNumberFormat.NATIONAL)
        lacks_zero = at_home.startswith("0") and not dialled.startswith("0")
        return None if abroad and lacks_zero else home
    # Some prefixes for calls abroad look like the start of a country's code: 99 in Finland, 0011 in Australia.
    readings = [with_code, _with_code(_e164(local)) if local and is_prefixed else None]
    if found := _valid_ones(readings):
        return None if len(found) > 1 else found[0]
    return next(filter(None, readings), None) if dialled.startswith("0") else None


def _with_code(dialled: str) -> PhoneNumber | None:
    """Return a number with its country's code. It need not be valid: it may be younger than the library's tables."""
    dialled = _OLD_MEXICAN.sub("+52", dialled)
    number = _parsed(dialled)
    if number is None or _valid(number):
        return number
    # A trunk prefix too many is recognised in a valid number only.
    is_possible = phonenumbers.is_possible_number_with_reason(number) == ValidationResult.IS_POSSIBLE
    is_complete = len(_national(number)) >= _FEWEST_NATIONAL and _e164(number) == dialled
    return number if is_possible and is_complete else None


def _is_whole(number: PhoneNumber | None, dialled: str, region: str) -> bool:
    """Return whether a number without its country's code is more than an extension."""
    trunk = phonenumbers.ndd_prefix_for_region(region, strip_non_digits=True) or ""
    return number is not None and (len(_national(number)) >= _FEWEST_NATIONAL or dialled.startswith(trunk))


def _valid(number: PhoneNumber | None) -> PhoneNumber | None:
    is_valid = number and (phonenumbers.is_valid_number(number) or _EXAMPLES.fullmatch(_e164(number)))
    return number if is_valid else None


def _valid_ones(readings: Iterable[PhoneNumber | None]) -> list[PhoneNumber]:
    """Return the different valid numbers of some readings."""
    return list({_e164(number): number for number in readings if number and _valid(number)}.values())


def _parsed(dialled: str, region: str | None = None) -> PhoneNumber | None:
    try:
        return phonenumbers.parse(dialled, region, keep_raw_input=True)
    except NumberParseException:
        return None


def _e164(number: PhoneNumber) -> str:
    return phonenumbers.format_number(number, PhoneNumberFormat.E164)


def _dialled_within(number: PhoneNumber) -> tuple[str, ...]:
    """Return the digits that are dialled within a country, without zeros before them, where they may be others."""
    main = phonenumbers.region_code_for_country_code(number.country_code or 0)
    metadata = PhoneMetadata.metadata_for_region(main, None)
    # To format each number would make reading slower by half.
    if metadata is None or metadata.national_prefix_transform_rule is None:
        return ()
    digits = re.sub("[^0-9]", "", phonenumbers.format_number(number, PhoneNumberFormat.NATIONAL)).lstrip("0")
    return (digits,) if len(digits) >= _FEWEST_NATIONAL else ()


def _national(number: PhoneNumber) -> str:
    return phonenumbers.national_significant_number(number)


def _country(number: PhoneNumber) -> str | None:
    # A number that is not valid is in none of the countries that share its code; the main one is the best guess.
    main = phonenumbers.region_code_for_country_code(number.country_code or 0)
    country = phonenumbers.region_code_for_number(number) or main
    return country if country in phonenumbers.SUPPORTED_REGIONS else None
