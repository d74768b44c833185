"""Callers: their number in one spelling, country, language and pseudonym.

A caller is unidentified if the carrier sent a withheld number, a PBX extension, an emergency or short number, one of the
business's own numbers, or junk. A caller whose number is possible is identified; it need not be valid.
"""

from __future__ import annotations

import hmac
import re
import unicodedata
from collections.abc import Collection
from dataclasses import dataclass, field
from functools import lru_cache
from urllib.parse import unquote

import phonenumbers
from babel.languages import get_official_languages
from phonenumbers import (
    COUNTRY_CODE_TO_REGION_CODE,
    NumberParseException,
    PhoneNumber,
    PhoneNumberFormat,
    ValidationResult,
)
from phonenumbers.shortnumberinfo import is_valid_short_number

REHEARSAL = "pickup-rehearsal-"
_LONGEST = 256
_CACHED = 32_768  # each of some 400 bytes

# Carriers write the same words as digits where a number is expected: 266696687 is ANONYMOUS on a keypad.
_WORDS = ("anonymous", "restricted", "unavailable", "private", "unknown", "withheld", "blocked", "unidentified")
_KEYS = str.maketrans("abcdefghijklmnopqrstuvwxyz", "22233344455566677778889999")
_KEYPAD = frozenset(word.translate(_KEYS) for word in _WORDS)

# A name beside a number. "Unknown" or "unavailable" mean the name there, and the number is good.
_WITHHELD = re.compile(
    r'[\s"]*(?:anonymous|private|restricted|withheld|blocked)(?: (?:caller|number))?[\s"]*', re.IGNORECASE
)

_ADDRESS = re.compile(
    r"\s*(?:(?P<scheme>sips?|tel):)?(?P<user>[^@;]*)(?P<parameters>;[^@]*)?(?:@(?P<host>.*))?",
    re.IGNORECASE | re.DOTALL,
)
_NOWHERE = re.compile(r"[^;:]*\.invalid\.?(?![\w.-])", re.IGNORECASE)
_CONTEXT = re.compile(r";\s*phone-context=\+([0-9]+)", re.IGNORECASE)
_EXTENSION = re.compile(r"\s*(?:x|ext\.?|extension|#|,+)\s*[0-9]{1,7}\s*$", re.IGNORECASE)
_SEPARATORS = re.compile(r"[\s\-./()\[\]~]+")
_DIALLED = re.compile(r"\+?[0-9]{1,25}")

# Shorter numbers are complete only in small countries, and extensions everywhere.
_SHORT_NATIONAL = 7
_SHORTEST = len("+6834000")

# Ids that hold runs of digits by chance. A UUID needs RFC 9562's version and variant, because a number padded with zeros
# looks like one otherwise.
_HEX = "[0-9a-f]"
_UUID = f"{_HEX}{{8}}-{_HEX}{{4}}-[1-8]{_HEX}{{3}}-[89ab]{_HEX}{{3}}-{_HEX}{{12}}"
_HARMLESS = re.compile(f"(?:{REHEARSAL})?{_UUID}|(?:[a-z]+-|{REHEARSAL}){_HEX}{{32}}", re.IGNORECASE)
_BETWEEN = re.compile(r"[\W_]+")
_LONG_RUN = re.compile(r"[0-9]{9}")
_FEWEST_DIGITS = 7
_DIGITS = re.compile(rf"\+?\d(?:[\W_]*\d){{{_FEWEST_DIGITS - 1},}}")


@dataclass(frozen=True, slots=True)
class Caller:
    """A caller; every field of an unidentified one is ``None``.

    :param number: in E.164.
    :param country: ISO 3166-1 alpha-2; ``None`` also for numbers without a country, such as +800.
    :param language: ISO 639, the likeliest in the caller's country of those that the content has.
    :param key: the caller's pseudonym, 32 hexadecimal digits.
    """

    number: str | None = field(repr=False)
    country: str | None
    language: str | None
    key: str | None

    @property
    def identified(self) -> bool:
        """Whether the caller can be told from others."""
        return self.key is not None

    @property
    def short_key(self) -> str:
        """The pseudonym's first digits, for logs."""
        return self.key[:8] if self.key else "unidentified"


