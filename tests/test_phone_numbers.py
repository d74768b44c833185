"""Every spelling of a number is one caller, and no text is somebody else."""

from __future__ import annotations

import re
from collections.abc import Callable

import phonenumbers
import pytest
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st
from phonenumbers import PhoneNumber, PhoneNumberFormat, PhoneNumberType

from flask_pickup.phone_numbers import e164, read_number


def in_format(number: PhoneNumber, style: int = PhoneNumberFormat.E164) -> str:
    return phonenumbers.format_number(number, style)


TYPES = [value for name, value in vars(PhoneNumberType).items() if name.isupper()]
OF_COUNTRIES = {
    in_format(number): country
    for country in sorted(phonenumbers.SUPPORTED_REGIONS)
    for kind in TYPES
    if (number := phonenumbers.example_number_for_type(country, kind))
}
"""The library's examples of every kind of number in every country."""

OF_NO_COUNTRY = [
    in_format(number)
    for code in sorted(phonenumbers.COUNTRY_CODES_FOR_NON_GEO_REGIONS)
    if (number := phonenumbers.example_number_for_non_geo_entity(code))
]

RESERVED = {
    "US": ("+12015550100", "+12015550123", "+14165550199"),
    "GB": ("+447700900000", "+447700900999", "+441632960001", "+442079460018", "+442896496012", "+443069990123"),
    "FR": ("+33199001234", "+33261911234", "+33536491234", "+33639981234"),
    "IE": ("+353209101234", "+353209191234"),
    "DE": ("+493023125017", "+4915228817386"),
    "AU": ("+61255501234", "+61491570006"),
    "SE": ("+46701740605", "+46846500412"),
    "NL": ("+31612345678", "+31601234567"),
}
NUMBERS = OF_COUNTRIES | {number: country for country, found in RESERVED.items() for number in found}

countries = st.sampled_from(sorted(phonenumbers.SUPPORTED_REGIONS))
numbers = st.sampled_from(sorted(NUMBERS))
separators = st.sampled_from(["", " ", "-", "/", "\N{NO-BREAK SPACE}", "\N{EN DASH}", "\N{THIN SPACE}", "  "])
zeros = st.sampled_from([ord("0"), 0xFF10, 0x0660, 0x06F0, 0x0966, 0x1D7CE])
"""The zero of ASCII, full-width, Arabic, Persian, Devanagari and mathematical digits."""

INTERNATIONAL: list[Callable[[str], str]] = [
    *(str, "+{}".format, lambda number: "00" + number[1:], lambda number: "+00" + number[1:], "00{}".format),
    lambda number: in_format(phonenumbers.parse(number), PhoneNumberFormat.INTERNATIONAL),
    lambda number: in_format(phonenumbers.parse(number), PhoneNumberFormat.RFC3966),
]


OTHER_PREFIXES = {
    country
    for country in phonenumbers.SUPPORTED_REGIONS
    if (metadata := phonenumbers.PhoneMetadata.metadata_for_region(country)) and metadata.international_prefix != "00"
}
"""Countries where not 00, or not 00 alone, is dialled before a number abroad: 011, 8~10, 00 and a carrier's digit."""

WRAPPINGS = [
    *("{}", "  {} ", "{}\n", "tel:{}", "TEL:{}", "tel:{};isub=1", "whatsapp:{}", "WhatsApp:{}", "callto:{}", "sms:{}"),
    *("sip:{}@carrier.example", "sip:{}@carrier.example;user=phone", "{}@carrier.example"),
    *("SIPS:{}@192.0.2.1:5061;transport=tls;user=phone", "<sip:{}@carrier.example;user=phone>"),
    *("sip:{}:secret@carrier.example", "sip:{}:12345678@carrier.example", "sip:{};cpc=ordinary:secret@192.0.2.1:5060"),
    *('"Jan de Vries" <sip:{}@carrier.example>;tag=1x2', "Unknown <tel:{}>"),
    *('"{}"', "'{}'", '="{}"'),
]
EXTENSIONS = ["", " (mobile)", " (Jan)", " x12 (work)", "x12", " ext. 12", " extension 12", "#12", ",,12", ";ext=12"]


@st.composite
def wrapped(draw: st.DrawFn, text: str) -> str:
    """A number as carriers, telephone books and people write it."""
    text = text.removeprefix("tel:")
    if between := draw(separators):
        places = draw(st.sets(st.integers(2, len(text) - 1), max_size=4))
        text = "".join(between + char if place in places else char for place, char in enumerate(text))
    text = draw(st.sampled_from(["{}", "({})", "[{}]"])).format(text) if ";" not in text else text
    text += "" if ";ext=" in text else draw(st.sampled_from(EXTENSIONS))
    zero = draw(zeros)
    text = "".join(chr(zero + int(char)) if char in "0123456789" else char for char in text)
    if draw(st.booleans()):
        text = text.replace("+", "\N{FULLWIDTH PLUS SIGN}")
    return draw(st.sampled_from(WRAPPINGS)).format(text)


