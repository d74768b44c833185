"""Who calls: every spelling of a number is one caller, two numbers are two, and who has none is nobody in particular."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import phonenumbers
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from phonenumbers import PhoneNumberFormat

from conftest import CALLER, CONTENT, EXPERIMENT, LINE, NOW, MakePhone, Phone
from flask_pickup import Pickup
from flask_pickup.assignment import draw_arm
from flask_pickup.caller import Caller, caller_key, e164, key_of, languages_of

# --- spellings --------------------------------------------------------------------------------------------------------

# Ranges that are set aside for examples and films, and one of the platform's own page.
RANGES = {
    "NL": ("+316123", 5),
    "US": ("+120155501", 2),
    "GB": ("+447700900", 3),
    "DE": ("+493023125", 3),
    "FR": ("+336399800", 2),
    "IT": ("+39065550", 4),
}

countries = st.sampled_from(sorted(RANGES))
separators = st.sampled_from(["", " ", "-", ".", "/", "\N{NO-BREAK SPACE}", "\N{EN DASH}", "\N{THIN SPACE}", "  "])
zeros = st.sampled_from([ord("0"), 0xFF10, 0x0660, 0x06F0, 0x0966, 0x1D7CE])
"""The zero of ASCII, full-width, Arabic, Persian, Devanagari and mathematical digits."""


@st.composite
def numbers(draw: st.DrawFn, country: str | None = None) -> tuple[str, str]:
    """A number in E.164, and its country."""
    country = country or draw(countries)
    start, rest = RANGES[country]
    return start + "".join(draw(st.lists(st.sampled_from("0123456789"), min_size=rest, max_size=rest))), country


def international(number: str, _: str) -> str:
    return number


def idd(number: str, country: str) -> str:
    return ("011" if country == "US" else "00") + number[1:]


def double_zero(number: str, _: str) -> str:
    return "00" + number[1:]


def national(number: str, _: str) -> str:
    return phonenumbers.format_number(phonenumbers.parse(number), PhoneNumberFormat.NATIONAL)


def written_for_abroad(number: str, country: str) -> str:
    """+31 (0)6 …, which no telephone dials and every letterhead prints; in Italy the 0 belongs to the number."""
    code = str(phonenumbers.country_code_for_region(country))
    rest = number.removeprefix("+" + code)
    return f"+{code} {rest}" if country in {"US", "IT"} else f"+{code} (0){rest}"


SPELLINGS: list[Callable[[str, str], str]] = [international, idd, double_zero, national, written_for_abroad]
WRAPPINGS = [
    "{}",
    "  {} ",
    "{}\n",
    "tel:{}",
    "TEL:{}",
    "tel:{};isub=1",
    "sip:{}@carrier.example",
    "sip:{}@carrier.example;user=phone",
    "SIPS:{}@192.0.2.1:5061;transport=tls;user=phone",
    "<sip:{}@carrier.example;user=phone>",
    '"Jan de Vries" <sip:{}@carrier.example>;tag=1x2',
    "Unknown <tel:{}>",
    "{}@carrier.example",
]
EXTENSIONS = ["", "x12", " ext. 12", " extension 12", "#12", ",,12", ";ext=12"]


@st.composite
def spelled(draw: st.DrawFn, number: str, country: str) -> str:
    """A number as some carrier, telephone book or person would write it."""
    text = draw(st.sampled_from(SPELLINGS))(number, country)
    between = draw(separators)
    if between:
        places = draw(st.sets(st.integers(2, len(text) - 1), max_size=4))
        text = "".join(between + char if place in places else char for place, char in enumerate(text))
    text += draw(st.sampled_from(EXTENSIONS))
    zero = draw(zeros)
    text = "".join(chr(zero + int(char)) if char in "0123456789" else char for char in text)
    if draw(st.booleans()):
        text = text.replace("+", "\N{FULLWIDTH PLUS SIGN}")
    return draw(st.sampled_from(WRAPPINGS)).format(text)


@settings(max_examples=400)
@given(st.data(), numbers())
def test_every_spelling_is_one_caller(data: st.DataObject, found: tuple[str, str]) -> None:
    """Spaces, tel:, sip:, national, 00 and +, other scripts' digits, an extension: all are the same caller."""
    number, country = found
    assert e164(data.draw(spelled(number, country)), country) == number