UNIDENTIFIED = Caller(number=None, country=None, language=None, key=None)


def identify(
    number: str | None, *, own: Collection[str | None], region: str, secret: str, languages: Collection[str]
) -> Caller:
    """Return the caller with a number.

    :param number: as the carrier spelled it.
    :param own: the business's own numbers in E.164, which a forwarded line shows for every caller.
    :param region: the country of numbers that are written without one.
    :param secret: keys the pseudonyms.
    :param languages: those of the content.
    """
    found, country = _written(number, region)
    if found is None or found in own:
        return UNIDENTIFIED
    return Caller(found, country, language_in(country, languages), key=caller_key(secret, found))


def caller_key(secret: str, number: str) -> str:
    """Return the pseudonym of an E.164 number: 32 hexadecimal digits of an HMAC."""
    return _hmac(secret, number.encode())


def key_of(text: str, *, region: str, secret: str) -> str | None:
    """Return the pseudonym of a number as a person wrote it; ``None`` if it is not a phone number."""
    number = e164(text, region)
    return caller_key(secret, number) if number else None


def body_call_id(secret: str, platform: str, stamp: bytes, body: bytes) -> str:
    """Return an id for a call whose event has none, from its body and signed time: a retry has the same."""
    return f"{platform}-" + _hmac(secret, platform.encode() + b":" + stamp + b"." + body)


def pseudonymous_call_id(secret: str, call_id: str, number: str | None) -> str:
    """Return ``call_id``, or a pseudonym of it if it could hold somebody's number.

    It depends mostly on the id alone, so that a report without the number joins its call. A rehearsal's id keeps its
    prefix, and a pseudonym is its own pseudonym.

    :param number: the caller's in E.164, if it is known.
    """
    compact = _compact(call_id)
    could_hold_one = _LONG_RUN.search(compact) and not _HARMLESS.fullmatch(call_id)
    if not (could_hold_one or any(digits in compact for digits in _digit_forms(number))):
        return call_id
    prefix = REHEARSAL if call_id.startswith(REHEARSAL) else "call-"
    # The id may hold half a surrogate pair.
    return prefix + _hmac(secret, f"call:{call_id}".encode("utf-8", "surrogatepass"))


def without_numbers(text: str) -> str:
    """Return ``text`` with three dots for digits that could be somebody's number."""
    return _DIGITS.sub("…", text)


def could_hold_number(name: str) -> bool:
    """Return whether a name has as many digits in a row as a phone number; a date has fewer."""
    return _LONG_RUN.search(_compact(name)) is not None


def is_written_as(number: str | None, value: float) -> bool:
    """Return whether ``value`` is a caller's E.164 number, read as an amount."""
    return value == value // 1 and str(int(value)) in _digit_forms(number)


def e164(text: str | None, region: str) -> str | None:
    """Return the number in ``text`` in E.164, such as ``+31850835037``; ``None`` if it identifies no caller.

    :param text: as a carrier or a person wrote it: national or international, ``tel:`` or ``sip:``, in any script's
        digits; an extension is ignored.
    :param region: the country of numbers that are written without one.
    """
    return _written(text, region)[0]


def language_in(country: str | None, languages: Collection[str]) -> str | None:
    """Return the language that most people in a country speak of some ``languages``."""
    return next((spoken for spoken in languages_of(country) if spoken in languages), None)


@lru_cache(maxsize=512)
def languages_of(country: str | None) -> tuple[str, ...]:
    """Return the codes of a country's official languages, that of most people first."""
    official = get_official_languages(country, de_facto=True) if country else ()
    return tuple(dict.fromkeys(language.partition("_")[0] for language in official))


def plain_language(wanted: object, languages: Collection[str]) -> str | None:
    """Return the one of ``languages`` that is meant, such as ``nl`` by ``NL``, ``nl-BE`` or ``nl_BE``; else None."""
    if not isinstance(wanted, str):
        return None
    code = re.split("[-_]", wanted.strip(), maxsplit=1)[0].lower()
    return code if code in languages else None


# --- numbers ----------------------------------------------------------------------------------------------------------