@settings(max_examples=500)
@given(st.data(), numbers | st.sampled_from(OF_NO_COUNTRY), countries, st.sampled_from(INTERNATIONAL))
def test_number_with_its_code_is_one_caller(
    data: st.DataObject, number: str, region: str, spelling: Callable[[str], str]
) -> None:
    """A number with a plus is itself whatever the region, however a carrier wraps it; two zeros may be a prefix there."""
    text = spelling(number)
    unclear = {None} if re.match(r"\+?00[0-9]", text) and region in OTHER_PREFIXES else set()
    assert e164(data.draw(wrapped(text)), region) in {number, *unclear}


@settings(max_examples=300)
@given(st.data(), numbers)
def test_national_number_is_one_caller(data: st.DataObject, number: str) -> None:
    """A number without its country's code is the region's; fewer than seven digits may be an extension."""
    text = in_format(phonenumbers.parse(number), PhoneNumberFormat.NATIONAL)
    assume(len(re.sub(r"\D", "", text)) >= 7)
    assert e164(data.draw(wrapped(text)), NUMBERS[number]) == number


@settings(max_examples=300)
@given(numbers, countries)
def test_number_after_a_prefix_is_one_caller_or_none(number: str, region: str) -> None:
    """A number after the region's prefix for calls abroad, such as 011 or 8~10, is itself if nothing else can be meant."""
    text = phonenumbers.format_out_of_country_calling_number(phonenumbers.parse(number), region)
    assert e164(text, region) in {number, None}
    assert e164(text, region) == number or region in OTHER_PREFIXES


@settings(max_examples=1000)
@given(numbers, countries)
@example("+12015550123", "NL")
@example("+32475123456", "NL")
@example("+4915228817386", "DE")
@example("+994401234567", "KP")
@example("+3114020", "NL")
def test_digits_without_plus_are_one_caller_or_none(number: str, region: str) -> None:
    """Digits with the region's own code are that number, then a valid one of the region wins, then they are themselves.

    A number of the region that lacks its 0, and is valid abroad, is nobody's; so are seven digits that may be a local number.
    """
    found = e164(number[1:], region)
    code = phonenumbers.country_code_for_region(region)
    national = phonenumbers.parse(number[1:], region)
    if phonenumbers.parse(number).country_code == code:
        assert found == number or (found is None and len(number) <= len("+1234567"))
    elif national.country_code == code and phonenumbers.is_valid_number(national):
        is_short = len(in_format(national)) < len(f"+{code}") + 7
        at_home = in_format(national, PhoneNumberFormat.NATIONAL)
        lacks_zero = at_home.startswith("0") and not number.startswith("+0") and len(number) > len("+1234567")
        assert found == (None if lacks_zero else in_format(national)) or (found is None and is_short)
    else:
        assert found in {number, None}
        assert found or len(number) <= 8 or region in OTHER_PREFIXES


@given(countries, st.ip_addresses(v=4).map(str), st.sampled_from(("{}", "<{}>", "tel:{}", "sip:{}@{}", " {}")))
@example("NL", "203.0.113.77", "{}")
def test_host_in_place_of_a_number_is_nobody(region: str, address: str, spelling: str) -> None:
    """An IPv4 address, which some trunks send, is no number, but for one of four pairs of digits."""
    assume(not re.fullmatch(r"(\d\d\.){3}\d\d", address))
    assert e164(spelling.format(address, address), region) is None


def test_pairs_of_digits_are_a_number() -> None:
    """Danish numbers are written as four pairs."""
    assert e164("20.12.34.56", "DK") == "+4520123456"


BESIDE = [
    *(
        "{}",
        " {} ",
        "({})",
        "[{}]",
        "{}-",
        "{}/",
        "{}.",
        "~{}",
        '"{}"',
        "'{}'",
        '="{}"',
        "{} x1",
        "{}#1",
        "({}) ext. 12",
    ),
    *("[{}]x1", "({}) (mobile)", '"{} (home)"', "Jan <{}>", "tel:{}", "tel:{};ext=1", "sip:{}@carrier.example"),
]