@settings(max_examples=200)
@given(st.data(), countries)
def test_two_numbers_are_never_one(data: st.DataObject, country: str) -> None:
    """However two numbers are written, they are two callers."""
    one, _ = data.draw(numbers(country))
    other, _ = data.draw(numbers(country))
    keys = [
        key_of(data.draw(spelled(number, country)), region=country, secret="a-caller-secret") for number in (one, other)
    ]
    assert (keys[0] == keys[1]) == (one == other)


@given(st.integers(10**6, 10**15 - 1).map("+{}".format), countries)
@example("+310612345678", "NL")
@example("+390612345678", "NL")
def test_international_number_keeps_its_digits(text: str, region: str) -> None:
    """A number with its country's code is itself whatever the region, but for a trunk prefix that is too many in it."""
    found = e164(text, region)
    assert found is None or found == text or found == without_trunk_prefix(text)


def without_trunk_prefix(number: str) -> str:
    parsed = phonenumbers.parse(number)
    return f"+{parsed.country_code}{phonenumbers.national_significant_number(parsed)}"


@given(st.text(st.characters(codec="utf-8") | st.sampled_from("+0123456789-() ;:@<>tel:sip"), max_size=40), countries)
@example("000727783449241", "DE")
def test_no_text_is_two_callers_or_an_error(text: str, region: str) -> None:
    """Whatever a carrier sends comes out as one number that reads back as itself, or as none; nothing raises."""
    found = e164(text, region)
    assert found is None or e164(found, region) == found
    assert found is None or phonenumbers.is_possible_number(phonenumbers.parse(found))


@pytest.mark.parametrize(
    ("text", "region", "number"),
    [
        ("tel:2015550123;phone-context=+1", "NL", "+12015550123"),
        ("0612345678", "BE", "+32612345678"),
        ("2015550123", "US", "+12015550123"),
        ("31612345678", "NL", "+31612345678"),
        ("%2B31612345678", "NL", "+31612345678"),
        ("\N{LEFT-TO-RIGHT EMBEDDING}+31612345678\N{POP DIRECTIONAL FORMATTING}", "NL", "+31612345678"),
        ("+39 06 6982", "NL", "+39066982"),
        ("+800 1234 5678", "NL", "+80012345678"),
        ("+6834000", "NL", "+6834000"),
        # Numbers set aside for examples are possible, not valid.
        ("+1 201 555 0123", "NL", "+12015550123"),
        ("+44 7700 900123", "NL", "+447700900123"),
    ],
)
def test_number_is_read_in_its_country(text: str, region: str, number: str | None) -> None:
    """A number without a country's code is one of the region, or of the country that it names itself."""
    assert e164(text, region) == number


@pytest.mark.parametrize(
    ("country", "languages"),
    [("NL", ("nl",)), ("BE", ("nl", "fr", "de")), ("DE", ("de",)), ("US", ("en",)), (None, ())],
)
def test_country_speaks_its_languages(country: str | None, languages: tuple[str, ...]) -> None:
    """A country's official languages come in the order of how many people speak them."""
    assert languages_of(country)[: len(languages)] == languages


# --- the key ----------------------------------------------------------------------------------------------------------


@given(numbers(), numbers(), st.text("abc", min_size=1, max_size=5), st.text("abc", min_size=1, max_size=5))
def test_key_is_the_number_under_the_secret(
    one: tuple[str, str], other: tuple[str, str], secret: str, another: str
) -> None:
    """A key is 32 hexadecimal digits, another for each number and under each secret."""
    key = caller_key(secret, one[0])
    assert len(key) == 32
    assert set(key) <= set("0123456789abcdef")
    assert (caller_key(secret, other[0]) == key) == (one[0] == other[0])
    assert (caller_key(another, one[0]) == key) == (secret == another)


def test_number_is_not_in_what_is_printed() -> None:
    """A caller who ends in a log line or a traceback is not named there."""
    who = Caller(number=CALLER, country="NL", language="nl", key="0123456789abcdef" * 2)
    assert CALLER not in repr(who)
    assert who.short_key == "01234567"


# --- who has no number ------------------------------------------------------------------------------------------------

