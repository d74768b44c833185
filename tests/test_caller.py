"""Callers: their keys and languages, and what is answered without a number."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from conftest import CALLER, CONTENT, EXPERIMENT, LINE, NOW, MakePhone, Phone
from flask_pickup import Pickup
from flask_pickup.assignment import draw_arm
from flask_pickup.caller import Caller, caller_key, languages_of


@pytest.mark.parametrize(
    ("country", "languages"),
    [("NL", ("nl",)), ("BE", ("nl", "fr", "de")), ("DE", ("de",)), ("US", ("en",)), (None, ())],
)
def test_country_speaks_its_languages(country: str | None, languages: tuple[str, ...]) -> None:
    """A country's official languages come in the order of how many people speak them."""
    assert languages_of(country)[: len(languages)] == languages


# --- the key ----------------------------------------------------------------------------------------------------------


@given(
    *[st.sampled_from(["+31612345678", "+31612345679", "+12015550123"])] * 2, *[st.sampled_from(["a", "ab", "b"])] * 2
)
def test_key_is_the_number_under_the_secret(one: str, other: str, secret: str, another: str) -> None:
    """A key is 32 hexadecimal digits, another for each number and under each secret."""
    key = caller_key(secret, one)
    assert re.fullmatch("[0-9a-f]{32}", key)
    assert (caller_key(another, other) == key) == ((one, secret) == (other, another))


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
EXTENSIONS_OF_A_PBX = ["7", "101", "2001", "123456", "sip:2001@192.0.2.1", "sip:2001@pbx.example", "ext 12"]
SHORT = ["112", "911", "0900", "14020", "116000", "+112", "+31112", "tel:112", "sip:112@a.example"]
OWN = [LINE, "085-0835037", "0031850835037", f"sip:{LINE}@carrier.example;user=phone", "+31850123456", "085 0123456"]
JUNK = [
    *("null", "None", "undefined", "n/a", "-", "+", "0", "00", "0000000000", "+31000000000", "1111111111", "hello", "+31abc"),
    *("+999999999999999", "+123456789012345678", "½", "²", "①②③", "\N{SLIGHTLY SMILING FACE}", "sip:192.168.1.20", "client:jan"),
    *("+31612345678+31612345678", "0612345678 0687654321", "*31#", "#31#0612345678", "jan@carrier.example", "9" * 300),
    *("5c4d030f-43e3-4e65-899e-8148521e660f", "\0", "\ud800", "31612345678.0", "3.16E+10", "+31612345678" + " " * 300, "' OR 1=1 --", "0004612064"),
]  # fmt: skip
NO_TEXT: list[Any] = [
    None,
    -31612345678,
    31612345678.0,
    204,
    True,
    False,
    [],
    ["+31612345678"],
    {"number": "+31612345678"},
]
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
    assert ring_as(phone, "aaaa", {"number": None})["first_message"] == "Good day."
    assert phone.rows("SELECT arm, source FROM pickup_assignments") == [("control", "unidentified")]


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
