"""Callers: their country, language and pseudonym, and the ids of their calls, which hold no number.

A caller is unidentified if the carrier sent a withheld number, a PBX extension, an emergency or short number, one of the
business's own numbers, or digits that could be several people's.
"""

from __future__ import annotations

import hmac
import re
from collections.abc import Collection, Iterable
from dataclasses import dataclass, field
from functools import lru_cache
from secrets import token_bytes
from urllib.parse import unquote

from babel.languages import get_official_languages

from flask_pickup.phone_numbers import e164, plain, read_number

REHEARSAL = "pickup-rehearsal-"

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
    found = read_number(number, region)
    if found.e164 is None or found.e164 in own:
        return UNIDENTIFIED
    language = language_in(found.country, languages)
    return Caller(found.e164, found.country, language, key=caller_key(secret, found.e164))


def caller_key(secret: str, number: str) -> str:
    """Return the pseudonym of an E.164 number: 32 hexadecimal digits of an HMAC."""
    return _hmac(secret, number.encode())


def keys_of(text: str, region: str, secrets: Iterable[str]) -> tuple[str, ...]:
    """Return the pseudonyms of a number as a person wrote it, one per secret; none if it is not a phone number."""
    number = e164(text, region)
    return tuple(caller_key(secret, number) for secret in secrets) if number else ()


def key_of(text: str, *, region: str, secret: str) -> str | None:
    """Return the pseudonym of a number as a person wrote it; ``None`` if it is not a phone number."""
    return next(iter(keys_of(text, region, [secret])), None)


def new_call_id(secret: str, platform: str, body: bytes, signed_at: float | None, *, has_time: bool) -> str:
    """Return an id for a call whose request has none. It follows from what tells calls apart, so that a retry has the same.

    :param signed_at: tells calls apart where the body does not; with neither, the id is random.
    :param has_time: whether the body holds the time of its event.
    """
    if has_time:
        stamp = b""
    elif signed_at is not None:
        stamp = f"{signed_at:.0f}".encode()
    else:
        stamp = token_bytes()
    return f"{platform}-" + _hmac(secret, platform.encode() + b":" + stamp + b"." + body)


def pseudonymous_call_id(secret: str, call_id: str) -> str:
    """Return what replaces an id that holds the caller's number. A rehearsal's keeps its prefix."""
    prefix = REHEARSAL if call_id.startswith(REHEARSAL) else "call-"
    # The host may give an id that holds half a surrogate pair.
    return prefix + _hmac(secret, f"call:{call_id}".encode("utf-8", "surrogatepass"))


def holds_digits(call_id: str, digits: Iterable[str]) -> bool:
    """Return whether an id holds one of a number's spellings in digits, whatever stands between them."""
    written = [_compact(text) for text in _spellings(call_id)]
    return any(spelling in text for spelling in digits for text in written)


def holds_number(call_id: str, region: str) -> bool:
    """Return whether an id has a phone number between its separators, whosever it is."""
    return any(e164(part, region) for text in _spellings(call_id) for part in re.split(r"[^\w+]|_", text))


def could_be_of_number(call_id: str) -> bool:
    """Return whether an id has as many digits as the shortest phone number."""
    return any(_DIGITS.search(text) for text in _spellings(call_id))


def without_numbers(text: str) -> str:
    """Return ``text`` with three dots for digits that could be somebody's number."""
    return _DIGITS.sub("…", text)


def could_hold_number(name: str) -> bool:
    """Return whether a name has as many digits in a row as a phone number; a date has fewer."""
    return _LONG_RUN.search(_compact(name)) is not None


def is_written_as(number: str | None, value: float) -> bool:
    """Return whether ``value`` is a caller's E.164 number, or most of it, read as an amount."""
    digits = str(int(value)) if value == value // 1 else ""
    return number is not None and len(digits) >= _FEWEST_DIGITS and number.endswith(digits)


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


def _spellings(call_id: str) -> set[str]:
    """Return an id as it is, and without percent-encoding."""
    return {call_id, unquote(call_id)}


def _compact(text: str) -> str:
    return _BETWEEN.sub("", plain(text))


def _hmac(secret: str, message: bytes) -> str:
    return hmac.digest(secret.encode(), message, "sha256")[:16].hex()