KEYS = str.maketrans("abcdefghijklmnopqrstuvwxyz", "22233344455566677778889999")
WORDS = ["anonymous", "restricted", "unavailable", "private", "unknown", "withheld", "blocked"]

SENTINELS: list[str] = [
    *("", " ", *WORDS, *map(str.upper, WORDS), *map(str.title, WORDS)),
    *("sip:anonymous@anonymous.invalid", '"Anonymous" <sip:anonymous@anonymous.invalid>;tag=7', "tel:anonymous"),
    *("sip:Anonymous@Anonymous.Invalid:5060", "sip:%61nonymous@anonymous.invalid", "sip:unavailable@unknown.invalid"),
    *("sip:+31612345678@anonymous.invalid", '"Anonymous" <sip:+31612345678@carrier.example>', "Private <+31612345678>"),
    *("sip:anonymous@carrier.example", "anonymous@anonymous.invalid", "Private Number", "No Caller ID"),
]
KEYPAD = [
    spelling
    for digits in [word.translate(KEYS) for word in WORDS]
    for spelling in (digits, f"+{digits}", f"+1{digits}", f"+31{digits}", f"00{digits}", f"0{digits}", f"sip:{digits}@a.example")
]  # fmt: skip
EXTENSIONS_OF_A_PBX = [
    *("7", "42", "101", "2001", "12345", "123456", "sip:2001@192.0.2.1", "sip:2001@pbx.example", "ext 12"),
]
SHORT = [
    *("112", "911", "999", "144", "0900", "14020", "1233", "116000", "+112", "+31112", "tel:112", "sip:112@a.example"),
]
OWN = [LINE, "085-0835037", "0031850835037", f"sip:{LINE}@carrier.example;user=phone", "+31850123456", "085 0123456"]
JUNK = [
    *("null", "None", "undefined", "n/a", "-", "+", "0", "00", "0000000000", "+31000000000", "1111111111", "hello", "+31abc"),
    *("+999999999999999", "+123456789012345678", "½", "²", "①②③", "\N{SLIGHTLY SMILING FACE}", "sip:192.168.1.20", "client:jan"),
    *("+31612345678+31612345678", "0612345678 0687654321", "*31#", "#31#0612345678", "jan@carrier.example", "9" * 300),
    *("5c4d030f-43e3-4e65-899e-8148521e660f", "\0", "\ud800", "+31612345678" + " " * 300, "' OR 1=1 --", "0004612064"),
]  # fmt: skip
NO_TEXT: list[Any] = [None, 31612345678, 3.5, True, False, [], ["+31612345678"], {}, {"number": "+31612345678"}]
WITHOUT: list[Any] = [{}, None, [], "+31612345678", {"name": "Jan"}, {"Number": "+31612345678"}]
"""What stands under ``customer`` where no number does; ``MISSING`` is a message without that key."""
MISSING = object()

NOBODY: list[Any] = [
    *({"number": text} for text in [*SENTINELS, *KEYPAD, *EXTENSIONS_OF_A_PBX, *SHORT, *OWN, *JUNK, *NO_TEXT]),
    *WITHOUT,
    MISSING,
]
SETTINGS = f'[lines."{LINE}"]\n[lines."+31850123456"]\n'


class Crm:
    """A customer hook that remembers whom it was asked for."""

    def __init__(self) -> None:
        self.asked: list[str | None] = []

    def __call__(self, caller: Caller) -> dict[str, Any]:
        """Note down who was asked for."""
        self.asked.append(caller.number)
        return {"name": "Jan"}


@pytest.fixture
def crm() -> Crm:
    """Who is asked for who calls."""
    return Crm()


@pytest.fixture
def make_line(make_phone: MakePhone, crm: Crm) -> Callable[[str], Phone]:
    """Make an app with a customer hook and an experiment that has a rule for callers without a number."""

    def make(rule: str) -> Phone:
        pickup = Pickup(clock=lambda: NOW)
        pickup.customer(crm)
        experiment = f'unidentified = "{rule}"\n{EXPERIMENT}'
        files = {**CONTENT, "experiments/warm-opening/experiment.toml": experiment, "greetings/settings.toml": SETTINGS}
        return make_phone(files, pickup=pickup)

    return make