@given(numbers, countries)
@example("+493012345", "DE")
def test_what_a_spreadsheet_made_of_a_number_is_nobody(number: str, region: str) -> None:
    """Decimals, exponents and thousands separators are refused: their digits may be another's."""
    value = int(number)
    grouped = f"{value:,}"
    made = [
        f"{number[:3]}.{number[3:]}.0",
        f"{number}.0",
        f"{number},0",
        f"{value}.0",
        f"{value},00",
        f"{value}.000",
        f"{value:.2E}",
        f"{value:+.4E}",
    ]
    made += [f"{number[:-2]}.{number[-2:]}", f"{value // 100},{value % 100:02}"]
    made += [f"{value:.6E}".replace(".", ","), grouped, f"{grouped}.00", grouped.replace(",", "."), f"-{value}"]
    written = [spelling.format(text) for text in made for spelling in BESIDE]
    assert {text: e164(text, region) for text in written} == dict.fromkeys(written)


@given(st.text(st.characters(codec="utf-8") | st.sampled_from("+0123456789-() ;:@<>tel:sip"), max_size=40), countries)
@example("000727783449241", "DE")
def test_any_text_is_one_number_or_none(text: str, region: str) -> None:
    """Whatever is sent is one number that reads back as itself, or none; nothing raises."""
    found = e164(text, region)
    assert found is None or e164(found, region) == found
    assert found is None or phonenumbers.is_possible_number(phonenumbers.parse(found))


@pytest.mark.parametrize(
    ("text", "region", "number"),
    [
        ("tel:2015550123;phone-context=+1", "NL", "+12015550123"),
        ("sip:31612345678", "US", "+31612345678"),
        ("sip:0612345678", "NL", "+31612345678"),
        ("sip:example.com", "NL", None),
        ("sip:20.12.34.56", "DK", None),
        ("+31612345678 (anonymous)", "NL", None),
        ("+31612345678 (Private number)", "NL", None),
        ("0475123456", "BE", "+32475123456"),
        ("436641234567", "DE", None),
        ("+31612345678;+31687654321", "NL", None),
        ("sip:+31612345678;user=phone@example.com;transport=tls", "NL", "+31612345678"),
        ("06.12.34.56.78", "NL", "+31612345678"),
        ("201.555.0123", "US", "+12015550123"),
        ("'+31612345678", "NL", "+31612345678"),
        ("+33.1.99.00.12.00", "NL", "+33199001200"),
        ("01.99.00.12.00", "FR", "+33199001200"),
        ("+49.30.12345.0", "NL", None),
        ("31 (0)6 12345678", "NL", "+31612345678"),
        ("+31 (0)6 12345678", "US", "+31612345678"),
        ("+31[0]612345678", "US", "+31612345678"),
        ("sip:0031-(0)6-12345678@carrier.example", "NL", "+31612345678"),
        ("+44 (0)7700 900123", "NL", "+447700900123"),
        ("+420 (0)601123456", "NL", "+420601123456"),
        ("+30 (0)6912345678", "NL", "+306912345678"),
        ("+352 (0)628123456", "NL", "+352628123456"),
        ("+852 (0)51234567", "NL", "+85251234567"),
        ("+39 (0)6 69821234", "NL", "+390669821234"),
        ("(0)6 12345678", "NL", "+31612345678"),
        # Valid both with the zero and without it, or neither.
        ("+39 (0)3123456789", "NL", None),
        ("+31 (0)6 02345678", "NL", None),
        ("%2B31612345678", "NL", "+31612345678"),
        ("00+31612345678", "US", "+31612345678"),
        ("+01131612345678", "US", "+31612345678"),
        ("\N{LEFT-TO-RIGHT EMBEDDING}+31612345678\N{POP DIRECTIONAL FORMATTING}", "NL", "+31612345678"),
        ("+39 06 6982", "NL", "+39066982"),
        ("+6834000", "NL", "+6834000"),
        # Not valid in the library's tables, as numbers of a new range are not.
        ("+31612345678".replace("61", "60"), "NL", "+31602345678"),
        # The old 1 of Mexican mobiles.
        ("+5215512345678", "NL", "+525512345678"),
        ("+52 1 33 1234 5678", "US", "+523312345678"),
        ("5215512345678", "MX", "+525512345678"),
        ("005215512345678", "NL", "+525512345678"),
        # Argentina's 15 within the country is its 9 from abroad.
        ("011 15-2345-6789", "AR", "+5491123456789"),
        # A plus before what is dialled within the country.
        ("+0612345678", "NL", "+31612345678"),
        # Possible in the region and valid nowhere.
        ("0602345678", "NL", None),
        ("5551234", "US", None),
        ("+39 06 6982 / +31612345678", "NL", None),
    ],
)
def test_number_is_read_as_people_write_it(text: str, region: str, number: str | None) -> None:
    """A number without a country's code is one of the region, or of the country that it names itself."""
    assert e164(text, region) == number


def test_country_of_a_number() -> None:
    """A number that is reserved for examples has its country; one of no country has none."""
    found = [read_number(text, "NL").country for text in ("+447700900123", "+80012345678", "+12015550123", "12")]
    assert found == ["GB", None, "US", None]