def _written(text: str | None, region: str) -> tuple[str | None, str | None]:
    """Return the E.164 number in ``text`` and its country."""
    # The cache keeps no long texts of strangers.
    return (None, None) if text is None or len(text) > _LONGEST else _read(text, region)


@lru_cache(maxsize=_CACHED)
def _read(text: str, region: str) -> tuple[str | None, str | None]:
    dialled, region = _dialled(text, region)
    if dialled is None or _is_sentinel(dialled.lstrip("+0"), region):
        return None, None
    number = _parse(dialled, region) or _parse(re.sub("^00", "+", dialled), region)
    if number is None or not _is_somebodys(number, dialled, region):
        return None, None
    found = phonenumbers.format_number(number, PhoneNumberFormat.E164)
    # A number with a trunk prefix too many changes when it is parsed again.
    return (found, _country(number)) if len(found) >= _SHORTEST and _parsed(found, None) == number else (None, None)


def _dialled(text: str, region: str) -> tuple[str | None, str]:
    """Return the digits in ``text``, after a plus if there is one, and the country they are dialled in."""
    name, _, address = _plain(unquote(text)).rpartition("<")
    parts = _ADDRESS.fullmatch(address.partition(">")[0])
    if parts is None or _WITHHELD.fullmatch(name) or _NOWHERE.match(parts["host"] or ""):
        return None, region
    dialled = _SEPARATORS.sub("", _EXTENSION.sub("", parts["user"]))
    if context := _CONTEXT.search(parts["parameters"] or ""):
        region = phonenumbers.region_code_for_country_code(int(context[1]))
    # sip:192.0.2.1 has only a host.
    is_host = (parts["scheme"] or "").lower().startswith("sip") and parts["host"] is None and dialled[:1] != "+"
    return (None if is_host or not _DIALLED.fullmatch(dialled) else dialled), region


def _compact(text: str) -> str:
    return _BETWEEN.sub("", _plain(text))


def _plain(text: str) -> str:
    return text if text.isascii() else "".join(map(_plain_character, text))


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


def _parse(dialled: str, region: str) -> PhoneNumber | None:
    """Return the number if it is complete: many people share a local part."""
    number = _parsed(dialled, None if dialled.startswith("+") else region)
    if number and phonenumbers.is_possible_number_with_reason(number) == ValidationResult.IS_POSSIBLE:
        return number
    return None


def _is_sentinel(digits: str, region: str) -> bool:
    prefixes = ("", "1", str(phonenumbers.country_code_for_region(region)))
    return any(digits.removeprefix(prefix) in _KEYPAD for prefix in prefixes)


def _is_somebodys(number: PhoneNumber, dialled: str, region: str) -> bool:
    national = phonenumbers.national_significant_number(number)
    if national in _KEYPAD or len(set(national)) == 1:
        return False
    if len(national) >= _SHORT_NATIONAL:
        return True
    trunk = phonenumbers.ndd_prefix_for_region(region, strip_non_digits=True) or ""
    is_whole = dialled.startswith(("+", trunk))
    return is_whole and phonenumbers.is_valid_number(number) and not is_valid_short_number(number)


@lru_cache(maxsize=64)
def _parsed(dialled: str, region: str | None) -> PhoneNumber | None:
    try:
        return phonenumbers.parse(dialled, region)
    except NumberParseException:
        return None


def _country(number: PhoneNumber) -> str | None:
    # A number that is not valid is in none of the countries that share its code; the main one is the best guess.
    main = phonenumbers.region_code_for_country_code(number.country_code or 0)
    country = phonenumbers.region_code_for_number(number) or main
    return country if country in phonenumbers.SUPPORTED_REGIONS else None


# --- pseudonyms -------------------------------------------------------------------------------------------------------


def _digit_forms(number: str | None) -> tuple[str, ...]:
    if number is None:
        return ()
    digits = number.removeprefix("+")
    # No country's code is a prefix of another's.
    national = next((digits[end:] for end in (1, 2, 3) if int(digits[:end]) in COUNTRY_CODE_TO_REGION_CODE), "")
    return tuple(form for form in (digits, national) if len(form) >= _FEWEST_DIGITS)


def _hmac(secret: str, message: bytes) -> str:
    return hmac.digest(secret.encode(), message, "sha256")[:16].hex()