def ring_as(phone: Phone, call_id: str, customer: Any) -> dict[str, Any]:
    """Ring with what stands under ``customer``, and return the answer's assistant."""
    message: dict[str, Any] = {
        "type": "assistant-request",
        "call": {"id": call_id, "type": "inbound_phone_call", "status": "ringing"},
        "phone_number": {"number": LINE},
    }
    if customer is not MISSING:
        message["customer"] = customer
    response = phone.post(json.dumps({"message": message}).encode())
    assert response.status_code == 200, customer
    assistant: dict[str, Any] = response.get_json()["assistant"]
    return assistant


def spelled_in_letters(index: int) -> str:
    """Return a call's id without digits, so that it does not look as if it held a number."""
    return "".join("abcdefghij"[int(digit)] for digit in f"{index:04}")


NOBODY_CALLS = [(spelled_in_letters(index), customer) for index, customer in enumerate(NOBODY)]


def test_excluded_nobody_hears_the_base(make_line: Callable[[str], Phone]) -> None:
    """With ``exclude`` who has no number hears the base, is in no experiment, and the row says why."""
    phone = make_line("exclude")
    for call_id, customer in NOBODY_CALLS:
        assistant = ring_as(phone, call_id, customer)
        assert (assistant["first_message"], "metadata" in assistant) == ("Good day.", False), customer
    assert phone.rows("SELECT COUNT(*) FROM pickup_assignments") == [(0,)]
    assert phone.rows("SELECT DISTINCT decision FROM pickup_calls") == [("base",)]
    reasons = {str(row[0]) for row in phone.rows("SELECT reasons FROM pickup_calls")}
    assert [json.loads(one) for one in reasons] == [{"warm-opening": "unidentified"}]


def test_nobody_in_control_hears_control(make_line: Callable[[str], Phone]) -> None:
    """With ``control`` who has no number is in the experiment, always in control."""
    phone = make_line("control")
    for call_id, customer in NOBODY_CALLS:
        assert ring_as(phone, call_id, customer)["first_message"] == "Good day.", customer
    assert phone.rows("SELECT arm, source, COUNT(*) FROM pickup_assignments GROUP BY arm, source") == [
        ("control", "unidentified", len(NOBODY))
    ]


def test_nobody_per_call_is_drawn_by_the_call(make_line: Callable[[str], Phone], crm: Crm) -> None:
    """With ``per-call`` each call draws by its id, whatever stood for a number; no caller is looked up, or has a key."""
    phone = make_line("per-call")
    words = {"control": "Good day.", "warm": CONTENT["experiments/warm-opening/warm/first_message.j2"]}
    heard = set()
    for call_id, customer in NOBODY_CALLS:
        arm = draw_arm("warm-opening", {"control": 1, "warm": 1}, call_id)
        assert ring_as(phone, call_id, customer)["first_message"] == words[arm], customer
        assert crm.asked == [], customer
        heard.add(arm)
    assert heard == {"control", "warm"}
    assert phone.rows("SELECT DISTINCT caller_key, country FROM pickup_calls") == [(None, None)]
    assert phone.rows("SELECT DISTINCT caller_key, source FROM pickup_assignments") == [(None, "unidentified")]
    assert phone.rows("SELECT COUNT(*) FROM pickup_calls") == [(len(NOBODY),)]


def test_nobody_is_counted_in_no_arm(make_line: Callable[[str], Phone]) -> None:
    """Calls without a number are no callers: the view of results leaves them out."""
    phone = make_line("per-call")
    for call_id in ("aaaa", "bbbb"):
        ring_as(phone, call_id, {"number": None})
        phone.report(call_id, caller=None)
    ring_as(phone, "cccc", {"number": CALLER})
    phone.report("cccc")
    assert phone.rows("SELECT callers, calls FROM pickup_results WHERE outcome = 'duration_seconds'") == [(1, 1)]


def test_web_call_has_no_number(make_line: Callable[[str], Phone], crm: Crm) -> None:
    """A web call has null numbers, and is answered."""
    phone = make_line("exclude")
    call = {"id": "web", "type": "web_call", "status": "ringing"}
    response = phone.ring(caller=None, line=None, call=call)
    assert response.get_json()["assistant"]["first_message"] == "Good day."
    assert phone.rows("SELECT caller_key, line, call_type FROM pickup_calls") == [(None, None, "web_call")]
    assert crm.asked == []
